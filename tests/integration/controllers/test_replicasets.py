"""ReplicaSets keep their number of pods, on the real API server."""

from typing import Any

import pytest

from controllers import garbage, replicaset, replicationcontroller
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.kinds import EVENT, POD, REPLICA_SET, REPLICATION_CONTROLLER

WEB = Key("default", "web")


def replica_set(replicas: int) -> Object:
    """A ReplicaSet of pods labelled `app: web`."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def lone_pod(name: str, **labels: str) -> Object:
    """A pod that nobody owns."""
    spec = {"containers": [{"name": "c", "image": "nginx"}]}
    metadata = {"name": name, "namespace": "default", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


async def test_pods_are_created_replaced_and_removed(world: Any) -> None:
    """Up to the count, again after a pod is deleted, down with the count; the status follows and events tell."""
    async with world.running(replicaset.controller()), world.kubelets():
        await world.client.create(REPLICA_SET, replica_set(5))
        await world.until_one(REPLICA_SET, WEB, lambda rs: rs["status"].get("availableReplicas") == 5)
        pods = (await world.client.list(POD)).items
        assert len(pods) == 5
        assert {meta.controller_of(pod)["kind"] for pod in pods} == {"ReplicaSet"}  # type: ignore[index]  # all have one

        victim = meta.key_of(pods[0])
        await world.client.delete(POD, victim)
        await world.until(POD, lambda seen: len(seen) == 5 and victim not in seen)

        await world.client.patch(REPLICA_SET, WEB, {"spec": {"replicas": 2}})
        await world.until(POD, lambda seen: len(seen) == 2)
        await world.until_one(REPLICA_SET, WEB, lambda rs: rs["status"].get("replicas") == 2)
        events = await world.until(
            EVENT, lambda seen: {"SuccessfulCreate", "SuccessfulDelete"} <= {item["reason"] for item in seen.values()}
        )
        created = next(item for item in events.values() if item["reason"] == "SuccessfulCreate")
        assert created["message"].startswith("Created pod: web-")
        assert created["source"]["component"] == "replicaset-controller"


async def test_never_more_pods_than_wanted(world: Any) -> None:
    """However often it is woken while its own creations are on their way, it makes each pod once."""
    async with world.running(replicaset.controller()) as manager:
        await world.client.create(REPLICA_SET, replica_set(20))
        for _ in range(200):
            manager.controllers[0].queue.add(WEB)
            await world.client.get(REPLICA_SET, "web", "default")
        await world.settled(manager)
        events = (await world.client.list(EVENT)).items
    made = {item["message"] for item in events if item["reason"] == "SuccessfulCreate"}
    assert len((await world.client.list(POD)).items) == len(made) == 20


async def test_orphans_are_adopted_and_strangers_let_go(world: Any) -> None:
    """A matching pod without an owner counts; one whose label changes is let go and replaced."""
    await world.client.create(POD, lone_pod("mine", app="web"))
    await world.client.create(POD, lone_pod("other", app="db"))
    async with world.running(replicaset.controller()):
        await world.client.create(REPLICA_SET, replica_set(2))
        pods = await world.until(POD, lambda seen: sum(bool(meta.controller_of(pod)) for pod in seen.values()) == 2)
        assert meta.controller_of(pods[Key("default", "mine")])
        assert not meta.controller_of(pods[Key("default", "other")])
        assert len(pods) == 3

        await world.client.patch(POD, Key("default", "mine"), {"metadata": {"labels": {"app": "quarantine"}}})
        pods = await world.until(
            POD, lambda seen: len(seen) == 4 and not meta.controller_of(seen[Key("default", "mine")])
        )
        assert sum(bool(meta.controller_of(pod)) for pod in pods.values()) == 2


async def test_unready_pods_go_first(world: Any) -> None:
    """Scaling down keeps the pods that serve."""

    def runs(pod: Object) -> bool:
        return meta.annotations(pod).get("run") == "yes"

    async with world.running(replicaset.controller()), world.kubelets(runs):
        await world.client.create(REPLICA_SET, replica_set(4))
        pods = await world.until(POD, lambda seen: len(seen) == 4)
        kept = sorted(pods)[1:3]
        for key in kept:
            await world.client.patch(POD, key, {"metadata": {"annotations": {"run": "yes"}}})
        await world.until_one(REPLICA_SET, WEB, lambda rs: rs["status"].get("readyReplicas") == 2)
        await world.client.patch(REPLICA_SET, WEB, {"spec": {"replicas": 2}})
        left = await world.until(POD, lambda seen: len(seen) == 2)
    assert sorted(left) == kept


@pytest.mark.parametrize(("propagation", "pods_left"), [("Background", 0), ("Foreground", 0), ("Orphan", 3)])
async def test_deletion_propagates_as_asked(world: Any, propagation: str, pods_left: int) -> None:
    """Pods go after their ReplicaSet, before it, or stay without an owner."""
    async with world.running(replicaset.controller(), garbage.controller()) as manager:
        await world.client.create(REPLICA_SET, replica_set(3))
        await world.until_one(REPLICA_SET, WEB, lambda rs: rs["status"].get("replicas") == 3)
        await world.client.delete(REPLICA_SET, WEB, propagation=propagation)
        await world.until(REPLICA_SET, lambda seen: not seen)
        pods = await world.until(POD, lambda seen: len(seen) == pods_left)
        assert not any(meta.owner_references(pod) for pod in pods.values())
        await world.settled(manager)
        assert len((await world.client.list(POD)).items) == pods_left


async def test_replication_controllers_keep_pods_too(world: Any) -> None:
    """With a map for a selector, the same holds of the elder kind."""
    body = replica_set(2) | {"apiVersion": "v1", "kind": "ReplicationController"}
    body["spec"]["selector"] = {"app": "web"}
    await world.client.create(POD, lone_pod("mine", app="web"))
    async with world.running(replicationcontroller.controller()), world.kubelets():
        await world.client.create(REPLICATION_CONTROLLER, body)
        await world.until_one(REPLICATION_CONTROLLER, WEB, lambda rc: rc["status"].get("availableReplicas") == 2)
        pods = (await world.client.list(POD)).items
    assert len(pods) == 2
    assert {meta.controller_of(pod)["kind"] for pod in pods} == {"ReplicationController"}  # type: ignore[index]  # all have one
