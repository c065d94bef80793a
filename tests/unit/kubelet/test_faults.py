"""What goes wrong by wish, and what a container says when it ends."""

import pytest

from tests.unit.kubelet.fakes import settle
from tests.unit.kubelet.test_pods import NGINX, World, shell, world

__all__ = ["world"]


async def test_image_that_cannot_be_pulled(world: World) -> None:
    """ErrImagePull, then ImagePullBackOff, only for the containers that are named, until the annotation goes."""
    fault = {"annotations": {"miniplane.io/image-pull-fails": "web, other"}}
    await world.run(NGINX, shell("sleep 100"), meta_=fault)
    assert world.container(0)["state"]["waiting"]["reason"] == "ErrImagePull"
    assert "running" in world.container(1)["state"]
    await world.clock.advance(3)
    await settle()
    waiting = world.container(0)["state"]["waiting"]
    assert waiting == {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "nginx"'}
    assert world.status["phase"] == "Pending"
    assert "Failed" in world.reasons
    await world.annotate()
    assert "running" in world.container(0)["state"]


@pytest.mark.parametrize(
    ("script", "more", "message"),
    [
        ("echo bye > /dev/termination-log; exit 1", {}, "bye\n"),
        ("echo bye > /tmp/last", {"terminationMessagePath": "/tmp/last"}, "bye\n"),
        ("echo one; echo two; exit 1", {"terminationMessagePolicy": "FallbackToLogsOnError"}, "one\ntwo\n"),
        ("echo one; exit 0", {"terminationMessagePolicy": "FallbackToLogsOnError"}, None),
        ("echo one; exit 1", {}, None),
    ],
)
async def test_last_words(world: World, script: str, more: dict[str, str], message: str | None) -> None:
    """The termination message is the file's text, or the log's end where the policy says so and it failed."""
    await world.run(shell(script, **more), restartPolicy="Never")
    assert world.container()["state"]["terminated"].get("message") == message
