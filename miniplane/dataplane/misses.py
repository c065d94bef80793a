"""Why a NetworkPolicy's rules do not allow a packet, rule by rule, and the rule that would.

The compiled rules only know that nothing matched. What each rule lacks is read off the policy itself, in the terms of
whoever wrote it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.wellknown import NAMESPACE_NAME
from miniplane.dataplane.packet import Address, Packet, Protocol
from miniplane.dataplane.views import PeerView, PolicyView, PortView, RuleView

MOST = 6
"""How many rules of a policy are told one by one."""
_MADE_BY_CONTROLLERS = (
    "pod-template-hash",
    "pod-template-generation",
    "controller-revision-hash",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
)
"""Labels that nobody would write into a policy."""
_PLAIN_WORD = re.compile(r"[A-Za-z_/.][\w./-]*")
_NOT_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))


class Miss(NamedTuple):
    """A rule, or one peer of it, and what it lacks."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Other:
    """The other side of a packet, as policies see it."""

    label: str
    """`Pod shop/web` or `Node node-1`; empty outside of the cluster."""
    address: Address
    pod: Object | None
    namespace_labels: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.label if self.pod is not None else f"{self.label or 'address'} {self.address}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A packet that a policy would have to allow."""

    direction: str
    """`ingress` or `egress`."""
    packet: Packet
    other: Other
    target: Object | None
    """The pod that it goes to, whose ports names mean."""
    asked: Packet
    """The packet as its source sent it, before translation."""

    @property
    def side(self) -> str:
        """`from` or `to`."""
        return "from" if self.direction == "ingress" else "to"


def misses(policy: PolicyView, wanted: Wanted) -> list[Miss]:
    """What each rule lacks, at most `MOST` of them, those first that lack only one thing."""
    rules = (policy.ingress if wanted.direction == "ingress" else policy.egress) or ()
    found = [list(_rule_misses(policy, rule, index, wanted)) for index, rule in enumerate(rules)]
    told = [miss for part in sorted(found, key=len) for miss in part]
    if len(told) <= MOST:
        return [miss for part in found for miss in part]
    rest = f"{len(told) - MOST} more do not fit either"
    return [*told[:MOST], Miss(f"spec.{wanted.direction}", rest)]


def _rule_misses(policy: PolicyView, rule: RuleView, index: int, wanted: Wanted) -> Iterator[Miss]:
    field = f"spec.{wanted.direction}[{index}]"
    if rule.ports is not None and not any(_port_fits(port, wanted) for port in rule.ports):
        yield Miss(f"{field}.ports", _ports_text(policy, rule, wanted))
    reasons = [_peer_miss(policy, peer, wanted) for peer in rule.peers or ()]
    if all(reasons):
        for number, reason in enumerate(reasons):
            yield Miss(f"{field}.{wanted.side}[{number}]", reason)


def _port_fits(port: PortView, wanted: Wanted) -> bool:
    packet = wanted.packet
    if port.protocol is not packet.protocol:
        return False
    if port.name:
        return _number_of(port, wanted.target) == packet.dport
    return port.low <= packet.dport <= port.high


def _number_of(port: PortView, pod: Object | None) -> int:
    """What a name means on a pod, 0 if nothing."""
    return next(
        (number for name, protocol, number in _declared(pod) if (name, protocol) == (port.name, port.protocol.name)), 0
    )


