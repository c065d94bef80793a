"""Services and what they hold over their lives: addresses, node ports, the load balancer's finalizer."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from controllers import loadbalancer
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import LOAD_BALANCER_FINALIZER
from miniplane.config import Network
from miniplane.errors import Conflict, Invalid, NotFound
from miniplane.kinds import IP_ADDRESS, SERVICE
from miniplane.runtime import Context

API = Key("default", "api")


def service(name: str = "api", kind: str = "LoadBalancer", **spec: Any) -> Object:
    """A Service on port 80, node port 30080."""
    ports = [{"port": 80, "nodePort": 30080}]
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": kind, "selector": {"app": name}, "ports": ports, **spec},
    }


def addresses(obj: Object) -> list[str]:
    """The balancer's addresses."""
    return [item["ip"] for item in obj["status"]["loadBalancer"].get("ingress", ())]


async def test_a_change_of_type_gives_everything_back(world: Any) -> None:
    """Become a ClusterIP Service: address, finalizer and node port are free for the next one, the ClusterIP stays."""
    async with world.running(loadbalancer.controller(Network())) as manager:
        made = await world.client.create(SERVICE, service())
        held = await world.until_one(SERVICE, API, addresses)
        assert held["metadata"]["finalizers"] == [LOAD_BALANCER_FINALIZER]
        with pytest.raises(Invalid):
            await world.client.create(SERVICE, service("other"))
        await world.client.patch(SERVICE, API, {"spec": {"type": "ClusterIP"}})
        await world.until_one(SERVICE, API, lambda obj: not obj["metadata"].get("finalizers"))
        await world.settled(manager)
        free = await world.client.get(SERVICE, "api", "default")
        assert (addresses(free), free["spec"]["clusterIP"]) == ([], made["spec"]["clusterIP"])
        assert "nodePort" not in free["spec"]["ports"][0]
        await world.client.create(SERVICE, service("other"))
        other = await world.until_one(SERVICE, Key("default", "other"), addresses)
        assert addresses(other) == addresses(held)


async def test_a_deleted_balancer_lets_its_service_go(world: Any) -> None:
    """The finalizer is taken back, and the ClusterIP goes with the Service."""
    async with world.running(loadbalancer.controller(Network())):
        made = await world.client.create(SERVICE, service())
        await world.until_one(SERVICE, API, addresses)
        await world.client.delete(SERVICE, API)
        await world.until(SERVICE, lambda seen: API not in seen)
        with pytest.raises(NotFound):
            await world.client.get(IP_ADDRESS, made["spec"]["clusterIP"])


async def test_somebody_elses_finalizer_survives_a_lagging_cache(world: Any) -> None:
    """Finalizers are written only over the list that was read: a newer one makes the write a conflict."""
    stale = await world.client.create(SERVICE, service())
    await world.client.patch(SERVICE, API, {"metadata": {"finalizers": ["example.com/mine"]}})
    ctx = SimpleNamespace(client=world.client, cache=lambda _: SimpleNamespace(list=list), event=lambda *_: None)
    balancer = loadbalancer.LoadBalancer(Network())
    with pytest.raises(Conflict):
        await balancer._hold(stale, "172.30.0.193", cast(Context, ctx))
    marked = stale | {"metadata": stale["metadata"] | {"finalizers": [LOAD_BALANCER_FINALIZER]}}
    with pytest.raises(Conflict):
        await balancer._release(marked, cast(Context, ctx))
    now = await world.client.get(SERVICE, "api", "default")
    assert now["metadata"]["finalizers"] == ["example.com/mine"]
