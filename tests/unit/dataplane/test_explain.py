"""Traces: what they say in the situations that people ask about."""

import pytest

from miniplane.api.kind import Object
from miniplane.dataplane.explain import Cluster, Trace, trace
from miniplane.dataplane.packet import Protocol
from tests.unit.dataplane.builders import (
    NETWORK,
    endpoint,
    endpoint_slice,
    labelled,
    make,
    pod,
    policy,
    seed,
    seed_policy,
    service,
)


def _trace(objects: list[Object], src: str, dst: str, port: int, protocol: Protocol = Protocol.TCP) -> Trace:
    return trace(Cluster.from_objects(objects, NETWORK), src, dst, port, protocol)


def _has(result: Trace, obj: str, field: str, verdict: str) -> bool:
    return any((hop.object, hop.field, hop.verdict) == (obj, field, verdict) for hop in result.hops)


@pytest.mark.parametrize(
    ("src", "dst", "port", "verdict"),
    [
        ("pod/web-1", "pod/api-1", 8000, "delivered"),
        ("pod/web-1", "pod/api-2", 8000, "delivered"),
        ("pod/web-1", "svc/api", 80, "delivered"),
        ("pod/web-1", "pod/api-1", 8001, "dropped"),
        ("pod/outsider", "pod/api-1", 8000, "dropped"),
        ("pod/api-1", "pod/database-1", 5432, "delivered"),
        ("pod/api-1", "pod/database-1", 5433, "dropped"),
        ("pod/api-1", "pod/web-1", 80, "dropped"),
        ("pod/web-1", "pod/database-1", 5432, "delivered"),
        ("node/node-1", "pod/api-1", 9999, "delivered"),
        ("node/node-2", "pod/api-1", 8000, "dropped"),
    ],
)
def test_the_seeds_policy(src: str, dst: str, port: int, verdict: str) -> None:
    """Only web may call api, only at 8000; api may call only the database, only at 5432."""
    assert _trace([*seed(), seed_policy()], src, dst, port).verdict == verdict


def test_a_delivered_trace_names_service_slice_policy_and_pod() -> None:
    """Every decision on the way has its object and field."""
    result = _trace([*seed(), seed_policy()], "pod/web-1", "svc/api", 80)
    assert _has(result, "Service default/api", "spec.ports[0]", "accept")
    assert _has(result, "EndpointSlice default/api-x", "endpoints[0]", "accept")
    assert _has(result, "NetworkPolicy default/api-policy", "spec.ingress[0].from[0]", "accept")
    assert [(item.pod, item.probability) for item in result.backends] == [
        ("default/api-1", 0.5),
        ("default/api-2", 0.5),
    ]


def test_a_dropped_trace_says_what_would_have_to_be_allowed() -> None:
    """The isolating policy is named, and the missing rule with it."""
    result = _trace([*seed(), seed_policy()], "pod/outsider", "pod/api-1", 8000)
    assert _has(result, "NetworkPolicy default/api-policy", "spec.ingress", "no match")
    assert _has(result, "NetworkPolicy default/api-policy", "spec.ingress[0].from[0]", "no match")
    assert _has(result, "NetworkPolicy default/api-policy", "spec.ingress", "drop")
    egress = [hop.text for hop in result.hops if "selects Pod default/outsider for egress" in hop.text]
    assert egress == ["no policy selects Pod default/outsider for egress, so it may send anywhere"]
    rule = "{from: [{podSelector: {matchLabels: {app: outsider}}}], ports: [{port: 8000}]}"
    assert f"It takes the rule {rule} in spec.ingress of default/api-policy" in result.hops[-1].text


def test_the_json_form_is_what_programs_rely_on() -> None:
    """The keys of a trace and of its hops are fixed."""
    whole = _trace(seed(), "pod/web-1", "svc/api", 80).to_json()
    assert list(whole) == ["verdict", "destination", "backends", "hops"]
    assert list(whole["destination"]) == ["pod", "ip", "port"]
    assert list(whole["hops"][0]) == ["stage", "node", "object", "field", "verdict", "text", "packet"]


def test_a_wrong_port_is_rejected_with_the_ports_there_are() -> None:
    """An undefined port of an allocated ClusterIP is rejected."""
    result = _trace(seed(), "pod/web-1", "svc/api", 81)
    assert (result.verdict, result.hops[-1].object) == ("rejected", "Service default/api")
    assert "it has TCP 80" in result.hops[-1].text


def test_a_service_without_endpoints_rejects() -> None:
    """No endpoint anywhere is a rejection, not silence."""
    objects = [item for item in seed() if item["kind"] != "EndpointSlice"]
    assert _trace(objects, "pod/web-1", "svc/api", 80).verdict == "rejected"


def test_terminating_endpoints_serve_while_no_other_does() -> None:
    """A terminating endpoint that still serves is used only as the last."""
    rest = [item for item in seed() if item["kind"] != "EndpointSlice"]
    leaving = endpoint("10.244.1.4", ready=False, terminating=True)
    alone = _trace([*rest, endpoint_slice("api", leaving)], "pod/web-1", "svc/api", 80)
    assert [backend.ip for backend in alone.backends] == ["10.244.1.4"]
    both = _trace([*rest, endpoint_slice("api", leaving, endpoint("10.244.2.2"))], "pod/web-1", "svc/api", 80)
    assert [backend.ip for backend in both.backends] == ["10.244.2.2"]


