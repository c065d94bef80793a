"""Deployments roll from one template to the next, on the real API server."""

from collections.abc import Callable
from typing import Any

from controllers import deployment as deployments
from controllers import garbage, replicaset
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import REVISION
from miniplane.client import Apply
from miniplane.kinds import DEPLOYMENT, EVENT, POD, REPLICA_SET

WEB = Key("default", "web")
Make = Callable[..., Object]


def is_rolled_out(deployment: Object) -> bool:
    """What `kubectl rollout status` waits for."""
    status, replicas = deployment.get("status") or {}, deployment["spec"]["replicas"]
    counts = [status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    return counts == [replicas] * 3 and status.get("observedGeneration", 0) >= meta.generation(deployment)


def runs(world: Any) -> Any:
    """Deployments, ReplicaSets and garbage collection."""
    return world.running(deployments.on, replicaset.controller(), garbage.controller())


def set_image(image: str) -> Object:
    """A strategic change of the template."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}


async def test_a_new_deployment_becomes_available(world: Any, deployment: Make) -> None:
    """One ReplicaSet, all pods, both conditions, revision 1, and an event in upstream's words."""
    async with runs(world), world.kubelets():
        await world.client.create(DEPLOYMENT, deployment())
        done = await world.until_one(DEPLOYMENT, WEB, is_rolled_out)
        (replica_set,) = (await world.client.list(REPLICA_SET)).items
        conditions = {item["type"]: (item["status"], item["reason"]) for item in done["status"]["conditions"]}
        assert conditions["Available"] == ("True", "MinimumReplicasAvailable")
        assert conditions["Progressing"][0] == "True"
        assert meta.annotations(done)[REVISION] == meta.annotations(replica_set)[REVISION] == "1"
        await world.until_one(DEPLOYMENT, WEB, lambda obj: _reason(obj, "Progressing") == "NewReplicaSetAvailable")
        events = await world.until(EVENT, lambda seen: any(e["reason"] == "ScalingReplicaSet" for e in seen.values()))
    messages = [item["message"] for item in events.values() if item["reason"] == "ScalingReplicaSet"]
    assert messages == [f"Scaled up replica set {meta.name(replica_set)} from 0 to 3"]


def _reason(obj: Object, word: str) -> str:
    return str((meta.condition(obj, word) or {}).get("reason"))


async def test_a_rolling_update_keeps_its_limits(world: Any, deployment: Make) -> None:
    """While pods are replaced there are never more than wanted + surge, nor fewer serving than wanted - unavailable."""
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    async with runs(world), world.kubelets():
        await world.client.create(DEPLOYMENT, deployment(replicas=4, strategy=rolling))
        await world.until_one(DEPLOYMENT, WEB, is_rolled_out)
        await world.client.patch(DEPLOYMENT, WEB, set_image("nginx:2"))
        most, least, pods = 0, 99, {}
        async for event in world.client.watch(POD):
            if hasattr(event, "obj"):
                if isinstance(event, Apply) or "InitApply" in type(event).__name__:
                    pods[meta.key_of(event.obj)] = event.obj
                else:
                    pods.pop(meta.key_of(event.obj), None)
            there = [pod for pod in pods.values() if not meta.is_deleted(pod)]
            if len(there) >= 4:
                most = max(most, len(there))
                least = min(least, sum(meta.is_condition_true(pod, "Ready") for pod in there))
            images = [pod["spec"]["containers"][0]["image"] for pod in there]
            ready = all(meta.is_condition_true(pod, "Ready") for pod in there)
            if images == ["nginx:2"] * 4 and ready:
                break
        done = await world.until_one(DEPLOYMENT, WEB, is_rolled_out)
    assert (most, least) == (5, 4)
    assert meta.annotations(done)[REVISION] == "2"


async def test_going_back_reuses_the_old_replica_set(world: Any, deployment: Make) -> None:
    """The former template finds its ReplicaSet again, which becomes the newest revision and keeps its history."""
    async with runs(world), world.kubelets():
        await world.client.create(DEPLOYMENT, deployment())
        await world.until_one(DEPLOYMENT, WEB, is_rolled_out)
        for image in ("nginx:2", "nginx:1"):
            await world.client.patch(DEPLOYMENT, WEB, set_image(image))
            await world.until_one(DEPLOYMENT, WEB, is_rolled_out)
        replica_sets = (await world.client.list(REPLICA_SET)).items
        first = next(item for item in replica_sets if _image(item) == "nginx:1")
    assert len(replica_sets) == 2
    assert meta.annotations(first)[REVISION] == "3"
    assert meta.annotations(first)["deployment.kubernetes.io/revision-history"] == "1"
    assert first["status"]["replicas"] == 3


def _image(obj: Object) -> str:
    return str(obj["spec"]["template"]["spec"]["containers"][0]["image"])


async def test_recreate_stops_the_old_before_the_new(world: Any, deployment: Make) -> None:
    """With Recreate, pods of two templates never exist at one time."""
    async with runs(world), world.kubelets():
        await world.client.create(DEPLOYMENT, deployment(strategy={"type": "Recreate"}))
        await world.until_one(DEPLOYMENT, WEB, is_rolled_out)
        await world.client.patch(DEPLOYMENT, WEB, set_image("nginx:2"))

        def rolled(seen: dict[Key, Object]) -> bool:
            images = {pod["spec"]["containers"][0]["image"] for pod in seen.values()}
            assert len(images) <= 1
            return images == {"nginx:2"} and len(seen) == 3

        await world.until(POD, rolled)


async def test_a_paused_deployment_scales_but_does_not_roll(world: Any, deployment: Make) -> None:
    """Paused: a new count is followed, a new template waits until it is resumed."""
    async with runs(world) as manager, world.kubelets():
        await world.client.create(DEPLOYMENT, deployment())
        await world.until_one(DEPLOYMENT, WEB, is_rolled_out)
        await world.client.patch(DEPLOYMENT, WEB, {"spec": {"paused": True, "replicas": 5}} | {})
        await world.client.patch(DEPLOYMENT, WEB, set_image("nginx:2"))
        await world.until(POD, lambda seen: len(seen) == 5)
        await world.settled(manager)
        paused = await world.client.get(DEPLOYMENT, "web", "default")
        assert _reason(paused, "Progressing") == "DeploymentPaused"
        assert len((await world.client.list(REPLICA_SET)).items) == 1
        await world.client.patch(DEPLOYMENT, WEB, {"spec": {"paused": None}})
        await world.until_one(DEPLOYMENT, WEB, is_rolled_out)
        assert {pod["spec"]["containers"][0]["image"] for pod in (await world.client.list(POD)).items} == {"nginx:2"}


async def test_old_replica_sets_are_kept_to_the_limit(world: Any, deployment: Make) -> None:
    """Beyond revisionHistoryLimit the oldest rollouts are forgotten."""
    async with runs(world), world.kubelets():
        await world.client.create(DEPLOYMENT, deployment(replicas=1, revisionHistoryLimit=1))
        await world.until_one(DEPLOYMENT, WEB, is_rolled_out)
        for image in ("nginx:2", "nginx:3", "nginx:4"):
            await world.client.patch(DEPLOYMENT, WEB, set_image(image))
            await world.until_one(DEPLOYMENT, WEB, is_rolled_out)
        kept = await world.until(REPLICA_SET, lambda seen: len(seen) == 2)
    assert {_image(item) for item in kept.values()} == {"nginx:3", "nginx:4"}


async def test_a_converged_cluster_makes_no_writes(world: Any, deployment: Make) -> None:
    """Reconciling everything again, when all is as it should be, leaves the server's revision alone."""
    async with runs(world) as manager, world.kubelets():
        await world.client.create(DEPLOYMENT, deployment())
        await world.until_one(DEPLOYMENT, WEB, is_rolled_out)
        await world.settled(manager)
        assert not await world.sweep(manager)


async def test_deleting_a_deployment_takes_everything_along(world: Any, deployment: Make) -> None:
    """Owner references lead from the Deployment to its last pod."""
    async with runs(world), world.kubelets():
        await world.client.create(DEPLOYMENT, deployment())
        await world.until_one(DEPLOYMENT, WEB, is_rolled_out)
        await world.client.delete(DEPLOYMENT, WEB)
        await world.until(POD, lambda seen: not seen)
        await world.until(REPLICA_SET, lambda seen: not seen)
