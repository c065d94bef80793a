"""Services as elements: which address and port leads to which backends, seen from one node.

Follows kube-proxy (pkg/proxy: topology.go, nftables/proxier.go) in what it decides; the layout is our own. Each
Service is one fragment that depends on its view, its slices and this node only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from miniplane.dataplane.layout import LOCAL_OFFSET, SERVICE_SETS, pick_name
from miniplane.dataplane.packet import Address, Prefix, Protocol
from miniplane.dataplane.program import HealthCheck, Problem
from miniplane.dataplane.ruleset import Data, Element, Goto, Origin, Plain, Value, span
from miniplane.dataplane.stable import stable_ids
from miniplane.dataplane.views import EndpointView, ServicePort, ServiceView, SliceView

HINTS = "spec.trafficDistribution"
"""The field that an element names, besides its port, where hints narrow the choice."""


class Place(NamedTuple):
    """What Services need to know of the node that they are seen from."""

    node: str
    addresses: tuple[Address, ...]
    zone: str


class Backend(NamedTuple):
    """An endpoint's address for one port of a Service."""

    address: int
    port: int
    endpoint: EndpointView
    origin: Origin


class Pick(NamedTuple):
    """A choosing chain that a fragment needs."""

    backends: int
    timeout_s: int
    local: bool


Frontend = tuple[int, int, int]
"""Address, protocol and port that a Service is reached by."""
Served = tuple[tuple[int, int], frozenset[tuple[int, int]]]
"""A frontend's address and port, and those of the endpoints that serve it."""


class Door(NamedTuple):
    """A frontend before its port is known to be free: how one gets to a Service port from somewhere."""

    address: Address
    port: int
    field: str
    external: bool
    restricted: bool = False


@dataclass(frozen=True, slots=True)
class Fragment:
    """All elements of one Service in one table, in the order of `SERVICE_SETS`."""

    elements: tuple[tuple[Element, ...], ...] = ((),) * len(SERVICE_SETS)
    picks: frozenset[Pick] = frozenset()
    frontends: tuple[Frontend, ...] = ()
    problems: tuple[Problem, ...] = ()
    datagrams: tuple[Served, ...] = ()
    """Its UDP frontends."""
    health: tuple[HealthCheck, ...] = ()
    """At most one, and only in the table of the Service's first family."""


@dataclass(slots=True)
class _Draft:
    service: ServiceView
    place: Place
    taken: frozenset[Frontend]
    ids: dict[tuple[int, int], int] = field(default_factory=dict)
    """Of the present port's backends, if clients are remembered: what each is remembered by."""
    elements: dict[str, list[Element]] = field(default_factory=lambda: {name: [] for name in SERVICE_SETS})
    picks: set[Pick] = field(default_factory=set)
    frontends: list[Frontend] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    datagrams: list[Served] = field(default_factory=list)
    health: tuple[HealthCheck, ...] = ()

    def add(self, name: str, key: tuple[Value, ...], data: Data, *origins: Origin) -> None:
        self.elements[name].append(Element(key, data, origins))

    def claim(self, frontend: Frontend, origin: Origin) -> bool:
        """Whether the frontend is this Service's; twice in one Service is one."""
        if frontend in self.taken:
            self.problems.append(Problem(origin, "another Service has this address, protocol and port"))
            return False
        if frontend in self.frontends:
            return False
        self.frontends.append(frontend)
        return True

    def origin(self, path: str) -> Origin:
        return Origin("Service", self.service.namespace, self.service.name, path)

    def finish(self) -> Fragment:
        return Fragment(
            tuple(tuple(self.elements[name]) for name in SERVICE_SETS),
            frozenset(self.picks),
            tuple(self.frontends),
            tuple(self.problems),
            tuple(self.datagrams),
            self.health,
        )


def service_fragment(
    service: ServiceView,
    slices: Sequence[SliceView],
    place: Place,
    version: int,
    taken: frozenset[Frontend] = frozenset(),
) -> Fragment:
    """One Service's elements in the table of IP version `version`. `taken` frontends belong to other Services."""
    draft = _Draft(service, place, taken)
    for index, address in enumerate(service.cluster_ips):
        if address.version == version:
            draft.add("cluster-ips", (int(address),), None, draft.origin(f"spec.clusterIPs[{index}]"))
    for port in service.ports:
        _compile_port(draft, port, backends_of(port, slices, version), version)
    if service.health_port and service.cluster_ips[0].version == version:
        draft.health = (health_check(service, slices, place),)
    return draft.finish()


def health_check(service: ServiceView, slices: Iterable[SliceView], place: Place) -> HealthCheck:
    """How many of the Service's endpoints are here and ready: addresses of its first family, ports aside."""
    version = service.cluster_ips[0].version
    ready = {
        endpoint.address
        for item in slices
        for endpoint in (item.endpoints if item.ports else ())
        if endpoint.ready and endpoint.node == place.node and endpoint.address.version == version
    }
    return HealthCheck(service.health_port, service.namespace, service.name, len(ready))


def backends_of(port: ServicePort, slices: Iterable[SliceView], version: int) -> list[Backend]:
    """All endpoints for a port, ready or not, each address and port once, in order of address."""
    found: dict[tuple[int, int], Backend] = {}
    for item in slices:
        target = next((p.port for p in item.ports if p.name == port.name and p.protocol == port.protocol), 0)
        for endpoint in item.endpoints if target else ():
            if endpoint.address.version == version:
                key = (int(endpoint.address), target)
                origin = Origin("EndpointSlice", item.namespace, item.name, f"endpoints[{endpoint.index}]")
                found.setdefault(key, Backend(*key, endpoint, origin))
    return [found[key] for key in sorted(found)]


