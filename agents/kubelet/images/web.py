"""Web servers: what `nginx`, `http-echo`, `agnhost netexec`, `whoami` and images that nobody knows run.

Every answer tells who gave it (pod, node) and whom it saw (client address, headers), so that load balancing, NAT and
proxies show. The form follows the `Accept` header: JSON, HTML, and text for everything else.
"""

import html
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from ...network.base import Datagrams
from .base import ContainerContext, RunningContainer, Served
from .serving import Sockets, flag, identity, introduction, ports_of

Handler = Callable[[ContainerContext, web.BaseRequest], web.StreamResponse | None]
"""Answers a request; None leaves it to the page that tells everything."""
_FILES = "/usr/share/nginx/html"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServer:
    """An HTTP server on its own ports and on every declared TCP port; declared UDP ports answer with who they are."""

    name: str
    ports: Sequence[int] = ()
    notice: str = ""
    """Said once at the start, in the log and as an event: for images that are only stood in for."""

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Serve. See `Image`."""
        if self.notice:
            text = self.notice.format(image=context.container.get("image", ""))
            context.log(text)
            context.event("Normal", "Emulated", text)
        return await serve(context, _well_known, self.ports)


@dataclass(frozen=True, slots=True)
class HttpEcho:
    """`hashicorp/http-echo`: one text for every request. Flags: -text, -listen (:5678), -status-code."""

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Serve. See `Image`; without -text it exits with 127, as the original does."""
        text = flag(context.args, "text") or context.env.get("ECHO_TEXT", "")
        if not text:
            context.log("Missing -text option!")
            stopped = Served(context, _nothing)
            stopped.finish(127)
            return stopped
        status = int(flag(context.args, "status-code", "200"))
        port = int(flag(context.args, "listen", ":5678").rpartition(":")[2])

        def answer(_: ContainerContext, request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(text=text + "\n", status=status, headers={"X-App-Name": "http-echo"})

        return await serve(context, answer, [port])


@dataclass(frozen=True, slots=True)
class NetExec:
    """`agnhost netexec`: HTTP and UDP with commands, to test networks. Flags: --http-port (8080), --udp-port (8081)."""

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Serve. See `Image`."""
        http = int(flag(context.args, "http-port", "8080"))
        udp = int(flag(context.args, "udp-port", "8081"))

        def datagram(data: bytes, host: str, port: int, socket: Datagrams) -> None:
            word, _, rest = data.decode("utf-8", "replace").strip().partition(" ")
            known = {"hostname": _hostname(context), "echo": rest, "clientip": f"{host}:{port}"}
            if word.lower() in known:
                socket.send(known[word.lower()].encode(), host, port)

        return await serve(context, _well_known, [http], udp=[udp] if udp > 0 else (), datagram=datagram)


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """`traefik/whoami`: the text page for everything. Flag: --port (80)."""

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Serve. See `Image`."""
        port = int(flag(context.args, "port", context.env.get("WHOAMI_PORT_NUMBER", "80")))
        return await serve(context, _well_known, [port])


async def serve(
    context: ContainerContext,
    handler: Handler,
    ports: Sequence[int],
    *,
    udp: Sequence[int] = (),
    datagram: Callable[[bytes, str, int, Datagrams], None] | None = None,
) -> RunningContainer:
    """Start an HTTP server with access log on `ports` and the declared ones. Raises OSError for a port in use."""
    sockets = Sockets(context)
    running = Served(context, sockets.close)

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        answer = _exit(running, request) or handler(context, request) or page(context, request)
        context.log(_access_line(context.clock.now(), request, answer))
        return answer

    server = web.Server(respond, access_log=None, keepalive_timeout=75)
    sockets.at_close(_shutdown(server))
    tcp = ports_of(context, "TCP", ports)
    await sockets.listen(server, tcp)
    await sockets.bind(datagram or _introduce(context), ports_of(context, "UDP", udp))
    context.log(f"serving HTTP on ports {', '.join(map(str, tcp))}" if tcp else "no port is declared, nothing to serve")
    return running


def _shutdown(server: web.Server) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        server.pre_shutdown()
        await server.shutdown(timeout=0.01)  # none at all means no limit

    return close


async def _nothing() -> None: ...


def _introduce(context: ContainerContext) -> Callable[[bytes, str, int, Datagrams], None]:
    def received(data: bytes, host: str, port: int, socket: Datagrams) -> None:
        socket.send(introduction(context).encode() + b"\n", host, port)

    return received


def _hostname(context: ContainerContext) -> str:
    return context.env.get("HOSTNAME") or str(context.pod["metadata"]["name"])


def _client(request: web.BaseRequest) -> tuple[str, int]:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return (str(peer[0]), int(peer[1])) if peer else ("", 0)


def _exit(running: Served, request: web.BaseRequest) -> web.StreamResponse | None:
    """`/exit?code=N` ends the program, to see what Kubernetes does then."""
    parts = urlsplit(request.path_qs)
    if parts.path != "/exit":
        return None
    code = parse_qs(parts.query).get("code", ["0"])[0]
    running.finish(int(code) if code.isdigit() else 0)
    return web.Response(text=f"exiting with code {code}\n")


def _well_known(context: ContainerContext, request: web.BaseRequest) -> web.StreamResponse | None:
    """The short paths that netexec made common, and files mounted where nginx looks for them."""
    path = request.path
    query = parse_qs(urlsplit(request.path_qs).query)
    host, port = _client(request)
    texts = {
        "/healthz": "ok",
        "/hostname": _hostname(context),
        "/hostName": _hostname(context),
        "/clientip": f"{host}:{port}",
        "/echo": query.get("msg", [""])[0],
        "/header": request.headers.get(query.get("key", [""])[0], ""),
    }
    if path in texts:
        return web.Response(text=texts[path])
    mounted = context.files.get(f"{_FILES}{path}index.html" if path.endswith("/") else f"{_FILES}{path}")
    if mounted is not None:
        return web.Response(text=mounted, content_type="text/plain" if path.endswith(".txt") else "text/html")
    return None


def page(context: ContainerContext, request: web.BaseRequest) -> web.Response:
    """The page that tells who answers and what was asked."""
    host, port = _client(request)
    own = request.transport.get_extra_info("sockname") if request.transport else None
    facts: dict[str, Any] = identity(context) | {
        "port": own[1] if own else 0,
        "client": {"address": host, "port": port},
        "method": request.method,
        "path": request.path_qs,
        "headers": {name: request.headers[name] for name in request.headers},
    }
    accept = request.headers.get("Accept", "")
    if "json" in accept or "format=json" in request.query_string:
        return web.json_response(facts, dumps=lambda value: json.dumps(value, indent=2) + "\n")
    if "text/html" in accept:
        rows = "".join(f"<tr><th>{html.escape(key)}<td>{html.escape(value)}" for key, value in _lines(facts))
        title = html.escape(f"{facts['namespace']}/{facts['pod']}")
        return web.Response(
            text=f"<!doctype html><title>{title}</title><h1>{title}</h1><table>{rows}</table>\n",
            content_type="text/html",
        )
    return web.Response(text="".join(f"{key}: {value}\n" for key, value in _lines(facts)))


def _lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    client = facts["client"]
    top = [(key, str(facts[key])) for key in ("pod", "namespace", "node", "ip", "container", "image", "port")]
    return [
        *top,
        ("client", f"{client['address']}:{client['port']}"),
        ("request", f"{facts['method']} {facts['path']}"),
        *((f"header {name}", value) for name, value in facts["headers"].items()),
    ]


def _access_line(now: datetime, request: web.BaseRequest, answer: web.StreamResponse) -> str:
    host, port = _client(request)
    agent = request.headers.get("User-Agent", "-")
    return (
        f'{host}:{port} [{now:%d/%b/%Y:%H:%M:%S +0000}] "{request.method} {request.path_qs}" {answer.status} "{agent}"'
    )
