"""Third layer of agreement: the evaluator, the oracle and the kernel say the same of real packets."""

import os
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miniplane.api.kind import Object
from miniplane.config import Network
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.oracle import Answer, Oracle, Question
from tests.kernel.cases import Case, evaluate, forgetful, is_told, questions, routes, rules
from tests.kernel.lab import Lab
from tests.property.dataplane_strategies import (
    DUAL,
    NETWORK,
    World,
    dual_worlds,
    peers,
    pods,
    policies,
    policy_ports,
    ports,
    services,
    worlds,
)
from tests.unit.dataplane.builders import seed

SCALE = int(os.environ.get("MINIPLANE_EXAMPLES", "1"))

pytestmark = [pytest.mark.nft, pytest.mark.timeout(60 * SCALE)]
MOST_QUESTIONS = 250
MOST_REPEATED = 6
REPEATS = 40
"""Tries at a time, three times if need be: that one of five backends is missed has a chance of 1 in 10^11."""
PATIENCE_S = 1.5


@st.composite
def busy(draw: st.DrawFn) -> World:
    """A cluster of up to nine pods, in which some Services certainly lead somewhere."""
    world = draw(worlds())
    count = len(world.nodes)
    more = [draw(pods(number, count)) for number in range(5, 5 + draw(st.integers(0, 4)))]
    running = world.pods | {
        pod["status"]["podIP"]: pod["spec"]["nodeName"]
        for pod in more
        if not pod["spec"].get("hostNetwork") and pod["status"]["phase"] == "Running"
    }
    for number in range(5, 5 + draw(st.integers(0, 2))):
        service = draw(services(number))
        for port in service["spec"]["ports"]:
            port["protocol"] = "UDP" if port["protocol"] == "SCTP" else port["protocol"]
        more.append(service)
        if running:
            more.append(_slice_of(service, draw(st.lists(st.sampled_from(sorted(running.items())), unique=True)), draw))
    more += [draw(telling_policies(number)) for number in range(5, 5 + draw(st.integers(0, 2)))]
    return World((*world.objects, *more), world.nodes, running)


@st.composite
def telling_policies(draw: st.DrawFn, number: int) -> Object:
    """A policy that isolates all pods of a namespace and lets something through in both directions."""
    rules = {
        direction: [
            {side: [draw(peers())], **({"ports": [draw(policy_ports())]} if draw(st.booleans()) else {})}
            for _ in range(draw(st.integers(1, 2)))
        ]
        for direction, side in (("ingress", "from"), ("egress", "to"))
    }
    policy: Object = draw(policies(number))
    policy["spec"] = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], **rules}
    return policy


def _slice_of(service: Object, places: list[tuple[str, str]], draw: st.DrawFn) -> Object:
    """A slice of the Service with endpoints on these pods."""
    meta = service["metadata"]
    return {
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{meta['name']}-real",
            "namespace": meta["namespace"],
            "labels": {"kubernetes.io/service-name": meta["name"]},
        },
        "addressType": "IPv4",
        "ports": [
            {"name": port["name"], "protocol": port["protocol"], "port": draw(ports)}
            for port in service["spec"]["ports"]
        ],
        "endpoints": [
            {
                "addresses": [address],
                "nodeName": node,
                "conditions": draw(st.sampled_from(({}, {"ready": False, "serving": True, "terminating": True}))),
            }
            for address, node in places
        ],
    }


def _try(lab: Lab, cases: list[Case], patience_s: float = PATIENCE_S) -> list[Answer]:
    """What really becomes of each question."""
    asked = [
        (
            case.question.src,
            case.question.dst,
            case.question.protocol,
            case.question.port,
            case.question.node,
            all(answer.verdict != "drop" for answer in case.evaluated),
        )
        for case in cases
    ]
    return [Answer(*found) for found in lab.probe(asked, patience_s)]


def _agrees(case: Case, seen: Answer) -> bool:
    if case.question.protocol.startswith("ICMP"):
        return seen.verdict in {answer.verdict for answer in case.evaluated}
    return seen in case.evaluated


def _differing(lab: Lab, cases: list[Case]) -> list[tuple[Case, Answer]]:
    """Cases of which the kernel says something else, when asked again as well."""
    first = [case for case, seen in zip(cases, _try(lab, cases), strict=True) if not _agrees(case, seen)]
    if not first:
        return []
    return [(case, seen) for case, seen in zip(first, _try(lab, first, 4.0), strict=True) if not _agrees(case, seen)]


def _unseen(lab: Lab, cases: list[Case]) -> list[tuple[Case, set[Answer]]]:
    """Cases of random choice of which not every answer turns up."""
    seen: list[set[Answer]] = [set() for _ in cases]
    for _ in range(3):
        missing = [number for number, case in enumerate(cases) if seen[number] != set(case.evaluated)]
        if not missing:
            break
        asked = [number for number in missing for _ in range(REPEATS)]
        for number, answer in zip(asked, _try(lab, [cases[number] for number in asked]), strict=True):
            seen[number].add(answer)
    return [(case, answers) for case, answers in zip(cases, seen, strict=True) if answers != set(case.evaluated)]


def _fickle(lab: Lab, cases: list[Case]) -> list[Case]:
    """Cases of a remembered client that are led elsewhere the next time."""
    rounds = [_try(lab, cases) for _ in range(2)]
    return [case for case, first, second in zip(cases, *rounds, strict=True) if first != second]


def _load(lab: Lab, world: World, network: Network) -> Cluster:
    cluster = Cluster.from_objects(world.objects, network)
    lab.load(rules(cluster, world.nodes), routes(cluster, world.nodes))
    return cluster


def _check(lab: Lab, world: World, network: Network) -> None:
    cluster, oracle = _load(lab, world, network), Oracle(world.objects, network)
    cases = [evaluate(cluster, question) for question in questions(world, MOST_QUESTIONS)]
    for case in cases:
        assert case.evaluated == oracle.answer(case.question), case.question
    cases = [case for case in cases if is_told(case)]
    assert _differing(lab, cases) == []
    chosen = [case for case in cases if len(case.evaluated) > 1]
    assert _unseen(lab, [case for case in chosen if not case.is_sticky][:MOST_REPEATED]) == []
    assert _fickle(lab, [case for case in chosen if case.is_sticky]) == []


@settings(max_examples=18 * SCALE, deadline=None)
@given(world=busy())
def test_the_kernel_does_what_rules_and_objects_say(lab: Lab, world: World) -> None:
    """Real connections end as predicted: verdict, backend, and the source that the target sees."""
    _check(lab, world, NETWORK)


@settings(max_examples=10 * SCALE, deadline=None)
@given(world=dual_worlds())
def test_the_kernel_does_so_in_both_families(
    lab: Lab,
    remembers_in_sixth: bool,  # noqa: FBT001  a fixture
    world: World,
) -> None:
    """The same in dual-stack clusters, whose objects have one family or both."""
    _check(lab, world if remembers_in_sixth else forgetful(world), DUAL)


def test_backends_are_chosen_evenly(lab: Lab) -> None:
    """Of 400 connections to the seed's Service about half go to each of its two pods, on this node and another."""
    world = World(tuple(seed()), ("node-1", "node-2"), {})
    case = evaluate(
        _load(lab, world, NETWORK), Question("10.244.1.2", "10.96.0.20", "TCP", 80, "node-1", is_from_node=False)
    )
    seen = Counter(answer.dst for answer in _try(lab, [case] * 400))
    assert sorted(seen) == ["10.244.1.4", "10.244.2.2"]
    assert all(150 < count < 250 for count in seen.values()), seen
