"""Cluster-wide policies as elements: what the tiers before and after the NetworkPolicies say of this node's pods.

As `policies.py`: each local group of pods has a template, each local pod is an instance of it. Unlike there, rules have
an order, so an element holds a verdict: the one of the first rule that matches. A target in a group may be matched by
the group's labels and by its address; the map of groups, which is asked first, holds only what labels decide.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from miniplane.dataplane.groups import Group, Groups
from miniplane.dataplane.layout import TIER_SETS, policies_name
from miniplane.dataplane.ranked import (
    DecidedBlock,
    Ranked,
    RankedBlock,
    decide,
    decide_blocks,
    everything,
)
from miniplane.dataplane.ruleset import Element, Goto, Origin, Plain, Value, Verdictlike, span
from miniplane.dataplane.tierviews import Action, ClusterPolicyView, Tier, TierPeer, TierPort, TierRule
from miniplane.dataplane.views import NodeView, PodView

_BITS = {4: 32, 6: 128}
_DIRECTIONS = ("ingress", "egress")


class Stage(NamedTuple):
    """One tier of one direction of a template."""

    groups: tuple[tuple[int, tuple[DecidedBlock, ...]], ...]
    """What labels decide, by the other side's group."""
    blocks: tuple[DecidedBlock, ...]
    """What addresses decide."""


class Side(NamedTuple):
    """One direction of a template."""

    policies: tuple[Origin, ...]
    """Those that have rules for it; none, and the tiers have no say."""
    admin: Stage
    baseline: Stage


@dataclass(frozen=True, slots=True)
class Template:
    """What cluster-wide policies mean for every pod of one group, in one IP version."""

    ingress: Side
    egress: Side


_Elements = tuple[tuple[Element, ...], ...]
"""A pod's elements, in the order of `TIER_SETS`."""
_Inputs = tuple[object, ...]


class Tiers:
    """Compiles cluster-wide policies for one node and IP version, keeping what has the same inputs."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._templates: dict[Group, tuple[_Inputs, Template]] = {}
        self._instances: dict[str, tuple[PodView, Template, _Elements]] = {}

    def compile(
        self,
        pods: Sequence[PodView],
        policies: Iterable[ClusterPolicyView],
        nodes: tuple[NodeView, ...],
        groups: Groups,
    ) -> dict[str, tuple[Element, ...]]:
        """The elements of `TIER_SETS` for this node's `pods`."""
        ordered = sorted(policies, key=lambda policy: policy.rank)
        subjects = [(policy, frozenset(groups.matching("", policy.pods, policy.namespaces))) for policy in ordered]
        templates: dict[Group, tuple[_Inputs, Template]] = {}
        instances: dict[str, tuple[PodView, Template, _Elements]] = {}
        for pod in pods if ordered else ():
            group = groups.of(pod)
            if group not in templates:
                selecting = tuple(policy for policy, subject in subjects if group in subject)
                templates[group] = self._template(group, selecting, nodes, groups)
            template = templates[group][1]
            known = self._instances.get(pod.uid)
            if known is None or known[0] is not pod or known[1] is not template:
                known = (pod, template, _instantiate(pod, template, self._version))
            instances[pod.uid] = known
        self._templates, self._instances = templates, instances
        return {
            name: tuple(element for _, _, parts in instances.values() for element in parts[index])
            for index, name in enumerate(TIER_SETS)
        }

    def _template(
        self, group: Group, policies: tuple[ClusterPolicyView, ...], nodes: tuple[NodeView, ...], groups: Groups
    ) -> tuple[_Inputs, Template]:
        asked = [peer for policy in policies for rule in (*policy.ingress, *policy.egress) for peer in rule.peers or ()]
        found = [groups.matching("", peer.pods, peer.namespaces) for peer in asked if peer.pods is not None]
        chosen = nodes if any(peer.nodes is not None for peer in asked) else ()
        inputs = (groups.salt, policies, chosen, *found)
        known = self._templates.get(group)
        if known is not None and known[0] == inputs:
            return known
        sides = (_side(policies, _Draft(direction, group, groups, nodes, self._version)) for direction in _DIRECTIONS)
        return inputs, Template(*sides)


