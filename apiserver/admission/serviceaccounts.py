"""ServiceAccount: a pod that names no service account runs as `default`. Upstream: plugin serviceaccount."""

from miniplane.api.wellknown import MIRROR_POD

from .chain import Attributes, Operation, Plugin

DEFAULT = "default"


def _default(attributes: Attributes) -> None:
    pod = attributes.obj
    assert pod is not None
    if MIRROR_POD in (pod["metadata"].get("annotations") or {}):
        return
    spec = pod.setdefault("spec", {})
    if not isinstance(spec, dict):
        return  # validation says so
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or DEFAULT
    spec["serviceAccountName"] = spec["serviceAccount"] = name


PLUGIN = Plugin(
    "ServiceAccount",
    operations=frozenset((Operation.CREATE,)),
    resources=frozenset(("pods",)),
    mutate=_default,
)
