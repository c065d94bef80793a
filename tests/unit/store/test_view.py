"""The reading half of a store, by itself."""

import asyncio

from apiserver.store import Limits
from apiserver.store.view import View
from miniplane.testing.clock import settle


async def test_who_gives_up_waiting_is_forgotten() -> None:
    """A revision that never comes costs no memory, however often it is asked for; others are woken all the same."""
    view = View(Limits())
    waiting = [asyncio.create_task(view.wait_for(revision)) for revision in (5, 10**15, 2, 10**15)]
    await settle()
    waiting[1].cancel()
    waiting[2].cancel()
    view.publish((), 5)
    await waiting[0]
    waiting[3].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not view._waiting
