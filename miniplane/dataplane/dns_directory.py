"""What names are made of: Services, endpoints of headless ones, namespaces and pod addresses, ready to be looked up.

Fed with changes one object at a time, so a change costs what it touches. Pure; objects are shared and only read.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import SERVICE_NAME


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One ready address behind a headless Service. `name` is its hostname, or its address with dashes."""

    name: str
    ip: str
    ports: tuple[tuple[str, str, int], ...]
    """(name, protocol in lower case, number)."""


@dataclass(frozen=True, slots=True)
class ServiceNames:
    """What the DNS needs of a Service."""

    key: Key
    external_name: str
    cluster_ips: tuple[str, ...]
    """Empty: headless (or ExternalName)."""
    ports: tuple[tuple[str, str, int], ...]


class Directory:
    """Lookups for `dns_zone.Zone`. `generation` changes whenever any answer may have."""

    def __init__(self) -> None:
        self.generation = 0
        self._services: dict[Key, ServiceNames] = {}
        self._slices: dict[Key, dict[str, tuple[Endpoint, ...]]] = {}
        self._namespaces: set[str] = set()
        self._service_by_ip: dict[str, Key] = {}
        self._pods: Counter[tuple[str, str]] = Counter()

    # Changes.

    def change_service(self, old: Object | None, new: Object | None) -> None:
        """A Service is new, changed or gone."""
        before = self._services.pop(meta.key_of(old), None) if old is not None else None
        after = _service(new) if new is not None else None
        for ip in before.cluster_ips if before is not None else ():
            if before is not None and self._service_by_ip.get(ip) == before.key:
                del self._service_by_ip[ip]
        if after is not None:
            self._services[after.key] = after
            self._service_by_ip |= dict.fromkeys(after.cluster_ips, after.key)
        if before != after:
            self.generation += 1

    def change_slice(self, old: Object | None, new: Object | None) -> None:
        """An EndpointSlice is new, changed or gone."""
        before = self._drop_slice(old) if old is not None else ()
        after: tuple[Endpoint, ...] = ()
        if new is not None and (key := _service_key(new)).name:
            after = tuple(_endpoints(new))
            self._slices.setdefault(key, {})[meta.name(new)] = after
        concerned = {_service_key(item) for item in (old, new) if item is not None}
        if (before != after or len(concerned) > 1) and any(self._may_be_headless(key) for key in concerned):
            self.generation += 1

    def _may_be_headless(self, key: Key) -> bool:
        service = self._services.get(key)
        return service is None or _is_headless(service)

    def _drop_slice(self, old: Object) -> tuple[Endpoint, ...]:
        key = _service_key(old)
        slices = self._slices.get(key, {})
        before = slices.pop(meta.name(old), ())
        if not slices:
            self._slices.pop(key, None)
        return before

    def change_namespace(self, old: Object | None, new: Object | None) -> None:
        """A Namespace is new, changed or gone."""
        before = set(self._namespaces)
        if old is not None:
            self._namespaces.discard(meta.name(old))
        if new is not None:
            self._namespaces.add(meta.name(new))
        if before != self._namespaces:
            self.generation += 1

    def change_pod(self, old: Object | None, new: Object | None) -> None:
        """A Pod is new, changed or gone; needed for verified pod names only."""
        before, after = _pod_ips(old), _pod_ips(new)
        if before != after:
            self._pods.subtract(before)
            self._pods.update(after)
            for gone in before:
                if self._pods[gone] <= 0:
                    del self._pods[gone]
            self.generation += 1

    # Lookups.

    def service(self, namespace: str, name: str) -> ServiceNames | None:
        """The Service of that key."""
        return self._services.get(Key(namespace, name))

    def endpoints(self, key: Key) -> list[Endpoint]:
        """The ready endpoints of a headless Service, one per address."""
        merged: dict[tuple[str, str], Endpoint] = {}
        for _, endpoints in sorted(self._slices.get(key, {}).items()):
            for item in endpoints:
                same = merged.get((item.name, item.ip))
                ports = item.ports if same is None else tuple(dict.fromkeys(same.ports + item.ports))
                merged[item.name, item.ip] = Endpoint(item.name, item.ip, ports)
        return list(merged.values())

    def has_namespace(self, name: str) -> bool:
        """Whether the namespace exists."""
        return name in self._namespaces

    def has_pod(self, namespace: str, ip: str) -> bool:
        """Whether a pod of the namespace has the address."""
        return (namespace, ip) in self._pods

    def service_at(self, ip: str) -> ServiceNames | None:
        """The Service with that ClusterIP."""
        key = self._service_by_ip.get(ip)
        return None if key is None else self._services.get(key)

    def endpoints_at(self, ip: str) -> list[tuple[Key, Endpoint]]:
        """The endpoints of headless Services with that address."""
        return [
            (key, endpoint)
            for key, slices in sorted(self._slices.items())
            if (service := self._services.get(key)) is not None and _is_headless(service)
            for endpoints in slices.values()
            for endpoint in endpoints
            if endpoint.ip == ip
        ]


def _is_headless(service: ServiceNames) -> bool:
    return not service.cluster_ips and not service.external_name


def _ports(items: Sequence[Mapping[str, Any]] | None) -> tuple[tuple[str, str, int], ...]:
    return tuple(
        (item.get("name") or "", (item.get("protocol") or "TCP").lower(), item.get("port") or 0) for item in items or ()
    )


def _service(service: Object) -> ServiceNames:
    spec = service.get("spec") or {}
    external = (spec.get("externalName") or "") if spec.get("type") == "ExternalName" else ""
    ips = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    cluster_ips = () if external else tuple(_address(ip) for ip in ips if ip and ip != "None")
    return ServiceNames(meta.key_of(service), external, tuple(filter(None, cluster_ips)), _ports(spec.get("ports")))


def _service_key(item: Object) -> Key:
    return Key(meta.namespace(item), meta.labels(item).get(SERVICE_NAME, ""))


def _endpoints(item: Object) -> list[Endpoint]:
    ports = _ports(item.get("ports"))
    found = []
    for endpoint in item.get("endpoints") or ():
        if (endpoint.get("conditions") or {}).get("ready") is False:
            continue
        for text in endpoint.get("addresses") or ():
            if ip := _address(text):
                name = endpoint.get("hostname") or ip.replace(".", "-").replace(":", "-")
                found.append(Endpoint(name, ip, ports))
    return found


def _pod_ips(pod: Object | None) -> Counter[tuple[str, str]]:
    status = (pod.get("status") or {}) if pod is not None else {}
    if pod is None or status.get("phase") in ("Succeeded", "Failed"):
        return Counter()
    ips = [item.get("ip", "") for item in status.get("podIPs") or ()] or [status.get("podIP") or ""]
    return Counter((meta.namespace(pod), ip) for text in ips if (ip := _address(text)))


def _address(text: str) -> str:
    """The address in its one canonical form; empty for what is none."""
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
