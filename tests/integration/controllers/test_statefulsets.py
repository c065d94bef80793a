"""StatefulSets keep named pods and claims, on the real API server."""

from typing import Any

from controllers import garbage, statefulset
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.client import PatchType
from miniplane.kinds import CONTROLLER_REVISION, PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET

DB = Key("default", "db")


def stateful_set(replicas: int = 3, **spec: Any) -> Object:
    """A StatefulSet with a claim for each pod."""
    labels = {"app": "db"}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "serviceName": "db",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
            **spec,
        },
    }


def set_image(image: str, **spec: Any) -> Object:
    """A strategic change of the template."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}, **spec}}


def names(objects: dict[Key, Object]) -> list[str]:
    """Their names, sorted."""
    return sorted(key.name for key in objects)


def is_rolled_out(made: Object, generation: int = 1) -> bool:
    """Whether all pods are of the newest template and ready, at that generation or later."""
    status, replicas = made.get("status") or {}, made["spec"]["replicas"]
    told = [status.get(name, 0) for name in ("replicas", "readyReplicas", "updatedReplicas", "currentReplicas")]
    return told == [replicas] * 4 and status.get("observedGeneration", 0) >= max(generation, meta.generation(made))


async def test_pods_come_and_go_in_order(world: Any) -> None:
    """One waits for the other, claims outlive pods, and a converged set makes no write."""
    ready: set[str] = {"db-0"}

    async with world.running(statefulset.controller()) as manager:
        await world.client.create(STATEFUL_SET, stateful_set())
        async with world.kubelets(lambda pod: meta.name(pod) in ready):
            await world.until(POD, lambda seen: names(seen) == ["db-0", "db-1"])
            await world.settled(manager)
            assert len((await world.client.list(POD)).items) == 2
        async with world.kubelets():
            await world.until_one(STATEFUL_SET, DB, is_rolled_out)
            claims = (await world.client.list(PERSISTENT_VOLUME_CLAIM)).items
            assert sorted(map(meta.name, claims)) == ["data-db-0", "data-db-1", "data-db-2"]
            await world.client.patch(STATEFUL_SET, DB, {"spec": {"replicas": 1}})
            await world.until(POD, lambda seen: names(seen) == ["db-0"])
            await world.until_one(STATEFUL_SET, DB, is_rolled_out)
            assert len((await world.client.list(PERSISTENT_VOLUME_CLAIM)).items) == 3
            await world.settled(manager)
            assert not await world.sweep(manager)


async def test_updates_stop_at_the_partition_and_go_back(world: Any) -> None:
    """Only pods from the partition on get the new template; going back finds the old revision again."""
    async with world.running(statefulset.controller()), world.kubelets():
        await world.client.create(STATEFUL_SET, stateful_set())
        await world.until_one(STATEFUL_SET, DB, is_rolled_out)
        (first,) = (await world.client.list(CONTROLLER_REVISION)).items
        canary = set_image("nginx:2", updateStrategy={"rollingUpdate": {"partition": 2}})
        await world.client.patch(STATEFUL_SET, DB, canary, type=PatchType.STRATEGIC)
        made = await world.until_one(
            STATEFUL_SET,
            DB,
            lambda item: item["status"].get("updatedReplicas") == 1 and item["status"].get("readyReplicas") == 3,
        )
        assert made["status"]["currentRevision"] != made["status"]["updateRevision"]
        pods = {meta.name(pod): pod["spec"]["containers"][0]["image"] for pod in (await world.client.list(POD)).items}
        assert pods == {"db-0": "nginx:1", "db-1": "nginx:1", "db-2": "nginx:2"}
        await world.client.patch(
            STATEFUL_SET, DB, set_image("nginx:2", updateStrategy={"rollingUpdate": {"partition": 0}})
        )
        await world.until_one(STATEFUL_SET, DB, lambda item: is_rolled_out(item, 3))
        await world.client.patch(STATEFUL_SET, DB, first["data"], type=PatchType.STRATEGIC)
        made = await world.until_one(STATEFUL_SET, DB, lambda item: is_rolled_out(item, 4))
        revisions = {meta.name(item): item["revision"] for item in (await world.client.list(CONTROLLER_REVISION)).items}
    assert made["status"]["currentRevision"] == meta.name(first)
    assert revisions[meta.name(first)] == 3
    assert len(revisions) == 2


async def test_claims_go_with_what_the_policy_says(world: Any) -> None:
    """Scaling down takes the claim of the pod that goes, deletion the others."""
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    async with world.running(statefulset.controller(), garbage.controller()), world.kubelets():
        await world.client.create(
            STATEFUL_SET, stateful_set(2, persistentVolumeClaimRetentionPolicy=policy, podManagementPolicy="Parallel")
        )
        await world.until_one(STATEFUL_SET, DB, is_rolled_out)
        await world.client.patch(STATEFUL_SET, DB, {"spec": {"replicas": 1}})
        await world.until(PERSISTENT_VOLUME_CLAIM, lambda seen: names(seen) == ["data-db-0"])
        await world.client.delete(STATEFUL_SET, DB, propagation="Background")
        await world.until(PERSISTENT_VOLUME_CLAIM, lambda seen: not seen)
        await world.until(POD, lambda seen: not seen)
