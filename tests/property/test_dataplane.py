"""The laws of the network compiler, over random clusters and packets."""

import os
import random
from dataclasses import replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from miniplane.config import Network
from miniplane.dataplane.cluster import KINDS, Cluster, Path
from miniplane.dataplane.compile import Compiler
from miniplane.dataplane.compile import compile as compile_snapshot
from miniplane.dataplane.diff import apply, diff, normal
from miniplane.dataplane.evaluate import Machine, tuple_of
from miniplane.dataplane.oracle import Answer, Answers, Oracle, Question
from miniplane.dataplane.packet import Entry, Packet, Source, Verdict
from miniplane.dataplane.parse_nft import catalogue, parse
from miniplane.dataplane.render_nft import render
from miniplane.dataplane.routes import HopKind
from miniplane.dataplane.snapshot import Memo, Snapshot
from tests.property.dataplane_strategies import (
    DUAL,
    NETWORK,
    World,
    dual_worlds,
    in_sixth,
    later,
    questions,
    talks,
    worlds,
)

PACKETS_EACH = 6
SCALE = int(os.environ.get("MINIPLANE_EXAMPLES", "1"))
"""How many times as many examples as usual; the long profile takes 100."""


def _packet(question: Question) -> Packet:
    port = 0 if question.protocol.startswith("ICMP") else question.port
    return Packet.of(question.src, question.dst, question.protocol, sport=40000 if port else 0, dport=port)


def _entry(question: Question) -> tuple[Entry, Source]:
    return (Entry.OUTPUT, Source.NODE) if question.is_from_node else (Entry.FORWARD, Source.EXTERNAL)


def _answer(path: Path) -> Answer:
    if path.verdict is not Verdict.ACCEPT:
        return Answer(path.verdict.value)
    if path.hop.kind in (HopKind.NONE, HopKind.PEER):  # nobody has the address, or it goes round in circles
        return Answer("unreachable")
    return Answer("accept", str(path.packet.dst), path.packet.dport, str(path.packet.src))


def _evaluate(cluster: Cluster, question: Question) -> Answers:
    found: Answers = {}
    for path in cluster.paths(_packet(question), question.node, *_entry(question)):
        answer = _answer(path)
        found[answer] = found.get(answer, Fraction(0)) + Fraction(path.weight).limit_denominator(100_000)
    return found


def _snapshot(world: World, memo: Memo | None = None, network: Network = NETWORK) -> Snapshot:
    parts = [[item for item in world.objects if item["kind"] == kind] for kind in KINDS]
    nodes, pods, services, slices, policies, namespaces = parts
    return Snapshot.build(
        world.nodes[0],
        network,
        nodes=nodes,
        pods=pods,
        services=services,
        slices=slices,
        policies=policies,
        namespaces=namespaces,
        cluster_policies=[item for item in world.objects if item["kind"] == "ClusterNetworkPolicy"],
        memo=memo,
    )


@settings(max_examples=100 * SCALE, deadline=None)
@given(st.data())
def test_the_rules_say_what_the_objects_say(data: st.DataObject) -> None:
    """Compiling and evaluating answers like reading the API objects, over all nodes and random choices."""
    world = data.draw(worlds())
    cluster, oracle = Cluster.from_objects(world.objects, NETWORK), Oracle(world.objects, NETWORK)
    for question in data.draw(st.lists(questions(world), min_size=PACKETS_EACH, max_size=PACKETS_EACH)):
        asked = question._replace(port=0) if question.protocol == "ICMP" else question
        assert _evaluate(cluster, asked) == oracle.answer(asked), asked


