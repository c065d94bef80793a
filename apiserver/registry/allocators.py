"""ClusterIPs and node ports: chosen from memory, made unique by the store.

An address is an IPAddress object, a node port an entry that only the server sees; both are created in the commit that
stores the Service, so that two Services can't get one of them, whatever writes at once. Upstream counterpart:
pkg/registry/core/service (allocation and its two bands: what is chosen for a client comes from the upper part of a
range first, so that the lower part stays free for those who name an address or port).
"""

import ipaddress
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from miniplane.aio import Clock
from miniplane.api.kind import Object
from miniplane.api.meta import timestamp
from miniplane.api.validation import Path, invalid
from miniplane.config import Network
from miniplane.errors import ApiError, Cause, Reason, Resource
from miniplane.errors import invalid as invalid_object

from ..store.base import Draft, Put, Remove, ResourceKey, Store, Write

IP_ADDRESSES = "networking.k8s.io/ipaddresses"
SERVICE_CIDRS = "networking.k8s.io/servicecidrs"
NODE_PORTS = "miniplane.io/nodeports"
"""The resource of node port entries; no kind has it, so no client reaches it."""
SERVICES = Resource("services", "", "Service")
_RANDOM_TRIES = 16
_WITH_IP = frozenset(("ClusterIP", "NodePort", "LoadBalancer", ""))
_WITH_PORTS = frozenset(("NodePort", "LoadBalancer"))
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Band:
    """The offsets of a range that may be given out, the preferred part first."""

    first: int
    last: int
    reserved: int
    """How many of the lowest are given out unasked only when all others are taken."""

    def choices(self, random: Random) -> Iterator[int]:
        """Offsets in the order in which to try them: some by chance, then all."""
        start = self.first + self.reserved
        if start <= self.last:
            for _ in range(_RANDOM_TRIES):
                yield random.randint(start, self.last)
            yield from range(start, self.last + 1)
        yield from range(self.first, min(start, self.last + 1))


