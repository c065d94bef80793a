"""From a backend as manifests name it to the endpoints behind it: what Ingresses and HTTPRoutes share. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.dataplane.http_routes import Target


class Missing(LookupError):
    """A backend's Service or port is not there; `target` is what it names."""

    def __init__(self, message: str, target: Target) -> None:
        super().__init__(message)
        self.target = target


def resolve(
    key: Key, port: Any, service: Callable[[Key], Object | None], slices: Callable[[Key], Iterable[Object]]
) -> Target:
    """The target of a Service's port, which is named by number or name. Raises Missing."""
    target = Target(key, str(port or ""))
    found = service(key)
    if found is None:
        raise Missing(f"service {key} is not there", target)
    ports = (found.get("spec") or {}).get("ports") or ()
    wanted = next((item for item in ports if _is_port(item, port)), None)
    if wanted is None:
        raise Missing(f"service {key} has no port {target.port}", target)
    return Target(key, target.port, endpoints(slices(key), wanted.get("name") or ""))


def _is_port(item: Object, wanted: Any) -> bool:
    if isinstance(wanted, str):
        return bool(wanted) and item.get("name") == wanted
    return bool(item.get("port") == wanted and (item.get("protocol") or "TCP") == "TCP")


def endpoints(slices: Iterable[Object], port: str) -> tuple[tuple[str, int], ...]:
    """The ready endpoints of a Service's port of that name."""
    found: dict[tuple[str, int], None] = {}
    for item in slices:
        numbers: Sequence[int] = [
            entry["port"]
            for entry in item.get("ports") or ()
            if (entry.get("name") or "") == port and entry.get("port") and (entry.get("protocol") or "TCP") == "TCP"
        ]
        for endpoint in item.get("endpoints") or () if item.get("addressType") != "FQDN" else ():
            if (endpoint.get("conditions") or {}).get("ready") is not False and endpoint.get("addresses"):
                found |= dict.fromkeys((endpoint["addresses"][0], number) for number in numbers)
    return tuple(sorted(found))


def age(obj: Object) -> str:
    """When the object was made, as it sorts."""
    return meta.metadata(obj).get("creationTimestamp") or ""
