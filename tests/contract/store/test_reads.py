"""What every store promises about reads, now and in the past."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import orjson
import pytest

from apiserver.store import (
    Compacted,
    Draft,
    Limits,
    Listing,
    Put,
    Remove,
    ResourceKey,
    Store,
    StoreUnavailable,
    Write,
)

Opener = Callable[[Limits], AbstractAsyncContextManager[Store]]


def key(name: str, namespace: str = "default", resource: str = "/pods") -> ResourceKey:
    """A pod's key."""
    return ResourceKey(resource, namespace, name)


def put(name: str, namespace: str = "default", resource: str = "/pods") -> Put:
    """An unconditional write."""
    return Put(key(name, namespace, resource), Draft({"metadata": {"name": name, "namespace": namespace}}), None)


def names(listing: Listing) -> list[str]:
    """`namespace/name@revision` of each entry."""
    return [f"{entry.key.namespace}/{entry.key.name}@{entry.revision}" for entry in listing.entries]


async def test_lists_are_ordered_and_scoped(store: Store) -> None:
    """A list has one resource, one namespace if asked, in key order."""
    await store.commit([put("b"), put("a", "kube"), put("a"), put("c", "default-2"), put("x", resource="/nodes")])
    assert names(store.list("/pods")) == ["default/a@3", "default/b@1", "default-2/c@4", "kube/a@2"]
    assert names(store.list("/pods", "default")) == ["default/a@3", "default/b@1"]
    assert names(store.list("/pods", "nowhere")) == []
    assert names(store.list("/secrets")) == []
    assert store.list("/pods").revision == 5
    assert (store.count("/pods"), store.count("/pods", "kube"), store.count("/secrets")) == (4, 1, 0)


async def test_a_list_is_a_snapshot(store: Store) -> None:
    """Later writes do not change a list that was handed out."""
    await store.commit([put("a"), put("b")])
    listing = store.list("/pods")
    await store.commit([Remove(key("a"), None), put("c"), put("b")])
    assert names(listing) == ["default/a@1", "default/b@2"]


async def test_list_joins_stored_bytes(store: Store) -> None:
    """The items of a list are the entries' own bytes with commas between."""
    await store.commit([put("a"), put("b")])
    listing = store.list("/pods")
    assert orjson.loads(b"[" + listing.json_items() + b"]") == [entry.obj for entry in listing.entries]
    assert store.list("/secrets").json_items() == b""


@pytest.mark.parametrize("window", [4096, 1], ids=["from the window", "from the log"])
async def test_lists_of_the_past(opener: Opener, window: int) -> None:
    """`list_at` tells each state that there was, whether memory still reaches back or not."""
    steps: list[Write] = [
        put("a"),
        put("b"),
        put("a"),
        Remove(key("b"), None),
        put("b"),
        put("c", "kube"),
        Remove(key("a"), None),
    ]
    async with opener(Limits(window_events=window)) as store:
        expected = [names(store.list("/pods"))] + [names(await _after(store, step)) for step in steps]
        actual = [names(await store.list_at("/pods", "", revision)) for revision in range(len(steps) + 1)]
        assert actual == expected
        assert names(await store.list_at("/pods", "kube", 5)) == []
        assert names(await store.list_at("/pods", "kube", 7)) == ["kube/c@6"]
        assert names(await store.list_at("/pods", "default", 3)) == ["default/a@3", "default/b@2"]


async def _after(store: Store, step: Write) -> Listing:
    await store.commit([step])
    return store.list("/pods")


async def test_past_and_future_have_limits(store: Store) -> None:
    """What is compacted raises Compacted, what has not happened ValueError."""
    await store.commit([put("a"), put("b"), put("a")])
    with pytest.raises(ValueError, match="future"):
        await store.list_at("/pods", "", 4)
    await store.compact(2)
    assert store.compacted == 2
    with pytest.raises(Compacted) as caught:
        await store.list_at("/pods", "", 1)
    assert (caught.value.revision, caught.value.oldest) == (1, 2)


@pytest.mark.parametrize("window", [4096, 1], ids=["from the window", "from the log"])
async def test_compaction_keeps_what_it_does_not_cover(opener: Opener, window: int) -> None:
    """From the compacted revision on every state reads as before, the present too."""
    steps: list[Write] = [
        put("a"),
        put("b"),
        put("a"),
        Remove(key("b"), None),
        put("c"),
        put("b"),
        Remove(key("a"), None),
        put("c"),
    ]
    async with opener(Limits(window_events=window, compact_step=2)) as store:
        before = [names(await _after(store, step)) for step in steps]
        for floor in (1, 4, 3, 5, 8):
            await store.compact(floor)
            assert store.compacted == max(floor, 4 if floor == 3 else floor)
            now = [names(await store.list_at("/pods", "", revision)) for revision in range(store.compacted, 9)]
            assert now == before[store.compacted - 1 :]
            assert names(store.list("/pods")) == before[-1]


async def test_names_are_free_after_compaction(store: Store) -> None:
    """A key whose deletion was compacted away can be created, changed and deleted again, twice over."""
    for _ in range(3):
        created = await store.commit([Put(key("a"), Draft({}), 0)])
        removed = await store.commit([Remove(key("a"), created.revision)])
        await store.compact(removed.revision)
    assert store.get(key("a")) is None


async def test_wait_for_returns_when_reached(store: Store) -> None:
    """A reader can wait until a revision is shown."""
    await store.wait_for(0)
    waiting = [asyncio.create_task(store.wait_for(revision)) for revision in (3, 1)]
    await store.commit([put("a")])
    await waiting[1]
    assert not waiting[0].done()
    await store.commit([put("a"), put("b")])
    await waiting[0]


async def test_a_closed_store_refuses(opener: Opener) -> None:
    """After the end, writes, watches and waits fail instead of hanging."""
    async with opener(Limits()) as store:
        waiting = asyncio.create_task(store.wait_for(5))
        await asyncio.wait({waiting}, timeout=0)
    with pytest.raises(StoreUnavailable):
        await waiting
    with pytest.raises(StoreUnavailable):
        await store.commit([put("a")])
    with pytest.raises(StoreUnavailable):
        store.watch("/pods", since=0)