def test_local_external_traffic_without_a_local_endpoint_is_dropped() -> None:
    """Under externalTrafficPolicy Local a node without endpoints drops, but pods still get all endpoints."""
    ports = [{"port": 80, "protocol": "TCP", "nodePort": 30080}]
    rest = [item for item in seed() if item["kind"] not in ("Service", "EndpointSlice")]
    objects = [
        *rest,
        service(type="NodePort", ports=ports, externalTrafficPolicy="Local"),
        endpoint_slice("api", endpoint("10.244.2.2")),
    ]
    assert _trace(objects, "external", "node/node-1", 30080).verdict == "dropped"
    there = _trace(objects, "external", "node/node-2", 30080)
    assert there.verdict == "delivered"
    assert all(hop.stage != "nat" for hop in there.hops)
    assert _trace(objects, "pod/web-1", "172.30.0.11", 30080).verdict == "delivered"


def test_a_balancer_lets_in_its_source_ranges_only() -> None:
    """The source ranges guard the balancer's address."""
    status = {"loadBalancer": {"ingress": [{"ip": "172.30.0.200"}]}}
    rest = [item for item in seed() if item["kind"] != "Service"]
    guarded = service(type="LoadBalancer", status=status, loadBalancerSourceRanges=["203.0.113.0/24"])
    assert _trace([*rest, guarded], "203.0.113.5", "172.30.0.200", 80).verdict == "delivered"
    refused = _trace([*rest, guarded], "198.51.100.5", "172.30.0.200", 80)
    assert (refused.verdict, refused.hops[-1].field) == ("dropped", "spec.loadBalancerSourceRanges")


def test_a_pod_reaches_itself_through_its_service_under_deny_all() -> None:
    """Hairpin traffic is masqueraded and always let in."""
    rest = [item for item in seed() if item["kind"] != "EndpointSlice"]
    deny = policy("deny", podSelector={}, policyTypes=["Ingress", "Egress"])
    result = _trace([*rest, deny, endpoint_slice("api", endpoint("10.244.1.4"))], "pod/api-1", "svc/api", 80)
    assert result.verdict == "delivered"
    assert any(hop.stage == "nat" for hop in result.hops)


@pytest.mark.parametrize(
    ("ports", "port", "protocol", "verdict"),
    [
        ([{"port": 8000, "endPort": 8010}], 8010, Protocol.TCP, "delivered"),
        ([{"port": 8000, "endPort": 8010}], 8011, Protocol.TCP, "dropped"),
        ([{"port": "http"}], 8080, Protocol.TCP, "delivered"),
        ([{"port": "http"}], 8081, Protocol.TCP, "dropped"),
        ([{"port": "http", "protocol": "UDP"}], 8080, Protocol.UDP, "dropped"),
        ([{"protocol": "UDP"}], 53, Protocol.UDP, "delivered"),
        ([{"protocol": "UDP"}], 53, Protocol.TCP, "dropped"),
        (None, 0, Protocol.ICMP, "delivered"),
        ([{"port": 80}], 0, Protocol.ICMP, "dropped"),
    ],
)
def test_ports_of_a_rule(ports: list[Object] | None, port: int, protocol: Protocol, verdict: str) -> None:
    """Ranges, names of the target's ports with their protocol, whole protocols, everything."""
    named = [{"name": "main", "ports": [{"name": "http", "containerPort": 8080}]}]
    rule = {"from": [{"podSelector": labelled("web")}], **({"ports": ports} if ports else {})}
    objects = [
        *seed(),
        pod("named-1", "10.244.2.9", containers=named),
        policy("p", podSelector=labelled("named"), ingress=[rule]),
    ]
    assert _trace(objects, "pod/web-1", "pod/named-1", port, protocol).verdict == verdict


@pytest.mark.parametrize(
    ("peer", "src", "verdict"),
    [
        ({"ipBlock": {"cidr": "10.244.0.0/16", "except": ["10.244.1.2/32"]}}, "pod/web-1", "dropped"),
        ({"ipBlock": {"cidr": "10.244.0.0/16", "except": ["10.244.1.2/32"]}}, "pod/outsider", "delivered"),
        ({"namespaceSelector": {}}, "external", "dropped"),
        ({"namespaceSelector": {}}, "pod/outsider", "delivered"),
        ({"namespaceSelector": {"matchLabels": {"x": "y"}}, "podSelector": {}}, "pod/web-1", "dropped"),
        ({"ipBlock": {"cidr": "172.30.0.0/24"}}, "external", "delivered"),
    ],
)
def test_peers_of_a_rule(peer: Object, src: str, verdict: str) -> None:
    """Blocks with exceptions, namespaces, both selectors together."""
    objects = [*seed(), policy("p", podSelector=labelled("api"), ingress=[{"from": [peer]}])]
    assert _trace(objects, src, "pod/api-2", 8000).verdict == verdict


def test_what_has_no_address_is_unresolved() -> None:
    """ExternalName, headless without endpoints and completed pods can't be reached, and the trace says why."""
    objects = [
        *seed(),
        make("Service", "other", spec={"type": "ExternalName", "externalName": "example.com"}),
        make("Service", "bare", spec={"clusterIP": "None", "ports": [{"port": 80}]}),
        pod("done-1", "10.244.1.50", phase="Succeeded"),
    ]
    for word in ("svc/other", "svc/bare", "pod/done-1"):
        result = _trace(objects, "pod/web-1", word, 80)
        assert (result.verdict, bool(result.hops[-1].text)) == ("unresolved", True)


def test_a_name_that_is_not_there_is_an_error() -> None:
    """The error names kind and key."""
    with pytest.raises(ValueError, match="service shop/api not found"):
        _trace(seed(), "pod/web-1", "svc/shop/api", 80)
