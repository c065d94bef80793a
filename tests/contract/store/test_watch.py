"""What every store promises about watches."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import orjson
import pytest

from apiserver.store import (
    About,
    Compacted,
    Draft,
    Event,
    Limits,
    Put,
    Remove,
    ResourceKey,
    SlowConsumer,
    Store,
    Subscription,
)

Opener = Callable[[Limits], AbstractAsyncContextManager[Store]]


def key(name: str, namespace: str = "default", resource: str = "/pods") -> ResourceKey:
    """A pod's key."""
    return ResourceKey(resource, namespace, name)


def put(name: str, namespace: str = "default", resource: str = "/pods") -> Put:
    """An unconditional write."""
    return Put(key(name, namespace, resource), Draft({"metadata": {"name": name}}), None)


def told(events: Sequence[Event]) -> list[str]:
    """`TYPE name@revision` of each event."""
    return [f"{event.type} {event.entry.key.name}@{event.entry.revision}" for event in events]


async def read(watch: Subscription, amount: int) -> list[str]:
    """The next events, as `told`; more than asked for if a batch holds more."""
    found: list[Event] = []
    while len(found) < amount:
        found += await anext(watch)
    return told(found)


async def waits(watch: Subscription) -> bool:
    """Whether the watch has nothing to tell; leaves it as it was."""
    task = asyncio.ensure_future(anext(watch))
    await asyncio.wait({task}, timeout=0)
    if task.done():
        return False
    task.cancel()
    await asyncio.wait({task})
    return True


async def test_events_tell_what_happened(store: Store) -> None:
    """Creation, change and deletion come in order with the state before."""
    watch = store.watch("/pods", since=0)
    await store.commit([put("a")])
    await store.commit([put("a")])
    await store.commit([Remove(key("a"), 2), put("b")])
    events = await anext(watch)
    assert told(events) == ["ADDED a@1", "MODIFIED a@2", "DELETED a@3", "ADDED b@4"]
    assert [event.previous and event.previous.revision for event in events] == [None, 1, 2, None]
    assert events[2].entry.obj["metadata"] == {"name": "a", "resourceVersion": "3"}


async def test_line_is_the_wire_form(store: Store) -> None:
    """An event's line is one JSON document with type and object."""
    watch = store.watch("/pods", since=0)
    await store.commit([put("a")])
    (event,) = await anext(watch)
    assert event.line.endswith(b"}\n")
    assert orjson.loads(event.line) == {"type": "ADDED", "object": event.entry.obj}
    assert event.line is event.line


async def test_watch_resumes_anywhere(store: Store) -> None:
    """From any revision on, a watch tells exactly what came after it."""
    whole = ["ADDED a@1", "ADDED b@2", "MODIFIED a@3", "DELETED b@4"]
    await store.commit([put("a"), put("b")])
    await store.commit([put("a"), Remove(key("b"), None)])
    for since in range(4):
        assert await read(store.watch("/pods", since=since), 4 - since) == whole[since:]
    assert await waits(store.watch("/pods", since=4))


async def test_watch_is_scoped(store: Store) -> None:
    """A watch sees its resource and, if asked, its namespace only, also when others are busy while it waits."""
    watch = store.watch("/pods", "kube", since=0)
    waiting = asyncio.ensure_future(anext(watch))
    await store.commit([put("a"), put("kube", resource="/nodes")])
    await store.commit([put("b", "kubernetes")])
    assert not waiting.done()
    await store.commit([put("c"), put("d", "kube"), put("e")])
    assert told(await waiting) == ["ADDED d@5"]
    await store.commit([put("f"), put("g", "kube")])
    assert await read(watch, 1) == ["ADDED g@8"]


def bound(name: str, node: str, namespace: str = "default") -> Put:
    """A pod on a node."""
    return Put(key(name, namespace), Draft({"metadata": {"name": name}, "spec": {"nodeName": node}}), None)


def of_node(node: str) -> About:
    """The pods of a node."""
    return About("spec.nodeName", node, lambda obj: str((obj.get("spec") or {}).get("nodeName", "")))


