"""Services, names and Ingress, from pods and from this machine."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.cli.demo.stage import OK, Answer, NotSo, Stage, claim
from miniplane.kinds import INGRESS, NODE, POD, SERVICE

ASKED = 40
"""Connections per balancing check: with three equal backends one is missed once in ten million times."""


async def _balances(stage: Stage, ask: Callable[[], Awaitable[Answer]], what: str) -> str:
    """Check that all api pods answer behind an address; gives `17 : 12 : 11`."""
    wanted = {meta.name(pod) for pod in await stage.pods("app=api")}
    seen: Counter[str] = Counter()

    async def check() -> None:
        nonlocal seen
        seen = await stage.tally(ask, ASKED)
        claim(set(seen) == wanted, f"{what}: answers came from {dict(seen)}, not from {sorted(wanted)}")

    await stage.eventually(check, what)
    return " : ".join(str(count) for _, count in sorted(seen.items()))


async def services(stage: Stage) -> AsyncIterator[str]:
    """ClusterIP, node port on every node, and load-balancer address balance over the api pods."""
    for name in ("02-service-clusterip", "03-service-nodeport", "04-service-loadbalancer"):
        await stage.apply(f"seed/{name}.yaml")
    outsider = await stage.client.get(POD, "outsider", "default")

    def from_pod(host: str, port: int) -> Callable[[], Awaitable[Answer]]:
        return lambda: stage.curl(outsider, f"http://{host}:{port}/hostname")

    def from_here(where: tuple[str, int]) -> Callable[[], Awaitable[Answer]]:
        return lambda: stage.fetch(where, "/hostname")

    service = await stage.client.get(SERVICE, "api-service", "default")
    cluster_ip = service["spec"]["clusterIP"]
    spread = await _balances(stage, from_pod(cluster_ip, 80), f"ClusterIP {cluster_ip}")
    yield f"ClusterIP {cluster_ip}:80 balances {spread}"
    for node in (await stage.client.list(NODE)).items:
        address = next(item["address"] for item in node["status"]["addresses"] if item["type"] == "InternalIP")
        inside = await _balances(stage, from_pod(address, 30080), f"node port {address}:30080 from a pod")
        where = await stage.outside(address, 30080)
        spread = await _balances(stage, from_here(where), f"node port {address}:30080 from this machine")
        here = f"{where[0]}:{where[1]}"
        yield f"{meta.name(node)} {address}:30080 balances {inside}, from this machine at {here} {spread}"
    address = await _load_balancer(stage, "api-loadbalancer")
    inside = await _balances(stage, from_pod(address, 80), f"load balancer {address}:80 from a pod")
    where = await stage.outside(address, 80)
    spread = await _balances(stage, from_here(where), f"load balancer {address}:80 from this machine")
    yield f"load balancer {address}:80 balances {inside}, from this machine at {where[0]}:{where[1]} {spread}"


def _address(item: Object) -> str:
    ingress = ((item.get("status") or {}).get("loadBalancer") or {}).get("ingress") or [{}]
    return str(ingress[0].get("ip", ""))


async def _load_balancer(stage: Stage, name: str, namespace: str = "default") -> str:
    """The address of a LoadBalancer Service, once it has one."""

    def found(items: list[Object]) -> str:
        return next((_address(item) for item in items if meta.name(item) == name), "")

    return found(await stage.until(SERVICE, found, f"an address for {name}", namespace))


async def dns(stage: Stage) -> AsyncIterator[str]:
    """Short and long names resolve from a pod to the right ClusterIP, in both namespaces."""
    outsider = await stage.client.get(POD, "outsider", "default")
    for namespace, names in (
        ("default", ("api-service", "api-service.default", "api-service.default.svc.cluster.local")),
        ("production", ("api-service.production", "api-service.production.svc.cluster.local")),
    ):
        service = await stage.client.get(SERVICE, "api-service", namespace)
        wanted = service["spec"]["clusterIP"]
        for name in names:
            done = await stage.execute(outsider, "nslookup", name)
            found = wanted in done.output.split("Name:", 1)[-1].split()
            claim(done.code == 0 and found, f"{name} should be {wanted}; nslookup said: {done.output} {done.errors}")
        yield f"{', '.join(names)} → {wanted}"
    done = await stage.execute(outsider, "nslookup", "no-such-service")
    claim(done.code != 0, f"no-such-service resolved: {done.output}")
    yield "no-such-service → NXDOMAIN"


async def ingress(stage: Stage) -> AsyncIterator[str]:
    """From this machine the ingress proxy routes both hosts and refuses an unknown one."""
    await stage.apply("seed/05-ingress.yaml")
    address = await _load_balancer(stage, "ingress", "kube-system")
    where = await stage.outside(address, 80)
    await stage.until(INGRESS, lambda items: any(_address(item) == address for item in items), "the Ingress' address")
    for host, app in (("api.example.com", "api"), ("web.example.com", "web")):
        pods = {meta.name(pod) for pod in await stage.pods(f"app={app}")}

        async def check(host: str = host, pods: set[str] = pods) -> None:
            seen = await stage.fetch(where, "/hostname", host)
            claim(seen.code == OK and seen.body.strip() in pods, f"{host} got {seen.code} {seen.body[:80]!r}")

        await stage.eventually(check, f"Host: {host}")
        yield f"curl -H 'Host: {host}' http://{where[0]}:{where[1]}/ is answered by a pod of {app}"
    unknown = await stage.fetch(where, "/", "unknown.example.com")
    if unknown.code != 404:  # noqa: PLR2004  # the code that an Ingress without a rule gives
        raise NotSo(f"unknown.example.com got {unknown.code}")
    yield "an unknown host gets 404"
