"""Lists: selectors, consistent pages, and what a resourceVersion asks for."""

import asyncio

import pytest

from tests.contract.api.conftest import TABLE, Api, config_map, pod

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


def names(obj: dict[str, object]) -> list[str]:
    """The names in a list, in order."""
    items = obj["items"]
    assert isinstance(items, list)
    return [item["metadata"]["name"] for item in items]


async def many(api: Api, count: int) -> None:
    """Make config maps m0, m1 …, every second with the label even=yes."""
    for number in range(count):
        labels = {"even": "yes"} if number % 2 == 0 else {}
        await api.make(MAPS, config_map(f"m{number}", labels=labels))


async def test_pages_are_one_snapshot(api: Api) -> None:
    """Pages continue the list of the first page's revision, whatever is written between them."""
    await many(api, 5)
    first = (await api("GET", MAPS, limit=2)).obj
    assert names(first) == ["m0", "m1"]
    assert first["metadata"]["remainingItemCount"] == 3
    await api("DELETE", f"{MAPS}/m2")
    await api.make(MAPS, config_map("m9"))
    second = (await api("GET", MAPS, limit=2, **{"continue": first["metadata"]["continue"]})).obj
    assert names(second) == ["m2", "m3"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    last = (await api("GET", MAPS, limit=2, **{"continue": second["metadata"]["continue"]})).obj
    assert names(last) == ["m4"]
    assert "continue" not in last["metadata"]


async def test_pages_with_a_selector(api: Api) -> None:
    """With a selector a page is filled with what matches, and how much is left is not told."""
    await many(api, 6)
    first = (await api("GET", MAPS, limit=2, labelSelector="even=yes")).obj
    assert names(first) == ["m0", "m2"]
    assert "remainingItemCount" not in first["metadata"]
    last = (
        await api("GET", MAPS, limit=2, labelSelector="even=yes", **{"continue": first["metadata"]["continue"]})
    ).obj
    assert names(last) == ["m4"]
    assert "continue" not in last["metadata"]


async def test_an_expired_token_comes_with_a_fresh_one(api: Api) -> None:
    """After compaction a page answers 410 Expired; the token in it goes on with what is there now."""
    await many(api, 4)
    first = (await api("GET", MAPS, limit=2)).obj
    api.app.reader.forget()
    await api("DELETE", f"{MAPS}/m3")
    await api.store.compact(api.store.revision)
    expired = await api("GET", MAPS, limit=2, **{"continue": first["metadata"]["continue"]})
    assert (expired.status, expired.reason) == (410, "Expired")
    rest = (await api("GET", MAPS, limit=2, **{"continue": expired.obj["metadata"]["continue"]})).obj
    assert names(rest) == ["m2"]


async def test_selectors(api: Api) -> None:
    """Labels and fields select; the name can be selected by on every kind."""
    await many(api, 3)
    assert names((await api("GET", MAPS, labelSelector="even")).obj) == ["m0", "m2"]
    assert names((await api("GET", MAPS, labelSelector="even!=yes")).obj) == ["m1"]
    assert names((await api("GET", MAPS, fieldSelector="metadata.name=m1")).obj) == ["m1"]
    everywhere = await api("GET", "/api/v1/configmaps", fieldSelector="metadata.namespace!=default")
    assert names(everywhere.obj) == []
    bound = pod("bound")
    bound["spec"]["nodeName"] = "node-1"
    await api.make(PODS, bound)
    await api.make(PODS, pod("free"))
    assert names((await api("GET", PODS, fieldSelector="spec.nodeName=node-1")).obj) == ["bound"]
    assert names((await api("GET", PODS, fieldSelector="spec.nodeName=")).obj) == ["free"]


async def test_revisions_of_reads(api: Api) -> None:
    """Exact shows the past, NotOlderThan and 0 the present, a revision nobody has seen is a Timeout."""
    await many(api, 1)
    old = (await api("GET", MAPS)).obj["metadata"]["resourceVersion"]
    await api.make(MAPS, config_map("new"))
    exact = (await api("GET", MAPS, resourceVersion=old, resourceVersionMatch="Exact")).obj
    assert (names(exact), exact["metadata"]["resourceVersion"]) == (["m0"], old)
    for query in ({"resourceVersion": "0"}, {"resourceVersion": old, "resourceVersionMatch": "NotOlderThan"}):
        assert names((await api("GET", MAPS, **query)).obj) == ["m0", "new"]
    legacy = (await api("GET", MAPS, resourceVersion=old, limit=5)).obj
    assert names(legacy) == ["m0"]
    ahead = await api("GET", MAPS, resourceVersion=api.store.revision + 100)
    assert (ahead.status, ahead.reason) == (504, "Timeout")
    assert ahead.obj["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_a_read_waits_for_its_revision(api: Api) -> None:
    """A list that wants a later revision answers once that is there."""
    reading = asyncio.create_task(api("GET", MAPS, resourceVersion=api.store.revision + 1))
    await asyncio.sleep(0)
    await api.make(MAPS, config_map("late"))
    assert "late" in names((await reading).obj)


async def test_a_table_can_hold_whole_objects(api: Api) -> None:
    """`includeObject` decides what a row carries beside its cells."""
    await many(api, 1)
    rows = (await api("GET", MAPS, accept=TABLE, includeObject="Object")).obj["rows"]
    assert rows[0]["object"]["data"] == {"k": "v"}
    rows = (await api("GET", MAPS, accept=TABLE, includeObject="None")).obj["rows"]
    assert rows[0]["object"] is None


async def test_yaml_answers(api: Api) -> None:
    """A client that takes YAML gets it."""
    await many(api, 1)
    answer = await api("GET", f"{MAPS}/m0", accept="application/yaml")
    assert answer.headers["Content-Type"] == "application/yaml"
    assert "\nkind: ConfigMap\n" in "\n" + answer.text


@pytest.mark.parametrize(
    ("revision", "why"), [("x", "invalid syntax"), (str(1 << 64), "value out of range"), ("9" * 5000, "out of range")]
)
async def test_a_revision_is_a_number_of_64_bits(api: Api, revision: str, why: str) -> None:
    """Anything else is a bad request, for lists and watches, also where it is too long to be read as a number."""
    for more in ({}, {"watch": "true"}):
        answer = await api("GET", MAPS, resourceVersion=revision, **more)
        assert (answer.status, answer.reason) == (400, "BadRequest")
        assert answer.message.endswith(why)
