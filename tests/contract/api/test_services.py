"""ClusterIPs and node ports: given, kept, given back, never twice."""

import asyncio
from typing import Any

from tests.contract.api.conftest import MERGE, Api, service

SERVICES = "/api/v1/namespaces/default/services"
ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"


async def addresses(api: Api) -> dict[str, str]:
    """`{address: service}` of all IPAddress objects."""
    items = (await api("GET", ADDRESSES)).obj["items"]
    return {item["metadata"]["name"]: item["spec"]["parentRef"]["name"] for item in items}


async def patch(api: Api, name: str, spec: dict[str, Any]) -> Any:
    """Merge into a Service's spec."""
    answer = await api("PATCH", f"{SERVICES}/{name}", {"spec": spec}, media=MERGE)
    assert answer.status == 200, answer.text
    return answer.obj["spec"]


async def test_an_address_is_an_object(api: Api) -> None:
    """A Service gets an address out of the upper band, recorded as an IPAddress until the Service goes."""
    spec = (await api.make(SERVICES, service()))["spec"]
    ip = spec["clusterIP"]
    assert spec["clusterIPs"] == [ip]
    assert spec["ipFamilies"] == ["IPv4"]
    assert int(ip.split(".")[2]) >= 1
    assert (await addresses(api))[ip] == "web"
    await api("DELETE", f"{SERVICES}/web")
    assert ip not in await addresses(api)


async def test_an_address_that_is_asked_for(api: Api) -> None:
    """A free address is given, a taken one is Invalid at spec.clusterIPs."""
    await api.make(SERVICES, service("dns", clusterIP="10.96.0.10"))
    answer = await api("POST", SERVICES, service("other", clusterIP="10.96.0.10"))
    assert (answer.status, answer.fields) == (422, ["spec.clusterIPs"])
    assert "provided IP is already allocated" in answer.message


async def test_headless_and_external_names_take_none(api: Api) -> None:
    """Neither clusterIP None nor an ExternalName uses up an address."""
    before = await addresses(api)
    await api.make(SERVICES, service("headless", clusterIP="None"))
    await api.make(SERVICES, service("external", type="ExternalName", externalName="example.com"))
    assert await addresses(api) == before


async def test_creates_at_once_get_different_addresses(api: Api) -> None:
    """However many Services are made at the same time, no two share an address or a node port."""
    bodies = [service(f"s{number}", type="NodePort") for number in range(20)]
    made = await asyncio.gather(*(api.make(SERVICES, body) for body in bodies))
    assert len({obj["spec"]["clusterIP"] for obj in made}) == 20
    assert len({obj["spec"]["ports"][0]["nodePort"] for obj in made}) == 20


async def test_a_type_change_gives_and_takes(api: Api) -> None:
    """ClusterIP → NodePort allocates a port, → ExternalName frees both, → ClusterIP allocates again."""
    ip = (await api.make(SERVICES, service()))["spec"]["clusterIP"]
    spec = await patch(api, "web", {"type": "NodePort"})
    port = spec["ports"][0]["nodePort"]
    assert spec["clusterIP"] == ip
    assert 30000 <= port <= 32767
    taken = await api("POST", SERVICES, service("other", type="NodePort", ports=[{"port": 1, "nodePort": port}]))
    assert (taken.status, taken.fields) == (422, ["spec.ports[0].nodePort"])
    await patch(api, "web", {"type": "ExternalName", "externalName": "example.com"})
    assert "web" not in (await addresses(api)).values()
    await api.make(SERVICES, service("other", type="NodePort", ports=[{"port": 1, "nodePort": port}]))
    spec = await patch(api, "web", {"type": "ClusterIP", "externalName": None})
    assert (await addresses(api))[spec["clusterIP"]] == "web"


async def test_an_update_keeps_what_was_given(api: Api) -> None:
    """A PUT that leaves addresses and node ports out keeps those that the Service has."""
    made = (await api.make(SERVICES, service(type="NodePort")))["spec"]
    answer = await api("PUT", f"{SERVICES}/web", service(type="NodePort", sessionAffinity="ClientIP"))
    assert answer.status == 200, answer.text
    assert answer.obj["spec"]["clusterIP"] == made["clusterIP"]
    assert answer.obj["spec"]["ports"][0]["nodePort"] == made["ports"][0]["nodePort"]


async def test_a_dry_run_uses_nothing_up(api: Api) -> None:
    """A dry run shows an address and a port and leaves both free."""
    before = await addresses(api)
    body = service(type="NodePort", clusterIP="10.96.0.77", ports=[{"port": 80, "nodePort": 30080}])
    for _ in range(2):
        tried = await api("POST", SERVICES, body, dryRun="All")
        assert (tried.status, tried.obj["spec"]["clusterIP"]) == (201, "10.96.0.77")
    assert await addresses(api) == before
    await api.make(SERVICES, body)


async def test_one_port_number_for_tcp_and_udp(api: Api) -> None:
    """The two protocols of one port share a node port."""
    ports = [{"name": "t", "port": 53, "protocol": "TCP"}, {"name": "u", "port": 53, "protocol": "UDP"}]
    spec = (await api.make(SERVICES, service(type="NodePort", ports=ports)))["spec"]
    assert len({port["nodePort"] for port in spec["ports"]}) == 1
