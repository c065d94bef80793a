"""Deletion: grace, finalizers, policies, preconditions, namespaces."""

import asyncio
from typing import Any

import pytest

from tests.contract.api.conftest import MERGE, Api, config_map, pod

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


async def bound(api: Api, name: str = "web") -> None:
    """A pod on a node."""
    made = pod(name)
    made["spec"]["nodeName"] = "node-1"
    await api.make(PODS, made)


async def test_a_pod_without_node_goes_at_once(api: Api) -> None:
    """Nobody runs it, so nobody is waited for; the answer is the pod."""
    await api.make(PODS, pod())
    answer = await api("DELETE", f"{PODS}/web")
    assert answer.obj["kind"] == "Pod"
    assert (await api("GET", f"{PODS}/web")).status == 404


async def test_a_pod_on_a_node_is_given_time(api: Api) -> None:
    """It is marked with a time and stays until its node deletes it with grace 0; a shorter grace counts."""
    await bound(api)
    meta = (await api("DELETE", f"{PODS}/web")).obj["metadata"]
    assert meta["deletionGracePeriodSeconds"] == 30
    assert meta["deletionTimestamp"]
    revision = api.store.revision
    assert (await api("DELETE", f"{PODS}/web", {"gracePeriodSeconds": 60})).status == 200
    assert api.store.revision == revision
    meta = (await api("DELETE", f"{PODS}/web", {"gracePeriodSeconds": 5})).obj["metadata"]
    assert meta["deletionGracePeriodSeconds"] == 5
    await api("DELETE", f"{PODS}/web", gracePeriodSeconds=0)
    assert (await api("GET", f"{PODS}/web")).status == 404


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_finished_pod_goes_at_once(api: Api, phase: str) -> None:
    """A pod that has ended needs no time to end."""
    await bound(api)
    await api("PATCH", f"{PODS}/web/status", {"status": {"phase": phase}}, media=MERGE)
    await api("DELETE", f"{PODS}/web")
    assert (await api("GET", f"{PODS}/web")).status == 404


async def test_finalizers_hold_an_object(api: Api) -> None:
    """It is marked, refuses new finalizers, and goes with the update that removes the last one."""
    await api.make(MAPS, config_map(finalizers=["example.com/hold"]))
    marked = await api("DELETE", f"{MAPS}/a")
    assert marked.obj["metadata"]["deletionTimestamp"]
    more = {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
    assert (await api("PATCH", f"{MAPS}/a", more, media=MERGE)).status == 422
    since = api.store.revision
    last = await api("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": None}}, media=MERGE)
    assert last.status == 200
    assert (await api("GET", f"{MAPS}/a")).status == 404
    assert [event["type"] for event in await api.watch(MAPS, resourceVersion=since)] == ["DELETED"]


@pytest.mark.parametrize(
    ("options", "query", "finalizers"),
    [
        ({"propagationPolicy": "Foreground"}, {}, ["foregroundDeletion"]),
        ({"propagationPolicy": "Orphan"}, {}, ["orphan"]),
        ({"orphanDependents": True}, {}, ["orphan"]),
        (None, {"propagationPolicy": "Foreground"}, ["foregroundDeletion"]),
        ({}, {"propagationPolicy": "Orphan"}, ["orphan"]),
    ],
)
async def test_policies_that_wait_for_dependents(
    api: Api, options: Any, query: dict[str, str], finalizers: list[str]
) -> None:
    """Foreground and Orphan leave the object with a finalizer for the garbage collector, from body or query."""
    await api.make(MAPS, config_map())
    answer = await api("DELETE", f"{MAPS}/a", options, **query)
    assert answer.obj["metadata"]["finalizers"] == finalizers
    assert (await api("GET", f"{MAPS}/a")).obj["metadata"]["deletionTimestamp"]


async def test_background_goes_at_once(api: Api) -> None:
    """Background is the default; the Status names what went."""
    made = await api.make(MAPS, config_map())
    answer = await api("DELETE", f"{MAPS}/a", {"propagationPolicy": "Background"})
    assert answer.obj["status"] == "Success"
    assert answer.obj["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}


async def test_preconditions(api: Api) -> None:
    """A wrong uid or revision is a Conflict; the right ones delete."""
    meta = (await api.make(MAPS, config_map()))["metadata"]
    for wrong in ({"uid": "other"}, {"resourceVersion": "1"}):
        answer = await api("DELETE", f"{MAPS}/a", {"preconditions": wrong})
        assert (answer.status, answer.reason) == (409, "Conflict")
        assert "Precondition failed" in answer.message
    right = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    assert (await api("DELETE", f"{MAPS}/a", {"preconditions": right})).status == 200


@pytest.mark.parametrize(
    "options",
    [
        {"propagationPolicy": "Bogus"},
        {"propagationPolicy": "Orphan", "orphanDependents": True},
        {"dryRun": ["Some"]},
        {"gracePeriodSeconds": "x"},
        {"kind": "Pod"},
    ],
)
async def test_bad_options(api: Api, options: Any) -> None:
    """DeleteOptions that make no sense are refused and delete nothing."""
    await api.make(MAPS, config_map())
    assert (await api("DELETE", f"{MAPS}/a", options)).status in (400, 422)
    assert (await api("GET", f"{MAPS}/a")).status == 200


async def test_a_namespace_empties_before_it_goes(api: Api) -> None:
    """It turns Terminating, takes no new content, and goes when its finalizers are taken through /finalize."""
    await api.make("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    marked = await api("DELETE", "/api/v1/namespaces/shop")
    assert marked.obj["status"]["phase"] == "Terminating"
    answer = await api("POST", "/api/v1/namespaces/shop/configmaps", config_map())
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert "because it is being terminated" in answer.message
    assert answer.obj["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    body = marked.obj | {"spec": {}}
    assert (await api("PUT", "/api/v1/namespaces/shop/finalize", body)).status == 200
    assert (await api("GET", "/api/v1/namespaces/shop")).status == 404


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_some_namespaces_stay(api: Api, name: str) -> None:
    """The system's namespaces can't be deleted."""
    answer = await api("DELETE", f"/api/v1/namespaces/{name}")
    assert (answer.status, answer.message) == (
        403,
        f'namespaces "{name}" is forbidden: this namespace may not be deleted',
    )


async def test_two_collections_deleted_at_once(api: Api) -> None:
    """What another request has taken away meanwhile is no error: both go on to their end."""
    for number in range(20):
        await api.make(MAPS, config_map(f"m{number}"))
    answers = await asyncio.gather(api("DELETE", MAPS), api("DELETE", MAPS))
    assert [answer.status for answer in answers] == [200, 200], answers
    assert (await api("GET", MAPS)).obj["items"] == []
