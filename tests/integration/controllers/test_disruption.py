"""PodDisruptionBudgets follow their pods, and evictions follow them, on the real API server."""

from collections.abc import Callable
from typing import Any

import pytest

from controllers import deployment as deployments
from controllers import disruption, replicaset
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.errors import ApiError
from miniplane.kinds import DEPLOYMENT, POD, POD_DISRUPTION_BUDGET

BUDGET = Key("default", "web")


async def test_a_budget_lets_one_pod_go_at_a_time(world: Any, deployment: Callable[..., Object]) -> None:
    """As many as are healthy beyond the minimum; the next only when the first has a successor."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    budget = {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}
    running = world.running(disruption.on, deployments.on, replicaset.controller())
    async with running as manager:
        async with world.kubelets():
            await world.client.create(POD_DISRUPTION_BUDGET, budget)
            await world.client.create(DEPLOYMENT, deployment())
            told = await world.until_one(
                POD_DISRUPTION_BUDGET, BUDGET, lambda item: item["status"].get("disruptionsAllowed") == 1
            )
            counts = ("currentHealthy", "desiredHealthy", "expectedPods")
            assert [told["status"][name] for name in counts] == [3, 2, 3]
            await world.settled(manager)
        pods = (await world.client.list(POD)).items
        await evict(world, pods[0])
        with pytest.raises(ApiError, match="disruption budget"):
            await evict(world, pods[1])
        await world.until_one(POD_DISRUPTION_BUDGET, BUDGET, lambda item: item["status"]["currentHealthy"] == 2)
        async with world.kubelets():
            await world.until_one(
                POD_DISRUPTION_BUDGET, BUDGET, lambda item: item["status"].get("disruptionsAllowed") == 1
            )
            await world.settled(manager)
            assert not await world.sweep(manager)


async def evict(world: Any, pod: Object) -> None:
    """Ask for a pod to go."""
    metadata = {"name": meta.name(pod), "namespace": "default"}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    await world.client.create_subresource(POD, meta.key_of(pod), "eviction", body)


async def test_pods_that_nobody_can_count_stay(world: Any) -> None:
    """A budget over pods whose controller has no scale says why it lets nothing go."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "1", "controller": True}
    pod = {
        "metadata": {"name": "p", "namespace": "default", "labels": {"app": "web"}, "ownerReferences": [owner]},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]},
    }
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await world.client.create(POD, pod)
    async with world.running(disruption.on):
        await world.client.create(
            POD_DISRUPTION_BUDGET, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}
        )
        told = await world.until_one(
            POD_DISRUPTION_BUDGET, BUDGET, lambda item: meta.condition(item, "DisruptionAllowed") is not None
        )
    condition = meta.condition(told, "DisruptionAllowed") or {}
    assert condition["reason"] == "SyncFailed"
    assert condition["message"] == "jobs.batch does not implement the scale subresource"
