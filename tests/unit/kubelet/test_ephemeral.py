"""Containers that are added to a running pod."""

from tests.unit.kubelet.fakes import settle
from tests.unit.kubelet.test_pods import NGINX, World, shell, world

__all__ = ["world"]


async def test_ephemeral_container_is_added_and_never_restarts(world: World) -> None:
    """It starts in the running pod, shows in a status of its own, and its end neither restarts it nor ends the pod."""
    await world.run(NGINX)
    looking = shell("echo seen; sleep 5; exit 3", name="debugger")
    pod = world.worker.pod
    world.worker.update(pod | {"spec": pod["spec"] | {"ephemeralContainers": [looking]}})
    await settle()
    assert "running" in world.status["ephemeralContainerStatuses"][0]["state"]
    await world.clock.advance(6)
    await settle()
    [status] = world.status["ephemeralContainerStatuses"]
    assert (status["name"], status["state"]["terminated"]["exitCode"], status["ready"]) == ("debugger", 3, False)
    assert (status["restartCount"], world.status["phase"]) == (0, "Running")
    assert world.condition("Ready")["status"] == "True"
