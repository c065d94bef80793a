"""Runs the API server: certificates, store, sockets, and a clean end."""

import asyncio
import contextlib
import functools
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader

from miniplane import aio, pki
from miniplane.aio import Clock, SystemClock
from miniplane.kinds import REGISTRY
from miniplane.observe import logs
from miniplane.tokens import Key

from .app import App, compose
from .auditlog import open_log
from .http.protocol import Server
from .registry import expiry
from .registry.bootstrap import bootstrap, check_network
from .settings import Settings
from .store import Store, StoreUnavailable, open_store

_log = logs.get("apiserver")
_BACKLOG = 1024
_KEEPALIVE_S = 90.0
"""Longer than clients keep idle connections, so that it is they who close."""


def _listen(settings: Settings) -> socket.socket:
    """The bound TCP socket; its port is the real one where the settings say 0."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)


def _unlink(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def _listen_unix(path: str) -> socket.socket:
    """The bound Unix socket. Only the owner may open it: being able to is being the administrator."""
    _unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    return listener


def _database(settings: Settings) -> str:
    return settings.database or f"sqlite:///{(settings.data_dir / 'state.sqlite3').resolve()}"


def _prepare(settings: Settings, port: int) -> tuple[ssl.SSLContext | None, ssl.SSLContext]:
    """Certificates and kubeconfig files; returns the contexts towards clients and towards kubelets."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    scheme = "http" if settings.insecure_http else "https"
    host = "127.0.0.1" if settings.host in ("", "0.0.0.0", "::") else settings.host  # noqa: S104  compared, not bound
    shown = f"[{host}]" if ":" in host else host
    url = settings.server_url or f"{scheme}://{shown}:{port}"
    pki.ensure(settings.data_dir, server=url, nodes=settings.nodes, hosts=(host, *settings.hosts))
    kubelets = pki.client_context(pki.files(settings.data_dir, "kubelet-client"))
    if settings.insecure_http:
        return None, kubelets
    return pki.server_context(pki.files(settings.data_dir, "apiserver"), client="optional"), kubelets


def _request_factory(limit_bytes: int) -> Callable[..., web.BaseRequest]:
    """Makes requests whose body is limited; the arguments are aiohttp's, the parsed head and where the rest comes."""
    return functools.partial(_request, asyncio.get_running_loop(), limit_bytes)


def _request(
    loop: asyncio.AbstractEventLoop,
    limit_bytes: int,
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=limit_bytes)


@contextlib.asynccontextmanager
async def _serving(
    app: App, settings: Settings, listener: socket.socket, context: ssl.SSLContext | None
) -> AsyncIterator[None]:
    """Serve on the TCP socket and the Unix one."""
    server = Server(
        app.handler,
        request_factory=_request_factory(settings.max_body_bytes),
        access_log=None,
        keepalive_timeout=_KEEPALIVE_S,
    )
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, ssl_context=context, backlog=_BACKLOG).start()
        if settings.unix_socket:
            await web.SockSite(runner, _listen_unix(settings.unix_socket), backlog=_BACKLOG).start()
        yield
    finally:
        app.watches.close()
        await runner.cleanup()
        await app.proxy.close()
        await app.webhooks.close()
        if settings.unix_socket:
            _unlink(settings.unix_socket)


async def _guard(store: Store) -> None:
    """End the server with its store: whoever supervises it starts it again, and nobody takes it for well."""
    await store.failed()
    raise StoreUnavailable("the store's writer has failed")


async def run(settings: Settings, *, ready: Callable[[], None], clock: Clock | None = None) -> None:
    """Serve until cancelled; `ready` is called once requests are answered."""
    clock = clock or SystemClock()
    check_network(settings.network)
    with _listen(settings) as listener, open_log(settings.audit_log) as audit_log:
        port = listener.getsockname()[1]
        context, kubelets = _prepare(settings, port)
        async with open_store(_database(settings)) as store:
            key = Key.load(settings.data_dir / "pki" / "sa.key")
            app = compose(replace(settings, port=port), store, REGISTRY, clock, kubelets, key, audit_log)
            await bootstrap(app.pipeline, REGISTRY, settings.network, port)
            await app.definitions.sync()
            expiring = expiry.run(store, REGISTRY, clock, ttl_s=settings.event_ttl_s)
            async with (
                _serving(app, settings, listener, context),
                aio.background(expiring, _guard(store), app.definitions.run()),
            ):
                _log.info("serving", host=settings.host, port=port, revision=store.revision)
                ready()
                await asyncio.Event().wait()