@settings(max_examples=60 * SCALE, deadline=None)
@given(st.data())
def test_the_rules_say_what_the_objects_say_in_both_families(data: st.DataObject) -> None:
    """The same in dual-stack clusters, whose objects have one family or both, asked in either."""
    world = data.draw(dual_worlds())
    cluster, oracle = Cluster.from_objects(world.objects, DUAL), Oracle(world.objects, DUAL)
    asked_for = st.one_of(questions(world), talks(world))
    for question in data.draw(st.lists(asked_for, min_size=PACKETS_EACH, max_size=PACKETS_EACH)):
        asked = question._replace(port=0) if question.protocol == "ICMP" else question
        for one in (asked, in_sixth(asked)):
            assert _evaluate(cluster, one) == oracle.answer(one), one


@settings(max_examples=100 * SCALE, deadline=None)
@given(st.data())
def test_policies_mean_what_their_objects_say(data: st.DataObject) -> None:
    """The same where policies are many and Services none, at the borders of ranges and blocks."""
    world = data.draw(worlds(most_services=0, least_policies=2))
    cluster, oracle = Cluster.from_objects(world.objects, NETWORK), Oracle(world.objects, NETWORK)
    for question in data.draw(st.lists(talks(world), min_size=12, max_size=12)):
        assert _evaluate(cluster, question) == oracle.answer(question), question


@settings(max_examples=100 * SCALE, deadline=None)
@given(st.data())
def test_tiers_mean_what_their_objects_say(data: st.DataObject) -> None:
    """The same where cluster-wide policies stand before and after others, in both families."""
    network = data.draw(st.sampled_from((NETWORK, DUAL)))
    shape = dual_worlds if network is DUAL else worlds
    world = data.draw(shape(most_services=0, least_policies=1, least_tiers=2))
    cluster, oracle = Cluster.from_objects(world.objects, network), Oracle(world.objects, network)
    for question in data.draw(st.lists(st.one_of(talks(world), questions(world)), min_size=12, max_size=12)):
        asked = question._replace(port=0) if question.protocol == "ICMP" else question
        for one in (asked, in_sixth(asked)) if network is DUAL else (asked,):
            assert _evaluate(cluster, one) == oracle.answer(one), one


@settings(max_examples=30 * SCALE, deadline=None)
@given(worlds())
def test_printed_rules_are_read_back_the_same(world: World) -> None:
    """`parse(render(r)) == r`, origins included."""
    ruleset = compile_snapshot(_snapshot(world)).ruleset
    assert parse(render(ruleset), catalogue(ruleset)) == ruleset


@settings(max_examples=20 * SCALE, deadline=None)
@given(dual_worlds(), dual_worlds())
def test_printing_and_differences_hold_in_both_families(before: World, after: World) -> None:
    """Two tables are printed and read back, and differences go from one pair to the other."""
    old, new = (compile_snapshot(_snapshot(world, network=DUAL)).ruleset for world in (before, after))
    assert [table.family for table in new.tables] == ["ip", "ip6"]
    assert parse(render(new), catalogue(new)) == new
    assert normal(apply(old, diff(old, new))) == normal(new)


@settings(max_examples=30 * SCALE, deadline=None)
@given(worlds(), worlds())
def test_a_difference_applied_gives_the_new_rules(before: World, after: World) -> None:
    """`apply(old, diff(old, new))` is `new` but for order, and equal rules differ in nothing."""
    old, new = compile_snapshot(_snapshot(before)).ruleset, compile_snapshot(_snapshot(after)).ruleset
    assert normal(apply(old, diff(old, new))) == normal(new)
    assert not diff(new, new)
    assert diff(new, compile_snapshot(_snapshot(after)).ruleset).size == 0


