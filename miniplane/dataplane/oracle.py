"""The same answer by another road: Services and policies read straight from the API objects, packet by packet.

Slow, short and without any rules, so that an error of the compiler can't hide by fooling every reader of its rules.
It shares nothing with them: its own selector matching, its own reading of ports, JSON and text all the way.
Both families; addresses must be written as Python writes them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from miniplane.api.kind import Object
from miniplane.config import Network

Json = Mapping[str, Any]

MOST_NODES = 8
"""More nodes than these on a packet's way are a circle."""


class Question(NamedTuple):
    """A new connection: its sender's address, and the node that it enters the network at."""

    src: str
    dst: str
    protocol: str
    port: int
    node: str
    is_from_node: bool
    """Whether the node itself sends it, rather than a pod of it, another node or somebody outside."""


class Answer(NamedTuple):
    """How it ends (accept, drop, reject, unreachable); if accepted, at which address and port, and seen as whom."""

    verdict: str
    dst: str = ""
    port: int = 0
    src: str = ""


Answers = dict[Answer, Fraction]
"""Every possible answer with its chance."""


class _Way(NamedTuple):
    """What a node makes of a packet's target: a verdict, or targets of which one is chosen."""

    verdict: str = ""
    targets: tuple[tuple[str, int], ...] = ()
    is_translated: bool = False
    is_masqueraded: bool = False


