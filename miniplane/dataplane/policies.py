"""NetworkPolicies as elements: who may talk to each pod of one node, and whom it may talk to.

Pods with the same namespace, labels and named ports form a *group*: no selector can tell them apart. A map leads from
every pod's address to its group's number, and what policies allow is said between groups and this node's pods. So a
pod that comes or goes in a known group costs one element, whatever the number of policies.

Each local group is one template (which groups and blocks, which ports, by which rule), each local pod an instance.
Rules follow networking.k8s.io/v1; what that leaves open is settled in DESIGN section 7.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from miniplane.api.selectors import EVERYTHING, LabelSelector
from miniplane.dataplane.boxes import (
    ANY_PROTOCOL,
    LAST_PORT,
    Block,
    BlockPiece,
    Box,
    Piece,
    partition,
    partition_blocks,
    without,
)
from miniplane.dataplane.groups import Group, Groups
from miniplane.dataplane.layout import POLICY_SETS
from miniplane.dataplane.ruleset import Element, Origin
from miniplane.dataplane.views import PodView, PolicyView, PortView, RuleView

_BITS = {4: 32, 6: 128}


class Side(NamedTuple):
    """One direction of a template: which policies isolate, and what is allowed nevertheless."""

    isolated: tuple[Origin, ...]
    groups: tuple[tuple[int, tuple[Piece, ...]], ...]
    blocks: tuple[BlockPiece, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """What policies mean for every pod of one group, in one IP version."""

    ingress: Side
    egress: Side


Elements = tuple[tuple[Element, ...], ...]
"""A pod's elements, in the order of `POLICY_SETS`."""

_Inputs = tuple[object, ...]


class Policies:
    """Compiles policies for one node and IP version, keeping templates and instances whose inputs are the same."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._by_namespace: dict[str, tuple[PolicyView, ...]] = {}
        self._policies: tuple[PolicyView, ...] = ()
        self._templates: dict[Group, tuple[_Inputs, Template]] = {}
        self._instances: dict[str, tuple[PodView, Template, Elements]] = {}

    def compile(
        self, pods: Sequence[PodView], policies: tuple[PolicyView, ...], groups: Groups
    ) -> dict[str, tuple[Element, ...]]:
        """The elements of `POLICY_SETS` for this node's `pods`."""
        if policies != self._policies:
            self._policies, self._by_namespace = policies, _by_namespace(policies)
        templates: dict[Group, tuple[_Inputs, Template]] = {}
        instances: dict[str, tuple[PodView, Template, Elements]] = {}
        for pod in pods:
            group = groups.of(pod)
            if group not in templates:
                templates[group] = self._template(group, groups)
            template = templates[group][1]
            known = self._instances.get(pod.uid)
            if known is None or known[0] is not pod or known[1] is not template:
                known = (pod, template, _instantiate(pod, template, self._version))
            instances[pod.uid] = known
        self._templates, self._instances = templates, instances
        return {
            name: tuple(element for _, _, parts in instances.values() for element in parts[index])
            for index, name in enumerate(POLICY_SETS)
        }

    def _template(self, group: Group, groups: Groups) -> tuple[_Inputs, Template]:
        labels = dict(group.labels)
        selecting = tuple(
            policy for policy in self._by_namespace.get(group.namespace, ()) if policy.selector.matches(labels)
        )
        inputs = (groups.salt, selecting, *(groups.matching(*peer) for peer in _selectors(selecting)))
        known = self._templates.get(group)
        if known is not None and known[0] == inputs:
            return known
        return inputs, Template(
            _Draft("ingress", group, groups, self._version).side(selecting),
            _Draft("egress", group, groups, self._version).side(selecting),
        )


