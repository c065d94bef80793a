"""A small HTTP server for those who watch a process: `/metrics`, `/healthz`, `/livez`, `/readyz`."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from miniplane.observe import logs
from miniplane.observe.metrics import CONTENT_TYPE, CollectorRegistry, render

log = logs.get("miniplane.observe.health")


@asynccontextmanager
async def serving(
    registry: CollectorRegistry, is_ready: Callable[[], bool], *, port: int = 0, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """Serve for the time of the block; gives the port. `/readyz` is 503 until `is_ready`."""

    async def alive(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def ready(_request: web.Request) -> web.Response:
        return web.Response(text="ok") if is_ready() else web.Response(status=503, text="not ready")

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=render(registry), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.add_routes([web.get("/healthz", alive), web.get("/livez", alive)])
    app.add_routes([web.get("/readyz", ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        taken = int(runner.addresses[0][1])
        log.info("serving metrics", url=f"http://{host}:{taken}/metrics")
        yield taken
    finally:
        await runner.cleanup()
