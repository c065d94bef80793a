"""The law of explanations: what they say would have to be allowed does let the packet through, in any cluster."""

import os
import re

import yaml
from hypothesis import event, given, settings
from hypothesis import strategies as st

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.dataplane.drawing import draw
from miniplane.dataplane.explain import Destination, Trace
from miniplane.dataplane.journey import Journeys
from tests.property.dataplane_strategies import NETWORK, World, questions, talks, worlds

SCALE = int(os.environ.get("MINIPLANE_EXAMPLES", "1"))
MOST_RULES = 20
"""More than the policies on the way of a packet to all backends."""


def _amended(objects: list[Object], trace: Trace) -> list[Object] | None:
    """The objects with the rule that the last hop asks for, in a policy of its own; None if it asks for none."""
    last = trace.hops[-1]
    match = re.search(r"It takes the rule (\{.*\}) in spec\.(\w+) of", last.text)
    if match is None:
        return None
    rule, direction = yaml.safe_load(match[1]), match[2]
    kind, _, key = last.object.partition(" ")
    assert (kind, last.field) == ("NetworkPolicy", f"spec.{direction}")
    amended = []
    for obj in objects:
        if obj["kind"] == kind and str(meta.key_of(obj)) == key:
            rules = [*(obj["spec"].get(direction) or ()), rule]
            types = obj["spec"].get("policyTypes")
            amended.append(obj | {"spec": obj["spec"] | {direction: rules} | ({"policyTypes": types} if types else {})})
        else:
            amended.append(obj)
    return amended


@settings(max_examples=40 * SCALE, deadline=None)
@given(st.data())
def test_the_rule_that_it_takes_lets_the_packet_through(data: st.DataObject) -> None:
    """Rule by rule until nothing is asked for: then no NetworkPolicy drops it any more. Every hop can be drawn."""
    world: World = data.draw(worlds(least_policies=2))
    for question in data.draw(st.lists(st.one_of(talks(world), questions(world)), min_size=3, max_size=3)):
        if question.protocol == "ICMP":
            continue
        objects: list[Object] | None = list(world.objects)
        trace, asked = Trace("", Destination("", "", 0), (), ()), 0
        while objects is not None:
            found = Journeys(objects, NETWORK).follow(question.src, question.dst, question.port, question.protocol)
            trace, asked = found.trace, asked + 1
            assert asked <= MOST_RULES, (question, trace.lines())
            assert draw(found, "drawn", all_backends=True).endswith("</svg>")
            objects = _amended(objects, trace)
        event(f"rules that it took: {asked - 1}")
        refusing = [hop for hop in trace.hops if hop.verdict == "drop" and hop.object.startswith("NetworkPolicy")]
        assert refusing == [], trace.lines()
