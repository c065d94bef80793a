"""One node's part of a trace: the machine's steps put into words, each with the object and field behind it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from operator import itemgetter

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.wellknown import SERVICE_NAME
from miniplane.dataplane.cluster import Cluster, Leg
from miniplane.dataplane.evaluate import Step
from miniplane.dataplane.misses import Other, Wanted, best, labels_of, misses, remedy
from miniplane.dataplane.packet import Entry, Packet, Verdict
from miniplane.dataplane.parties import Parties
from miniplane.dataplane.routes import HopKind
from miniplane.dataplane.ruleset import (
    REFUSALS,
    Dnat,
    Element,
    Field,
    Goto,
    In,
    Masquerade,
    Origin,
    Plain,
    SetMark,
    VerdictOf,
)
from miniplane.dataplane.services import HINTS
from miniplane.dataplane.unserved import ports_of, without_endpoints
from miniplane.dataplane.views import PolicyView, namespace_view, policy_view


@dataclass(frozen=True, slots=True)
class TraceHop:
    """One line of a trace. `object` is `Kind namespace/name`, `field` a path in it; both empty for the rules' own."""

    stage: str
    """source, service, backend, policy, nat, route or destination; in a whole request also dns, ingress and reply."""
    node: str
    object: str
    field: str
    verdict: str
    """What this hop says: accept, drop, reject, `no match` (a policy that does not allow it), or nothing."""
    text: str
    packet: str
    """The packet as it is at this point."""


_TIER_CHAINS = frozenset(
    f"{direction}-{place}" for direction in ("egress", "ingress") for place in ("tiers", "policies")
)
_RANKS = {"service": 0, "backend": 1, "egress": 2, "ingress": 3, "nat": 4, "route": 5, "destination": 5}


