"""Which pod and container a person means: `web`, `pod/web`, or the first pod of `deploy/web` and `svc/web`."""

import sys
from collections.abc import Mapping

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.selectors import LabelSelector
from miniplane.cli import resources
from miniplane.client import Client, discover
from miniplane.kinds import POD

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


async def find(client: Client, namespace: str, word: str) -> Object:
    """The pod. Of a workload or Service the first one that is ready, else the first.

    Raises:
        ValueError: The object has no pods, or selects none by its nature.
    """
    kind, name = resources.one(await discover(client), [word]) if "/" in word else (POD, word)
    obj = await client.get(kind, name, namespace)
    if kind == POD:
        return obj
    selector = _selector(obj)
    if not selector:
        raise ValueError(f"{kind.plural} have no pods: {word}")
    pods = (await client.list(POD, namespace, labels=selector)).items
    if not pods:
        raise ValueError(f"no pods of {word} in namespace {namespace}")
    return min(pods, key=lambda pod: (not _is_ready(pod), meta.name(pod)))


def _selector(obj: Object) -> str:
    selector = (obj.get("spec") or {}).get("selector")
    if not isinstance(selector, Mapping):
        return ""
    structured = "matchLabels" in selector or "matchExpressions" in selector
    return str(LabelSelector.from_object(selector) if structured else LabelSelector.from_map(selector))


def _is_ready(pod: Object) -> bool:
    return (meta.condition(pod, "Ready") or {}).get("status") == "True" and not meta.is_deleted(pod)


def container_of(pod: Object, wanted: str = "") -> str:
    """The container that is wanted, else the one that the pod's annotation names, else the first; several are told."""
    names = [container["name"] for container in pod["spec"]["containers"]]
    if wanted:
        return wanted
    if (chosen := meta.annotations(pod).get(DEFAULT_CONTAINER)) in names:
        return str(chosen)
    if len(names) > 1:
        print(f'Defaulted container "{names[0]}" out of: {", ".join(names)}', file=sys.stderr, flush=True)
    return str(names[0])