class _Draft:
    """One direction of one group's template in the making; a tier at a time."""

    def __init__(self, direction: str, group: Group, groups: Groups, nodes: tuple[NodeView, ...], version: int) -> None:
        self.direction = direction
        self._group = group
        self._groups = groups
        self._nodes = nodes
        self._version = version
        self._by_group: dict[Group, list[Ranked]] = {}
        self._blocks: list[RankedBlock] = []
        self._rank = 0

    def add(self, rule: TierRule, origin: Origin) -> None:
        """The next rule of the tier."""
        self._rank += 1
        if rule.peers is None:
            self._add_ranges([(0, (1 << _BITS[self._version]) - 1)], rule, origin)
        side = "from" if self.direction == "ingress" else "to"
        for index, peer in enumerate(rule.peers or ()):
            at = origin._replace(field=f"{origin.field}.{side}[{index}]")
            if peer.pods is not None:
                for group in self._groups.matching("", peer.pods, peer.namespaces):
                    target = self._group if self.direction == "ingress" else group
                    self._by_group.setdefault(group, []).extend(self._parts(rule, target, at))
            else:
                self._add_ranges(self._ranges(peer), rule, at)

    def stage(self) -> Stage:
        """The tier's maps; the next one begins anew."""
        kept: dict[tuple[Ranked, ...], tuple[DecidedBlock, ...]] = {}
        for parts in self._by_group.values():
            if tuple(parts) not in kept:
                kept[tuple(parts)] = self._decide_group(parts)
        groups = [(self._groups.id_of(group), kept[tuple(parts)]) for group, parts in self._by_group.items()]
        made = Stage(tuple(sorted((number, cells) for number, cells in groups if cells)), decide_blocks(self._blocks))
        self._by_group, self._blocks, self._rank = {}, [], 0
        return made

    def _decide_group(self, parts: list[Ranked]) -> tuple[DecidedBlock, ...]:
        """What these parts decide, at the addresses where no earlier rule about addresses does."""
        everywhere = (0, (1 << _BITS[self._version]) - 1)
        last = max((part.rank for part in parts), default=0)
        earlier = [block for block in self._blocks if block.part.rank < last]
        if not earlier:
            return (DecidedBlock(span(*everywhere), decide(parts)),) if parts else ()
        nothing = Ranked(self._rank + 1, None, 0, -1, "", parts[0].origin)
        found = decide_blocks([*earlier, RankedBlock(*everywhere, nothing)], parts)
        mine = set(parts)
        cut = [
            DecidedBlock(block.addresses, tuple(cell for cell in block.cells if cell.rule in mine)) for block in found
        ]
        return tuple(block for block in cut if block.cells)

    def _add_ranges(self, ranges: Iterable[tuple[int, int]], rule: TierRule, origin: Origin) -> None:
        """A port's name means nothing at an address, unless it is this group's own port."""
        parts = self._parts(rule, self._group if self.direction == "ingress" else None, origin)
        self._blocks += [RankedBlock(low, high, part) for low, high in ranges for part in parts]

    def _ranges(self, peer: TierPeer) -> list[tuple[int, int]]:
        if peer.nodes is None:
            return [(int(item[0]), int(item[-1])) for item in peer.networks if item.version == self._version]
        return [
            (int(address),) * 2
            for node in self._nodes
            if peer.nodes.matches(dict(node.labels))
            for address in node.all_addresses
            if address.version == self._version
        ]

    def _parts(self, rule: TierRule, target: Group | None, origin: Origin) -> list[Ranked]:
        if rule.ports is None:
            return [everything(self._rank, rule.action, origin)]
        return [
            Ranked(self._rank, protocol, low, high, rule.action, origin)
            for port in rule.ports
            for protocol, low, high in _numbers(port, target)
        ]


def _numbers(port: TierPort, target: Group | None) -> Iterable[tuple[int, int, int]]:
    if port.protocol is not None:
        yield int(port.protocol), port.low, port.high
        return
    for named in target.named_ports if target is not None else ():
        if named.name == port.name:
            yield int(named.protocol), named.port, named.port


def _side(policies: Iterable[ClusterPolicyView], draft: _Draft) -> Side:
    mentioned: list[Origin] = []
    stages: list[Stage] = []
    for tier in Tier:
        for policy in policies:
            rules = policy.ingress if draft.direction == "ingress" else policy.egress
            if policy.tier is tier and rules:
                origin = Origin(policy.kind, "", policy.name, f"spec.{draft.direction}")
                mentioned.append(origin)
                for index, rule in enumerate(rules):
                    draft.add(rule, origin._replace(field=f"{origin.field}[{index}]"))
        stages.append(draft.stage())
    return Side(tuple(mentioned), *stages)


def _verdict(action: str, direction: str, tier: Tier) -> Verdictlike:
    if action == Action.DENY:
        return Plain.DROP
    if action == Action.PASS and tier is Tier.ADMIN:
        return Goto(policies_name(direction))
    return Plain.RETURN


def _instantiate(pod: PodView, template: Template, version: int) -> _Elements:
    """A pod's elements: its template with its address put in."""
    parts: dict[str, list[Element]] = {name: [] for name in TIER_SETS}
    for address in (int(item) for item in pod.addresses if item.version == version):
        for direction, side in zip(_DIRECTIONS, (template.ingress, template.egress), strict=True):
            if side.policies:
                parts[f"tiered-{direction}"].append(Element((address,), None, side.policies))
            for tier, stage in ((Tier.ADMIN, side.admin), (Tier.BASELINE, side.baseline)):
                name = f"{tier.lower()}-{direction}"
                for group, blocks in stage.groups:
                    parts[f"{name}-groups"] += _elements((group,), address, blocks, direction, tier)
                parts[f"{name}-blocks"] += _elements((), address, stage.blocks, direction, tier)
    return tuple(tuple(parts[name]) for name in TIER_SETS)


def _elements(
    group: tuple[Value, ...], address: int, blocks: Iterable[DecidedBlock], direction: str, tier: Tier
) -> Iterable[Element]:
    for block in blocks:
        pair = (block.addresses, address) if direction == "ingress" else (address, block.addresses)
        for cell in block.cells:
            key = (*group, *pair, cell.protocol, cell.ports)
            yield Element(key, _verdict(cell.rule.action, direction, tier), (cell.rule.origin,))
