"""One node's machine: connections, affinity, choices, clean-up."""

from collections.abc import Sequence
from typing import Any

from miniplane.api.kind import Object
from miniplane.dataplane.compile import Compiler
from miniplane.dataplane.evaluate import Machine, Outcome
from miniplane.dataplane.packet import Entry, Packet, Source, Verdict
from miniplane.dataplane.program import HealthCheck
from miniplane.dataplane.routes import Hop, HopKind
from miniplane.dataplane.snapshot import Snapshot
from tests.unit.dataplane.builders import NETWORK, endpoint, endpoint_slice, policy, seed, seed_policy, service

KINDS = ("Node", "Pod", "Service", "EndpointSlice", "NetworkPolicy", "Namespace")


def _snapshot(objects: Sequence[Object]) -> Snapshot:
    nodes, pods, services, slices, policies, spaces = (
        [item for item in objects if item["kind"] == kind] for kind in KINDS
    )
    return Snapshot.build(
        "node-1",
        NETWORK,
        nodes=nodes,
        pods=pods,
        services=services,
        slices=slices,
        policies=policies,
        namespaces=spaces,
    )


def _machine(objects: Sequence[Object]) -> Machine:
    return Machine(Compiler().compile(_snapshot(objects)))


def _send(machine: Machine, packet: Packet, *, now: float = 0.0, choice: int = 0) -> Outcome:
    return machine.send(
        packet, entry=Entry.FORWARD, source=Source.POD, now=now, choose=lambda count: min(choice, count - 1)
    )


def _with_api(*endpoints: Object, protocol: str = "TCP", **spec: Any) -> list[Object]:
    rest = [item for item in seed() if item["kind"] not in ("Service", "EndpointSlice")]
    ports = [{"port": 80, "protocol": protocol}]
    return [*rest, service(ports=ports, **spec), endpoint_slice("api", *endpoints, protocol=protocol)]


def test_a_reply_is_translated_back_and_passes_any_policy() -> None:
    """The reply of a translated connection looks as if the ClusterIP had answered."""
    machine = _machine([*seed(), seed_policy()])
    packet = Packet.of("10.244.1.2", "10.96.0.20", dport=80)
    there = _send(machine, packet)
    assert (there.verdict, str(there.packet.dst), there.packet.dport) == (Verdict.ACCEPT, "10.244.1.4", 8000)
    assert there.hop == Hop(HopKind.POD, "default/api-1")
    assert _send(machine, there.packet.reply()).packet == packet.reply()


def test_a_reply_to_the_node_itself_is_translated_back() -> None:
    """The node's own connection to a ClusterIP is answered by the ClusterIP, too, though its reply ends at input."""
    machine = _machine(seed())
    packet = Packet.of("172.30.0.11", "10.96.0.20", dport=80)
    there = machine.send(packet, entry=Entry.OUTPUT, source=Source.NODE, now=0.0, choose=lambda _: 0)
    assert str(there.packet.dst) == "10.244.1.4"
    assert _send(machine, there.packet.reply()).packet == packet.reply()


def test_without_its_connection_the_same_packet_is_no_reply() -> None:
    """The policy drops what an isolated pod sends by itself, and what it sends after the connection was closed."""
    machine = _machine([*seed(), seed_policy()])
    there = _send(machine, Packet.of("10.244.1.2", "10.244.1.4", dport=8000))
    assert _send(machine, there.packet.reply()).verdict is Verdict.ACCEPT
    machine.close(there.packet)
    assert _send(machine, there.packet.reply()).verdict is Verdict.DROP


def test_a_dropped_packet_leaves_no_connection() -> None:
    """What was dropped once is dropped again, and its reply is none."""
    machine = _machine([*seed(), seed_policy()])
    packet = Packet.of("10.244.1.3", "10.244.1.4", dport=8000)
    assert _send(machine, packet).verdict is Verdict.DROP
    assert _send(machine, packet.reply()).verdict is Verdict.DROP
    assert len(machine.conntrack) == 0


def test_branches_tell_each_backend_with_its_chance_and_remember_nothing() -> None:
    """Two backends, half each; the connection table stays empty."""
    machine = _machine(seed())
    ways = machine.branches(
        Packet.of("10.244.1.2", "10.96.0.20", dport=80), entry=Entry.FORWARD, source=Source.POD, now=0.0
    )
    assert sorted((str(way.packet.dst), way.weight) for way in ways) == [("10.244.1.4", 0.5), ("10.244.2.2", 0.5)]
    assert len(machine.conntrack) == 0


