"""The cluster's own pods, on the real API server."""

from typing import Any

from controllers import addons
from miniplane.config import Network
from miniplane.kinds import DEPLOYMENT, SERVICE


async def test_a_second_start_makes_only_what_is_missing(world: Any) -> None:
    """A Service that names its address and is there already does not keep the next add-ons from being made."""
    names = ("dns", "ingress")
    async with world.running(addons.controller(names[:1], Network())) as manager:
        await world.settled(manager)
    before = await world.client.get(SERVICE, "kube-dns", "kube-system")
    async with world.running(addons.controller(names, Network())) as manager:
        await world.until(DEPLOYMENT, lambda seen: {key.name for key in seen} >= {"kube-dns", "ingress"})
        await world.settled(manager)
    assert await world.client.get(SERVICE, "kube-dns", "kube-system") == before
