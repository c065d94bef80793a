"""Pods and endpoints: addresses, the flat network, localhost, and slices that follow."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address, ip_network

from miniplane.api import meta, wellknown
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.cli.demo.stage import OK, Stage, claim
from miniplane.kinds import DEPLOYMENT, ENDPOINT_SLICE, NETWORK_POLICY, NODE, POD

EXPECTED = {"api": 3, "web": 2, "database": 1, "outsider": 1}
"""`{label app: pods}` in namespace default, beside the seed's own pod."""


def _are_ready(pods: Sequence[Object]) -> bool:
    """Whether all the pods of the demo are there and Ready."""
    here = [pod for pod in pods if meta.namespace(pod) == "default" and not meta.is_deleted(pod)]
    counts = {app: sum(meta.labels(pod).get("app") == app for pod in here) for app in EXPECTED}
    named = any(meta.name(pod) == "multi-container" for pod in here)
    others = any(meta.namespace(pod) == "production" for pod in pods)
    ready = all(meta.is_condition_true(pod, "Ready") for pod in pods)
    return counts == EXPECTED and named and others and ready


def _count_ready(objects: Sequence[Object]) -> int:
    return sum(meta.is_condition_true(obj, "Ready") for obj in objects)


async def pod_network(stage: Stage) -> AsyncIterator[str]:
    """Pods run, addresses are unique and out of the node's range, and every pod reaches every pod un-NATed."""
    await stage.clear(NETWORK_POLICY, "api-policy")
    await stage.until(NODE, lambda nodes: _count_ready(nodes) >= stage.nodes, f"{stage.nodes} nodes ready")
    await stage.apply("seed/01-pod-multi-container.yaml")
    await stage.apply("workloads.yaml")
    everything = await stage.until(POD, _are_ready, "all pods ready")
    nodes = {meta.name(node): node for node in (await stage.client.list(NODE)).items}
    pods = [pod for pod in everything if meta.namespace(pod) in ("default", "production")]
    addresses = [pod["status"]["podIP"] for pod in everything]
    claim(len(set(addresses)) == len(addresses), f"two pods share an address: {sorted(addresses)}")
    for pod in everything:
        block = ip_network(nodes[pod["spec"]["nodeName"]]["spec"]["podCIDR"])
        claim(ip_address(pod["status"]["podIP"]) in block, f"{meta.key_of(pod)} has an address outside of {block}")
    used = {pod["spec"]["nodeName"] for pod in everything}
    claim(len(used) > 1 or len(nodes) == 1, f"all pods are on {used}")
    yield f"{len(everything)} pods run on {len(used)} nodes, each with an address of its own out of its node's range"
    yield await _all_reach_all(stage, pods)


def _port(pod: Object) -> int:
    """The port that a demo pod listens on; the outsider listens on none."""
    ports = [port["containerPort"] for container in pod["spec"]["containers"] for port in container.get("ports") or ()]
    return int(ports[0]) if ports else 0


async def _all_reach_all(stage: Stage, pods: Sequence[Object]) -> str:
    targets = [pod for pod in pods if _port(pod)]
    pairs = [(source, target) for source in pods for target in targets]
    gate = asyncio.Semaphore(16)

    async def reach(source: Object, target: Object) -> tuple[Object, Object, str]:
        async with gate:
            address, port = target["status"]["podIP"], _port(target)
            if meta.labels(target).get("app") != "api":
                return source, target, "" if await stage.connects(source, address, port) else "no connection"
            seen = await stage.curl(source, f"http://{address}:{port}/clientip")
            told = seen.body.rpartition(":")[0]
            return source, target, "" if told == source["status"]["podIP"] else f"seen as {told or seen.code}"

    for source, target, wrong in await asyncio.gather(*(reach(*pair) for pair in pairs)):
        claim(not wrong, f"{meta.key_of(source)} → {meta.key_of(target)}: {wrong}")
    return f"{len(pairs)} of {len(pairs)} pod-to-pod connections arrive; the api pods see every client's own address"


async def sidecar(stage: Stage) -> AsyncIterator[str]:
    """The sidecar reaches the web container on localhost."""
    pod = await stage.client.get(POD, "multi-container", "default")
    seen = await stage.curl(pod, "http://localhost:80/", container="sidecar")
    claim(seen.code == OK, f"the sidecar got {seen.code} from localhost:80")
    yield f"multi-container: the sidecar gets {seen.code} from web at localhost:80"


def _ready_addresses(slices: Sequence[Object]) -> set[str]:
    """The ready addresses in api-service's slices."""
    return {
        address
        for item in slices
        if meta.labels(item).get(wellknown.SERVICE_NAME) == "api-service"
        for endpoint in item.get("endpoints") or ()
        if endpoint["conditions"]["ready"]
        for address in endpoint["addresses"]
    }


async def _slices_hold(stage: Stage, count: int, without: str = "") -> set[str]:
    slices = await stage.until(
        ENDPOINT_SLICE,
        lambda items: len(found := _ready_addresses(items)) == count and without not in found,
        f"{count} ready endpoints of api-service",
        "default",
    )
    return _ready_addresses(slices)


async def endpoints(stage: Stage) -> AsyncIterator[str]:
    """Slices follow when the pods are scaled, killed, and become unready."""
    key = Key("default", "api")
    await _slices_hold(stage, EXPECTED["api"])
    for replicas in (5, EXPECTED["api"]):
        await stage.client.patch(DEPLOYMENT, key, {"spec": {"replicas": replicas}}, subresource="scale")
        await _slices_hold(stage, replicas)
    yield "scaled to 5 and back to 3: as many ready endpoints each time"
    victim = (await stage.pods("app=api"))[0]
    gone = victim["status"]["podIP"]
    await stage.client.delete(POD, meta.key_of(victim))
    await _slices_hold(stage, EXPECTED["api"], without=gone)
    yield f"killed {meta.name(victim)}: {gone} left, its replacement came in"
    await stage.until(POD, _are_ready, "all pods ready again")
    sick = next(pod for pod in await stage.pods("app=api") if not meta.is_deleted(pod))
    mark = {"metadata": {"annotations": {wellknown.FAULT_UNREADY: "true"}}}
    await stage.client.patch(POD, meta.key_of(sick), mark)
    await _slices_hold(stage, EXPECTED["api"] - 1, without=sick["status"]["podIP"])
    mark["metadata"]["annotations"][wellknown.FAULT_UNREADY] = "false"
    await stage.client.patch(POD, meta.key_of(sick), mark)
    await _slices_hold(stage, EXPECTED["api"])
    yield f"{meta.name(sick)} failed its readiness probe and recovered: its endpoint left and came back"
    await stage.until(POD, _are_ready, "all pods ready again")
