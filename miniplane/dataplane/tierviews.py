"""Cluster-wide policies read out of their JSON: ClusterNetworkPolicy, and its two forerunners in the same terms.

policy.networking.k8s.io/v1alpha2 has one kind with a tier; v1alpha1 had AdminNetworkPolicy and
BaselineAdminNetworkPolicy. What a rule asks for that we do not know (a peer of a newer version, a domain name) fails
closed, as the API demands: an Accept rule then matches nothing, any other denies everything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import ip_network
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.selectors import EVERYTHING, LabelSelector
from miniplane.dataplane.packet import Prefix, Protocol


class Action(StrEnum):
    """What a rule does with what it matches; Pass hands on to the next tier."""

    ACCEPT = "Accept"
    DENY = "Deny"
    PASS = "Pass"  # noqa: S105  a verdict


class Tier(StrEnum):
    """Before or after the NetworkPolicies."""

    ADMIN = "Admin"
    BASELINE = "Baseline"


@dataclass(frozen=True, slots=True)
class TierPeer:
    """One item of `from` or `to`: pods of namespaces, nodes, or ranges of addresses; exactly one of them is there."""

    pods: LabelSelector | None = None
    namespaces: LabelSelector = EVERYTHING
    nodes: LabelSelector | None = None
    networks: tuple[Prefix, ...] = ()


@dataclass(frozen=True, slots=True)
class TierPort:
    """One item of `protocols`: a range of a protocol's ports, or a port's name in whichever protocol it has."""

    protocol: Protocol | None
    low: int
    high: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class TierRule:
    """One rule. Peers None: everyone; ports None: everything."""

    action: Action
    peers: tuple[TierPeer, ...] | None
    ports: tuple[TierPort, ...] | None


@dataclass(frozen=True, slots=True)
class ClusterPolicyView:
    """A policy of the whole cluster."""

    kind: str
    name: str
    tier: Tier
    priority: int
    namespaces: LabelSelector
    """Of the subject: the pods whose namespace this selects and …"""
    pods: LabelSelector
    """… whose labels this selects."""
    ingress: tuple[TierRule, ...]
    egress: tuple[TierRule, ...]

    @property
    def rank(self) -> tuple[int, str, str]:
        """What orders policies of a tier: priority; names where the API leaves it open."""
        return self.priority, self.kind, self.name


KINDS = ("ClusterNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy")
"""The kinds that this module reads."""
_ACTIONS = {"Accept": Action.ACCEPT, "Allow": Action.ACCEPT, "Deny": Action.DENY, "Pass": Action.PASS}
_TIERS = {KINDS[1]: Tier.ADMIN, KINDS[2]: Tier.BASELINE}
_PROTOCOLS = {protocol.name: protocol for protocol in Protocol if protocol.has_ports}


def cluster_policy_view(policy: Object) -> ClusterPolicyView:
    """A policy's view, of any of `KINDS`."""
    spec, kind = policy.get("spec") or {}, policy.get("kind") or KINDS[0]
    subject = spec.get("subject") or {}
    peer = _peer(subject)
    return ClusterPolicyView(
        kind,
        meta.name(policy),
        _TIERS.get(kind) or Tier(spec.get("tier") or Tier.ADMIN),
        spec.get("priority") or 0,
        peer.namespaces if peer else LabelSelector(nothing=True),
        (peer.pods if peer else None) or EVERYTHING,
        _rules(spec.get("ingress"), "from"),
        _rules(spec.get("egress"), "to"),
    )


def _rules(rules: Sequence[Mapping[str, Any]] | None, side: str) -> tuple[TierRule, ...]:
    return tuple(_rule(rule, rule.get(side) or ()) for rule in rules or ())


def _rule(rule: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> TierRule:
    action = _ACTIONS.get(rule.get("action") or "", Action.DENY)
    peers = [_peer(item) for item in items]
    wanted = (*(rule.get("protocols") or ()), *(rule.get("ports") or ()))
    ports = [_port(item) for item in wanted]
    whole = TierRule(action, tuple(filter(None, peers)), tuple(filter(None, ports)) if ports else None)
    if None not in peers and None not in ports:
        return whole
    return replace(whole, peers=()) if action is Action.ACCEPT else TierRule(Action.DENY, None, None)


def _peer(item: Mapping[str, Any]) -> TierPeer | None:
    if (namespaces := item.get("namespaces")) is not None:
        return TierPeer(EVERYTHING, LabelSelector.from_object(namespaces))
    if (pods := item.get("pods")) is not None:
        mine, spaces = pods.get("podSelector") or {}, pods.get("namespaceSelector") or {}
        return TierPeer(LabelSelector.from_object(mine), LabelSelector.from_object(spaces))
    if (nodes := item.get("nodes")) is not None:
        return TierPeer(nodes=LabelSelector.from_object(nodes))
    if networks := item.get("networks"):
        return TierPeer(networks=tuple(_networks(networks)))
    return None


def _networks(texts: Iterable[str]) -> Iterable[Prefix]:
    for text in texts:
        try:
            yield ip_network(text.strip(), strict=False)
        except ValueError:
            continue


def _port(item: Mapping[str, Any]) -> TierPort | None:
    if name := item.get("destinationNamedPort") or item.get("namedPort"):
        return TierPort(None, 0, 0, name)
    for word in ("tcp", "udp", "sctp"):
        if word in item:
            port = (item[word] or {}).get("destinationPort") or {}
            return _range(_PROTOCOLS[word.upper()], port.get("number"), port.get("range"))
    old = item.get("portNumber") or item.get("portRange") or {}
    protocol = _PROTOCOLS.get(old.get("protocol") or "TCP")
    if not old or protocol is None:
        return None
    return _range(protocol, old.get("port"), old if "start" in old else None)


def _range(protocol: Protocol, number: int | None, ends: Mapping[str, int] | None) -> TierPort | None:
    if number:
        return TierPort(protocol, number, number)
    if not ends:
        return TierPort(protocol, 0, 65535)
    start, end = ends.get("start") or 0, ends.get("end") or 0
    return TierPort(protocol, start, end) if start <= end else None