@settings(max_examples=30 * SCALE, deadline=None)
@given(st.lists(worlds(), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_compiling_step_by_step_is_compiling_anew(steps: list[World], shuffler: random.Random) -> None:
    """A compiler that has seen other clusters gives byte-equal rules, whatever order objects come in."""
    compiler, memo = Compiler(), Memo()
    machine: Machine | None = None
    for world in steps:
        shuffled = list(world.objects)
        shuffler.shuffle(shuffled)
        program = compiler.compile(_snapshot(World(tuple(shuffled), world.nodes, world.pods), memo))
        fresh = compile_snapshot(_snapshot(world))
        assert program.ruleset == fresh.ruleset
        assert program.routes == fresh.routes
        assert render(program.ruleset) == render(fresh.ruleset)
        if machine is None:
            machine = Machine(program)
        else:
            machine.replace(program)


@settings(max_examples=30 * SCALE, deadline=None)
@given(st.data())
def test_a_machine_that_took_new_rules_acts_like_a_new_one(data: st.DataObject) -> None:
    """After `replace` every new connection is treated as by a machine that never knew other rules."""
    old, world = data.draw(worlds()), data.draw(worlds())
    compiler, memo = Compiler(), Memo()
    machine = Machine(compiler.compile(_snapshot(old, memo)))
    machine.replace(compiler.compile(_snapshot(world, memo)))
    fresh = Machine(compile_snapshot(_snapshot(world)))
    for question in data.draw(st.lists(questions(world), min_size=4, max_size=4)):
        entry, source = _entry(question)
        ways = [one.branches(_packet(question), entry=entry, source=source, now=0.0) for one in (machine, fresh)]
        assert ways[0] == ways[1]


@settings(max_examples=30 * SCALE, deadline=None)
@given(st.data())
def test_replies_find_back_to_the_sender_as_it_knows_itself(data: st.DataObject) -> None:
    """A reply, whatever the policies, leaves the node with source and target of the request swapped."""
    world = data.draw(worlds())
    machine = Machine(compile_snapshot(_snapshot(world)))
    question = data.draw(questions(world))
    packet, (entry, source) = _packet(question), _entry(question)
    there = machine.send(packet, entry=entry, source=source, now=0.0, choose=lambda _: 0)
    if there.verdict is Verdict.ACCEPT:
        back = machine.send(there.packet.reply(), entry=Entry.FORWARD, source=Source.PEER, now=1.0, choose=lambda _: 0)
        assert back.verdict is Verdict.ACCEPT
        assert back.packet == packet.reply()


@settings(max_examples=50 * SCALE, deadline=None)
@given(st.data())
def test_udp_connections_stay_with_endpoints_that_serve(data: st.DataObject) -> None:
    """After a change exactly those from a Service's address to no serving endpoint of it are gone; TCP ones stay."""
    world = data.draw(worlds())
    after = data.draw(later(world))
    oracle = Oracle(after.objects, NETWORK)
    compiler = Compiler()
    machine = Machine(compiler.compile(_snapshot(world)))
    sent = []
    for number, question in enumerate(data.draw(st.lists(questions(world), min_size=6, max_size=6))):
        packet = replace(_packet(question), sport=40000 + number)
        entry, source = _entry(question)
        outcome = machine.send(packet, entry=entry, source=source, now=0.0, choose=lambda count: count - 1)
        if outcome.verdict is Verdict.ACCEPT and packet.protocol.has_ports:
            sent.append((packet, question._replace(node=world.nodes[0]), outcome.packet))
    machine.replace(compiler.compile(_snapshot(after)))
    for packet, question, left in sent:
        target = (str(left.dst), left.dport)
        serving = oracle.serving(question)
        stays = target == (question.dst, question.port) if serving is None else target in serving
        found = machine.conntrack.find(tuple_of(packet), 1.0)
        assert (found is not None) == (stays or question.protocol != "UDP"), (packet, left)


@settings(max_examples=50 * SCALE, deadline=None)
@given(worlds())
def test_health_checks_count_ready_endpoints_here(world: World) -> None:
    """Every balancer under Local has one, whatever else its endpoints are; nothing else has."""
    for node in world.nodes:
        checks = Cluster.from_objects(world.objects, NETWORK).machine(node).program.health_checks
        assert {check.port: check.endpoints for check in checks} == Oracle(world.objects, NETWORK).health(node)
