"""A node that falls silent, on the real API server and on simulated time."""

import asyncio
from typing import Any

from controllers import nodelifecycle, tainteviction
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.kinds import EVENT, LEASE, NODE, POD
from miniplane.testing.clock import SimulatedClock

GRACE_S = 50.0


async def add_node(world: Any, name: str) -> None:
    """A Node that is ready, with its Lease."""
    await world.client.create(NODE, {"metadata": {"name": name}, "spec": {}})
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}}
    await world.client.patch(NODE, Key("", name), ready, subresource="status")
    await world.client.create(LEASE, {"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": {}})


async def beat(world: Any, manager: Any, name: str, stamp: str) -> None:
    """Renew a Lease; return when the controllers have seen it."""
    body = {"spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": stamp}}
    key = Key("kube-node-lease", name)
    await world.client.patch(LEASE, key, body)
    cache = manager.controllers[0].ctx.cache(LEASE)
    while cache.get(key)["spec"].get("renewTime") != stamp:  # noqa: ASYNC110  turns of the loop, no time
        await asyncio.sleep(0)


def taint_keys(node: Object) -> list[str]:
    """A Node's taints as `key:effect`."""
    return sorted(f"{taint['key']}:{taint['effect']}" for taint in node["spec"].get("taints") or ())


async def test_a_silent_node_loses_its_pods_and_gets_well_again(world: Any) -> None:
    """Unknown after the grace period, tainted, its pods unready at once, gone when no longer tolerated."""
    clock = SimulatedClock()
    for name in ("dead", "alive"):
        await add_node(world, name)
    pod = {
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"nodeName": "dead", "containers": [{"name": "c", "image": "nginx"}]},
    }
    await world.make_ready(await world.client.create(POD, pod))
    registrars = (nodelifecycle.controller(GRACE_S), tainteviction.on)
    async with world.running(*registrars, clock=clock) as manager:
        await beat(world, manager, "alive", "2026-01-02T03:04:06.000000Z")
        await clock.advance(GRACE_S - 10)
        await beat(world, manager, "alive", "2026-01-02T03:04:46.000000Z")
        assert (await world.client.get(NODE, "dead"))["spec"].get("taints") is None
        await clock.advance(20)
        silent = await world.until_one(NODE, Key("", "dead"), lambda node: len(taint_keys(node)) == 2)
        assert taint_keys(silent) == [
            "node.kubernetes.io/unreachable:NoExecute",
            "node.kubernetes.io/unreachable:NoSchedule",
        ]
        assert meta.condition(silent, "Ready")["reason"] == "NodeStatusUnknown"  # type: ignore[index]  # it is there, or the test fails
        lost = await world.until_one(POD, Key("default", "p"), lambda obj: not meta.is_condition_true(obj, "Ready"))
        assert not meta.is_deleted(lost)
        alive = await world.client.get(NODE, "alive")
        assert (meta.is_condition_true(alive, "Ready"), taint_keys(alive)) == (True, [])

        for minute in range(6):
            await beat(world, manager, "alive", f"2026-01-02T03:{10 + minute}:00.000000Z")
            await clock.advance(45)
            await beat(world, manager, "alive", f"2026-01-02T03:{10 + minute}:45.000000Z")
            await clock.advance(15)
        gone = await world.until_one(POD, Key("default", "p"), meta.is_deleted)
        assert meta.condition(gone, "DisruptionTarget")["reason"] == "DeletionByTaintManager"  # type: ignore[index]  # it is there, or the test fails
        await clock.advance(1)  # events are written together
        told = await world.until(EVENT, lambda seen: "TaintManagerEviction" in {e["reason"] for e in seen.values()})
        assert {"NodeNotReady", "TaintManagerEviction"} <= {event["reason"] for event in told.values()}

        speaks = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-02T03:20:00Z"}
        await world.client.patch(NODE, Key("", "dead"), {"status": {"conditions": [speaks]}}, subresource="status")
        await world.until_one(NODE, Key("", "dead"), lambda node: not node["spec"].get("taints"))
