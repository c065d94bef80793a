"""DaemonSets run a pod on each node and replace them in turn, on the real API server."""

from typing import Any

from controllers import daemonset
from controllers.daemons import node_of
from controllers.revisions import REVISION_HASH
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.client import PatchType
from miniplane.kinds import CONTROLLER_REVISION, DAEMON_SET, NODE, POD

LOGS = Key("default", "logs")


def daemon_set(**strategy: Any) -> Object:
    """A DaemonSet of one container."""
    labels = {"app": "logs"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}
    return {
        "metadata": {"name": "logs", "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, "updateStrategy": strategy},
    }


async def add_nodes(world: Any, *names: str) -> None:
    """Nodes without taints."""
    for name in names:
        await world.client.create(NODE, {"metadata": {"name": name}, "spec": {}})
        await world.client.patch(NODE, Key("", name), {"spec": {"taints": None}})


def is_rolled_out(made: Object) -> bool:
    """What `kubectl rollout status` waits for."""
    status = made.get("status") or {}
    wanted = status.get("desiredNumberScheduled")
    told = [status.get(name) for name in ("updatedNumberScheduled", "numberAvailable")]
    return bool(wanted) and told == [wanted] * 2 and status.get("observedGeneration") == meta.generation(made)


def set_image(image: str) -> Object:
    """A strategic change of the template."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}


async def test_each_node_gets_a_pod(world: Any) -> None:
    """As nodes come and are cordoned off by a taint, pods follow; once all is well nothing is written."""
    await add_nodes(world, "a", "b")
    async with world.running(daemonset.controller()) as manager, world.kubelets():
        await world.client.create(DAEMON_SET, daemon_set())
        await world.until_one(DAEMON_SET, LOGS, lambda made: made["status"].get("numberAvailable") == 2)
        pods = (await world.client.list(POD)).items
        assert {node_of(pod) for pod in pods} == {"a", "b"}
        await add_nodes(world, "c")
        await world.until_one(DAEMON_SET, LOGS, lambda made: made["status"].get("numberAvailable") == 3)
        taint = {"key": "gone", "effect": "NoExecute"}
        await world.client.patch(NODE, Key("", "a"), {"spec": {"taints": [taint]}})
        await world.until(POD, lambda seen: {node_of(pod) for pod in seen.values()} == {"b", "c"})
        await world.until_one(DAEMON_SET, LOGS, lambda made: made["status"]["desiredNumberScheduled"] == 2)
        await world.settled(manager)
        assert not await world.sweep(manager)


async def test_a_new_template_rolls_and_comes_back(world: Any) -> None:
    """Pods are replaced; going back makes the first revision the newest again."""
    await add_nodes(world, "a", "b", "c")
    async with world.running(daemonset.controller()), world.kubelets():
        await world.client.create(DAEMON_SET, daemon_set(type="RollingUpdate"))
        await world.until_one(DAEMON_SET, LOGS, is_rolled_out)
        (first,) = (await world.client.list(CONTROLLER_REVISION)).items
        await world.client.patch(DAEMON_SET, LOGS, set_image("nginx:2"), type=PatchType.STRATEGIC)
        await world.until_one(
            DAEMON_SET, LOGS, lambda made: is_rolled_out(made) and made["status"]["observedGeneration"] == 2
        )
        pods = (await world.client.list(POD)).items
        assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"nginx:2"}
        await world.client.patch(DAEMON_SET, LOGS, first["data"], type=PatchType.STRATEGIC)
        await world.until_one(
            DAEMON_SET, LOGS, lambda made: is_rolled_out(made) and made["status"]["observedGeneration"] == 3
        )
        revisions = {item["metadata"]["name"]: item for item in (await world.client.list(CONTROLLER_REVISION)).items}
        pods = (await world.client.list(POD)).items
    assert len(revisions) == 2
    assert revisions[meta.name(first)]["revision"] == 3
    assert {meta.labels(pod)[REVISION_HASH] for pod in pods} == {meta.labels(first)[REVISION_HASH]}


async def test_on_delete_waits_for_the_user(world: Any) -> None:
    """With OnDelete an old pod stays until somebody deletes it."""
    await add_nodes(world, "a")
    async with world.running(daemonset.controller()) as manager, world.kubelets():
        await world.client.create(DAEMON_SET, daemon_set(type="OnDelete"))
        await world.until_one(DAEMON_SET, LOGS, is_rolled_out)
        await world.client.patch(DAEMON_SET, LOGS, set_image("nginx:2"), type=PatchType.STRATEGIC)
        await world.until_one(
            DAEMON_SET,
            LOGS,
            lambda made: made["status"]["observedGeneration"] == 2 and not made["status"].get("updatedNumberScheduled"),
        )
        await world.settled(manager)
        (old,) = (await world.client.list(POD)).items
        await world.client.delete(POD, meta.key_of(old), grace_s=0)
        await world.until_one(DAEMON_SET, LOGS, is_rolled_out)