class Oracle:
    """Answers questions about one cluster."""

    def __init__(self, objects: Iterable[Object], network: Network) -> None:
        self._network = network
        kinds: dict[str, list[Object]] = {}
        for obj in sorted(objects, key=lambda obj: (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])):
            kinds.setdefault(obj["kind"], []).append(obj)
        self._nodes = {node["metadata"]["name"]: node for node in kinds.get("Node", ())}
        self._addresses = {
            address: name
            for name, node in self._nodes.items()
            for version in (4, 6)
            for address in _node_ips(node, version)
        }
        self._services = [item for item in kinds.get("Service", ()) if item["spec"].get("type") != "ExternalName"]
        self._slices = kinds.get("EndpointSlice", [])
        self._policies = kinds.get("NetworkPolicy", [])
        self._cluster_policies = sorted(
            kinds.get("ClusterNetworkPolicy", ()), key=lambda item: (item["spec"]["priority"], item["metadata"]["name"])
        )
        self._namespaces = {item["metadata"]["name"]: item for item in kinds.get("Namespace", ())}
        self._pods = {
            address: pod
            for pod in kinds.get("Pod", ())
            if not pod["spec"].get("hostNetwork") and pod["status"].get("phase") not in ("Succeeded", "Failed")
            for address in _pod_ips(pod)
        }

    def answer(self, question: Question) -> Answers:
        """What can become of it. What nodes send round in circles is unreachable."""
        return self._after(question, 1)

    def _after(self, question: Question, nodes: int) -> Answers:
        """The answers at the node that the packet is at, which is its `nodes`-th."""
        way = self._way(question)
        if way.verdict:
            return {Answer(way.verdict): Fraction(1)}
        found: Answers = {}
        for dst, port in way.targets:
            for answer, chance in self._deliver(question, dst, port, way, nodes).items():
                found[answer] = found.get(answer, Fraction(0)) + chance / len(way.targets)
        return found

    def serving(self, question: Question) -> set[tuple[str, int]] | None:
        """The endpoints that running connections to a Service may stay with; None if the address is no Service's."""
        for service in self._services:
            for port in service["spec"].get("ports") or ():
                if self._door(service, port, question):
                    return {
                        (item["address"], item["port"])
                        for item in self._endpoints(service, port, question)
                        if _is(item, "ready", default=True) or _is(item, "serving", default=True)
                    }
        return None

    def health(self, node: str) -> dict[int, int]:
        """`{health-check node port: ready endpoints on the node}`."""
        found: dict[int, int] = {}
        for service in self._services:
            spec = service["spec"]
            asked = spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
            if asked and spec.get("healthCheckNodePort") and _cluster_ips(service):
                ends = [item for part in self._parts(service) if part["ports"] for item in part["endpoints"]]
                here = [item for item in ends if item.get("nodeName") == node and _is(item, "ready", default=True)]
                version = ip_address(_cluster_ips(service)[0]).version
                addresses = {item["addresses"][0] for item in here}
                found[spec["healthCheckNodePort"]] = sum(ip_address(item).version == version for item in addresses)
        return found

    def _way(self, question: Question) -> _Way:
        for service in self._services:
            for port in service["spec"].get("ports") or ():
                door = self._door(service, port, question)
                if door:
                    return self._through(service, port, door, question)
        if any(question.dst in _cluster_ips(service) for service in self._services):
            return _Way("reject")
        if _within(question.dst, self._network.service_cidrs):
            return _Way("drop")
        return _Way(targets=((question.dst, question.port),))

    def _door(self, service: Json, port: Json, question: Question) -> str:
        """By which of its addresses the question means this port: cluster, external, balancer, node or none."""
        spec = service["spec"]
        if not _cluster_ips(service) or port.get("protocol", "TCP") != question.protocol:
            return ""
        if question.port == port["port"]:
            if question.dst in _cluster_ips(service):
                return "cluster"
            if question.dst in (spec.get("externalIPs") or ()):
                return "external"
            if question.dst in _balancer_ips(service):
                return "balancer"
        exposed = spec.get("type") in ("NodePort", "LoadBalancer") and question.port == port.get("nodePort")
        return "node" if exposed and self._addresses.get(question.dst) == question.node else ""

    def _through(self, service: Json, port: Json, door: str, question: Question) -> _Way:
        spec = service["spec"]
        if door == "balancer" and not self._may_enter(spec.get("loadBalancerSourceRanges") or (), question):
            return _Way("drop")
        is_pod_traffic = _within(question.src, self._network.pod_cidrs)
        policy = spec.get("internalTrafficPolicy" if door == "cluster" else "externalTrafficPolicy") or "Cluster"
        endpoints = self._endpoints(service, port, question)
        if not _usable(endpoints):
            return _Way("reject")
        is_inside = is_pod_traffic or question.is_from_node
        if policy == "Local" and (door == "cluster" or not is_inside):
            chosen = _usable([item for item in endpoints if item["nodeName"] == question.node])
        else:
            chosen = self._near(_usable(endpoints), question.node)
        if not chosen:
            return _Way("drop")
        is_masqueraded = not is_pod_traffic if door == "cluster" else policy == "Cluster" or question.is_from_node
        targets = tuple((item["address"], item["port"]) for item in chosen)
        return _Way(targets=targets, is_translated=True, is_masqueraded=is_masqueraded)

    def _may_enter(self, ranges: Sequence[str], question: Question) -> bool:
        own, version = self._own(question), ip_address(question.dst).version
        ranges = [item for item in ranges if ip_network(item).version == version]
        is_balancer_itself = question.src == question.dst and _within(own, ranges)
        return not ranges or _within(question.src, ranges) or is_balancer_itself

    def _endpoints(self, service: Json, port: Json, question: Question) -> list[Json]:
        """Of the family that is asked in."""
        version = ip_address(question.dst).version
        found: dict[tuple[str, int], Json] = {}
        for item in self._parts(service):
            wanted = (port.get("name", ""), port.get("protocol", "TCP"))
            targets = [p["port"] for p in item["ports"] if (p.get("name", ""), p.get("protocol", "TCP")) == wanted]
            for endpoint in item["endpoints"] if targets else ():
                key = (endpoint["addresses"][0], targets[0])
                if ip_address(key[0]).version != version:
                    continue
                found.setdefault(key, {"address": key[0], "port": key[1], "nodeName": "", **endpoint})
        return list(found.values())

    def _parts(self, service: Json) -> list[Object]:
        """The Service's slices."""
        mine = service["metadata"]["namespace"], service["metadata"]["name"]
        label = "kubernetes.io/service-name"
        return [
            item
            for item in self._slices
            if (item["metadata"]["namespace"], item["metadata"]["labels"].get(label)) == mine
        ]

    def _near(self, endpoints: list[Json], node: str) -> list[Json]:
        ready = [item for item in endpoints if _is(item, "ready", default=True)]
        zone = (self._nodes[node]["metadata"].get("labels") or {}).get("topology.kubernetes.io/zone", "")
        for hint, wanted in (("forNodes", node), ("forZones", zone)):
            hints = [_hints(item, hint) for item in ready]
            if wanted and hints and all(hints) and any(wanted in names for names in hints):
                return [item for item in endpoints if wanted in _hints(item, hint)]
        return endpoints

    def _deliver(self, question: Question, dst: str, port: int, way: _Way, nodes: int) -> Answers:
        own = self._own(question)
        if dst == own:
            return {Answer("accept", dst, port, question.src): Fraction(1)}
        if not question.is_from_node:
            for direction, pod in (
                ("egress", self._local(question.src, question)),
                ("ingress", self._local(dst, question)),
            ):
                if pod is not None and not self._allows(direction, pod, question._replace(dst=dst, port=port)):
                    return {Answer("drop"): Fraction(1)}
        is_hairpin = way.is_translated and question.src == dst
        is_passing = (
            way.is_translated and not self._is_here(question.src, question) and not self._is_here(dst, question)
        )
        is_inside = _within(dst, self._network.pod_cidrs) or dst in self._addresses
        is_leaving = _within(question.src, self._network.pod_cidrs) and not is_inside
        src = own if way.is_masqueraded or is_hairpin or is_passing or is_leaving else question.src
        if self._local(dst, question) is not None:
            return {Answer("accept", dst, port, src): Fraction(1)}
        node = self._node_of(dst)
        if node and node != question.node and nodes < MOST_NODES:
            return self._after(Question(src, dst, question.protocol, port, node, is_from_node=False), nodes + 1)
        ours = (*self._network.pod_cidrs, *self._network.service_cidrs, self._network.load_balancer_pool)
        if node or _within(dst, ours):
            return {Answer("unreachable"): Fraction(1)}
        return {Answer("accept", dst, port, src): Fraction(1)}

    def _is_here(self, address: str, question: Question) -> bool:
        """Whether an address is a pod's of the node that is asked."""
        return _within(address, _pod_ranges(self._nodes[question.node])) or self._local(address, question) is not None

    def _own(self, question: Question) -> str:
        """The node's own address of the family that is asked in."""
        return next(_node_ips(self._nodes[question.node], ip_address(question.dst).version), "")

    def _local(self, address: str, question: Question) -> Json | None:
        pod = self._pods.get(address)
        return pod if pod is not None and pod["spec"]["nodeName"] == question.node else None

    def _node_of(self, address: str) -> str:
        if address in self._addresses:
            return str(self._addresses[address])
        return next((name for name, node in self._nodes.items() if _within(address, _pod_ranges(node))), "")

    def _allows(self, direction: str, pod: Json, question: Question) -> bool:
        if question.src == question.dst:
            return True
        first = self._tier("Admin", direction, pod, question)
        if first in ("Accept", "Deny"):
            return first == "Accept"
        isolating = [item for item in self._policies if _isolates(item, direction, pod)]
        if not isolating:
            return self._tier("Baseline", direction, pod, question) != "Deny"
        other = question.src if direction == "ingress" else question.dst
        side = "from" if direction == "ingress" else "to"
        return any(
            self._is_peer(policy, rule.get(side), other) and self._is_port(rule.get("ports"), question)
            for policy in isolating
            for rule in policy["spec"].get(direction) or ()
        )

    def _tier(self, tier: str, direction: str, pod: Json, question: Question) -> str:
        """The action of the tier's first rule that matches, or nothing."""
        other, side = (question.src, "from") if direction == "ingress" else (question.dst, "to")
        for policy in self._cluster_policies:
            spec = policy["spec"]
            if spec["tier"] != tier or not self._is_among(spec["subject"], pod):
                continue
            for rule in spec.get(direction) or ():
                is_meant = any(self._is_far_end(peer, other) for peer in rule[side])
                ports = rule.get("protocols")
                if is_meant and (not ports or any(self._is_asked(item, question) for item in ports)):
                    return str(rule["action"])
        return ""

    def _is_far_end(self, peer: Json, address: str) -> bool:
        if "networks" in peer:
            return _within(address, peer["networks"])
        if "nodes" in peer:
            return any(
                item["address"] == address and _selects(peer["nodes"], node["metadata"].get("labels") or {})
                for node in self._nodes.values()
                for item in node["status"]["addresses"]
            )
        pod = self._pods.get(address)
        return pod is not None and self._is_among(peer, pod)

    def _is_among(self, peer: Json, pod: Json) -> bool:
        """Whether `namespaces`, or both selectors of `pods`, mean the pod."""
        inner = peer.get("pods") or {}
        spaces = self._namespace_labels(pod["metadata"]["namespace"])
        if not _selects(peer["namespaces"] if "namespaces" in peer else inner.get("namespaceSelector") or {}, spaces):
            return False
        return "namespaces" in peer or _selects(inner.get("podSelector") or {}, pod["metadata"].get("labels") or {})

    def _is_asked(self, item: Json, question: Question) -> bool:
        if name := item.get("destinationNamedPort"):
            target = self._pods.get(question.dst)
            return target is not None and (name, question.protocol, question.port) in _named_ports(target)
        asked = item.get(question.protocol.lower())
        port = (asked or {}).get("destinationPort") or {}
        ends = port.get("range") or {"start": port.get("number", 0), "end": port.get("number", 65535)}
        return asked is not None and bool(ends["start"] <= question.port <= ends["end"])

    def _namespace_labels(self, name: str) -> dict[str, str]:
        stated = (self._namespaces.get(name) or {}).get("metadata", {}).get("labels") or {}
        return {"kubernetes.io/metadata.name": name, **stated}

    def _is_peer(self, policy: Json, peers: Sequence[Json] | None, address: str) -> bool:
        return not peers or any(self._is_one_peer(policy, peer, address) for peer in peers)

    def _is_one_peer(self, policy: Json, peer: Json, address: str) -> bool:
        block, pod = peer.get("ipBlock"), self._pods.get(address)
        if block:
            return _within(address, [block["cidr"]]) and not _within(address, block.get("except") or ())
        if pod is None:
            return False
        namespace = pod["metadata"]["namespace"]
        if peer.get("namespaceSelector") is None:
            is_there = namespace == policy["metadata"]["namespace"]
        else:
            is_there = _selects(peer["namespaceSelector"], self._namespace_labels(namespace))
        return is_there and _selects(peer.get("podSelector") or {}, pod["metadata"].get("labels") or {})

    def _is_port(self, ports: Sequence[Json] | None, question: Question) -> bool:
        return not ports or any(
            item.get("protocol", "TCP") == question.protocol and self._is_number(item, question) for item in ports
        )

    def _is_number(self, item: Json, question: Question) -> bool:
        wanted = item.get("port")
        if wanted is None:
            return True
        if isinstance(wanted, int):
            return bool(wanted <= question.port <= item.get("endPort", wanted))
        target = self._pods.get(question.dst)
        return target is not None and (wanted, question.protocol, question.port) in _named_ports(target)


