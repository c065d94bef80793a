"""Cluster-wide policies as elements: what the tiers before and after the NetworkPolicies say of this node's pods.

As `policies.py`, but rules have an order, so an element holds a verdict: the one of the first rule that matches. A
target in a group may be matched by the group's labels and by its address; the map of groups, which is asked first,
holds only what labels decide. Such policies tend to mean everyone: neighbours in the order of numbers of which the same
is said are one range, and local pods that the same policies select share a side.
"""

from collections.abc import Iterable, Sequence
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
from miniplane.dataplane.views import NamedPort, NodeView, PodView

_BITS = {4: 32, 6: 128}
_DIRECTIONS = ("ingress", "egress")


class Stage(NamedTuple):
    """One tier of one direction of a template."""

    groups: tuple[tuple[Value, tuple[DecidedBlock, ...]], ...]
    """What labels decide, by the other side's groups."""
    blocks: tuple[DecidedBlock, ...]
    """What addresses decide."""


class Side(NamedTuple):
    """What cluster-wide policies mean in one direction for the pods that they select, in one IP version."""

    policies: tuple[Origin, ...]
    """Those that have rules for it; none, and the tiers have no say."""
    admin: Stage
    baseline: Stage


_Elements = tuple[tuple[Element, ...], ...]
"""A pod's elements, in the order of `TIER_SETS`."""
_Ports = tuple[NamedPort, ...]
_Key = tuple[str, tuple[ClusterPolicyView, ...], _Ports]
"""What a side is made of, apart from the other ends: direction, policies, and names of ports that mean its own pods."""
_Inputs = tuple[object, ...]


class Tiers:
    """Compiles cluster-wide policies for one node and IP version, keeping what has the same inputs."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._sides: dict[_Key, tuple[_Inputs, Side]] = {}
        self._instances: dict[str, tuple[PodView, Side, Side, _Elements]] = {}

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
        old, self._sides = self._sides, {}
        found: dict[Group, tuple[Side, Side]] = {}
        instances: dict[str, tuple[PodView, Side, Side, _Elements]] = {}
        for pod in pods if ordered else ():
            group = groups.of(pod)
            if group not in found:
                selecting = tuple(policy for policy, subject in subjects if group in subject)
                keys: tuple[_Key, _Key] = ("ingress", selecting, group.named_ports), ("egress", selecting, ())
                found[group] = self._side(keys[0], old, nodes, groups), self._side(keys[1], old, nodes, groups)
            ingress, egress = found[group]
            known = self._instances.get(pod.uid)
            if known is None or known[0] is not pod or known[1] is not ingress or known[2] is not egress:
                known = (pod, ingress, egress, _instantiate(pod, ingress, egress, self._version))
            instances[pod.uid] = known
        self._instances = instances
        return {
            name: tuple(element for *_, parts in instances.values() for element in parts[index])
            for index, name in enumerate(TIER_SETS)
        }

    def _side(
        self, key: _Key, old: dict[_Key, tuple[_Inputs, Side]], nodes: tuple[NodeView, ...], groups: Groups
    ) -> Side:
        """The side for a key; one that comes out equal is the one that was there before."""
        if key not in self._sides:
            direction, policies, ports = key
            inputs = (groups.version, nodes)
            known = old.get(key)
            if known is not None and known[0] == inputs:
                side = known[1]
            else:
                side = _side(policies, _Draft(direction, ports, groups, nodes, self._version))
                side = known[1] if known is not None and known[1] == side else side
            self._sides[key] = (inputs, side)
        return self._sides[key][1]


class _Draft:
    """A side in the making; a tier at a time. `ports` are the names of its own pods' ports."""

    def __init__(
        self, direction: str, ports: _Ports, groups: Groups, nodes: tuple[NodeView, ...], version: int
    ) -> None:
        self.direction = direction
        self._ports = ports
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
                    target = self._ports if self.direction == "ingress" else group.named_ports
                    self._by_group.setdefault(group, []).extend(self._parts(rule, target, at))
            else:
                self._add_ranges(self._ranges(peer), rule, at)

    def stage(self) -> Stage:
        """The tier's maps; the next one begins anew."""
        kept: dict[tuple[Ranked, ...], tuple[DecidedBlock, ...]] = {}
        runs: list[tuple[int, int, tuple[DecidedBlock, ...]]] = []
        for number, group in self._groups.in_order() if self._by_group else ():
            parts = tuple(self._by_group.get(group, ()))
            if parts not in kept:
                kept[parts] = self._decide_group(parts)
            cells = kept[parts]
            if runs and runs[-1][2] is cells:
                runs[-1] = (runs[-1][0], number, cells)
            else:
                runs.append((number, number, cells))
        groups = tuple((span(first, last), cells) for first, last, cells in runs if cells)
        made = Stage(groups, decide_blocks(self._blocks))
        self._by_group, self._blocks, self._rank = {}, [], 0
        return made

    def _decide_group(self, parts: Sequence[Ranked]) -> tuple[DecidedBlock, ...]:
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
        """A port's name means nothing at an address, unless it is the port of the side's own pods."""
        parts = self._parts(rule, self._ports, origin)
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

    def _parts(self, rule: TierRule, target: _Ports, origin: Origin) -> list[Ranked]:
        if rule.ports is None:
            return [everything(self._rank, rule.action, origin)]
        return [
            Ranked(self._rank, protocol, low, high, rule.action, origin)
            for port in rule.ports
            for protocol, low, high in _numbers(port, target)
        ]


def _numbers(port: TierPort, target: _Ports) -> Iterable[tuple[int, int, int]]:
    if port.protocol is not None:
        yield int(port.protocol), port.low, port.high
        return
    for named in target:
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


def _instantiate(pod: PodView, ingress: Side, egress: Side, version: int) -> _Elements:
    """A pod's elements: its sides with its address put in."""
    parts: dict[str, list[Element]] = {name: [] for name in TIER_SETS}
    for address in (int(item) for item in pod.addresses if item.version == version):
        for direction, side in zip(_DIRECTIONS, (ingress, egress), strict=True):
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