async def test_watch_of_a_value(store: Store) -> None:
    """A watch about a value hears of objects that have it, get it, lose it or go with it, and of no others."""
    start = store.revision
    one = store.watch("/pods", since=start, about=of_node("n1"))
    in_default = store.watch("/pods", "default", since=start, about=of_node("n1"))
    woken: list[str] = []
    await store.commit([bound("a", "n2"), bound("b", "n2", "other")])
    assert one.take() == ()
    one.on_ready(lambda: woken.append("one"))
    await store.commit([bound("a", "n3")])
    await asyncio.sleep(0)
    assert woken == []
    await store.commit([bound("a", "n1"), bound("b", "n1", "other")])
    await store.commit([bound("a", "n2"), bound("b", "n1", "other"), bound("c", "n2")])
    await store.commit([Remove(key("b", "other"), None), Remove(key("c"), None)])
    assert woken == ["one"]
    first = start + 4
    whole = [f"MODIFIED a@{first}", f"MODIFIED b@{first + 1}", f"MODIFIED a@{first + 2}", f"MODIFIED b@{first + 3}"]
    assert await read(one, 5) == [*whole, f"DELETED b@{first + 5}"]
    assert await read(in_default, 2) == [f"MODIFIED a@{first}", f"MODIFIED a@{first + 2}"]
    assert await waits(one)
    assert one.revision == store.revision


async def test_list_then_watch_has_no_gap(store: Store) -> None:
    """Under concurrent writes, a list and a watch from its revision give every change exactly once."""

    async def write(number: int) -> None:
        for step in range(20):
            await store.commit([put(f"{number}-{step}")])

    async def follow() -> list[int]:
        listing = store.list("/pods")
        seen = [entry.revision for entry in listing.entries]
        watch = store.watch("/pods", since=listing.revision)
        while len(seen) < 160:
            seen += [event.entry.revision for event in await anext(watch)]
        return sorted(seen)

    followers = []
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(write(number))
            followers += [group.create_task(follow()) for _ in range(3)]
            await store.commit([put("other", resource="/nodes")])
    expected = sorted(entry.revision for entry in store.list("/pods").entries)
    assert [follower.result() for follower in followers] == [expected] * 24


async def test_cancelling_a_read_loses_nothing(store: Store) -> None:
    """A batch that was under way when the reader was cancelled comes with the next read."""
    watch = store.watch("/pods", since=0)
    assert await waits(watch)
    await store.commit([put("a")])
    task = asyncio.ensure_future(anext(store.watch("/pods", since=1)))
    reading = asyncio.ensure_future(anext(watch))
    await reading
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.wait({waiting, task}, timeout=0)
    await store.commit([put("b")])
    waiting.cancel()
    await asyncio.wait({waiting})
    assert told(await task) == ["ADDED b@2"]
    if waiting.cancelled():
        assert await read(watch, 1) == ["ADDED b@2"]
    else:
        assert told(waiting.result()) == ["ADDED b@2"]


async def test_a_slow_watch_is_closed(opener: Opener) -> None:
    """A watch that falls behind the window ends with SlowConsumer; one that keeps up goes on."""
    async with opener(Limits(window_events=8)) as store:
        slow, quick = store.watch("/pods", since=0), store.watch("/pods", since=0)
        for step in range(1, 30):
            await store.commit([put("a")])
            assert await read(quick, 1) == [f"{'MODIFIED' if step > 1 else 'ADDED'} a@{step}"]
        with pytest.raises(SlowConsumer):
            await anext(slow)
        with pytest.raises(StopAsyncIteration):
            await anext(slow)


async def test_a_quiet_watch_is_not_slow(opener: Opener) -> None:
    """A watch that waits stays alive however much happens elsewhere in its resource."""
    async with opener(Limits(window_events=8)) as store:
        watch = store.watch("/pods", "kube", since=0)
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.wait({waiting}, timeout=0)
        for _ in range(50):
            await store.commit([put("a")])
        await store.commit([put("b", "kube")])
        assert told(await waiting) == ["ADDED b@51"]


