"""First layer of agreement: the rules that the kernel holds are the rules that were compiled."""

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miniplane.config import Network
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.diff import diff, normal
from miniplane.dataplane.import_nft import read
from miniplane.dataplane.parse_nft import catalogue
from miniplane.dataplane.render_nft import render
from miniplane.dataplane.ruleset import Ruleset
from tests.kernel.cases import forgetful
from tests.kernel.lab import Lab
from tests.property.dataplane_strategies import DUAL, NETWORK, World, dual_worlds, worlds

SCALE = int(os.environ.get("MINIPLANE_EXAMPLES", "1"))
pytestmark = [pytest.mark.nft, pytest.mark.timeout(60 * SCALE)]


def _rules(world: World, network: Network = NETWORK) -> list[Ruleset]:
    cluster = Cluster.from_objects(world.objects, network)
    return [cluster.machine(name).program.ruleset for name in world.nodes]


def _flushed(text: str) -> str:
    return f"flush ruleset\n{text}"


@settings(max_examples=12 * SCALE, deadline=None)
@given(world=dual_worlds(least_policies=1))
def test_the_kernel_holds_what_was_compiled(
    lab: Lab,
    remembers_in_sixth: bool,  # noqa: FBT001  a fixture
    world: World,
) -> None:
    """Loaded, listed and read back, every node's rules of both families are the compiled ones, origins included."""
    compiled = _rules(world if remembers_in_sixth else forgetful(world), DUAL)
    listings = lab.list_rules([_flushed(render(rules)) for rules in compiled])
    for rules, listing in zip(compiled, listings, strict=True):
        assert read(listing, catalogue(rules)) == normal(rules)


@settings(max_examples=8 * SCALE, deadline=None)
@given(steps=st.lists(worlds(), min_size=2, max_size=4))
def test_transactions_leave_what_was_compiled(lab: Lab, steps: list[World]) -> None:
    """After each transaction from one state to the next, the kernel holds the next."""
    states = [_rules(world)[0] for world in steps]
    texts = [_flushed(render(states[0]))]
    texts += [diff(old, new).render() for old, new in pairwise(states)]
    for rules, listing in zip(states, lab.list_rules(texts), strict=True):
        assert read(listing, catalogue(rules)) == normal(rules)


def test_what_somebody_changed_by_hand_is_seen(lab: Lab) -> None:
    """A rule deleted, an element added: the listing differs from what was compiled."""
    golden = (Path(__file__).parents[1] / "golden" / "seed-node-1.nft").read_text()
    changes = [
        _flushed(golden),
        "flush chain ip miniplane ingress\n",
        "add element ip miniplane isolated-ingress { 10.244.1.9 }\n",
    ]
    seen = [read(listing) for listing in lab.list_rules(changes)]
    assert len({json.dumps(repr(rules)) for rules in seen}) == len(changes)