def _declared(pod: Object | None) -> Iterator[tuple[str, str, int]]:
    spec = (pod or {}).get("spec") or {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for port in container.get("ports") or ():
            yield port.get("name") or "", port.get("protocol") or "TCP", port.get("containerPort") or 0


def _ports_text(policy: PolicyView, rule: RuleView, wanted: Wanted) -> str:
    ports, packet = rule.ports or (), wanted.packet
    fits = rule.peers is None or any(not _peer_miss(policy, peer, wanted) for peer in rule.peers)
    who = f"allows {wanted.other}, but only at" if fits else "allows only"
    text = f"{who} {', '.join(map(_shown, ports))}, not {_port_of(packet)}"
    for port in ports:
        if port.name and port.protocol is packet.protocol:
            number = _number_of(port, wanted.target)
            where = f"Pod {meta.key_of(wanted.target)}" if wanted.target is not None else "the target"
            meaning = f"{port.name} is {number} there" if number else f"{where} has no port of the name {port.name}"
            text += f"; {meaning}"
    translated = wanted.asked.dport != packet.dport
    if translated and any(port.low <= wanted.asked.dport <= port.high for port in ports if not port.name):
        text += f"; policies see the pod's port {packet.dport}, not the Service's port {wanted.asked.dport}"
    return text


def _shown(port: PortView) -> str:
    if port.name:
        return f"{port.protocol.name} {port.name}"
    if (port.low, port.high) == (0, 65535):
        return port.protocol.name
    return f"{port.protocol.name} {port.low}" + (f"-{port.high}" if port.high != port.low else "")


def _port_of(packet: Packet) -> str:
    return f"{packet.protocol.name} {packet.dport}" if packet.protocol.has_ports else packet.protocol.name


def _peer_miss(policy: PolicyView, peer: PeerView, wanted: Wanted) -> str:
    """Why a peer does not mean the other side; empty if it does."""
    other = wanted.other
    if peer.block is not None:
        return _block_miss(peer, wanted)
    if peer.pods is None:
        return "is empty and means nobody"
    if other.pod is None:
        kind = "a node's own address, which pods on the host network share" if other.label else "outside of the cluster"
        text = f"selectors mean pods with an address of their own; {other.address} is {kind}: it takes an ipBlock"
        return text + _replaced(wanted)
    failing = [*_namespace_miss(policy, peer, other), *_pod_miss(peer, other)]
    if len(failing) == 1 and peer.namespaces is not None and peer.pods:
        kept = "podSelector" if failing[0].startswith("namespaceSelector") else "namespaceSelector"
        failing[0] += f" ({kept} matches, but one item needs both)"
    return "; ".join(failing)


def _block_miss(peer: PeerView, wanted: Wanted) -> str:
    address, block = wanted.other.address, peer.block
    assert block is not None
    excepted = [str(item) for item in peer.excepts if item.version == address.version and address in item]
    if block.version == address.version and address in block:
        return f"{address} is in {block}, but also in its exception {excepted[0]}" if excepted else ""
    before = wanted.asked.dst
    if wanted.direction == "egress" and before != address and before.version == block.version and before in block:
        return (
            f"{block} holds {before}, but policies see the address after translation: {address}, {wanted.other.label}"
        )
    return f"ipBlock {block} does not hold {address}{_replaced(wanted)}"


def _replaced(wanted: Wanted) -> str:
    """What has become of the client's own address, if this is not it."""
    before, now = wanted.asked.src, wanted.packet.src
    if wanted.direction != "ingress" or before == now:
        return ""
    return f"; it took the place of the client's {before} on the way, which externalTrafficPolicy: Local would keep"


def _namespace_miss(policy: PolicyView, peer: PeerView, other: Other) -> Iterator[str]:
    assert other.pod is not None
    home = meta.namespace(other.pod)
    if peer.namespaces is None:
        if home != policy.namespace:
            yield f"without namespaceSelector it means pods of {policy.namespace} only, and {other.label} is in {home}"
    elif not peer.namespaces.matches(dict(other.namespace_labels)):
        has = labels_of(dict(other.namespace_labels))
        yield f"namespaceSelector {peer.namespaces} does not match the namespace {home} ({has})"


def _pod_miss(peer: PeerView, other: Other) -> Iterator[str]:
    assert other.pod is not None
    labels = meta.labels(other.pod)
    if peer.pods is not None and not peer.pods.matches(labels):
        yield f"podSelector {peer.pods} does not match {other.label} ({labels_of(labels)})"


def labels_of(labels: Mapping[str, str]) -> str:
    """Labels for people, without those that controllers put there."""
    kept = sorted((key, value) for key, value in labels.items() if key not in _MADE_BY_CONTROLLERS)
    return ",".join(f"{key}={value}" for key, value in kept) or "no labels"


def remedy(policy: str, wanted: Wanted) -> str:
    """The rule that would allow it, as YAML on one line; `policy` is the namespace that it would be in."""
    packet, other = wanted.packet, wanted.other
    if other.pod is None:
        peer = f"ipBlock: {{cidr: {_scalar(f'{other.address}/{other.address.max_prefixlen}')}}}"
    else:
        labels = {key: value for key, value in meta.labels(other.pod).items() if key not in _MADE_BY_CONTROLLERS}
        home = meta.namespace(other.pod)
        peer = f"podSelector: {_selector(labels)}"
        if home != policy:
            peer = f"namespaceSelector: {_selector({NAMESPACE_NAME: home})}, {peer}"
    ports = ""
    if packet.protocol.has_ports:
        protocol = f"protocol: {packet.protocol.name}, " if packet.protocol is not Protocol.TCP else ""
        ports = f", ports: [{{{protocol}port: {packet.dport}}}]"
    return f"{{{wanted.side}: [{{{peer}}}]{ports}}}"


def _selector(labels: Mapping[str, str]) -> str:
    pairs = ", ".join(f"{_scalar(key)}: {_scalar(value)}" for key, value in sorted(labels.items()))
    return f"{{matchLabels: {{{pairs}}}}}" if pairs else "{}"


def _scalar(text: str) -> str:
    """A string as YAML would write it: in quotes if it would be something else without."""
    plain = _PLAIN_WORD.fullmatch(text) and text.lower() not in _NOT_WORDS
    return text if plain or re.fullmatch(r"[\d.]+/\d+", text) else json.dumps(text)


def best(policies: Sequence[PolicyView], direction: str) -> PolicyView | None:
    """The policy that a missing rule would be added to: one that has rules, rather than one that denies all."""
    ruled = [item for item in policies if (item.ingress if direction == "ingress" else item.egress)]
    return ruled[0] if ruled else None
