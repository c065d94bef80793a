"""The matrix of who reaches whom says what the API objects say."""

import os
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from miniplane.api.kind import Object
from miniplane.dataplane import offline
from miniplane.dataplane.cover import covered_rules
from miniplane.dataplane.oracle import Oracle, Question
from miniplane.dataplane.reach import Reach, matrix
from miniplane.dataplane.views import policy_view
from tests.property.dataplane_strategies import NETWORK, PORTS, World, worlds

SCALE = int(os.environ.get("MINIPLANE_EXAMPLES", "1"))
PROTOCOLS = ("TCP", "UDP", "SCTP")


def _address(world: World, pod: Object) -> tuple[str, str, bool]:
    return pod["status"]["podIP"], pod["spec"]["nodeName"], bool(pod["spec"].get("hostNetwork"))


def _by_name(world: World) -> dict[str, Object]:
    pods = [obj for obj in world.objects if obj["kind"] == "Pod"]
    return {f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": pod for pod in pods}


@settings(max_examples=60 * SCALE, deadline=None)
@given(worlds(most_services=0, least_policies=1), st.sampled_from(PORTS), st.sampled_from(PROTOCOLS))
def test_reach_is_what_the_oracle_says(world: World, port: int, protocol: str) -> None:
    """A pair is allowed exactly if the oracle lets its packet arrive, and the blocking sides are the oracle's."""
    oracle, pods = Oracle(world.objects, NETWORK), _by_name(world)
    for source, target, word in Reach(world.objects, NETWORK).matrix(port, protocol).pairs():
        (src, node, is_host), (dst, _, is_target_host) = _address(world, pods[source]), _address(world, pods[target])
        question = Question(src, dst, protocol, port, node, is_host)
        arrives = all(answer.verdict == "accept" for answer in oracle.answer(question))
        assert (word == "allow") == arrives, (source, target, word)
        if not is_host and not is_target_host:
            egress = oracle._allows("egress", pods[source], question)
            ingress = oracle._allows("ingress", pods[target], question)
            words = {(True, True): "allow", (True, False): "ingress", (False, True): "egress", (False, False): "both"}
            assert word == words[egress, ingress], (source, target)


@settings(max_examples=30 * SCALE, deadline=None)
@given(worlds(most_services=2), st.sampled_from(PORTS))
def test_a_complete_world_is_built_as_it_stands(world: World, port: int) -> None:
    """Objects that state everything keep it, so the matrix of manifests is the live cluster's."""
    running = [obj for obj in world.objects if obj["kind"] != "Pod" or obj["status"]["phase"] == "Running"]
    built = offline.build(running, NETWORK)
    assert replace(built.network, dns_ip=NETWORK.dns_ip) == NETWORK
    assert matrix(running, port=port) == Reach(running, NETWORK).matrix(port)


@settings(max_examples=60 * SCALE, deadline=None)
@given(worlds(most_services=0, least_policies=2), st.sampled_from(PORTS), st.sampled_from(PROTOCOLS))
def test_a_covered_rule_can_go(world: World, port: int, protocol: str) -> None:
    """Without the rules that others cover, everybody reaches whom they reached."""
    changed: list[Object] = []
    for obj in world.objects:
        if obj["kind"] == "NetworkPolicy":
            view, spec = policy_view(obj), dict(obj["spec"])
            for direction, rules in (("ingress", view.ingress), ("egress", view.egress)):
                gone = {index for index, _ in covered_rules(rules or ())}
                if direction in spec:
                    spec[direction] = [rule for index, rule in enumerate(spec[direction]) if index not in gone]
            types = [word for word, side in (("Ingress", view.ingress), ("Egress", view.egress)) if side is not None]
            changed.append({**obj, "spec": spec | {"policyTypes": types}})
        else:
            changed.append(obj)
    before, after = Reach(world.objects, NETWORK), Reach(changed, NETWORK)
    assert before.matrix(port, protocol) == after.matrix(port, protocol)
