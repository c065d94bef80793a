"""Windows keep memory small."""

import asyncio

from apiserver.store import Draft, Event, EventType, Limits, ResourceKey
from apiserver.store.broadcast import Broadcast

KEY = ResourceKey("/pods", "default", "a")


def history(length: int) -> list[Event]:
    """One key's life."""
    entries = [Draft({"step": step}).entry(KEY, step + 1, 1) for step in range(length)]
    return [
        Event(EventType.MODIFIED if step else EventType.ADDED, entries[step], entries[step - 1] if step else None)
        for step in range(length)
    ]


def test_older_events_are_kept_as_bytes() -> None:
    """Beyond the warm ones an event holds JSON only, and still reads the same."""
    events = history(10)
    broadcast = Broadcast(0, 0, Limits(warm_events=3))
    for event in events:
        assert event.line
        broadcast.publish([event], event.entry.revision)
    warm = [event.entry._obj is not None for event in events]
    assert warm == [False] * 6 + [True] * 4
    assert [event._line is not None for event in events] == [False] * 7 + [True] * 3
    assert [event.entry.obj["step"] for event in events] == [*range(10)]
    assert events[0].line.startswith(b'{"type":"ADDED"')


async def test_a_busy_watch_gets_one_batch() -> None:
    """What is published while a watch is busy costs nothing per watch and comes as one batch."""
    broadcast = Broadcast(0, 0, Limits())
    watch = broadcast.watch("/pods", "", 0)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.wait({waiting}, timeout=0)
    for event in history(5):
        broadcast.publish([event], event.entry.revision)
    assert len(await waiting) == 5


def test_forgotten_watches_leave_nothing() -> None:
    """A watch that nobody holds is not kept alive."""
    broadcast = Broadcast(0, 0, Limits())
    for _ in range(10):
        broadcast.watch("/pods", "", 0)
    assert len(broadcast._watches) == 0