class _Draft:
    """One direction of one group's template in the making."""

    def __init__(self, direction: str, group: Group, groups: Groups, version: int) -> None:
        self._direction = direction
        self._group = group
        self._groups = groups
        self._version = version
        self._boxes: dict[Group, list[Box]] = {}
        self._blocks: list[Block] = []

    def side(self, policies: Iterable[PolicyView]) -> Side:
        isolated: list[Origin] = []
        for policy in policies:
            rules = policy.ingress if self._direction == "ingress" else policy.egress
            if rules is None:
                continue
            isolated.append(Origin("NetworkPolicy", policy.namespace, policy.name, "spec.podSelector"))
            for index, rule in enumerate(rules):
                self._rule(policy, rule, index)
        seen: dict[tuple[Box, ...], tuple[Piece, ...]] = {}
        for boxes in self._boxes.values():
            if tuple(boxes) not in seen:
                seen[tuple(boxes)] = partition(boxes)
        pieces = [(self._groups.id_of(group), seen[tuple(boxes)]) for group, boxes in self._boxes.items()]
        return Side(tuple(isolated), tuple(sorted(pieces)), partition_blocks(self._blocks))

    def _rule(self, policy: PolicyView, rule: RuleView, index: int) -> None:
        path = f"spec.{self._direction}[{index}]"
        if rule.peers is None:
            origin = Origin("NetworkPolicy", policy.namespace, policy.name, path)
            self._everyone(rule.ports, origin)
            return
        side = "from" if self._direction == "ingress" else "to"
        for number, peer in enumerate(rule.peers):
            origin = Origin("NetworkPolicy", policy.namespace, policy.name, f"{path}.{side}[{number}]")
            if peer.block is not None:
                if peer.block.version == self._version:
                    self._add_blocks(without(peer.block, peer.excepts), rule.ports, origin)
            elif peer.pods is not None:
                namespace = policy.namespace if peer.namespaces is None else ""
                self._add_groups(
                    self._groups.matching(namespace, peer.pods, peer.namespaces or EVERYTHING), rule.ports, origin
                )

    def _everyone(self, ports: tuple[PortView, ...] | None, origin: Origin) -> None:
        self._add_blocks([(0, (1 << _BITS[self._version]) - 1)], ports, origin)
        named = tuple(port for port in ports or () if port.name)
        if named and self._direction == "egress":
            self._add_groups(self._groups.matching("", EVERYTHING, EVERYTHING), named, origin)

    def _add_groups(self, groups: Iterable[Group], ports: tuple[PortView, ...] | None, origin: Origin) -> None:
        """Names of ports mean the target's: this group's for ingress, the other's for egress."""
        ingress = self._direction == "ingress"
        mine = _boxes(ports, self._group, origin) if ingress or not _has_names(ports) else None
        for group in groups:
            boxes = _boxes(ports, group, origin) if mine is None else mine
            if boxes:
                self._boxes.setdefault(group, []).extend(boxes)

    def _add_blocks(
        self, ranges: Iterable[tuple[int, int]], ports: tuple[PortView, ...] | None, origin: Origin
    ) -> None:
        """Outside of pods a name of a port means nothing, so it allows nothing there."""
        boxes = _boxes(ports, self._group if self._direction == "ingress" else None, origin)
        self._blocks += [Block(low, high, box) for low, high in ranges for box in boxes]


def _boxes(ports: tuple[PortView, ...] | None, target: Group | None, origin: Origin) -> list[Box]:
    if ports is None:
        return [Box(ANY_PROTOCOL, 0, LAST_PORT, origin)]
    boxes: list[Box] = []
    for port in ports:
        if not port.name:
            boxes.append(Box(port.protocol, port.low, port.high, origin))
            continue
        boxes += [
            Box(named.protocol, named.port, named.port, origin)
            for named in (target.named_ports if target else ())
            if named.name == port.name and named.protocol == port.protocol
        ]
    return boxes


def _has_names(ports: tuple[PortView, ...] | None) -> bool:
    return any(port.name for port in ports or ())


def _selectors(policies: Iterable[PolicyView]) -> Iterable[tuple[str, LabelSelector, LabelSelector]]:
    """Everything that the policies ask of the set of groups."""
    for policy in policies:
        for rule in (*(policy.ingress or ()), *(policy.egress or ())):
            if rule.peers is None and _has_names(rule.ports):
                yield "", EVERYTHING, EVERYTHING
            for peer in rule.peers or ():
                if peer.pods is not None:
                    yield (
                        policy.namespace if peer.namespaces is None else "",
                        peer.pods,
                        peer.namespaces or EVERYTHING,
                    )


def _by_namespace(policies: Iterable[PolicyView]) -> dict[str, tuple[PolicyView, ...]]:
    found: dict[str, list[PolicyView]] = {}
    for policy in policies:
        found.setdefault(policy.namespace, []).append(policy)
    return {namespace: tuple(items) for namespace, items in found.items()}


def _instantiate(pod: PodView, template: Template, version: int) -> Elements:
    """A pod's elements: its template with its address put in."""
    ingress, egress = template.ingress, template.egress
    parts: dict[str, list[Element]] = {name: [] for name in POLICY_SETS}
    for address in (int(item) for item in pod.addresses if item.version == version):
        if ingress.isolated:
            parts["isolated-ingress"].append(Element((address,), None, ingress.isolated))
        if egress.isolated:
            parts["isolated-egress"].append(Element((address,), None, egress.isolated))
        for group, pieces in ingress.groups:
            parts["ingress-groups"] += [
                Element((group, address, piece.protocol, piece.ports), None, piece.origins) for piece in pieces
            ]
        for group, pieces in egress.groups:
            parts["egress-groups"] += [
                Element((address, group, piece.protocol, piece.ports), None, piece.origins) for piece in pieces
            ]
        for block in ingress.blocks:
            parts["ingress-blocks"] += [
                Element((block.addresses, address, piece.protocol, piece.ports), None, piece.origins)
                for piece in block.pieces
            ]
        for block in egress.blocks:
            parts["egress-blocks"] += [
                Element((address, block.addresses, piece.protocol, piece.ports), None, piece.origins)
                for piece in block.pieces
            ]
    return tuple(tuple(parts[name]) for name in POLICY_SETS)