def address_band(network: IPNetwork) -> Band:
    """All but the network's own address and, in IPv4, its broadcast; 16 to 256 of them reserved (KEP 3070)."""
    size = min(network.num_addresses - (2 if network.version == 4 else 1), 1 << 64)  # noqa: PLR2004  IPv4
    reserved = min(max(16, size // 16), 256) if size > 16 else 0  # noqa: PLR2004  as the line above
    return Band(1, max(size, 0), reserved)


def port_band(first: int, last: int) -> Band:
    """All ports of the range; 16 to 128 of them reserved (KEP 3668)."""
    size = last - first + 1
    reserved = min(max(16, size // 32), 128) if size > 16 else 0  # noqa: PLR2004  as the line above
    return Band(first, last, reserved)


class ServiceAllocator:
    """Allocates for Services: upstream's `alloc` and its release on change of type and on deletion."""

    resource = "/services"

    def __init__(self, store: Store, network: Network, clock: Clock, random: Random) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._ports = port_band(*network.node_ports)
        self._ranges = tuple(ipaddress.ip_network(text) for text in network.service_cidrs)

    def plan(self, new: Object | None, old: Object | None, *, dry_run: bool) -> Sequence[Write]:
        """The writes for what `new` has and `old` has not, and the other way round."""
        del dry_run  # nothing is held before the commit, so a dry run needs no care
        owner = new or old
        assert owner is not None
        had_ips, had_ports = set(_addresses(old)), set(_ports(old))
        writes: list[Write] = []
        ips: set[str] = set()
        ports: set[int] = set()
        if new is not None:
            writes += self._take_addresses(new, had_ips)
            writes += self._take_ports(new, had_ports)
            ips, ports = set(_addresses(new)), set(_ports(new))
        writes += [Remove(_ip_key(ip), None) for ip in sorted(had_ips - ips) if self._store.get(_ip_key(ip))]
        writes += [Remove(_port_key(p), None) for p in sorted(had_ports - ports) if self._store.get(_port_key(p))]
        return writes

    def _take_addresses(self, service: Object, had: set[str]) -> Iterator[Write]:
        spec = service["spec"]
        if spec.get("type", "") not in _WITH_IP or spec.get("clusterIP") == "None":
            return
        asked = list(spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else []))
        families = spec.get("ipFamilies") or [f"IPv{network.version}" for network in self._ranges[:1]]
        if asked:
            for ip in asked:
                if ip not in had:
                    yield self._named_address(service, ip, asked)
        else:
            asked = [self._free_address(family) for family in families]
            for ip in asked:
                yield self._ip_write(service, ip)
        spec["clusterIPs"] = asked
        spec["clusterIP"] = asked[0]
        spec["ipFamilies"] = [f"IPv{ipaddress.ip_address(ip).version}" for ip in asked]
        spec.setdefault("ipFamilyPolicy", "SingleStack")

    def _networks(self) -> Iterator[IPNetwork]:
        """The ranges of all ServiceCIDRs that are not going; before there is one, the settings'."""
        entries = self._store.list(SERVICE_CIDRS).entries
        if not entries:
            yield from self._ranges
        for entry in entries:
            if not entry.obj["metadata"].get("deletionTimestamp"):
                yield from (ipaddress.ip_network(text) for text in entry.obj["spec"].get("cidrs") or ())

    def _named_address(self, service: Object, ip: str, asked: Sequence[str]) -> Write:
        address = ipaddress.ip_address(ip)
        networks = list(self._networks())
        if not any(_usable(address, network) for network in networks):
            shown = ", ".join(str(network) for network in networks)
            why = f"the provided IP ({ip}) is not in the valid range. The range of valid IPs is {shown}"
        elif self._store.get(_ip_key(ip)) is not None:
            why = "provided IP is already allocated"
        else:
            return self._ip_write(service, ip)
        values = "[" + ", ".join(f'"{value}"' for value in asked) + "]"
        message = f"Invalid value: {values}: failed to allocate IP {ip}: {why}"
        cause = Cause("FieldValueInvalid", message, "spec.clusterIPs")
        raise invalid_object(SERVICES, service["metadata"]["name"], [cause])

    def _free_address(self, family: str) -> str:
        for network in self._networks():
            if f"IPv{network.version}" != family:
                continue
            for offset in address_band(network).choices(self._random):
                ip = str(network.network_address + offset)
                if self._store.get(_ip_key(ip)) is None:
                    return ip
        raise _full("a serviceIP")

    def _ip_write(self, service: Object, ip: str) -> Write:
        return Put(_ip_key(ip), Draft(ip_address_object(service, ip, self._clock, self._random)), 0)

    def _take_ports(self, service: Object, had: set[int]) -> Iterator[Write]:
        spec, path = service["spec"], Path("spec")
        if spec.get("type", "") not in _WITH_PORTS:
            return
        wanted = spec.get("type") == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True)
        taken = set(had)
        for index, port in enumerate(spec.get("ports") or ()):
            if port.get("nodePort") or wanted:
                yield from self._take_port(service, port, path / "ports" @ index / "nodePort", taken)
        if _needs_health_port(spec):
            yield from self._take_port(service, spec, path / "healthCheckNodePort", taken)

    def _take_port(self, service: Object, holder: Object, path: Path, taken: set[int]) -> Iterator[Write]:
        """Fill in or check the number at `path`, a field of `holder`; `taken` are those that the Service has."""
        field = path.rpartition(".")[2]
        number = holder.get(field)
        if not number:
            number = holder[field] = self._free_port(service["spec"], holder, taken)
        elif number not in taken:
            self._check_port(service, number, path)
        if number not in taken:
            taken.add(number)
            yield self._port_write(service, number)

    def _check_port(self, service: Object, number: int, path: Path) -> None:
        if not self._ports.first <= number <= self._ports.last:
            valid = f"{self._ports.first}-{self._ports.last}"
            why = f"provided port is not in the valid range. The range of valid ports is {valid}"
        elif self._store.get(_port_key(number)) is not None:
            why = "provided port is already allocated"
        else:
            return
        raise invalid_object(SERVICES, service["metadata"]["name"], [invalid(path, number, why).to_cause()])

    def _free_port(self, spec: Object, port: Object, taken: set[int]) -> int:
        """A free port; one number serves TCP and UDP of one port number, as upstream shares it."""
        for other in spec.get("ports") or ():
            shares = other is not port and other.get("port") == port.get("port") and other.get("nodePort")
            if shares and other.get("protocol", "TCP") != port.get("protocol", "TCP"):
                return int(other["nodePort"])
        named = {item.get("nodePort") for item in spec.get("ports") or ()}
        for number in self._ports.choices(self._random):
            if number not in taken and number not in named and self._store.get(_port_key(number)) is None:
                return number
        raise _full("a nodePort")

    def _port_write(self, service: Object, number: int) -> Write:
        meta = service["metadata"]
        owner = {"name": str(number), "service": f"{meta['namespace']}/{meta['name']}", "uid": meta["uid"]}
        return Put(_port_key(number), Draft({"metadata": owner}), 0)


def _needs_health_port(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _usable(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: IPNetwork) -> bool:
    if address.version != network.version or address not in network:
        return False
    band = address_band(network)
    return band.first <= int(address) - int(network.network_address) <= band.last


def _ip_key(ip: str) -> ResourceKey:
    return ResourceKey(IP_ADDRESSES, "", ip)


def _port_key(number: int) -> ResourceKey:
    return ResourceKey(NODE_PORTS, "", str(number))


def _addresses(service: Object | None) -> Iterable[str]:
    """The addresses that a stored Service holds."""
    spec = (service or {}).get("spec") or {}
    if spec.get("type", "") not in _WITH_IP:
        return ()
    return [ip for ip in spec.get("clusterIPs") or (spec.get("clusterIP"),) if ip and ip != "None"]


def _ports(service: Object | None) -> Iterable[int]:
    """The node ports that a stored Service holds."""
    spec = (service or {}).get("spec") or {}
    if spec.get("type", "") not in _WITH_PORTS:
        return ()
    found = [port.get("nodePort") for port in spec.get("ports") or ()] + [spec.get("healthCheckNodePort")]
    return [number for number in found if number]


def ip_address_object(service: Object, ip: str, clock: Clock, random: Random) -> dict[str, Any]:
    """The IPAddress that records whose address `ip` is."""
    meta = service["metadata"]
    return {
        "kind": "IPAddress",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {
            "name": ip,
            "uid": str(uuid.UUID(int=random.getrandbits(128), version=4)),
            "creationTimestamp": timestamp(clock.now()),
            "labels": {
                "ipaddress.kubernetes.io/ip-family": f"IPv{ipaddress.ip_address(ip).version}",
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {
            "parentRef": {"group": "", "resource": "services", "namespace": meta["namespace"], "name": meta["name"]}
        },
    }


def _full(what: str) -> ApiError:
    why = f"failed to allocate {what}: range is full"
    cause = Cause("", why)
    return ApiError(f"Internal error occurred: {why}", reason=Reason.INTERNAL_ERROR, causes=[cause])