async def test_too_old_is_compacted(opener: Opener) -> None:
    """Resuming before the window raises Compacted, for a resource that was quiet it does not."""
    async with opener(Limits(window_events=8)) as store:
        await store.commit([put("n", resource="/nodes")])
        for _ in range(30):
            await store.commit([put("a")])
        with pytest.raises(Compacted):
            store.watch("/pods", since=2)
        assert await read(store.watch("/nodes", since=0), 1) == ["ADDED n@1"]
        with pytest.raises(ValueError, match="future"):
            store.watch("/pods", since=32)


async def test_large_objects_shorten_the_window(opener: Opener) -> None:
    """Memory is bounded in bytes as well as in events."""
    async with opener(Limits(window_bytes=10_000)) as store:
        for _ in range(10):
            await store.commit([Put(key("a"), Draft({"data": "x" * 3000}), None)])
        with pytest.raises(Compacted) as caught:
            store.watch("/pods", since=1)
        assert len(await read(store.watch("/pods", since=caught.value.oldest), 1)) in (2, 3)


async def test_batches_are_bounded(opener: Opener) -> None:
    """One batch holds no more than the limit and the rest follows in order."""
    async with opener(Limits(watch_batch=10)) as store:
        await store.commit([put(f"{number:02}", "b" if number % 3 else "a") for number in range(25)])
        watch = store.watch("/pods", since=0)
        assert [len(await anext(watch)) for _ in range(3)] == [10, 10, 5]
        narrow = store.watch("/pods", "a", since=0)
        assert len(await read(narrow, 9)) == 9


async def test_revision_is_what_was_handed_out(store: Store) -> None:
    """A bookmark's revision never promises an event that has not been read, and moves on when others write."""
    watch = store.watch("/pods", since=0)
    await store.commit([put("n", resource="/nodes")])
    assert watch.revision == 1
    await store.commit([put("a"), put("b")])
    assert watch.revision == 1
    await anext(watch)
    assert watch.revision == 3
    waiting = asyncio.ensure_future(anext(watch))
    await store.commit([put("n", resource="/nodes")])
    assert watch.revision == 4
    waiting.cancel()
    await asyncio.wait({waiting})


async def test_close_ends_a_waiting_watch(store: Store) -> None:
    """Closing stops the iteration, also of a reader that waits; closing again does nothing."""
    watch = store.watch("/pods", since=0)
    waiting = asyncio.ensure_future(_drain(watch))
    await asyncio.wait({waiting}, timeout=0)
    watch.close()
    watch.close()
    assert await waiting == []


async def test_closing_the_store_ends_watches(opener: Opener) -> None:
    """No watch outlives its store."""
    async with opener(Limits()) as store:
        waiting = asyncio.ensure_future(_drain(store.watch("/pods", since=0)))
        await asyncio.wait({waiting}, timeout=0)
    assert await waiting == []


async def _drain(watch: Subscription) -> list[str]:
    return [line async for batch in watch for line in told(batch)]


async def test_a_callback_tells_of_what_can_be_taken(store: Store) -> None:
    """Without a task: called once for the first of what comes, and again only when asked to again."""
    watch = store.watch("/pods", "default", since=0)
    calls: list[str] = []
    assert watch.take() == ()
    watch.on_ready(lambda: calls.append("ready"))
    await store.commit([put("x", "other")])
    assert calls == []
    await store.commit([put("a")])
    await store.commit([put("b")])
    assert calls == ["ready"]
    assert told(watch.take()) == ["ADDED a@2", "ADDED b@3"]
    assert watch.take() == ()
    await store.commit([put("c")])
    assert calls == ["ready"]
    assert not watch.closed


async def test_a_callback_tells_of_the_end(store: Store) -> None:
    """Of a watch that is closed while it waits, and at once of one that is closed already."""
    watch = store.watch("/pods", since=0)
    calls: list[str] = []
    watch.on_ready(lambda: calls.append("ended"))
    watch.close()
    assert (calls, watch.closed) == (["ended"], True)
    watch.on_ready(lambda: calls.append("ended before"))
    assert calls == ["ended", "ended before"]
    await store.commit([put("a")])
    assert watch.take() == ()
