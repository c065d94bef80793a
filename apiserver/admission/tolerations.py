"""DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or unreachable."""

from typing import Any

from .chain import Attributes, Operation, Plugin

TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
SECONDS = 300


def _tolerates(toleration: dict[str, Any], key: str) -> bool:
    return toleration.get("key", "") in (key, "") and toleration.get("effect", "") in ("NoExecute", "")


def _add(attributes: Attributes) -> None:
    assert attributes.obj is not None
    spec = attributes.obj.setdefault("spec", {})
    if not isinstance(spec, dict):
        return  # validation says so
    tolerations = spec.get("tolerations") or []
    missing = [key for key in TAINTS if not any(_tolerates(item, key) for item in tolerations)]
    if missing:
        spec["tolerations"] = tolerations + [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS} for key in missing
        ]


PLUGIN = Plugin(
    "DefaultTolerationSeconds",
    operations=frozenset((Operation.CREATE,)),
    resources=frozenset(("pods",)),
    mutate=_add,
)
