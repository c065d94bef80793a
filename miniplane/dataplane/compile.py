"""The compiler: snapshot → program. A change costs what it touches; equal snapshots give byte-equal rules.

Three sections (Services, pods with their groups, policies) are compiled from what they depend on. Each keeps its
fragments, and whatever comes out equal to what was there before *is* the same object again, so that those who read
the program next (the machine, the difference) can skip it by identity.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_network
from itertools import chain

from miniplane.config import Network
from miniplane.dataplane.groups import Groups
from miniplane.dataplane.layout import FIXED_CHAINS, SERVICE_SETS, SETS, TABLE, pick_chain
from miniplane.dataplane.packet import Prefix
from miniplane.dataplane.policies import Policies
from miniplane.dataplane.program import Datagrams, HealthCheck, Problem, Program
from miniplane.dataplane.routes import routes_for
from miniplane.dataplane.ruleset import Chain, Element, NamedSet, Origin, Ruleset, Table, remark, span
from miniplane.dataplane.services import Fragment, Frontend, Place, service_fragment
from miniplane.dataplane.snapshot import Snapshot
from miniplane.dataplane.tiers import Tiers
from miniplane.dataplane.views import NodeView, ServiceView, SliceView

Elements = Mapping[str, tuple[Element, ...]]
Inputs = tuple[ServiceView, tuple[SliceView, ...], Place]


class Compiler:
    """Compiles one node's snapshots, keeping the fragments of the last one."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._program: Program | None = None
        self._groups = Groups()
        self._families: dict[int, _Family] = {}

    def compile(self, snapshot: Snapshot) -> Program:
        """The node's rules and routes."""
        before, old = self._snapshot, self._program
        if before is not None and old is not None and before == snapshot:
            return old
        if before is None or (before.pods, before.namespaces) != (snapshot.pods, snapshot.namespaces):
            self._groups.update(snapshot.pods, snapshot.namespaces)
        tables: list[Table] = []
        problems: list[Problem] = []
        for version in dict.fromkeys(ip_network(text).version for text in snapshot.network.pod_cidrs):
            family = self._families.setdefault(version, _Family(version, self._groups))
            tables.append(family.compile(before, snapshot))
            problems += family.services.problems
        routes = old.routes if before and old and _same_places(before, snapshot) else routes_for(snapshot)
        program = Program(
            snapshot.node,
            Ruleset(tuple(tables)),
            routes,
            tuple(dict.fromkeys(problems)),
            self._datagrams(old),
            tuple(sorted(check for family in self._families.values() for check in family.services.health)),
        )
        self._snapshot, self._program = snapshot, program
        return program

    def _datagrams(self, old: Program | None) -> Datagrams:
        found = {version: family.services.datagrams for version, family in self._families.items()}
        return old.datagrams if old is not None and old.datagrams == found else found


def compile(snapshot: Snapshot) -> Program:  # noqa: A001  the verb of this package
    """One snapshot, nothing kept."""
    return Compiler().compile(snapshot)


def _same_places(before: Snapshot, snapshot: Snapshot) -> bool:
    return (before.node, before.network, before.nodes, before.pods) == (
        snapshot.node,
        snapshot.network,
        snapshot.nodes,
        snapshot.pods,
    )


def _tier_inputs(snapshot: Snapshot) -> tuple[object, ...]:
    """All that cluster-wide policies are compiled from; without any, nothing else matters."""
    if not snapshot.cluster_policies:
        return ()
    return snapshot.cluster_policies, snapshot.pods, snapshot.namespaces, snapshot.node, snapshot.nodes


class _Family:
    """One IP version's table."""

    def __init__(self, version: int, groups: Groups) -> None:
        self._version = version
        self._groups = groups
        self._policies = Policies(version)
        self._tiers = Tiers(version)
        self._elements: dict[str, tuple[Element, ...]] = {}
        self._table: Table | None = None
        self.services = Services(version)

    def compile(self, before: Snapshot | None, snapshot: Snapshot) -> Table:
        if before is None or (before.nodes, before.network) != (snapshot.nodes, snapshot.network):
            self._elements |= _ranges(snapshot.network, snapshot.nodes, self._version)
        place = _place(snapshot)
        if before is None or (_place(before), before.services, before.slices) != (
            place,
            snapshot.services,
            snapshot.slices,
        ):
            self._elements |= self.services.compile(snapshot.services, snapshot.slices, place)
        if before is None or (before.pods, before.policies, before.namespaces, before.node) != (
            snapshot.pods,
            snapshot.policies,
            snapshot.namespaces,
            snapshot.node,
        ):
            self._compile_pods(snapshot)
        if before is None or not _same_places(before, snapshot):
            self._elements["here"] = _here(snapshot, self._version)
        if before is None or _tier_inputs(before) != _tier_inputs(snapshot):
            policies, nodes = snapshot.cluster_policies, snapshot.nodes
            self._elements |= self._tiers.compile(snapshot.local_pods, policies, nodes, self._groups)
        self._table = self._assemble(self._table)
        return self._table

    def _compile_pods(self, snapshot: Snapshot) -> None:
        local = snapshot.local_pods
        self._elements["pod-groups"] = self._groups.elements(self._version)
        self._elements["self"] = tuple(
            Element((int(address),) * 2, None, (Origin("Pod", pod.namespace, pod.name, "status.podIPs"),))
            for pod in local
            for address in pod.addresses
            if address.version == self._version
        )
        self._elements |= self._policies.compile(local, snapshot.policies, self._groups)

    def _assemble(self, old: Table | None) -> Table:
        """The table; sets that are equal to the old ones are the old ones."""
        known = {item.name: item for item in old.sets} if old else {}
        sets = tuple(_fill(item, self._elements.get(item.name, ()), known.get(item.name)) for item in SETS)
        chains = self.services.chains + FIXED_CHAINS
        if old and chains == old.chains and all(new is before for new, before in zip(sets, old.sets, strict=True)):
            return old
        return Table("ip" if self._version == 4 else "ip6", TABLE, sets, chains)  # noqa: PLR2004  IPv4