def test_affinity_keeps_a_client_at_its_backend_until_its_time_is_over() -> None:
    """Within the time-out every new connection goes to the first backend and renews it; afterwards chance decides."""
    config = {"clientIP": {"timeoutSeconds": 10}}
    ends = endpoint("10.244.1.4"), endpoint("10.244.2.2")
    machine = _machine(_with_api(*ends, sessionAffinity="ClientIP", sessionAffinityConfig=config))

    def target(sport: int, now: float, choice: int) -> str:
        packet = Packet.of("10.244.1.2", "10.96.0.20", sport=sport, dport=80)
        return str(_send(machine, packet, now=now, choice=choice).packet.dst)

    first = target(1, 0.0, 0)
    assert [target(2, 8.0, 1), target(3, 16.0, 1)] == [first, first]
    assert target(4, 26.5, 1) != first


def test_affinity_does_not_remember_clients_for_ever() -> None:
    """Clients that have not come again in time take no memory, however many there were."""
    config, ends = {"clientIP": {"timeoutSeconds": 60}}, (endpoint("10.244.1.4"), endpoint("10.244.2.4"))
    machine = _machine(_with_api(*ends, sessionAffinity="ClientIP", sessionAffinityConfig=config))
    (remembered,) = (live for live in machine._families[4].dynamic.values())
    for number in range(5_000):
        source = f"10.250.{number // 250}.{number % 250 + 1}"
        packet = Packet.of(source, "10.96.0.20", dport=80)
        _send(machine, packet, now=float(number))
        machine.close(packet)
    assert 60 <= len(remembered) <= 2048


def test_affinity_forgets_a_backend_that_is_gone() -> None:
    """A remembered backend that has left is not used, and the new one is remembered instead."""
    both = endpoint("10.244.1.4"), endpoint("10.244.2.2")
    compiler = Compiler()
    machine = Machine(compiler.compile(_snapshot(_with_api(*both, sessionAffinity="ClientIP"))))

    def target(sport: int, choice: int) -> str:
        packet = Packet.of("10.244.1.2", "10.96.0.20", sport=sport, dport=80)
        return str(_send(machine, packet, choice=choice).packet.dst)

    assert target(1, 0) == "10.244.1.4"
    machine.replace(compiler.compile(_snapshot(_with_api(both[1], sessionAffinity="ClientIP"))))
    assert target(2, 0) == "10.244.2.2"
    machine.replace(compiler.compile(_snapshot(_with_api(*both, sessionAffinity="ClientIP"))))
    assert target(3, 0) == "10.244.2.2"


def test_new_rules_end_udp_connections_to_gone_endpoints_and_keep_tcp() -> None:
    """After the endpoint is replaced the same UDP packet goes to the new one, the TCP one still to the old."""
    for protocol, expected in (("UDP", "10.244.2.2"), ("TCP", "10.244.1.4")):
        compiler = Compiler()
        machine = Machine(compiler.compile(_snapshot(_with_api(endpoint("10.244.1.4"), protocol=protocol))))
        packet = Packet.of("10.244.1.2", "10.96.0.20", protocol, dport=80)
        _send(machine, packet)
        machine.replace(compiler.compile(_snapshot(_with_api(endpoint("10.244.2.2"), protocol=protocol))))
        assert str(_send(machine, packet, now=1.0).packet.dst) == expected


def _flow_after(first: list[Object], second: list[Object], dst: str = "10.96.0.20") -> tuple[str, int]:
    """Where a running UDP flow's next packet goes after the endpoints were replaced."""
    compiler = Compiler()
    machine = Machine(compiler.compile(_snapshot(first)))
    packet = Packet.of("10.244.1.2", dst, "UDP", dport=80)
    _send(machine, packet)
    machine.replace(compiler.compile(_snapshot(second)))
    after = _send(machine, packet, now=1.0).packet
    return str(after.dst), after.dport


def test_a_udp_flow_stays_with_an_endpoint_that_terminates_and_serves() -> None:
    """New flows go to the ready endpoint, the running one stays until its endpoint stops to serve."""
    before = _with_api(endpoint("10.244.1.4"), protocol="UDP")
    leaving = endpoint("10.244.1.4", ready=False, terminating=True)
    gone = endpoint("10.244.1.4", ready=False, serving=False, terminating=True)
    other = endpoint("10.244.2.2")
    assert _flow_after(before, _with_api(leaving, other, protocol="UDP")) == ("10.244.1.4", 8000)
    assert _flow_after(before, _with_api(gone, other, protocol="UDP")) == ("10.244.2.2", 8000)


def test_a_udp_flow_to_an_endpoint_under_another_port_begins_anew() -> None:
    """The same address under a new target port is another endpoint."""
    before, after = (_with_api(endpoint("10.244.1.4"), protocol="UDP") for _ in range(2))
    after[-1]["ports"][0]["port"] = 9000
    assert _flow_after(before, after) == ("10.244.1.4", 9000)


