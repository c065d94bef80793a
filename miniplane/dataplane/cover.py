"""Which rules of a policy can't matter, by their form: another rule of it allows, or decides, the same already."""

from collections.abc import Iterator, Sequence

from miniplane.api.selectors import EVERYTHING
from miniplane.dataplane.tierviews import TierPeer, TierPort, TierRule
from miniplane.dataplane.views import PeerView, PortView, RuleView


def covered_rules(rules: Sequence[RuleView]) -> Iterator[tuple[int, int]]:
    """(rule, the rule that covers it) by index; of equal rules the later one is covered."""
    for index, rule in enumerate(rules):
        for other, wider in enumerate(rules):
            if other == index or not covers(wider, rule) or (other > index and covers(rule, wider)):
                continue
            yield index, other
            break


def covers(wide: RuleView, narrow: RuleView) -> bool:
    """Whether everything that `narrow` allows is allowed by `wide` alone."""
    return _covers_peers(wide.peers, narrow.peers) and _covers_ports(wide.ports, narrow.ports)


def _covers_peers(wide: tuple[PeerView, ...] | None, narrow: tuple[PeerView, ...] | None) -> bool:
    if wide is None:
        return True
    return narrow is not None and all(any(_covers_peer(peer, other) for peer in wide) for other in narrow)


def _covers_peer(wide: PeerView, narrow: PeerView) -> bool:
    if wide == narrow:
        return True
    if (wide.block is None) != (narrow.block is None):
        return False
    if wide.block is not None and narrow.block is not None:
        if wide.block.version != narrow.block.version:
            return False
        inside = _is_within(narrow.block, wide.block)
        return inside and all(
            any(_is_within(hole, other) for other in narrow.excepts) or not hole.overlaps(narrow.block)
            for hole in wide.excepts
        )
    is_same_place = wide.namespaces in (narrow.namespaces, EVERYTHING)
    return is_same_place and wide.pods in (EVERYTHING, narrow.pods)


def _is_within(narrow: object, wide: object) -> bool:
    return bool(narrow.subnet_of(wide))  # type: ignore[attr-defined]  # both of one version


def _covers_ports(wide: tuple[PortView, ...] | None, narrow: tuple[PortView, ...] | None) -> bool:
    if wide is None:
        return True
    return narrow is not None and all(any(_covers_port(port, other) for port in wide) for other in narrow)


def _covers_port(wide: PortView, narrow: PortView) -> bool:
    if wide.protocol != narrow.protocol:
        return False
    if wide.name or narrow.name:
        return wide.name == narrow.name or (not wide.name and (wide.low, wide.high) == (0, 65535))
    return wide.low <= narrow.low and narrow.high <= wide.high


def unreached_rules(rules: Sequence[TierRule]) -> Iterator[tuple[int, int]]:
    """(rule, the earlier one that decides all that it matches) by index: the first rule that matches has the word."""
    for index, rule in enumerate(rules):
        for before in range(index):
            if _matches_all(rules[before], rule):
                yield index, before
                break


def _matches_all(wide: TierRule, narrow: TierRule) -> bool:
    """Whether `wide` matches whatever `narrow` does."""
    peers = wide.peers is None or (
        narrow.peers is not None
        and all(any(_covers_tier_peer(peer, other) for peer in wide.peers) for other in narrow.peers)
    )
    ports = wide.ports is None or (
        narrow.ports is not None
        and all(any(_covers_tier_port(port, other) for port in wide.ports) for other in narrow.ports)
    )
    return peers and ports


def _covers_tier_peer(wide: TierPeer, narrow: TierPeer) -> bool:
    if wide == narrow:
        return True
    if wide.pods is not None and narrow.pods is not None:
        return wide.namespaces in (EVERYTHING, narrow.namespaces) and wide.pods in (EVERYTHING, narrow.pods)
    return bool(narrow.networks) and all(
        any(inner.version == outer.version and _is_within(inner, outer) for outer in wide.networks)
        for inner in narrow.networks
    )


def _covers_tier_port(wide: TierPort, narrow: TierPort) -> bool:
    if wide.name or narrow.name:
        return wide == narrow
    return wide.protocol is narrow.protocol and wide.low <= narrow.low and narrow.high <= wide.high