def _fill(empty: NamedSet, elements: tuple[Element, ...], old: NamedSet | None) -> NamedSet:
    if old is not None and old.elements == elements:
        return old
    if len({element.key for element in elements}) != len(elements):
        firsts: dict[object, Element] = {}
        for element in elements:
            firsts.setdefault(element.key, element)
        elements = tuple(firsts.values())
    return replace(empty, elements=elements)


class Services:
    """The Services section of one table: a fragment for each, and who has which frontend."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._fragments: dict[tuple[str, str], tuple[Inputs, Fragment]] = {}
        self.chains: tuple[Chain, ...] = ()
        self.problems: tuple[Problem, ...] = ()
        self.datagrams: dict[tuple[int, int], frozenset[tuple[int, int]]] = {}
        self.health: tuple[HealthCheck, ...] = ()

    def compile(self, services: tuple[ServiceView, ...], slices: tuple[SliceView, ...], place: Place) -> Elements:
        """The elements of `SERVICE_SETS`; sets the other attributes too."""
        by_service: dict[tuple[str, str], tuple[SliceView, ...]] = {}
        for item in slices:
            key = (item.namespace, item.service)
            by_service[key] = (*by_service.get(key, ()), item)
        fragments: dict[tuple[str, str], tuple[Inputs, Fragment]] = {}
        for service in services:
            key = (service.namespace, service.name)
            inputs: Inputs = (service, by_service.get(key, ()), place)
            known = self._fragments.get(key)
            if known is None or known[0] != inputs:
                known = (inputs, service_fragment(*inputs, self._version))
            fragments[key] = known
        self._fragments = fragments
        ready = self._settle(list(fragments.values()))
        self.problems = tuple(chain.from_iterable(fragment.problems for fragment in ready))
        self.datagrams = {key: ends for fragment in ready for key, ends in fragment.datagrams}
        self.health = tuple(chain.from_iterable(fragment.health for fragment in ready))
        picks = sorted(frozenset().union(*(fragment.picks for fragment in ready)))
        self.chains = tuple(pick_chain(pick.backends, pick.timeout_s, local=pick.local) for pick in picks)
        return {
            name: tuple(chain.from_iterable(fragment.elements[index] for fragment in ready))
            for index, name in enumerate(SERVICE_SETS)
        }

    def _settle(self, whole: list[tuple[Inputs, Fragment]]) -> list[Fragment]:
        """Each frontend has one Service, the first by name; the others are compiled again without it."""
        fragments = [fragment for _, fragment in whole]
        owners = Counter(chain.from_iterable(fragment.frontends for fragment in fragments))
        if len(owners) == sum(len(fragment.frontends) for fragment in fragments):
            return fragments
        taken: set[Frontend] = set()
        settled: list[Fragment] = []
        for inputs, fragment in whole:
            lost = frozenset(taken.intersection(fragment.frontends))
            if lost:
                settled.append(service_fragment(*inputs, self._version, lost))
            else:
                settled.append(fragment)
            taken.update(settled[-1].frontends)
        return settled


def _place(snapshot: Snapshot) -> Place:
    here = snapshot.here
    return Place(snapshot.node, here.addresses if here else (), here.zone if here else "")


def _ranges(network: Network, nodes: Iterable[NodeView], version: int) -> Elements:
    """The address plan as sets: where pods are, where Services are, and what pods reach under their own address."""
    pods = [_element(prefix, remark("pod range")) for prefix in _prefixes(network.pod_cidrs, version)]
    services = [_element(prefix, remark("service range")) for prefix in _prefixes(network.service_cidrs, version)]
    inside = {element.key: element for element in pods}
    for node in nodes:
        for address in node.addresses:
            if address.version == version:
                origin = Origin("Node", "", node.name, "status.addresses")
                inside.setdefault((int(address),), Element((int(address),), None, (origin,)))
    return {"pod-ranges": tuple(pods), "service-ranges": tuple(services), "inside": tuple(inside.values())}


def _here(snapshot: Snapshot, version: int) -> tuple[Element, ...]:
    """This node's pod ranges, and pods of it whose address is in none of them."""
    ranges = snapshot.here.pod_cidrs if snapshot.here else ()
    origin = Origin("Node", "", snapshot.node, "spec.podCIDRs")
    mine = {element.key: element for element in (_element(item, origin) for item in ranges if item.version == version)}
    for pod in snapshot.local_pods:
        for address in pod.addresses:
            if address.version == version and not any(address in item for item in ranges):
                at = Origin("Pod", pod.namespace, pod.name, "status.podIPs")
                mine.setdefault((int(address),), Element((int(address),), None, (at,)))
    return tuple(mine.values())


def _prefixes(texts: Iterable[str], version: int) -> list[Prefix]:
    return [prefix for prefix in map(ip_network, texts) if prefix.version == version]


def _element(prefix: Prefix, origin: Origin) -> Element:
    return Element((span(int(prefix[0]), int(prefix[-1])),), None, (origin,))