def test_a_udp_flow_that_was_there_before_the_service_is_translated_at_last() -> None:
    """What went untranslated to an external address goes to the Service that has it now."""
    after = _with_api(endpoint("10.244.1.4"), protocol="UDP", externalIPs=["192.0.2.9"])
    assert _flow_after(seed(), after, "192.0.2.9") == ("10.244.1.4", 8000)


def test_a_health_check_counts_ready_endpoints_of_the_node() -> None:
    """Terminating ones do not count even where they serve; one pod under two ports counts once."""
    ends = [
        endpoint("10.244.1.4"),
        endpoint("10.244.1.2", ready=False, terminating=True),
        endpoint("10.244.2.2"),
        endpoint("10.244.1.3", ready=False, serving=False),
    ]
    local: dict[str, Any] = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000}
    objects = _with_api(*ends, **local)
    assert _machine(objects).program.health_checks == (HealthCheck(31000, "default", "api", 1),)
    assert _machine(_with_api(*ends[1:], **local)).program.health_checks[0].is_passed is False
    assert _machine(_with_api(*ends, **{**local, "externalTrafficPolicy": "Cluster"})).program.health_checks == ()


def test_two_clients_behind_one_node_get_different_ports() -> None:
    """Masquerading two connections that would look the same changes the second one's source port."""
    machine = _machine(seed())
    first = _send(machine, Packet.of("203.0.113.7", "10.96.0.20", dport=80))
    second = _send(machine, Packet.of("203.0.113.8", "10.96.0.20", dport=80))
    assert str(first.packet.src) == str(second.packet.src) == "172.30.0.11"
    assert first.packet.sport != second.packet.sport
    assert str(_send(machine, second.packet.reply()).packet.dst) == "203.0.113.8"


def test_an_idle_connection_ends() -> None:
    """A connection without a reply is forgotten after its protocol's time: TCP after two minutes."""
    for seconds, verdict in ((119.0, Verdict.ACCEPT), (121.0, Verdict.DROP)):
        machine = _machine([*seed(), seed_policy(), policy("deny", podSelector={})])
        there = _send(machine, Packet.of("10.244.1.4", "10.244.2.3", dport=5432))
        assert _send(machine, there.packet.reply(), now=seconds).verdict is verdict


def test_equal_views_cost_no_compilation() -> None:
    """A snapshot that differs in nothing that matters gives the very same program."""
    compiler, objects = Compiler(), seed()
    program = compiler.compile(_snapshot(objects))
    touched = [{**item, "metadata": {**item["metadata"], "annotations": {"a": "b"}}} for item in objects]
    assert compiler.compile(_snapshot(touched)) is program


def test_a_change_of_one_service_leaves_other_sets_alone() -> None:
    """Sets that do not change are the same objects, so that nobody has to look at them."""
    compiler = Compiler()
    before = compiler.compile(_snapshot(seed())).ruleset.tables[0]
    extra = [service("more", "10.96.0.30"), endpoint_slice("more", endpoint("10.244.2.2"))]
    after = compiler.compile(_snapshot([*seed(), *extra])).ruleset.tables[0]
    changed = {new.name for new, old in zip(after.sets, before.sets, strict=True) if new is not old}
    assert changed == {"cluster-ips", "services", "endpoints"}


def test_two_services_of_one_frontend_are_a_problem_of_the_second() -> None:
    """The first by name keeps the address and port; the other one's problem names its field."""
    objects = _with_api(endpoint("10.244.1.4"), externalIPs=["192.0.2.9"])
    other = [service("zoo", "10.96.0.50", externalIPs=["192.0.2.9"]), endpoint_slice("zoo", endpoint("10.244.2.2"))]
    machine = _machine([*objects, *other])
    assert [str(problem.origin) for problem in machine.program.problems] == ["Service default/zoo spec.externalIPs[0]"]
    assert str(_send(machine, Packet.of("10.244.1.2", "192.0.2.9", dport=80)).packet.dst) == "10.244.1.4"


def test_a_backend_is_reached_though_its_address_is_another_services_door() -> None:
    """What was translated to a node's own port passes, even if that port is a node port without endpoints."""
    closed = service("closed", "10.96.0.21", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    door = endpoint_slice("api", {**endpoint("10.244.1.4"), "addresses": ["172.30.0.11"]}, port=30080)
    objects = [item for item in seed() if item["kind"] not in ("Service", "EndpointSlice")]
    machine = _machine([*objects, service(), door, closed])
    led = _send(machine, Packet.of("10.244.1.2", "10.96.0.20", dport=80))
    assert (led.verdict, str(led.packet.dst), led.packet.dport) == (Verdict.ACCEPT, "172.30.0.11", 30080)
    assert _send(machine, Packet.of("10.244.1.2", "172.30.0.11", dport=30080)).verdict is Verdict.REJECT
