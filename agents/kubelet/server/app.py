"""Routes, the check of who asks, and the plain answers.

The API server is the only client: its certificate's organisation is `system:masters`. TLS lets nobody in whose
certificate the cluster's CA did not sign; a node's own certificate is signed by it too, hence the second check.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from aiohttp import web
from prometheus_client import CollectorRegistry

from miniplane.aio import Clock
from miniplane.api import meta
from miniplane.api.wellknown import REFUSAL
from miniplane.observe import logs, metrics

from ..containers import Container
from ..kubelet import Kubelet
from ..pods import PodWorker
from . import dial as dial_
from . import exec as exec_
from . import log as log_
from . import portforward

log = logs.get("agents.kubelet.server")

MASTERS = "system:masters"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OPEN = ("/healthz",)


class Server:
    """Answers for the pods of one kubelet."""

    def __init__(
        self,
        kubelet: Kubelet,
        clock: Clock,
        *,
        registry: CollectorRegistry,
        tables: Callable[[Mapping[str, str]], str] = lambda _: "",
        is_open: bool = False,
    ) -> None:
        self._kubelet = kubelet
        self._clock = clock
        self._registry = registry
        self._tables = tables
        self._is_open = is_open

    def application(self) -> web.Application:
        """The web application; `is_open` leaves the certificate check out, for tests without TLS."""
        app = web.Application(middlewares=[_say_why] if self._is_open else [_say_why, _only_the_api_server])
        place = "/{namespace}/{pod}"
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/metrics", self._metrics),
                web.get("/tables", self._show_tables),
                web.get("/pods", self._pods),
                web.post("/dial", self._dial),
                web.get(f"/containerLogs{place}/{{container}}", self._logs),
                *(
                    route(path, handler)
                    for path, handler in (
                        (f"/exec{place}/{{container}}", self._exec),
                        (f"/attach{place}/{{container}}", self._attach),
                        (f"/portForward{place}", self._port_forward),
                    )
                    for route in (web.get, web.post)
                ),
            ]
        )
        return app

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=metrics.render(self._registry), content_type="text/plain", charset="utf-8")

    async def _show_tables(self, request: web.Request) -> web.Response:
        try:
            return web.Response(text=self._tables(request.query))
        except LookupError as error:
            raise web.HTTPNotFound(text=str(error.args[0])) from error
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error

    async def _pods(self, _: web.Request) -> web.Response:
        items = [worker.pod for worker in self._kubelet]
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def _dial(self, request: web.Request) -> web.StreamResponse:
        return await dial_.dial(request, self._kubelet.host_link)

    def _worker(self, request: web.Request) -> PodWorker:
        place = (request.match_info["namespace"], request.match_info["pod"])
        worker = self._kubelet.find(*place)
        if worker is None:
            raise web.HTTPNotFound(text=f'pod "{place[1]}" in namespace "{place[0]}" is not on this node')
        return worker

    def _container(self, request: web.Request) -> Container:
        worker, name = self._worker(request), request.match_info["container"]
        container = worker.container(name)
        if container is None:
            raise web.HTTPBadRequest(text=f"container {name} is not valid for pod {meta.name(worker.pod)}")
        return container

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        pod = meta.name(self._worker(request).pod)
        return await log_.answer(request, self._container(request), pod, self._clock)

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        return await exec_.execute(request, self._container(request))

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        return await exec_.attach(request, self._container(request))

    async def _port_forward(self, request: web.Request) -> web.StreamResponse:
        link = self._worker(request).link
        if link is None:
            raise web.HTTPBadRequest(text="the pod is not running")
        return await portforward.forward(request, link)


@web.middleware
async def _say_why(request: web.Request, handler: Any) -> web.StreamResponse:
    """Tell a refusal in a header too: who asks for a WebSocket sees no body."""
    try:
        answer: web.StreamResponse = await handler(request)
    except web.HTTPError as error:
        error.headers[REFUSAL] = quote(error.text or error.reason)
        raise
    return answer


@web.middleware
async def _only_the_api_server(request: web.Request, handler: Any) -> web.StreamResponse:
    peer = request.transport.get_extra_info("peercert") if request.transport else None
    if request.path not in OPEN and MASTERS not in organisations(peer or {}):
        raise web.HTTPForbidden(text="Forbidden: only the API server may ask this")
    answer: web.StreamResponse = await handler(request)
    return answer


def organisations(certificate: dict[str, Any]) -> list[str]:
    """The groups that a peer's certificate, as `ssl` decodes it, says it belongs to."""
    parts = [pair for part in certificate.get("subject") or () for pair in part]
    return [value for name, value in parts if name == "organizationName"]
