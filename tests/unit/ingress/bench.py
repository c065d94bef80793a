"""A proxy on a pod's link, its backends and its clients."""

import random
from collections.abc import Awaitable, Callable

from aiohttp import web

from agents.ingress.server import IngressProxy
from miniplane.aio import SystemClock
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.dataplane.http_routes import Backend, Filters, Host, Listener, Match, Route, Routes, Target
from tests.integration.datapath import Cluster, pod

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
PROXY, CLIENT, ONE, TWO = "10.244.1.2", "10.244.1.3", "10.244.1.4", "10.244.1.5"


def routes(**hosts: list[tuple[str, int]]) -> Routes:
    """One route per host: `{name: endpoints}`."""
    return routing(
        *(
            Route("Ingress", Key("default", "i"), "spec", host, Match(), (backend(host, *endpoints),))
            for host, endpoints in hosts.items()
        )
    )


def backend(name: str, *endpoints: tuple[str, int], weight: int = 1) -> Backend:
    """A backend of that Service."""
    return Backend(Target(Key("default", name), "80", endpoints), weight)


def route(host: str, *backends: Backend, filters: Filters | None = None, match: Match | None = None) -> Route:
    """One route of an HTTPRoute."""
    made = match or Match()
    return Route("HTTPRoute", Key("default", "r"), "spec.rules[0]", host, made, backends, filters or Filters())


def routing(*items: Route, certificates: dict[tuple[int, str], Key] | None = None) -> Routes:
    """These routes on port 80 and on 443 with TLS."""
    hosts: dict[str, Host] = {}
    for route in items:
        hosts.setdefault(route.host, Host()).add(route)
    return Routes((Listener(80, hosts=hosts), Listener(443, secure=True, hosts=hosts)), certificates or {})


class Bench:
    """A proxy and its clients on one node."""

    def __init__(self) -> None:
        self.cluster = Cluster(SystemClock(), random.randrange)
        self.network = self.cluster.networks["node-1"]
        self.routes: Routes | None = Routes()
        self.secrets: dict[Key, Object] = {}
        self.log: list[str] = []
        self.servers: list[web.Server] = []
        self.proxy: IngressProxy

    async def serve(self, ip: str, handler: Handler, port: int = 80) -> None:
        """Start a backend."""
        server = web.Server(handler, access_log=None)
        (link,) = await self.cluster.attach(pod(f"b{ip}", "node-1", ip))
        await link.listen(server, port)
        self.servers.append(server)


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    """Tells what it was asked."""
    return web.json_response(
        {
            "peer": request.remote,
            "method": request.method,
            "path": request.raw_path,
            "headers": {name: request.headers[name] for name in request.headers},
            "body": (await request.read()).decode(),
        },
        headers={"Set-Cookie": "a=b", "Connection": "X-Secret", "X-Secret": "hop"},
    )
