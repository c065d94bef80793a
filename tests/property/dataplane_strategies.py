"""Random clusters and packets: small, so that objects meet, and full of corners."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import strategies as st

from miniplane.api.kind import Object
from miniplane.config import Network
from miniplane.dataplane.oracle import Question

NETWORK = Network()
DUAL = Network(
    pod_cidrs=("10.244.0.0/16", "fd00:a:f4::/48"), service_cidrs=("10.96.0.0/16", "fd00:a:60::/48"), node_cidr_mask=24
)
"""Both families: `sixth` of everything that `NETWORK` has."""
NAMESPACES = ("alpha", "beta")
PORTS = (80, 443, 8080, 30080)
PROTOCOLS = ("TCP", "UDP", "SCTP")
OUTSIDE = ("203.0.113.7", "198.51.100.20", "172.30.0.1")
BALANCERS = ("172.30.0.200", "172.30.0.201")
EXTERNALS = ("192.0.2.50",)
LABELS = {"app": ("web", "api"), "tier": ("front", "back")}
BLOCKS: tuple[Object, ...] = (
    {"cidr": "0.0.0.0/0"},
    {"cidr": "0.0.0.0/0", "except": ["10.244.2.0/24", "203.0.113.0/28"]},
    {"cidr": "10.244.0.0/16", "except": ["10.244.1.0/25"]},
    {"cidr": "203.0.113.0/24", "except": ["203.0.113.4/30", "203.0.113.6/31"]},
    {"cidr": "10.244.1.0/24"},
    {"cidr": "172.30.0.11/32"},
)

labels = st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in LABELS.items()})
ports = st.sampled_from(PORTS)
protocols = st.sampled_from(PROTOCOLS)


@dataclass(frozen=True)
class World:
    """A cluster's objects with what packets may aim at."""

    objects: tuple[Object, ...]
    nodes: tuple[str, ...]
    pods: dict[str, str]
    """`{address: node}`."""
    plain: tuple[Object, ...] = ()
    """In a dual-stack world, what its objects were in IPv4: questions are made from these."""


def _some(strategy: st.SearchStrategy[Any], most: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, max_size=most)


@st.composite
def selectors(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Object:
    """A LabelSelector over the labels in use."""
    key = draw(st.sampled_from(sorted(LABELS)))
    values = draw(st.lists(st.sampled_from(LABELS[key]), min_size=1, max_size=2, unique=True))
    forms: st.SearchStrategy[Object] = st.sampled_from(
        [
            {},
            {"matchLabels": {key: values[0]}},
            {"matchExpressions": [{"key": key, "operator": "In", "values": values}]},
            {"matchExpressions": [{"key": key, "operator": "NotIn", "values": values}]},
            {"matchExpressions": [{"key": key, "operator": "Exists"}]},
            {"matchExpressions": [{"key": key, "operator": "DoesNotExist"}]},
        ]
    )
    chosen: Object = draw(forms)
    return chosen


namespace_selectors = st.sampled_from(
    [
        {},
        {"matchLabels": {"kubernetes.io/metadata.name": "alpha"}},
        {"matchLabels": {"team": "red"}},
        {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]},
    ]
)