def usable(backends: Sequence[Backend]) -> list[Backend]:
    """The ready ones, or else the terminating ones that still serve (KEP-1669)."""
    ready = [item for item in backends if item.endpoint.ready]
    return ready or [item for item in backends if item.endpoint.serving and item.endpoint.terminating]


def near(backends: list[Backend], place: Place) -> list[Backend]:
    """Those meant for this node or zone, if every ready endpoint has a hint and one of them fits; else all."""
    ready = [item.endpoint for item in backends if item.endpoint.ready]
    if ready and all(endpoint.nodes for endpoint in ready):
        here = [item for item in backends if place.node in item.endpoint.nodes]
        if here:
            return here
    if ready and place.zone and all(endpoint.zones for endpoint in ready):
        return [item for item in backends if place.zone in item.endpoint.zones] or backends
    return backends


def _doors(service: ServiceView, port: ServicePort, place: Place) -> Iterable[Door]:
    """Every way to a port: cluster addresses first, so that they win where two are the same."""
    path = f"spec.ports[{port.index}]"
    for address in service.cluster_ips:
        yield Door(address, port.port, path, external=False)
    for index, address in enumerate(service.external_ips):
        yield Door(address, port.port, f"spec.externalIPs[{index}]", external=True)
    for address in service.balancer_ips:
        yield Door(address, port.port, path, external=True, restricted=True)
    for address in place.addresses if port.node_port else ():
        yield Door(address, port.node_port, f"{path}.nodePort", external=True)


def _compile_port(draft: _Draft, port: ServicePort, backends: list[Backend], version: int) -> None:
    service, place = draft.service, draft.place
    everywhere = usable(backends)
    cluster = near(everywhere, place)
    hinted = (draft.origin(HINTS),) if len(cluster) < len(everywhere) else ()
    local = usable([item for item in backends if item.endpoint.node == place.node])
    is_udp = port.protocol is Protocol.UDP
    serving = frozenset((b.address, b.port) for b in backends if is_udp and (b.endpoint.ready or b.endpoint.serving))
    if service.affinity_s:
        ids = stable_ids([f"{item.address}:{item.port}" for item in backends])
        draft.ids = {(item.address, item.port): name for item, name in zip(backends, ids, strict=True)}
    for door in _doors(service, port, place):
        frontend = (int(door.address), int(port.protocol), door.port)
        if door.address.version != version or not draft.claim(frontend, draft.origin(door.field)):
            continue
        origin = draft.origin(door.field)
        if is_udp:
            draft.datagrams.append(((frontend[0], frontend[2]), serving))
        if door.restricted:
            _restrict(draft, door.address, frontend)
        if not everywhere:
            draft.add("no-endpoints", frontend, None, origin)
        elif not door.external:
            if service.internal_local:
                _serve(draft, frontend, local, (origin,))
            else:
                _serve(draft, frontend, cluster, (origin, *hinted))
        else:
            _serve(draft, frontend, cluster, (origin, *hinted))
            if service.external_local:
                _serve(draft, frontend, local, (origin,), offset=LOCAL_OFFSET)
            else:
                draft.add("masqueraded", frontend, None, draft.origin("spec.externalTrafficPolicy"))


def _serve(
    draft: _Draft, frontend: Frontend, backends: list[Backend], origins: tuple[Origin, ...], *, offset: int = 0
) -> None:
    """Lead a frontend to backends; to none means that all are on other nodes, and then packets are dropped."""
    services = "services-local" if offset else "services"
    if not backends:
        field_name = "spec.externalTrafficPolicy" if offset else "spec.internalTrafficPolicy"
        draft.add(services, frontend, Plain.DROP, draft.origin(field_name))
        return
    pick = Pick(len(backends), draft.service.affinity_s, bool(offset))
    draft.picks.add(pick)
    draft.add(services, frontend, Goto(pick_name(pick.backends, pick.timeout_s, local=pick.local)), *origins)
    if not pick.timeout_s:
        for index, item in enumerate(backends, offset):
            draft.add("endpoints", (*frontend, index), (item.address, item.port), item.origin)
        return
    known = {element.key for element in draft.elements["endpoints"]}
    for index, item in enumerate(backends, offset):
        name = draft.ids[item.address, item.port]
        draft.add("choices", (*frontend, index), (name,), item.origin)
        if (*frontend, name) not in known:
            draft.add("endpoints", (*frontend, name), (item.address, item.port), item.origin)


def _restrict(draft: _Draft, address: Address, frontend: Frontend) -> None:
    """Let only the source ranges in; with the node's own address in them, also the balancer's own."""
    ranges: list[Prefix] = [item for item in draft.service.source_ranges if item.version == address.version]
    if not ranges:
        return
    draft.add("restricted", frontend, None, draft.origin("spec.loadBalancerSourceRanges"))
    intervals = _merge((int(item[0]), int(item[-1])) for item in ranges)
    own = [mine for mine in draft.place.addresses if mine.version == address.version]
    allowed = any(low <= int(mine) <= high for low, high in intervals for mine in own)
    if allowed and not any(low <= int(address) <= high for low, high in intervals):
        intervals.append((int(address), int(address)))
    for low, high in intervals:
        draft.add("source-ranges", (*frontend, span(low, high)), None, draft.origin("spec.loadBalancerSourceRanges"))


def _merge(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The union of closed intervals, in order and without overlaps."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged
