"""The servers that are measured, each a process that prints `ready PORT` and runs until its input is closed.

`apiserver FOLDER` is the API server, on plain HTTP so that its limit is the same stack and not the same cipher; `echo`
is that stack parsing and serialising; `constant SIZE` is that stack answering the same bytes; `pipe SIZE` is one copy
in memory and one write to a socket.
"""

import asyncio
import resource
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import orjson
import uvloop
import yaml
from aiohttp import web

import apiserver
from miniplane import collector


def ready(port: int) -> None:
    """Tell the parent."""
    print("ready", port, flush=True)


async def end_of_input() -> None:
    """Return once the parent has closed our standard input, or died."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def run_apiserver(folder: Path) -> None:
    """The real thing."""
    settings = apiserver.Settings(data_dir=folder, port=0, insecure_http=True, log_level="warning")

    def started() -> None:
        collector.settle()
        config = yaml.safe_load((folder / "kubeconfig").read_text())
        ready(urlsplit(config["clusters"][0]["cluster"]["server"]).port or 0)

    task = asyncio.create_task(apiserver.run(settings, ready=started))
    waiting = asyncio.create_task(end_of_input())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    await asyncio.wait({task})


async def run_stack(answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
    """The HTTP stack alone."""
    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        await web.SockSite(runner, listener).start()
        ready(listener.getsockname()[1])
        await end_of_input()
        await runner.cleanup()


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    """Parse and serialise."""
    body = orjson.dumps(orjson.loads(await request.read()))
    return web.Response(body=body, status=201, content_type="application/json")


def constant(size: int) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """The same bytes for everybody."""
    body = b"x" * size

    async def answer(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    return answer


class Pipe(asyncio.Protocol):
    """Answers whatever comes with a fresh copy of the same bytes."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, _data: bytes) -> None:
        """One request is one piece here."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self._body)
        self._transport.write(head + self._body)


async def run_pipe(size: int) -> None:
    """See `Pipe`."""
    body = b"x" * size
    server = await asyncio.get_running_loop().create_server(lambda: Pipe(body), "127.0.0.1", 0)
    async with server:
        ready(server.sockets[0].getsockname()[1])
        await end_of_input()


def main(name: str, *rest: str) -> None:
    """Run one of them."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    match name:
        case "apiserver":
            work = run_apiserver(Path(rest[0]))
        case "echo":
            work = run_stack(echo)
        case "constant":
            work = run_stack(constant(int(rest[0])))
        case "pipe":
            work = run_pipe(int(rest[0]))
        case _:
            raise SystemExit(f"no server {name}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


if __name__ == "__main__":
    main(*sys.argv[1:])
