"""What every store promises about commits."""

import asyncio

import orjson
import pytest

from apiserver.store import (
    Draft,
    KeyExists,
    KeyMissing,
    Put,
    Remove,
    ResourceKey,
    RevisionConflict,
    Store,
    Write,
)

WEB = ResourceKey("/pods", "default", "web")
API = ResourceKey("/pods", "default", "api")


def draft(step: str) -> Draft:
    """An object that says which step made it."""
    return Draft({"kind": "Pod", "metadata": {"name": "web"}, "spec": {"step": step}})


async def test_revisions_are_one_sequence(store: Store) -> None:
    """Each write takes the next revision, and reads show it."""
    assert store.revision == 0
    first = await store.commit([Put(WEB, draft("a"), 0)])
    second = await store.commit([Put(API, draft("b"), 0), Put(WEB, draft("c"), first.revision)])
    assert (first.revision, second.revision, store.revision) == (1, 3, 3)
    assert [entry.revision for entry in second.entries] == [2, 3]
    assert [entry.created_revision for entry in second.entries] == [2, 1]
    assert store.get(WEB) is second.entries[1]


async def test_value_holds_its_revision(store: Store) -> None:
    """Bytes and object of an entry agree and name the entry's revision."""
    await store.commit([Put(API, draft("a"), 0)])
    entry = (await store.commit([Put(WEB, draft("b"), 0)])).entries[0]
    assert orjson.loads(entry.value) == entry.obj
    assert entry.obj["metadata"] == {"name": "web", "resourceVersion": "2"}


async def test_create_refuses_what_exists(store: Store) -> None:
    """Expecting 0 fails with what is there."""
    entry = (await store.commit([Put(WEB, draft("a"), 0)])).entries[0]
    with pytest.raises(KeyExists) as caught:
        await store.commit([Put(WEB, draft("b"), 0)])
    assert caught.value.current is entry
    assert store.get(WEB) is entry


async def test_update_refuses_a_stale_revision(store: Store) -> None:
    """Expecting another revision than the stored one fails with what is there and changes nothing."""
    await store.commit([Put(WEB, draft("a"), 0)])
    entry = (await store.commit([Put(WEB, draft("b"), 1)])).entries[0]
    writes: tuple[Write, ...] = (Put(WEB, draft("c"), 1), Remove(WEB, 1))
    for write in writes:
        with pytest.raises(RevisionConflict) as caught:
            await store.commit([write])
        assert caught.value.current is entry
    assert store.revision == 2


async def test_what_is_missing_can_not_be_changed(store: Store) -> None:
    """Update and removal of an absent key fail, whatever revision they expect."""
    writes: tuple[Write, ...] = (Put(WEB, draft("a"), 1), Remove(WEB, 1), Remove(WEB, None))
    for write in writes:
        with pytest.raises(KeyMissing):
            await store.commit([write])
    assert store.revision == 0


async def test_unconditional_put_creates_and_replaces(store: Store) -> None:
    """Expecting None takes whatever is there."""
    await store.commit([Put(WEB, draft("a"), None)])
    entry = (await store.commit([Put(WEB, draft("b"), None)])).entries[0]
    assert (entry.revision, entry.created_revision) == (2, 1)


async def test_commit_is_all_or_nothing(store: Store) -> None:
    """A refused write takes the others of its commit with it, and no revision is lost."""
    await store.commit([Put(WEB, draft("a"), 0)])
    writes: list[Write] = [Put(API, draft("b"), 0), Remove(WEB, 1), Put(WEB, draft("c"), 0), Put(API, draft("d"), 99)]
    with pytest.raises(RevisionConflict):
        await store.commit(writes)
    assert (store.get(API), store.revision) == (None, 1)
    assert (await store.commit([Put(API, draft("e"), 0)])).revision == 2
    assert (await store.commit([Remove(WEB, 1)])).revision == 3


async def test_later_writes_see_earlier_ones(store: Store) -> None:
    """One commit may change a key more than once."""
    commit = await store.commit(
        [Put(WEB, draft("a"), 0), Put(WEB, draft("b"), 1), Remove(WEB, 2), Put(WEB, draft("c"), 0)]
    )
    assert commit.revision == 4
    entry = store.get(WEB)
    assert entry is commit.entries[3]
    assert entry.created_revision == 4


async def test_removal_carries_the_last_state(store: Store) -> None:
    """A deletion is a revision with the draft, or what was stored, and that revision inside."""
    await store.commit([Put(WEB, draft("a"), 0), Put(API, draft("b"), 0)])
    kept = (await store.commit([Remove(WEB, None)])).entries[0]
    given = (await store.commit([Remove(API, 2, draft("last"))])).entries[0]
    assert (kept.obj["spec"], kept.obj["metadata"]["resourceVersion"]) == ({"step": "a"}, "3")
    assert (given.obj["spec"], given.created_revision, given.revision) == ({"step": "last"}, 2, 4)
    assert store.list("/pods").entries == []


async def test_a_name_can_be_used_again(store: Store) -> None:
    """After a deletion the key is free and a new life begins."""
    await store.commit([Put(WEB, draft("a"), 0)])
    await store.commit([Remove(WEB, 1)])
    with pytest.raises(KeyMissing):
        await store.commit([Put(WEB, draft("b"), 2)])
    entry = (await store.commit([Put(WEB, draft("b"), 0)])).entries[0]
    assert (entry.revision, entry.created_revision) == (3, 3)


async def test_one_of_many_rivals_wins(store: Store) -> None:
    """Of concurrent updates that expect the same revision exactly one is made."""
    await store.commit([Put(WEB, draft("a"), 0)])
    results = await asyncio.gather(
        *(store.commit([Put(WEB, draft(str(rival)), 1)]) for rival in range(50)), return_exceptions=True
    )
    assert sum(isinstance(result, RevisionConflict) for result in results) == 49
    assert store.revision == 2


async def test_concurrent_commits_keep_their_order(store: Store) -> None:
    """Commits are ordered as they were called."""
    keys = [ResourceKey("/pods", "default", f"p{number}") for number in range(300)]
    commits = await asyncio.gather(*(store.commit([Put(key, draft("a"), 0)]) for key in keys))
    assert [commit.revision for commit in commits] == list(range(1, 301))


async def test_commit_of_nothing(store: Store) -> None:
    """An empty commit is answered with the present revision."""
    await store.commit([Put(WEB, draft("a"), 0)])
    commit = await store.commit([])
    assert (commit.revision, commit.entries, store.revision) == (1, (), 1)


async def test_too_many_writes_are_refused(store: Store) -> None:
    """A commit is bounded."""
    with pytest.raises(ValueError, match="at most"):
        await store.commit([Put(WEB, draft("a"), None)] * 2000)