class LegReader:
    """Reads one leg. The packet is as it came to the node, `entry` says how; `asked` is as its source sent it."""

    def __init__(
        self, cluster: Cluster, parties: Parties, leg: Leg, packet: Packet, entry: Entry, asked: Packet
    ) -> None:
        self._cluster = cluster
        self._parties = parties
        self._leg = leg
        self._packet = packet
        self._entry = entry
        self._asked = asked
        self._source = packet.src
        self._masked: tuple[Origin | None, str] = (None, "")
        """Whose rule had the source replaced, and why."""
        self._before_nat: Packet | None = None
        """The packet as the policies saw it, where its source was replaced afterwards."""
        self._hops: list[tuple[int, TraceHop]] = []
        """With a rank, since what the rules do not mention is found out last."""
        self._isolating: dict[str, tuple[Origin, ...]] = {}
        self._tiered: dict[str, tuple[Origin, ...]] = {}
        """By direction, the cluster-wide policies that have rules for the pod."""
        self._decided: set[str] = set()
        """Directions in which one of them had the last word."""

    def hops(self) -> list[TraceHop]:
        """The leg's lines, in order."""
        for step in self._leg.outcome.steps:
            if step.rule is not None:
                self._step(step)
        outcome = self._leg.outcome
        if outcome.verdict is Verdict.ACCEPT:
            self._packet = self._before_nat or outcome.packet
            self._free_directions()
            self._packet = outcome.packet
            self._end()
        elif "ingress" in (*self._isolating, *self._decided) and self._entry is not Entry.OUTPUT:
            self._free_direction("egress", self._parties.pod_at(self._source))
        return [hop for _, hop in sorted(self._hops, key=itemgetter(0))]

    def _step(self, step: Step) -> None:
        assert step.rule is not None
        for statement in step.rule.statements:
            if isinstance(statement, Dnat):
                self._backend(step)
            elif isinstance(statement, VerdictOf):
                (self._service if step.chain not in _TIER_CHAINS else self._tier)(step)
            elif isinstance(statement, SetMark) and statement.field is Field.CT_MARK:
                self._masked = (step.element.origins[0] if step.element is not None else None, step.rule.origin.field)
            elif isinstance(statement, Masquerade):
                self._masquerade(step)
            elif statement in REFUSALS or (statement is Plain.DROP and step.chain in ("firewall", "unserved")):
                self._refused(step)
        if step.chain in ("ingress", "egress"):
            self._policy(step)
        if step.chain in _TIER_CHAINS and step.rule.statements[-1] is Plain.RETURN:
            self._itself(step)
        names = [match.set for match in step.rule.matches if isinstance(match, In) and not match.negated]
        if step.element is not None:
            self._enter(step.element, names)

    def _enter(self, element: Element, names: Sequence[str]) -> None:
        """Note whose rules begin here."""
        for direction in ("ingress", "egress"):
            if f"isolated-{direction}" in names:
                self._isolating[direction] = element.origins
            if f"tiered-{direction}" in names:
                self._tiered[direction] = element.origins

    def _add(self, stage: str, origin: Origin | None, verdict: str, text: str) -> None:
        """`stage` may be `egress` or `ingress`, which are both the stage `policy`, in this order."""
        rank = _RANKS[stage]
        stage = "policy" if stage in ("egress", "ingress") else stage
        name, path = (origin.object, origin.field) if origin is not None and origin.kind else ("", "")
        self._hops.append((rank, TraceHop(stage, self._leg.node, name, path, verdict, text, str(self._packet))))

    def _service(self, step: Step) -> None:
        assert step.element is not None
        origin = step.element.origins[0]
        frontend = f"{self._packet.dst}:{self._packet.dport}"
        if step.element.data is Plain.DROP:
            self._add("service", origin, "drop", self._none_here(origin, frontend))
            return
        count = step.text.removeprefix("goto ").split("-")
        number = next(part for part in count if part.isdigit())
        kept = ", the same for a client again (sessionAffinity)" if count[0] == "sticky" else ""
        local = f" on {self._leg.node}" if "local" in count else ""
        plural = "backend" if number == "1" else f"{number} backends"
        choice = f"the only {plural}" if number == "1" else f"one of {plural}"
        near = " that is meant for this node or its zone" if step.element.origins[-1].field == HINTS else ""
        self._add("service", origin, "accept", f"{frontend} leads to {choice}{local}{near}{kept}")

    def _none_here(self, origin: Origin, frontend: str) -> str:
        """All endpoints are on other nodes, and the Service's policy is Local."""
        here, slices = self._leg.node, self._cluster.objects["EndpointSlice"].values()
        ends = [
            end
            for item in slices
            if (meta.namespace(item), meta.labels(item).get(SERVICE_NAME)) == (origin.namespace, origin.name)
            for end in item.get("endpoints") or ()
        ]
        there = ", ".join(sorted({end.get("nodeName") or "" for end in ends} - {here, ""}))
        name = origin.field.removeprefix("spec.")
        return (
            f"{frontend} on {here} leads only to endpoints on {here} ({name} is Local), and there is none: "
            f"they are on {there}. It takes a pod on this node, a client that asks there, or {name}: Cluster"
        )

    def _backend(self, step: Step) -> None:
        assert step.element is not None
        assert isinstance(step.element.data, tuple)
        number, port = step.element.data
        cls = type(self._packet.dst)
        address = cls(number)
        self._packet = replace(self._packet, dst=address, dport=port)
        whose = self._parties.label(address) or "no pod or node that is known"
        self._add("backend", step.element.origins[0], "accept", f"translated to {address}:{port}, {whose}")

    def _masquerade(self, step: Step) -> None:
        assert step.rule is not None
        own = step.text.rpartition(" ")[2]
        self._before_nat = self._packet
        self._packet = replace(self._packet, src=ip_address(own))
        origin, why = self._masked
        if not why or step.element is not None:
            origin, why = step.element.origins[0] if step.element is not None else None, step.rule.origin.field
        origin = origin or Origin("Node", "", self._leg.node, "status.addresses")
        self._add("nat", origin, "accept", f"the source becomes {own} ({self._leg.node}): {why}")

    def _refused(self, step: Step) -> None:
        """Reached no backend: source ranges, no endpoints, no such port, no such Service."""
        assert step.rule is not None
        verdict = "drop" if Plain.DROP in step.rule.statements else "reject"
        origin = step.element.origins[0] if step.element is not None else None
        text = step.rule.origin.field
        if origin is not None and origin.kind == "Service":
            origin, text = self._shortage(origin, text)
        self._add("service", origin, verdict, text)

    def _shortage(self, origin: Origin, text: str) -> tuple[Origin, str]:
        """What a Service lacks, and in which field."""
        packet = self._packet
        service = self._cluster.objects["Service"].get(meta.Key(origin.namespace, origin.name)) or {}
        if origin.field.startswith("spec.clusterIPs"):
            text = f"{text} as {packet.protocol.name} {packet.dport}; it has {ports_of(service)}"
            return origin._replace(field="spec.ports"), text
        if origin.field == "spec.loadBalancerSourceRanges":
            ranges = ", ".join(service["spec"]["loadBalancerSourceRanges"])
            return origin, f"the load balancer lets in only {ranges}, and {packet.src} is in none of them"
        index = next(
            (
                number
                for number, port in enumerate((service.get("spec") or {}).get("ports") or ())
                if packet.dport in (port.get("port"), port.get("nodePort"))
                and packet.protocol.name == (port.get("protocol") or "TCP")
            ),
            0,
        )
        path, why = without_endpoints(service, self._cluster.objects["Pod"].values(), index)
        return origin._replace(field=path), f"no endpoint, so the connection is refused: {why}"

    def _tier(self, step: Step) -> None:
        """What a rule of a cluster-wide policy says."""
        assert step.element is not None
        direction, _, place = step.chain.partition("-")
        tier = "Admin" if place == "tiers" else "Baseline"
        origin, wish = step.element.origins[0], self._wish(direction)
        if isinstance(step.element.data, Goto):
            self._add(direction, origin, "", f"the {tier} tier passes {wish} on to the NetworkPolicies")
            return
        self._decided.add(direction)
        if step.element.data is not Plain.DROP:
            passed = "; NetworkPolicies are not asked" if tier == "Admin" else ""
            self._add(direction, origin, "accept", f"the {tier} tier accepts {wish}{passed}")
            return
        way_out = (
            "No NetworkPolicy can allow it: it takes an Accept or Pass rule that comes first (a lower priority number)"
            if tier == "Admin"
            else "It takes a NetworkPolicy that allows it, or an Accept rule that comes first"
        )
        self._add(direction, origin, "drop", f"the {tier} tier denies {wish}. {way_out}")

    def _policy(self, step: Step) -> None:
        """The verdict of a direction, said of every policy that isolates the pod."""
        assert step.rule is not None
        direction = step.chain
        last = step.rule.statements[-1]
        if last is Plain.RETURN:
            if step.element is not None and step.element.origins[0].kind == "Pod":
                self._itself(step)
                return
            allowing = step.element.origins if step.element is not None else ()
            self._say(direction, {(item.namespace, item.name): item for item in allowing})
        elif last is Plain.DROP:
            self._say(direction, {})
            self._undecided(direction)

    def _itself(self, step: Step) -> None:
        """A pod that reaches itself meets no policy."""
        assert step.element is not None
        assert step.rule is not None
        direction = step.chain.partition("-")[0]
        self._decided.add(direction)
        self._add(direction, step.element.origins[0], "accept", step.rule.origin.field)

    def _say(self, direction: str, allowing: dict[tuple[str, str], Origin]) -> None:
        for policy in self._isolating.get(direction, ()):
            found = allowing.get((policy.namespace, policy.name))
            if found is not None:
                self._add(direction, found, "accept", f"allows {self._wish(direction)}")
            elif allowing:
                whole = policy._replace(field=f"spec.{direction}")
                text = f"selects {self._pod_label(direction)} too and does not allow it; one policy that does is enough"
                self._add(direction, whole, "no match", text)
            else:
                self._missed(direction, policy)

    def _missed(self, direction: str, policy: Origin) -> None:
        """What a policy that selects the pod lacks, rule by rule."""
        view, subject = self._view(policy), self._pod_label(direction)
        rules = (view.ingress if direction == "ingress" else view.egress) if view is not None else None
        whole = policy._replace(field=f"spec.{direction}")
        ways = "come in" if direction == "ingress" else "go out"
        if view is None or not rules:
            text = f"selects {subject} for {direction} and has no {direction} rule, so it lets nothing {ways}"
            self._add(direction, whole, "no match", text)
            return
        text = f"selects {subject}, so only what a rule allows may {ways}; none allows {self._wish(direction)}:"
        self._add(direction, whole, "no match", text)
        for miss in misses(view, self._to_allow(direction)):
            self._add(direction, policy._replace(field=miss.field), "no match", miss.text)

    def _view(self, policy: Origin) -> PolicyView | None:
        found = self._cluster.objects["NetworkPolicy"].get(meta.Key(policy.namespace, policy.name))
        return policy_view(found) if found is not None else None

    def _to_allow(self, direction: str) -> Wanted:
        packet = self._packet
        address = packet.src if direction == "ingress" else packet.dst
        pod = self._parties.pod_at(address)
        home = self._cluster.objects["Namespace"].get(meta.Key("", meta.namespace(pod))) if pod is not None else None
        labels = namespace_view(home).labels if home is not None else ()
        other = Other(self._parties.label(address), address, pod, labels)
        return Wanted(direction, packet, other, self._parties.pod_at(packet.dst), self._asked)

    def _wish(self, direction: str) -> str:
        packet = self._packet
        other = packet.src if direction == "ingress" else packet.dst
        label = self._parties.label(other)
        shown = labels_of(meta.labels(self._parties.pod_at(other) or {}))
        port = f" {packet.dport}" if packet.protocol.has_ports else ""
        word = "from" if direction == "ingress" else "to"
        who = f"{label} ({shown})" if label.startswith("Pod") else f"{label} {other}".strip()
        return f"{packet.protocol.name}{port} {word} {who}"

    def _undecided(self, direction: str) -> None:
        """No policy allows it: what would have to be added, and where."""
        isolating = self._isolating.get(direction, ())
        views = [view for view in map(self._view, isolating) if view is not None]
        chosen = best(views, direction)
        origin = next(iter(isolating), None)
        if chosen is not None:
            origin = Origin("NetworkPolicy", chosen.namespace, chosen.name, "")
        home = origin.namespace if origin is not None else ""
        where = (
            f"in spec.{direction} of {chosen.namespace}/{chosen.name}"
            if chosen is not None
            else f"in spec.{direction} of a NetworkPolicy that selects {self._pod_label(direction)}"
        )
        text = f"no policy allows it. It takes the rule {remedy(home, self._to_allow(direction))} {where}"
        self._add(direction, origin and origin._replace(field=f"spec.{direction}"), "drop", text)

    def _pod_label(self, direction: str) -> str:
        return self._parties.label(self._packet.dst if direction == "ingress" else self._packet.src)

    def _free_directions(self) -> None:
        """Where no policy had a say, say why not."""
        packet, node = self._packet, self._leg.node
        source, target = self._parties.pod_at(self._source), self._parties.pod_at(packet.dst)
        if self._entry is Entry.OUTPUT:
            if target is not None and _node_of(target) == node:
                self._add(
                    "ingress",
                    _of(target, "spec.nodeName"),
                    "accept",
                    "a pod's own node always reaches it, as its probes must",
                )
            return
        if self._leg.outcome.hop.kind is HopKind.NODE and source is not None and _node_of(source) == node:
            self._add("egress", _of(source, "spec.nodeName"), "accept", "a pod always reaches its own node")
            return
        self._free_direction("egress", source)
        self._free_direction("ingress", target)

    def _free_direction(self, direction: str, pod: Object | None) -> None:
        """If no policy had a say about a pod of this node, say why."""
        if pod is None or _node_of(pod) != self._leg.node or direction in (*self._isolating, *self._decided):
            return
        key = meta.key_of(pod)
        result = "so it may send anywhere" if direction == "egress" else "so anybody may reach it"
        names = ", ".join(f"{item.kind} {item.name}" for item in self._tiered.get(direction, ()))
        if names:
            text = f"no rule of {names} matches and no NetworkPolicy selects Pod {key} for {direction}, {result}"
            self._add(direction, _of(pod, "metadata.labels"), "accept", text)
            return
        for policy in self._cluster.objects["NetworkPolicy"].values():
            view = policy_view(policy)
            if view.namespace != key.namespace or not view.selector.matches(meta.labels(pod)):
                continue
            types = "Ingress" if direction == "egress" else "Egress"
            ignored = f"; its {direction} rules have no effect" if (policy["spec"]).get(direction) else ""
            text = f"selects Pod {key} for {types} only{ignored}. No policy has {direction.capitalize()}, {result}"
            origin = Origin("NetworkPolicy", view.namespace, view.name, "spec.policyTypes")
            self._add(direction, origin, "accept", text)
            return
        text = f"no policy selects Pod {key} for {direction}, {result}"
        self._add(direction, _of(pod, "metadata.labels"), "accept", text)

    def _end(self) -> None:
        hop, packet = self._leg.outcome.hop, self._packet
        match hop.kind:
            case HopKind.PEER:
                origin = Origin("Node", "", hop.name, "status.addresses")
                if packet.dst not in self._node_addresses(hop.name):
                    origin = origin._replace(field="spec.podCIDR")
                self._add("route", origin, "accept", f"{packet.dst} is reached through {hop.name}")
            case HopKind.POD:
                self._destination()
            case HopKind.NODE:
                origin = Origin("Node", "", hop.name, "status.addresses")
                self._add("destination", origin, "accept", f"{packet.dst} is {hop.name} itself")
            case HopKind.EXTERNAL:
                self._add("destination", None, "accept", f"{packet.dst} is outside: it leaves the cluster here")
            case HopKind.NONE:
                self._nowhere()

    def _nowhere(self) -> None:
        """An address that no rule translates and nobody has: of a Service at another port, or of nobody at all."""
        packet, service = self._packet, self._parties.service_at(self._packet.dst)
        if service is None:
            self._add("destination", None, "reject", f"no route: nobody has the address {packet.dst}")
            return
        key, asked = meta.key_of(service), f"{packet.protocol.name} {packet.dport}"
        text = f"{packet.dst} is Service {key}'s, which has no port {asked}; it has {ports_of(service)}"
        self._add("destination", Origin("Service", *key, "spec.ports"), "reject", text)

    def _node_addresses(self, name: str) -> Iterable[object]:
        nodes = self._cluster.snapshot(self._leg.node).nodes
        return next((node.addresses for node in nodes if node.name == name), ())

    def _destination(self) -> None:
        pod = self._parties.pod_at(self._packet.dst)
        if pod is None:
            self._add("destination", None, "accept", f"delivered to {self._packet.dst}")
            return
        key, declared = meta.key_of(pod), _declared(pod)
        where = f":{self._packet.dport}" if self._packet.protocol.has_ports else ""
        text = f"delivered to Pod {key} at {self._packet.dst}{where}"
        if declared and self._packet.protocol.has_ports and self._packet.dport not in declared:
            only = ", ".join(map(str, sorted(declared)))
            text += f"; note that its containers declare no port {self._packet.dport}, only {only}"
        self._add("destination", Origin("Pod", key.namespace, key.name, "status.podIP"), "accept", text)


def _of(pod: Object, path: str) -> Origin:
    return Origin("Pod", *meta.key_of(pod), path)


def _node_of(pod: Object) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")


def _declared(pod: Object) -> set[int]:
    containers = (pod.get("spec") or {}).get("containers") or ()
    return {port.get("containerPort") or 0 for item in containers for port in item.get("ports") or ()}
