"""Which endpoints a Service leads to, seen from where: policies, hints, conditions, addresses."""

from collections import Counter
from typing import Any

import pytest

from miniplane.api.kind import Object
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.explain import trace
from miniplane.dataplane.packet import Entry, Packet, Source, Verdict
from tests.unit.dataplane.builders import NETWORK, endpoint, endpoint_slice, seed, service

HERE, HERE_TOO, THERE = "10.244.1.4", "10.244.1.2", "10.244.2.2"
OUTSIDE, POD = "203.0.113.7", "10.244.1.3"
NODE_1, NODE_2, BALANCER = "172.30.0.11", "172.30.0.12", "172.30.0.200"
ZONE = "topology.kubernetes.io/zone"


def _cluster(*ends: Object, zones: tuple[str, str] = ("east", "west"), **spec: Any) -> Cluster:
    """The seed's cluster with these endpoints behind the Service; node-1 and node-2 lie in `zones`."""
    rest = [item for item in seed() if item["kind"] not in ("Service", "EndpointSlice")]
    for item, zone in zip((item for item in rest if item["kind"] == "Node"), zones, strict=True):
        item["metadata"]["labels"] = {ZONE: zone} if zone else {}
    ports = [{"port": 80, "protocol": "TCP", "nodePort": 30080}]
    return Cluster.from_objects([*rest, service(**{"ports": ports, **spec}), endpoint_slice("api", *ends)], NETWORK)


def _targets(cluster: Cluster, dst: str = "10.96.0.20", src: str = POD, port: int = 80, node: str = "node-1") -> Any:
    """Where a connection can end, or how it fails; a `*` marks an address that sees a node as its client."""
    entry = Entry.OUTPUT if src in (NODE_1, NODE_2) else Entry.FORWARD
    paths = cluster.paths(Packet.of(src, dst, dport=port), node, entry, Source.POD)
    if any(path.verdict is not Verdict.ACCEPT for path in paths):
        return str(paths[0].verdict)
    found = Counter(str(path.packet.dst) + ("" if str(path.packet.src) == src else "*") for path in paths)
    return sorted(found)


def _hinted(address: str, zone: str = "", node: str = "", **conditions: bool) -> Object:
    hints = {"forZones": [{"name": zone}] if zone else [], "forNodes": [{"name": node}] if node else []}
    return {**endpoint(address, **conditions), "hints": hints}


@pytest.mark.parametrize(
    ("ends", "zones", "expected"),
    [
        ([_hinted(HERE, "east"), _hinted(THERE, "west")], ("east", "west"), [HERE]),
        ([_hinted(HERE, "east"), _hinted(THERE)], ("east", "west"), [HERE, THERE]),
        ([_hinted(HERE, "north"), _hinted(THERE, "west")], ("east", "west"), [HERE, THERE]),
        ([_hinted(HERE, "east"), _hinted(THERE, "west")], ("", ""), [HERE, THERE]),
        ([_hinted(HERE, "a", "node-2"), _hinted(THERE, "a", "node-1")], ("a", "a"), [THERE]),
        ([_hinted(HERE, "a", "node-2"), _hinted(THERE, "b", "node-2")], ("a", "a"), [HERE]),
        ([_hinted(HERE, "a"), _hinted(THERE, "b", "node-1")], ("a", "a"), [HERE]),
        ([_hinted(HERE, "east"), _hinted(THERE, ready=False, serving=False)], ("east", "west"), [HERE]),
        ([_hinted(HERE, "east", ready=False, terminating=True), _hinted(THERE, "west")], ("east", "west"), [THERE]),
    ],
)
def test_hints_count_only_where_all_ready_endpoints_have_one_and_one_fits(
    ends: list[Object], zones: tuple[str, str], expected: list[str]
) -> None:
    """Node before zone, each only if complete and fitting; endpoints that are not ready have no say."""
    assert _targets(_cluster(*ends, zones=zones)) == expected


def test_a_trace_says_that_hints_narrowed_the_choice() -> None:
    """Whoever wonders where the other endpoints are is told."""
    cluster = _cluster(_hinted(HERE, "east"), _hinted(THERE, "west"))
    (hop,) = [hop for hop in trace(cluster, "pod/outsider", "svc/api", 80).hops if hop.stage == "service"]
    assert hop.text == "10.96.0.20:80 leads to the only backend that is meant for this node or its zone"
    plain = trace(_cluster(endpoint(HERE)), "pod/outsider", "svc/api", 80)
    assert [hop.text for hop in plain.hops if hop.stage == "service"] == ["10.96.0.20:80 leads to the only backend"]


def test_local_policies_are_stronger_than_hints() -> None:
    """Hints that lead elsewhere do not matter under internalTrafficPolicy or externalTrafficPolicy Local."""
    ends = [_hinted(HERE, "west", "node-2"), _hinted(THERE, "east", "node-1")]
    assert _targets(_cluster(*ends)) == [THERE]
    assert _targets(_cluster(*ends, internalTrafficPolicy="Local")) == [HERE]
    local = _cluster(*ends, type="NodePort", externalTrafficPolicy="Local")
    assert _targets(local, NODE_1, OUTSIDE, 30080) == [HERE]
    assert _targets(local, NODE_1, POD, 30080) == [THERE]


