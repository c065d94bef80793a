"""Informers: from a watch's events to a cache and its changes."""

from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.selectors import LabelSelector
from miniplane.client import Apply, Bookmark, Delete, Init, InitApply, InitDone, Selection
from miniplane.kinds import POD
from miniplane.runtime import Change, Informer


def pod(name: str, revision: int, *, uid: str = "", namespace: str = "a", app: str = "web") -> Object:
    """A pod at a revision."""
    metadata = {"name": name, "namespace": namespace, "uid": uid or name, "labels": {"app": app}}
    return {"metadata": {**metadata, "resourceVersion": str(revision)}}


def listed(informer: Informer, revision: int, *objects: Object) -> None:
    """Feed a whole list."""
    informer.take(Init())
    for obj in objects:
        informer.take(InitApply(obj))
    informer.take(InitDone(str(revision)))


def made() -> tuple[Informer, list[Change]]:
    """An informer with a handler that remembers."""
    informer = Informer(POD, Selection())
    changes: list[Change] = []
    informer.subscribe(changes.append)
    return informer, changes


def test_half_a_list_is_not_seen() -> None:
    """During a list the cache shows the state before it; with InitDone it changes at once."""
    informer, changes = made()
    informer.take(Init())
    informer.take(InitApply(pod("x", 1)))
    assert (len(informer.cache), changes, informer.is_synced) == (0, [], False)
    informer.take(InitDone("5"))
    assert (informer.cache.keys, informer.cache.revision) == ([Key("a", "x")], 5)
    assert informer.is_synced
    assert changes == [Change(None, pod("x", 1))]


def test_a_second_list_tells_only_differences() -> None:
    """After a re-list, what is unchanged is not told; what is missing is told as gone."""
    informer, changes = made()
    listed(informer, 5, pod("same", 1), pod("changed", 2), pod("gone", 3))
    changes.clear()
    listed(informer, 9, pod("same", 1), pod("changed", 8), pod("new", 7))
    assert changes == [
        Change(pod("gone", 3), None),
        Change(pod("changed", 2), pod("changed", 8)),
        Change(None, pod("new", 7)),
    ]


def test_a_replaced_object_is_two_changes() -> None:
    """Another uid under the same name means that the old object was deleted meanwhile."""
    informer, changes = made()
    listed(informer, 5, pod("x", 1, uid="first"))
    changes.clear()
    listed(informer, 9, pod("x", 8, uid="second"))
    assert changes == [Change(pod("x", 1, uid="first"), None), Change(None, pod("x", 8, uid="second"))]


def test_changes_move_the_revision() -> None:
    """The cache knows up to which revision it is complete, from changes, deletions and bookmarks."""
    informer, _ = made()
    listed(informer, 5)
    informer.take(Apply(pod("x", 6)))
    assert informer.cache.revision == 6
    informer.take(Delete(pod("x", 7)))
    assert (informer.cache.revision, len(informer.cache)) == (7, 0)
    informer.take(Bookmark("9"))
    assert informer.cache.revision == 9


def test_a_late_handler_hears_what_is_there() -> None:
    """Subscribing tells the present objects as new ones; unsubscribing ends it."""
    informer, _ = made()
    listed(informer, 5, pod("x", 1))
    late: list[Change] = []
    stop = informer.subscribe(late.append)
    assert late == [Change(None, pod("x", 1))]
    stop()
    informer.take(Apply(pod("y", 6)))
    assert len(late) == 1


def test_a_cache_is_read_by_namespace_selector_and_index() -> None:
    """Lists narrow by namespace and labels; an index follows changes and deletions."""
    informer, _ = made()
    informer.add_index("app", lambda obj: [obj["metadata"]["labels"]["app"]])
    listed(informer, 5, pod("x", 1), pod("y", 2, app="db"), pod("z", 3, namespace="b"))
    cache = informer.cache
    assert [obj["metadata"]["name"] for obj in cache.list("a", LabelSelector.parse("app=web"))] == ["x"]
    assert {obj["metadata"]["name"] for obj in cache.by_index("app", "web")} == {"x", "z"}
    informer.take(Apply(pod("x", 6, app="db")))
    informer.take(Delete(pod("z", 7, namespace="b")))
    assert cache.by_index("app", "web") == []
    assert {obj["metadata"]["name"] for obj in cache.by_index("app", "db")} == {"x", "y"}
    assert [obj["metadata"]["resourceVersion"] for obj in cache.list("a", LabelSelector.parse("app=db"))] == ["2", "6"]
    assert cache.list("a", LabelSelector.parse("app=web")) == []
    assert cache.list("a", LabelSelector.parse("app=db,tier=front")) == []
    assert cache.list("b", LabelSelector.parse("app=web")) == []
    assert cache.list("b") == []