def _isolates(policy: Json, direction: str, pod: Json) -> bool:
    spec = policy["spec"]
    types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
    is_there = policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
    labels = pod["metadata"].get("labels") or {}
    return direction.capitalize() in types and is_there and _selects(spec.get("podSelector") or {}, labels)


def _selects(selector: Json, labels: Mapping[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_meets(item, labels) for item in selector.get("matchExpressions") or ())


def _meets(item: Json, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(item["key"]), item.get("values") or ()
    answers = {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return answers[item["operator"]]


def _named_ports(pod: Json) -> Iterator[tuple[str, str, int]]:
    for container in pod["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            yield port.get("name", ""), port.get("protocol", "TCP"), port["containerPort"]


def _usable(endpoints: list[Json]) -> list[Json]:
    ready = [item for item in endpoints if _is(item, "ready", default=True)]
    return ready or [item for item in endpoints if _is(item, "serving", default=True) and _is(item, "terminating")]


def _is(endpoint: Json, condition: str, *, default: bool = False) -> bool:
    return bool((endpoint.get("conditions") or {}).get(condition, default))


def _hints(endpoint: Json, kind: str) -> list[str]:
    return [item["name"] for item in (endpoint.get("hints") or {}).get(kind) or ()]


def _cluster_ips(service: Json) -> list[str]:
    spec = service["spec"]
    return [item for item in spec.get("clusterIPs") or [spec.get("clusterIP")] if item and item != "None"]


def _balancer_ips(service: Json) -> list[str]:
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    is_balancer = service["spec"].get("type") == "LoadBalancer"
    return [item["ip"] for item in ingress if is_balancer and item.get("ipMode", "VIP") == "VIP"]


def _within(address: str, ranges: Iterable[str]) -> bool:
    return bool(address) and any(ip_address(address) in ip_network(item) for item in ranges)


def _node_ips(node: Json, version: int) -> Iterator[str]:
    """The first of a family is the node's own."""
    for item in node["status"]["addresses"]:
        if item["type"] == "InternalIP" and ip_address(item["address"]).version == version:
            yield item["address"]
            return


def _pod_ips(pod: Json) -> list[str]:
    status = pod["status"]
    return [item["ip"] for item in status.get("podIPs") or ()] or [item for item in [status.get("podIP")] if item]


def _pod_ranges(node: Json) -> list[str]:
    spec = node["spec"]
    return list(spec.get("podCIDRs") or [spec["podCIDR"]])
