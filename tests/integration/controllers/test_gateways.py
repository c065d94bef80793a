"""A Gateway of our class gets a proxy, an address and a status; its routes are told what became of them."""

from typing import Any

from controllers import gateway, gatewayroutes, loadbalancer
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.config import Network
from miniplane.kinds import DEPLOYMENT, GATEWAY, GATEWAY_CLASS, HTTP_ROUTE, HTTP_ROUTE_V1BETA1, SERVICE

EDGE, WEB = Key("default", "edge"), Key("default", "web")
PROXY = Key("kube-system", "gateway-default-edge")


def made(*ports: int, **spec: Any) -> Object:
    """A Gateway with an HTTP listener on each port."""
    listeners = [{"name": f"p{port}", "port": port, "protocol": "HTTP"} for port in ports]
    return {"metadata": {"name": "edge", "namespace": "default"}, "spec": {"listeners": listeners, **spec}}


def route() -> Object:
    """A route to a Service that is not there."""
    spec = {"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}


def reasons(obj: Object) -> dict[str, str]:
    """`{condition: reason}`, of a route by its first Gateway."""
    status = obj.get("status") or {}
    holder = (status.get("parents") or [{}])[0] if "parents" in status else status
    return {item["type"]: item["reason"] for item in holder.get("conditions") or ()}


async def test_the_life_of_a_gateway(world: Any) -> None:
    """Proxy and address come, follow the listeners, and go; class, Gateway and route tell of it."""
    async with world.running(gateway.controller(), gatewayroutes.controller(), loadbalancer.controller(Network())):
        client = world.client
        await client.create(
            GATEWAY_CLASS, {"metadata": {"name": "ours"}, "spec": {"controllerName": "miniplane.io/gateway"}}
        )
        await client.create(GATEWAY_CLASS, {"metadata": {"name": "theirs"}, "spec": {"controllerName": "x.example/y"}})
        await world.until_one(GATEWAY_CLASS, Key("", "ours"), lambda obj: meta.is_condition_true(obj, "Accepted"))
        await client.create(GATEWAY, made(80, gatewayClassName="ours"))
        await client.create(HTTP_ROUTE_V1BETA1, route())
        edge = await world.until_one(GATEWAY, EDGE, lambda obj: meta.is_condition_true(obj, "Programmed"))
        service = await client.get(SERVICE, PROXY.name, PROXY.namespace)
        addresses = [item["value"] for item in edge["status"]["addresses"]]
        assert addresses == [item["ip"] for item in service["status"]["loadBalancer"]["ingress"]]
        deployment = await client.get(DEPLOYMENT, PROXY.name, PROXY.namespace)
        assert deployment["spec"]["template"]["spec"]["containers"][0]["args"] == ["-gateway=default/edge"]
        await world.until_one(
            HTTP_ROUTE, WEB, lambda obj: reasons(obj) == {"Accepted": "Accepted", "ResolvedRefs": "BackendNotFound"}
        )
        await client.create(
            SERVICE, {"metadata": {"name": "web", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}}
        )
        await world.until_one(HTTP_ROUTE, WEB, lambda obj: reasons(obj)["ResolvedRefs"] == "ResolvedRefs")
        await world.until_one(GATEWAY, EDGE, lambda obj: obj["status"]["listeners"][0]["attachedRoutes"] == 1)
        await client.patch(GATEWAY, EDGE, {"spec": {"listeners": made(80, 8080)["spec"]["listeners"]}})
        await world.until_one(SERVICE, PROXY, lambda obj: [port["port"] for port in obj["spec"]["ports"]] == [80, 8080])
        await client.patch(GATEWAY, EDGE, {"spec": {"gatewayClassName": "theirs"}})
        await world.until(SERVICE, lambda services: PROXY not in services or meta.is_deleted(services[PROXY]))
        await world.until(DEPLOYMENT, lambda found: PROXY not in found or meta.is_deleted(found[PROXY]))
        await world.until_one(HTTP_ROUTE, WEB, lambda obj: not obj["status"]["parents"])


async def test_addresses_are_not_chosen(world: Any) -> None:
    """A Gateway that asks for an address is refused by name, and gets no proxy."""
    async with world.running(gateway.controller()):
        await world.client.create(
            GATEWAY_CLASS, {"metadata": {"name": "ours"}, "spec": {"controllerName": "miniplane.io/gateway"}}
        )
        await world.client.create(GATEWAY, made(80, gatewayClassName="ours", addresses=[{"value": "172.30.0.200"}]))
        await world.until_one(GATEWAY, EDGE, lambda obj: reasons(obj).get("Accepted") == "UnsupportedAddress")


def test_long_names_are_cut() -> None:
    """The proxy's name is a label, and two Gateways never share one."""
    names = {gateway.proxy_name(Key("n" * 60, f"{'g' * 60}{number}")) for number in range(2)}
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)
