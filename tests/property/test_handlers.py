"""Handlers see every state that lasts, in order, over failures and restarts."""

import asyncio
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from miniplane.kinds import CONFIG_MAP
from miniplane.runtime import On, TemporaryError
from miniplane.testing.clock import SimulatedClock, settle
from tests.unit.runtime.handler_bench import Server, Told, X, running

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.integers(0, 5)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("fail"), st.integers(1, 2)),
    ),
    max_size=12,
)


async def play(actions: list[tuple[str, int]]) -> tuple[list[tuple[str, Any, Any]], Any]:
    """Do the actions; gives the successes as `(reason, old, new)` and the last state."""
    server, clock, told = Server(), SimulatedClock(), Told()
    server.put("x", {"k": "start"})
    rest = [*actions, ("restart", 0)]
    while rest:
        on = On("op")
        on.create(CONFIG_MAP)(told)
        on.update(CONFIG_MAP)(told)
        async with running(on, server, clock):
            while rest:
                word, number = rest.pop(0)
                if word == "restart":
                    break
                if word == "put":
                    server.put("x", {"k": str(number)})
                elif word == "fail":
                    told.left += [TemporaryError("not now", delay=1)] * number
                else:
                    await clock.advance(number)
            if not rest:
                await clock.advance(1000)
            await settle()
    return told.succeeded, server.objects[X]["data"]


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_successes_form_a_chain(actions: list[tuple[str, int]]) -> None:
    """The first success is a creation, each next one begins where the last ended, the last is what stays."""
    successes, final = asyncio.run(play(actions))
    assert successes[0][:2] == ("create", None)
    assert all(reason == "update" for reason, _, _ in successes[1:])
    for (_, _, before), (_, old, new) in pairwise(successes):
        assert old == before != new
    assert successes[-1][2] == final
