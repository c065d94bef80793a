"""Why a Service leads nowhere, in the terms of its manifest: which field, and what the pods behind it are like."""

from collections.abc import Iterable, Sequence
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object

_SHOWN = 3
"""How many pods are named."""


def ports_of(service: Object | None) -> str:
    """The ports that a Service has, for people."""
    ports = ((service or {}).get("spec") or {}).get("ports") or ()
    return ", ".join(f"{port.get('protocol') or 'TCP'} {port.get('port')}" for port in ports) or "no ports"


def without_endpoints(service: Object, pods: Iterable[Object], index: int) -> tuple[str, str]:
    """(field, text) of why the Service's port `index` has no endpoint."""
    spec, key = service.get("spec") or {}, meta.key_of(service)
    selector = spec.get("selector") or {}
    if not selector:
        return "spec.selector", f"Service {key} has no selector, and no EndpointSlice lists an endpoint for it"
    wanted = ",".join(f"{name}={value}" for name, value in sorted(selector.items()))
    near = [pod for pod in pods if meta.namespace(pod) == key.namespace and not _is_done(pod)]
    chosen = [pod for pod in near if selector.items() <= meta.labels(pod).items()]
    if not chosen:
        return "spec.selector", f"no pod in {key.namespace} has the labels {wanted}"
    port: dict[str, Any] = (spec.get("ports") or [{}])[index] if index < len(spec.get("ports") or ()) else {}
    target = port.get("targetPort")
    if isinstance(target, str) and not any(target == name for pod in chosen for name in _names(pod)):
        has = sorted({name for pod in chosen for name in _names(pod)})
        they = f"the names there are {', '.join(has)}" if has else "no port there has a name"
        text = f"{_none(chosen, wanted)} has a container port with the name {target}; {they}"
        return f"spec.ports[{index}].targetPort", text
    if not any(meta.is_condition_true(pod, "Ready") for pod in chosen):
        text = f"{_none(chosen, wanted)} is ready: see the readiness probe and the events"
        return "spec.selector", text
    return "spec.selector", f"{_none(chosen, wanted)} serves this port"


def _none(pods: Sequence[Object], wanted: str) -> str:
    names = [str(meta.key_of(pod)) for pod in pods[:_SHOWN]]
    return f"no pod with {wanted} ({', '.join(names)}{', …' if len(pods) > _SHOWN else ''})"


def _is_done(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _names(pod: Object) -> list[str]:
    containers = (pod.get("spec") or {}).get("containers") or ()
    return [port["name"] for item in containers for port in item.get("ports") or () if port.get("name")]