def test_internal_local_drops_where_endpoints_are_elsewhere_and_rejects_where_none_is() -> None:
    """Three answers: this node's endpoints, silence, refusal; node ports are not concerned."""
    local: dict[str, Any] = {"internalTrafficPolicy": "Local", "type": "NodePort"}
    assert _targets(_cluster(endpoint(HERE), endpoint(THERE), **local)) == [HERE]
    assert _targets(_cluster(endpoint(THERE), **local)) == "drop"
    assert _targets(_cluster(endpoint(THERE, ready=False, serving=False), **local)) == "reject"
    assert _targets(_cluster(endpoint(THERE), **local), NODE_1, OUTSIDE, 30080) == [f"{THERE}*"]


def test_external_local_is_for_clients_outside_only() -> None:
    """Pods take all endpoints unmasked, the node itself all endpoints as itself, clients outside the local ones."""
    both = _cluster(endpoint(HERE), endpoint(THERE), type="NodePort", externalTrafficPolicy="Local")
    assert _targets(both, NODE_1, OUTSIDE, 30080) == [HERE]
    assert _targets(both, NODE_1, POD, 30080) == [HERE, THERE]
    assert _targets(both, NODE_1, NODE_1, 30080) == [HERE, THERE]
    away = _cluster(endpoint(THERE), type="NodePort", externalTrafficPolicy="Local")
    assert _targets(away, NODE_1, OUTSIDE, 30080) == "drop"
    assert _targets(away, NODE_1, NODE_1, 30080) == [THERE]
    assert _targets(_cluster(type="NodePort", externalTrafficPolicy="Local"), NODE_1, OUTSIDE, 30080) == "reject"


def test_a_pod_led_on_to_a_third_place_is_masqueraded() -> None:
    """Under Local a pod keeps its address unless neither it nor the backend is here, lest it be answered directly."""
    cluster = _cluster(endpoint(HERE), type="NodePort", externalTrafficPolicy="Local")
    assert _targets(cluster, NODE_2, HERE, 30080) == [f"{HERE}*"]
    assert _targets(cluster, NODE_2, HERE_TOO, 30080) == [f"{HERE}*"]
    assert _targets(cluster, NODE_1, HERE_TOO, 30080) == [HERE]
    assert _targets(cluster, NODE_1, THERE, 30080) == [HERE]


def test_the_last_endpoints_serve_until_they_are_gone_per_policy() -> None:
    """Ready ones elsewhere don't keep local terminating ones from serving clients under Local."""
    leaving = endpoint(HERE, ready=False, terminating=True)
    cluster = _cluster(leaving, endpoint(THERE), type="NodePort", externalTrafficPolicy="Local")
    assert _targets(cluster, NODE_1, OUTSIDE, 30080) == [HERE]
    assert _targets(cluster) == [THERE]
    assert _targets(_cluster(leaving, endpoint(THERE, ready=False, serving=False, terminating=True))) == [HERE]


def _balanced(mode: dict[str, str], **spec: Any) -> Cluster:
    status = {"loadBalancer": {"ingress": [{"ip": BALANCER, **mode}]}}
    return _cluster(endpoint(THERE), type="LoadBalancer", status=status, **spec)


def test_a_proxying_balancer_gets_its_own_traffic() -> None:
    """Only an address of mode VIP is answered by the nodes themselves."""
    for mode in ({}, {"ipMode": "VIP"}):
        assert _targets(_balanced(mode), BALANCER) == [f"{THERE}*"]
    paths = _balanced({"ipMode": "Proxy"}).paths(
        Packet.of(POD, BALANCER, dport=80), "node-1", Entry.FORWARD, Source.POD
    )
    assert [str(path.packet.dst) for path in paths] == [BALANCER]


def test_source_ranges_guard_the_balancers_address_only() -> None:
    """Pods need to be in them, too; the node's own packets pass if its address is; node ports are not guarded."""
    guarded = _balanced({}, loadBalancerSourceRanges=["203.0.113.0/24"])
    assert _targets(guarded, BALANCER, OUTSIDE) == [f"{THERE}*"]
    assert _targets(guarded, BALANCER, POD) == "drop"
    assert _targets(guarded, BALANCER, NODE_1) == "drop"
    assert _targets(guarded, NODE_1, "198.51.100.9", 30080) == [f"{THERE}*"]
    assert _targets(_balanced({}, loadBalancerSourceRanges=[f"{NODE_1}/32"]), BALANCER, NODE_1) == [THERE]


def test_external_addresses_are_served_on_every_node() -> None:
    """Traffic to an external address is translated wherever it comes in."""
    cluster = _cluster(endpoint(HERE), externalIPs=["192.0.2.9"])
    for node in ("node-1", "node-2"):
        assert _targets(cluster, "192.0.2.9", OUTSIDE, node=node) == [f"{HERE}*"]
