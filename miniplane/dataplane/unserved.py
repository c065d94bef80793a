"""Why a Service leads nowhere, in the terms of its manifest: which field, and what the pods behind it are like."""

from collections.abc import Iterable, Sequence
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object


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
        return "spec.selector", f"no pod in {key.namespace} has the labels {wanted}, so the Service has no endpoints"
    port: dict[str, Any] = (spec.get("ports") or [{}])[index] if index < len(spec.get("ports") or ()) else {}
    target = port.get("targetPort")
    if isinstance(target, str) and not any(target == name for pod in chosen for name in _names(pod)):
        has = sorted({name for pod in chosen for name in _names(pod)})
        they = f"they name {', '.join(has)}" if has else "they name none"
        text = f"none of the {_count(chosen)} with {wanted} has a container port with the name {target}; {they}"
        return f"spec.ports[{index}].targetPort", text
    if not any(meta.is_condition_true(pod, "Ready") for pod in chosen):
        text = f"none of the {_count(chosen)} with {wanted} is ready: see their readiness probes and events"
        return "spec.selector", text
    return "spec.selector", f"the {_count(chosen)} with {wanted} can't serve this port"


def _count(pods: Sequence[Object]) -> str:
    return "1 pod" if len(pods) == 1 else f"{len(pods)} pods"


def _is_done(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _names(pod: Object) -> list[str]:
    containers = (pod.get("spec") or {}).get("containers") or ()
    return [port["name"] for item in containers for port in item.get("ports") or () if port.get("name")]