@st.composite
def peers(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Object:
    """One item of `from` or `to`."""
    form = draw(st.integers(0, 3))
    if form == 0:
        return {"ipBlock": draw(st.sampled_from(BLOCKS))}
    if form == 1:
        return {"podSelector": draw(selectors())}
    if form == 2:
        return {"namespaceSelector": draw(namespace_selectors)}
    return {"namespaceSelector": draw(namespace_selectors), "podSelector": draw(selectors())}


@st.composite
def policy_ports(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Object:
    """One item of a rule's `ports`."""
    item: Object = {"protocol": draw(protocols)} if draw(st.booleans()) else {}
    form = draw(st.integers(0, 3))
    if form == 0:
        item["port"] = draw(ports)
    elif form == 1:
        low = draw(st.sampled_from((1, 80, 400)))
        item |= {"port": low, "endPort": draw(st.sampled_from((low, 443, 8080, 65535)))}
    elif form == 2:
        item["port"] = draw(st.sampled_from(("http", "main")))
    return item


@st.composite
def policies(draw: Callable[[st.SearchStrategy[Any]], Any], number: int) -> Object:
    """A NetworkPolicy."""

    def rules(side: str) -> list[Object]:
        form = st.fixed_dictionaries({}, optional={side: _some(peers(), 2), "ports": _some(policy_ports(), 2)})
        return list(draw(_some(form, 2)))

    spec: Object = {"podSelector": draw(selectors())}
    if draw(st.booleans()):
        spec["ingress"] = rules("from")
    if draw(st.booleans()):
        spec["egress"] = rules("to")
    if draw(st.booleans()):
        types = st.sampled_from((["Ingress"], ["Egress"], ["Ingress", "Egress"]))
        spec["policyTypes"] = draw(types)
    return _object("NetworkPolicy", draw(st.sampled_from(NAMESPACES)), f"policy-{number}", spec=spec)


@st.composite
def tier_rules(draw: Callable[[st.SearchStrategy[Any]], Any], side: str) -> Object:
    """A rule of a ClusterNetworkPolicy."""

    def peer() -> Object:
        form = draw(st.integers(0, 3 if side == "to" else 1))
        if form == 0:
            return {"namespaces": draw(namespace_selectors)}
        if form == 1:
            return {"pods": {"namespaceSelector": draw(namespace_selectors), "podSelector": draw(selectors())}}
        if form == 2:
            zones = [{}, {"matchLabels": {"topology.kubernetes.io/zone": "zone-1"}}]
            return {"nodes": draw(st.sampled_from(zones))}
        return {"networks": [draw(st.sampled_from(BLOCKS))["cidr"] for _ in range(draw(st.integers(1, 2)))]}

    def protocol() -> Object:
        form, low = draw(st.integers(0, 3)), draw(st.sampled_from((1, 80, 400)))
        if form == 0 and side == "from":
            return {"destinationNamedPort": draw(st.sampled_from(("http", "main")))}
        port = {0: {}, 1: {}, 2: {"number": draw(ports)}, 3: {"range": {"start": low, "end": 8080}}}[form]
        return {draw(protocols).lower(): {"destinationPort": port} if port else {}}

    peers_ = [peer() for _ in range(draw(st.integers(1, 2)))]
    wanted = [protocol() for _ in range(draw(st.integers(0, 2)))]
    labels_only = side == "to" and all("namespaces" in item or "pods" in item for item in peers_)
    if labels_only and draw(st.integers(0, 3)) == 0:
        wanted.append({"destinationNamedPort": "http"})
    rule: Object = {"action": draw(st.sampled_from(("Accept", "Deny", "Pass"))), side: peers_}
    return {**rule, "protocols": wanted} if wanted else rule


@st.composite
def cluster_policies(draw: Callable[[st.SearchStrategy[Any]], Any], number: int) -> Object:
    """A ClusterNetworkPolicy."""
    both = {"namespaceSelector": draw(namespace_selectors), "podSelector": draw(selectors())}
    subject = draw(st.sampled_from(({"namespaces": {}}, {"namespaces": both["namespaceSelector"]}, {"pods": both})))
    spec: Object = {
        "tier": draw(st.sampled_from(("Admin", "Baseline"))),
        "priority": draw(st.integers(0, 2)),
        "subject": subject,
    }
    for direction, side in (("ingress", "from"), ("egress", "to")):
        rules = draw(_some(tier_rules(side), 3))
        spec |= {direction: rules} if rules else {}
    return _object("ClusterNetworkPolicy", "", f"tier-{number}", spec=spec)


def _object(kind: str, namespace: str, name: str, **parts: Any) -> Object:
    meta = {"name": name, **({"namespace": namespace} if namespace else {}), **parts.pop("metadata", {})}
    return {"kind": kind, "metadata": meta, **parts}


def _nodes(count: int) -> list[Object]:
    return [
        _object(
            "Node",
            "",
            f"node-{number}",
            metadata={"labels": {"topology.kubernetes.io/zone": f"zone-{number % 2}"}},
            spec={"podCIDR": f"10.244.{number}.0/24"},
            status={"addresses": [{"type": "InternalIP", "address": f"172.30.0.{10 + number}"}]},
        )
        for number in range(1, count + 1)
    ]


@st.composite
def pods(draw: Callable[[st.SearchStrategy[Any]], Any], number: int, nodes: int) -> Object:
    """A pod with an address in its node's range, now and then completed or on the host's network."""
    node = draw(st.integers(1, nodes))
    host = draw(st.integers(0, 7)) == 0
    address = f"172.30.0.{10 + node}" if host else f"10.244.{node}.{number + 2}"
    named = st.fixed_dictionaries(
        {"name": st.sampled_from(("http", "main")), "containerPort": ports, "protocol": protocols}
    )
    return _object(
        "Pod",
        draw(st.sampled_from(NAMESPACES)),
        f"pod-{number}",
        metadata={"labels": draw(labels)},
        spec={
            "nodeName": f"node-{node}",
            "containers": [{"name": "main", "ports": draw(_some(named, 2))}],
            **({"hostNetwork": True} if host else {}),
        },
        status={"podIP": address, "phase": draw(st.sampled_from(("Running", "Running", "Running", "Succeeded")))},
    )


@st.composite
def services(draw: Callable[[st.SearchStrategy[Any]], Any], number: int) -> Object:
    """A Service of any type."""
    kind = draw(st.sampled_from(("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")))
    names = draw(st.lists(st.tuples(ports, protocols), min_size=1, max_size=2, unique=True))
    exposed = kind in ("NodePort", "LoadBalancer")
    spec: Object = {
        "type": kind,
        "ports": [
            {
                "name": f"p{index}",
                "port": port,
                "protocol": protocol,
                **({"nodePort": draw(st.sampled_from((30080, 30081)))} if exposed else {}),
            }
            for index, (port, protocol) in enumerate(names)
        ],
    }
    if kind != "ExternalName":
        spec["clusterIP"] = "None" if draw(st.integers(0, 5)) == 0 else f"10.96.0.{20 + number}"
        spec["internalTrafficPolicy"] = draw(st.sampled_from(("Cluster", "Local")))
        spec["externalIPs"] = list(EXTERNALS) if draw(st.integers(0, 4)) == 0 else []
        spec["sessionAffinity"] = draw(st.sampled_from(("None", "ClientIP")))
    if kind == "LoadBalancer":
        spec["healthCheckNodePort"] = 31000 + number
    if exposed:
        spec["externalTrafficPolicy"] = draw(st.sampled_from(("Cluster", "Local")))
    status: Object = {}
    if kind == "LoadBalancer":
        mode = draw(st.sampled_from(({}, {"ipMode": "VIP"}, {"ipMode": "Proxy"})))
        status = {"loadBalancer": {"ingress": [{"ip": draw(st.sampled_from(BALANCERS)), **mode}]}}
        sources = st.sampled_from(("203.0.113.0/24", "203.0.113.0/25", "10.244.0.0/16", "172.30.0.0/24"))
        spec["loadBalancerSourceRanges"] = draw(_some(sources, 2))
    return _object("Service", draw(st.sampled_from(NAMESPACES)), f"service-{number}", spec=spec, status=status)


CONDITIONS: tuple[Object, ...] = (
    {},
    {"ready": True, "serving": True, "terminating": False},
    {"ready": False, "serving": False, "terminating": False},
    {"ready": False, "serving": True, "terminating": True},
    {"ready": False, "serving": True, "terminating": False},
    {"ready": False, "serving": False, "terminating": True},
)


@st.composite
def slices(draw: Callable[[st.SearchStrategy[Any]], Any], service: Object, number: int, nodes: int) -> Object:
    """A slice for a Service, its endpoints in any condition, on pods that may not even exist."""
    endpoint = st.fixed_dictionaries(
        {
            "place": st.tuples(st.integers(1, nodes), st.sampled_from((0, 2, 3, 4))),
            "conditions": st.sampled_from(CONDITIONS),
            "hints": st.sampled_from(
                (
                    {},
                    {},
                    {"forZones": [{"name": "zone-1"}]},
                    {"forZones": [{"name": "zone-0"}], "forNodes": [{"name": "node-1"}]},
                )
            ),
        }
    )
    endpoints = []
    for item in draw(_some(endpoint, 4)):
        node, last = item.pop("place")
        address = f"10.244.{node}.{last}" if last else f"172.30.0.{10 + node}"
        endpoints.append({**item, "addresses": [address], "nodeName": f"node-{node}"})
    return _object(
        "EndpointSlice",
        service["metadata"]["namespace"],
        f"{service['metadata']['name']}-{number}",
        metadata={"labels": {"kubernetes.io/service-name": service["metadata"]["name"]}},
        addressType="IPv4",
        ports=[
            {"name": port["name"], "protocol": port["protocol"], "port": draw(ports)}
            for port in service["spec"]["ports"]
        ],
        endpoints=endpoints,
    )


@st.composite
def worlds(
    draw: Callable[[st.SearchStrategy[Any]], Any], most_services: int = 3, least_policies: int = 0, least_tiers: int = 0
) -> World:
    """A whole cluster."""
    count = draw(st.integers(1, 3))
    nodes = _nodes(count)
    made = [draw(pods(number, count)) for number in range(draw(st.integers(1, 5)))]
    offered = [draw(services(number)) for number in range(draw(st.integers(0, most_services)))]
    parts = [draw(slices(service, number, count)) for service in offered for number in range(draw(st.integers(0, 2)))]
    rules = [draw(policies(number)) for number in range(draw(st.integers(least_policies, 3)))]
    tiers = [draw(cluster_policies(number)) for number in range(draw(st.integers(least_tiers, least_tiers + 2)))]
    spaces = [
        _object("Namespace", "", "alpha", metadata={"labels": {"team": draw(st.sampled_from(("red", "blue")))}}),
        _object("Namespace", "", "beta"),
    ]
    running = {
        pod["status"]["podIP"]: pod["spec"]["nodeName"]
        for pod in made
        if not pod["spec"].get("hostNetwork") and pod["status"]["phase"] == "Running"
    }
    names = tuple(node["metadata"]["name"] for node in nodes)
    return World((*nodes, *made, *offered, *parts, *rules, *tiers, *spaces), names, running)


@st.composite
def later(draw: Callable[[st.SearchStrategy[Any]], Any], world: World) -> World:
    """The same cluster a while later: endpoints have changed their condition, left, or moved to another port."""

    def changed(item: Object) -> Object:
        endpoints = [
            {**endpoint, "conditions": draw(st.sampled_from(CONDITIONS))}
            for endpoint in item["endpoints"]
            if draw(st.integers(0, 3))
        ]
        ports_ = item["ports"] if draw(st.integers(0, 4)) else [{**port, "port": 8081} for port in item["ports"]]
        return {**item, "endpoints": endpoints, "ports": ports_}

    objects = [
        changed(item) if item["kind"] == "EndpointSlice" else item
        for item in world.objects
        if item["kind"] != "Service" or draw(st.integers(0, 5))
    ]
    return World(tuple(objects), world.nodes, world.pods)


def sixth(text: str) -> str:
    """The IPv6 address or range that stands for an IPv4 one: `10.244.1.2` becomes `fd00:a:f4:1::2`."""
    address, _, length = text.partition("/")
    parts = [int(part) for part in address.split(".")]
    six = ip_address(
        (0xFD00 << 112) + sum(part << (96 - 16 * place) for place, part in enumerate(parts[:3])) + parts[3]
    )
    if not length:
        return str(six)
    bits = int(length)
    if bits == 0:
        return "::/0"
    return str(ip_network(f"{six}/{16 + 2 * bits if bits <= 24 else 96 + bits}"))


@st.composite
def dual_worlds(
    draw: Callable[[st.SearchStrategy[Any]], Any], most_services: int = 3, least_policies: int = 0, least_tiers: int = 0
) -> World:
    """A dual-stack cluster: pods, Services and slices of one family, the other, or both, in either order."""
    world = draw(worlds(most_services, least_policies, least_tiers))
    orders = st.sampled_from((("4",), ("6",), ("4", "6"), ("6", "4")))

    def both(text: str, families: Sequence[str] = ("4", "6")) -> list[str]:
        return [text if family == "4" else sixth(text) for family in families]

    made: list[Object] = []
    for item in world.objects:
        spec, status = {**item.get("spec", {})}, {**item.get("status", {})}
        match item["kind"]:
            case "Node":
                spec["podCIDRs"] = both(spec["podCIDR"])
                texts = both(status["addresses"][0]["address"], draw(st.sampled_from((("4", "6"), ("6", "4")))))
                status["addresses"] = [{"type": "InternalIP", "address": text} for text in texts]
            case "Pod":
                ips = both(status["podIP"], draw(orders))
                status |= {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}
            case "Service":
                spec, status = _dual_service(spec, status, both, lambda: draw(orders))
            case "EndpointSlice":
                made += [
                    {
                        **item,
                        "metadata": {**item["metadata"], "name": f"{item['metadata']['name']}-{family}"},
                        "addressType": f"IPv{family}",
                        "endpoints": [
                            {**end, "addresses": both(end["addresses"][0], (family,))} for end in item["endpoints"]
                        ],
                    }
                    for family in draw(orders)
                ]
                continue
            case "NetworkPolicy":
                spec = _with_blocks(spec, lambda block: draw(st.sampled_from((block, _sixth_block(block)))))
            case "ClusterNetworkPolicy":
                spec = _with_networks(spec, lambda net: both(net, draw(orders)))
            case _:
                pass
        made.append({**item, **({"spec": spec} if spec else {}), **({"status": status} if status else {})})
    return World(tuple(made), world.nodes, world.pods, world.objects)


def _dual_service(
    spec: Object, status: Object, both: Callable[..., list[str]], order: Callable[[], Sequence[str]]
) -> tuple[Object, Object]:
    """A Service's spec and status in some order of families."""
    made = {**spec}
    if spec.get("clusterIP", "None") != "None":
        made["clusterIPs"] = both(spec["clusterIP"], order())
        made["clusterIP"] = made["clusterIPs"][0]
    made["externalIPs"] = [text for ip in spec.get("externalIPs", ()) for text in both(ip)]
    ranges = spec.get("loadBalancerSourceRanges", ())
    made["loadBalancerSourceRanges"] = [text for item in ranges for text in both(item, order())]
    for entry in (status.get("loadBalancer") or {}).get("ingress", ())[:1]:
        status = {"loadBalancer": {"ingress": [{**entry, "ip": ip} for ip in both(entry["ip"])]}}
    return made, status


def _sixth_block(block: Object) -> Object:
    return {"cidr": sixth(block["cidr"]), "except": [sixth(item) for item in block.get("except", ())]}


def _with_networks(spec: Object, change: Callable[[str], list[str]]) -> Object:
    """A ClusterNetworkPolicy's spec with each network changed to several."""

    def changed(peer: Object) -> Object:
        return (
            {"networks": [text for item in peer["networks"] for text in change(item)]} if "networks" in peer else peer
        )

    rules = [{**rule, "to": [changed(peer) for peer in rule["to"]]} for rule in spec.get("egress", ())]
    return {**spec, "egress": rules}


def _with_blocks(value: Any, change: Callable[[Object], Object]) -> Any:
    """A spec with each of its ipBlocks changed."""
    if isinstance(value, list):
        return [_with_blocks(item, change) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: change(item) if key == "ipBlock" else _with_blocks(item, change) for key, item in value.items()}


def in_sixth(question: Question) -> Question:
    """The same question among IPv6 addresses."""
    return question._replace(
        src=sixth(question.src),
        dst=sixth(question.dst),
        protocol="ICMPV6" if question.protocol == "ICMP" else question.protocol,
    )


def questions(world: World) -> st.SearchStrategy[Question]:
    """A packet from a pod, a node or outside to anything that has a meaning, or none."""
    hosts = {f"172.30.0.1{name[-1]}": name for name in world.nodes}
    offered = [item for item in world.plain or world.objects if item["kind"] == "Service"]
    services_ = [item["spec"].get("clusterIP", "None") for item in offered]
    targets = [
        *world.pods,
        *hosts,
        *(address for address in services_ if address != "None"),
        *BALANCERS,
        *EXTERNALS,
        "10.96.0.99",
        "10.244.1.77",
        "10.244.9.9",
        "203.0.113.9",
    ]
    sources = [
        *((address, node, False) for address, node in world.pods.items()),
        *((address, node, True) for address, node in hosts.items()),
        *((address, node, False) for address in OUTSIDE for node in world.nodes),
    ]
    anything = st.tuples(
        st.sampled_from(targets), st.sampled_from((*PROTOCOLS, "TCP", "ICMP")), st.sampled_from((*PORTS, 30081, 9))
    )
    doors = [door for item in offered for door in _doors(item, tuple(hosts))]
    return st.builds(
        lambda source, target: Question(source[0], target[0], target[1], target[2], source[1], source[2]),
        st.sampled_from(sources),
        st.one_of(anything, st.sampled_from(doors)) if doors else anything,
    )


def talks(world: World) -> st.SearchStrategy[Question]:
    """A packet from a pod or outside to a pod, at ports where rules begin and end."""
    sources = [*world.pods.items(), *((address, node) for address in OUTSIDE for node in world.nodes)]
    return st.builds(
        lambda source, dst, protocol, port: Question(source[0], dst, protocol, port, source[1], is_from_node=False),
        st.sampled_from(sources),
        st.sampled_from([*world.pods, OUTSIDE[0]]),
        protocols,
        st.sampled_from((*PORTS, 1, 444, 8081)),
    )


def _doors(service: Object, hosts: tuple[str, ...]) -> list[tuple[str, str, int]]:
    """Every address, protocol and port that a Service offers."""
    spec, status = service["spec"], service.get("status") or {}
    balancers = [item["ip"] for item in (status.get("loadBalancer") or {}).get("ingress") or ()]
    addresses = [spec.get("clusterIP", "None"), *spec.get("externalIPs", ()), *balancers]
    found = []
    for port in spec["ports"]:
        found += [(address, port["protocol"], port["port"]) for address in addresses if address != "None"]
        found += [(host, port["protocol"], port["nodePort"]) for host in hosts if "nodePort" in port]
    return found
