"""The scheduler, on the real API server."""

import asyncio
from typing import Any

import pytest

from controllers.scheduler import scheduler
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.kinds import EVENT, NODE, POD

PROMPT_S = 5.0
"""Well below the ten seconds after which a pod that fits nowhere is looked at anyway."""


def pod(name: str, cpu: str) -> Object:
    """A pod that asks for CPU."""
    container = {"name": "c", "image": "x", "resources": {"requests": {"cpu": cpu}}}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [container]}}


def is_bound(obj: Object) -> bool:
    """Whether a pod has a node."""
    return bool(obj["spec"].get("nodeName"))


@pytest.mark.parametrize("by", ["end", "deletion"])
async def test_room_that_a_pod_leaves_is_taken_at_once(world: Any, by: str) -> None:
    """A pod that fits nowhere is placed as soon as another ends or goes, not at its next turn."""
    await world.client.create(NODE, {"metadata": {"name": "a"}})
    amounts = {"cpu": "2", "memory": "4Gi", "pods": "10"}
    status = {"capacity": amounts, "allocatable": amounts}
    await world.client.patch(NODE, Key("", "a"), {"status": status}, subresource="status")
    async with world.running(scheduler.controller()):
        first, second = Key("default", "first"), Key("default", "second")
        await world.client.create(POD, pod("first", "1500m"))
        await world.until_one(POD, first, is_bound)
        await world.client.create(POD, pod("second", "1500m"))
        await world.until_one(POD, second, lambda obj: bool(obj["status"].get("conditions")))
        if by == "end":
            await world.client.patch(POD, first, {"status": {"phase": "Succeeded"}}, subresource="status")
        else:
            await world.client.delete(POD, first, grace_s=0)
        async with asyncio.timeout(PROMPT_S):
            await world.until_one(POD, second, is_bound)


async def test_events_are_from_whom_clients_expect(world: Any) -> None:
    """What the scheduler tells is from `default-scheduler`, as everywhere."""
    async with world.running(scheduler.controller()):
        await world.client.create(POD, pod("lonely", "1"))
        events = await world.until(EVENT, bool)
    assert [(item["reason"], item["source"]["component"]) for item in events.values()] == [
        ("FailedScheduling", "default-scheduler")
    ]
