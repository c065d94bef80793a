"""The scheduler, on the real API server."""

import asyncio
from typing import Any

import pytest

from controllers.scheduler import scheduler
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.kinds import EVENT, NODE, POD, PRIORITY_CLASS

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


async def add_node(world: Any, name: str = "a") -> None:
    """A Node with two CPUs."""
    await world.client.create(NODE, {"metadata": {"name": name}})
    amounts = {"cpu": "2", "memory": "4Gi", "pods": "10"}
    status = {"capacity": amounts, "allocatable": amounts}
    await world.client.patch(NODE, Key("", name), {"status": status}, subresource="status")


def ranked(name: str, cpu: str, priority: int) -> Object:
    """A pod with a priority."""
    made = pod(name, cpu)
    made["spec"] |= {"priorityClassName": f"p{priority}", "terminationGracePeriodSeconds": 0}
    return made


async def add_classes(world: Any, *priorities: int) -> None:
    """A PriorityClass for each."""
    for priority in priorities:
        await world.client.create(PRIORITY_CLASS, {"metadata": {"name": f"p{priority}"}, "value": priority})


async def test_a_pod_of_higher_priority_takes_the_place_of_a_lower_one(world: Any) -> None:
    """The victim gets a condition and an event and goes; the winner is nominated, then bound."""
    await add_node(world)
    await add_classes(world, 0, 1000)
    async with world.running(scheduler.controller()):
        low, high = Key("default", "low"), Key("default", "high")
        await world.client.create(POD, ranked("low", "1500m", 0))
        await world.until_one(POD, low, is_bound)
        await world.client.create(POD, ranked("high", "1500m", 1000))
        nominated = await world.until_one(POD, high, lambda obj: bool(obj["status"].get("nominatedNodeName")))
        assert nominated["status"]["conditions"][-1]["message"] == "0/1 nodes are available: 1 Insufficient cpu."
        await world.until(POD, lambda seen: low not in seen)
        await world.until_one(POD, high, is_bound)
        told = await world.until(EVENT, lambda seen: "Preempted" in {event["reason"] for event in seen.values()})
        assert {"Scheduled", "FailedScheduling", "Preempted"} == {event["reason"] for event in told.values()}


async def test_the_most_important_pod_is_placed_first(world: Any) -> None:
    """Of pods that wait for the same room the one of the highest priority gets it, whenever it came."""
    await add_classes(world, 0, 5, 10)
    await add_node(world)
    await world.client.patch(NODE, Key("", "a"), {"spec": {"unschedulable": True}})
    for name, priority in (("first", 0), ("second", 10), ("third", 5)):
        await world.client.create(POD, ranked(name, "1500m", priority) | {})
    async with world.running(scheduler.controller()):
        await world.until(POD, lambda seen: all(obj["status"].get("conditions") for obj in seen.values()))
        await world.client.patch(NODE, Key("", "a"), {"spec": {"unschedulable": None}})
        bound = await world.until(POD, lambda seen: any(map(is_bound, seen.values())))
    assert [key.name for key, obj in bound.items() if is_bound(obj)] == ["second"]


async def test_a_gated_pod_waits_for_its_gates(world: Any) -> None:
    """Scheduling gates keep a pod from being looked at; the last one that goes lets it run."""
    await add_node(world)
    gated = pod("gated", "1")
    gated["spec"]["schedulingGates"] = [{"name": "example.com/quota"}]
    async with world.running(scheduler.controller()) as manager:
        made = await world.client.create(POD, gated)
        assert made["status"]["conditions"][0]["reason"] == "SchedulingGated"
        await world.settled(manager)
        assert not is_bound(await world.client.get(POD, "gated", "default"))
        await world.client.patch(POD, Key("default", "gated"), {"spec": {"schedulingGates": None}})
        await world.until_one(POD, Key("default", "gated"), is_bound)
