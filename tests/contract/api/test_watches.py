"""Watches: where they start, what they show, how they end."""

import asyncio

import orjson

from tests.contract.api.conftest import JSON_PATCH, MERGE, TABLE, Api, config_map, pod

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


async def label(api: Api, name: str, value: str | None) -> None:
    """Set or remove the label `on`."""
    answer = await api("PATCH", f"{MAPS}/{name}", {"metadata": {"labels": {"on": value}}}, media=MERGE)
    assert answer.status == 200


async def test_without_a_revision_what_is_there_comes_first(api: Api) -> None:
    """A watch from nowhere or from 0 begins with ADDED for everything."""
    await api.make(MAPS, config_map("a"))
    for query in ({}, {"resourceVersion": "0"}):
        events = await api.watch(MAPS, **query)
        assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [("ADDED", "a")]


async def test_objects_enter_and_leave_a_selection(api: Api) -> None:
    """Entering a selector is ADDED; leaving it is DELETED with the last state that matched, at the new revision."""
    since = api.store.revision
    await api.make(MAPS, config_map("a"))
    await label(api, "a", "yes")
    await api("PATCH", f"{MAPS}/a", {"data": {"k": "w"}}, media=MERGE)
    await label(api, "a", None)
    left = str(api.store.revision)
    await label(api, "a", "yes")
    await api("DELETE", f"{MAPS}/a")
    events = await api.watch(MAPS, resourceVersion=since, labelSelector="on=yes")
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    gone = events[2]["object"]
    assert gone["metadata"]["labels"] == {"on": "yes"}
    assert gone["metadata"]["resourceVersion"] == left
    assert events[4]["object"]["metadata"]["resourceVersion"] == str(api.store.revision)


async def test_field_selectors_follow_a_change(api: Api) -> None:
    """A pod that gets a node enters the watch of that node's pods."""
    await api.make("/api/v1/nodes", {"metadata": {"name": "node-1"}})
    since = api.store.revision
    await api.make(PODS, pod())
    target = {"target": {"kind": "Node", "name": "node-1"}, "metadata": {"name": "web"}}
    assert (await api("POST", f"{PODS}/web/binding", target)).status == 201
    events = await api.watch(PODS, resourceVersion=since, fieldSelector="spec.nodeName=node-1")
    assert [event["type"] for event in events] == ["ADDED"]
    unbound = await api.watch(PODS, resourceVersion=since, fieldSelector="spec.nodeName=")
    assert [event["type"] for event in unbound] == ["ADDED", "DELETED"]


async def test_a_named_object_is_watched_alone(api: Api) -> None:
    """Only the one name is seen, by field selector or by path."""
    since = api.store.revision
    await api.make(MAPS, config_map("a"))
    await api.make(MAPS, config_map("b"))
    for path, query in ((MAPS, {"fieldSelector": "metadata.name=b"}), (f"{MAPS}/b", {})):
        events = await api.watch(path, resourceVersion=since, **query)
        assert [event["object"]["metadata"]["name"] for event in events] == ["b"]


async def test_watch_list(api: Api) -> None:
    """With sendInitialEvents everything comes first, then a bookmark that says so, then what happens."""
    await api.make(MAPS, config_map("a"))
    events = await api.watch(
        MAPS, sendInitialEvents="true", resourceVersionMatch="NotOlderThan", allowWatchBookmarks="true"
    )
    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK", "BOOKMARK"]
    meta = events[1]["object"]["metadata"]
    assert meta["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert meta["resourceVersion"] == str(api.store.revision)
    assert "annotations" not in events[2]["object"]["metadata"]


async def test_a_last_bookmark_tells_how_far(api: Api) -> None:
    """At the end of its time a watch with bookmarks says which revision it has reached."""
    since = api.store.revision
    await api.make(PODS, pod())
    events = await api.watch(MAPS, resourceVersion=since, allowWatchBookmarks="true")
    assert [event["type"] for event in events] == ["BOOKMARK"]
    assert events[0]["object"]["metadata"]["resourceVersion"] == str(api.store.revision)
    assert events[0]["object"]["kind"] == "ConfigMap"


async def test_a_revision_that_is_too_old(api: Api) -> None:
    """A watch from before the window answers 200 with one ERROR event that holds a 410 Status."""
    await api.make(MAPS, config_map("a"))
    for number in range(700):
        patch = [{"op": "add", "path": "/data/k", "value": str(number)}]
        await api("PATCH", f"{MAPS}/a", patch, media=JSON_PATCH)
    events = await api.watch(MAPS, resourceVersion="1")
    assert [event["type"] for event in events] == ["ERROR"]
    assert (events[0]["object"]["code"], events[0]["object"]["reason"]) == (410, "Expired")


async def test_events_as_tables_and_metadata(api: Api) -> None:
    """A watch that asks for Tables gets one row an event; for metadata, metadata."""
    since = api.store.revision
    await api.make(MAPS, config_map("a"))
    for accept, kind in ((TABLE, "Table"), ("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "Partial")):
        answer = await api(
            "GET", MAPS, accept=accept, watch="1", timeoutSeconds=1, resourceVersion=since, allowWatchBookmarks="1"
        )
        events = [orjson.loads(line) for line in answer.text.splitlines()]
        assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
        assert all(event["object"]["kind"].startswith(kind) for event in events)


async def test_the_head_comes_at_once(api: Api) -> None:
    """A quiet watch answers its head before anything happens, and then each event as it happens."""
    async with await api.stream(MAPS, resourceVersion=api.store.revision) as response:
        assert response.status == 200
        await api.make(MAPS, config_map("a"))
        async with asyncio.timeout(5):
            event = orjson.loads(await response.content.readline())
        assert event["type"] == "ADDED"


async def test_a_stopping_server_ends_its_watches(api: Api) -> None:
    """Closing the watches ends each answer properly, so that clients start again elsewhere."""
    async with await api.stream(MAPS, resourceVersion=api.store.revision) as response:
        api.app.watches.close()
        async with asyncio.timeout(5):
            assert await response.content.read() == b""
