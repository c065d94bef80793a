"""Windows keep memory small."""

import asyncio

import pytest

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


def end_rest(broadcast: Broadcast) -> None:
    """What the timer does when the rest is over."""
    window = broadcast._windows["/pods"]
    assert window._rest is not None
    window._rest.cancel()
    window._rested()


async def test_a_crowd_rests() -> None:
    """After waking many watches the next events gather for one wake-up; none is lost, none comes twice."""
    broadcast = Broadcast(0, 0, Limits(wake_s=1, rest_s=3600))
    watches = [broadcast.watch("/pods", namespace, 0) for namespace in ("", "default", "", "kube")]
    waiting = [asyncio.ensure_future(anext(watch)) for watch in watches]
    quiet = waiting[3]
    await asyncio.wait(waiting, timeout=0)
    events = history(6)
    broadcast.publish([events[0]], 1)
    assert [len(await one) for one in waiting[:3]] == [1, 1, 1]

    waiting = [asyncio.ensure_future(anext(watch)) for watch in watches[:3]]
    await asyncio.wait(waiting, timeout=0)
    for event in events[1:4]:
        broadcast.publish([event], event.entry.revision)
    waiting[1].cancel()
    await asyncio.wait(waiting, timeout=0)
    assert [one.done() for one in waiting] == [False, True, False]
    assert [watch.revision for watch in watches] == [1, 1, 1, 4]
    late = broadcast.watch("/pods", "", 3)
    assert len(await anext(late)) == 1
    waiting_late = asyncio.ensure_future(anext(late))
    await asyncio.wait({waiting_late}, timeout=0)

    end_rest(broadcast)
    assert [len(await waiting[0]), len(await anext(watches[1])), len(await waiting[2])] == [3, 3, 3]
    assert not waiting_late.done()
    end_rest(broadcast)
    broadcast.publish([events[4]], 5)
    assert [event.entry.revision for event in await waiting_late] == [5]
    assert [watch.revision for watch in watches] == [4, 4, 4, 5]
    broadcast.close()
    with pytest.raises(StopAsyncIteration):
        await quiet
