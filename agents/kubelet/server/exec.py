"""`/exec` and `/attach`, over WebSockets and over SPDY."""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from miniplane.aio import stop
from miniplane.observe import logs

from ..applets.base import Input, NoInput
from ..applets.command import Streams, run
from ..containers import Container
from . import connection
from .channels import (
    CLOSE,
    ERROR,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    Channels,
    Pipe,
    WebSocket,
    exit_status,
    failure_status,
)
from .spdychannels import SpdyChannels
from .terminal import Terminal

log = logs.get("agents.kubelet.exec")

_TRUE = frozenset({"true", "True", "1"})
_INTERRUPTED = 130
_NO_INPUT = "note: a built-in container reads no attached input; kubectl exec -it opens a shell in it\n"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which streams are asked for; the API server's words and the kubelet's are both understood."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "Wanted":
        """From a query."""

        def asked(*names: str) -> bool:
            return any(query.get(name, "") in _TRUE for name in names)

        tty = asked("tty")
        return cls(asked("stdin", "input"), asked("stdout", "output"), asked("stderr", "error") and not tty, tty)

    @property
    def channels(self) -> frozenset[int]:
        """The channels that a client opens which has to open each."""
        asked = {STDIN: self.stdin, STDOUT: self.stdout, STDERR: self.stderr, RESIZE: self.tty, ERROR: True}
        return frozenset(channel for channel, is_asked in asked.items() if is_asked)


async def _accept(request: web.Request, wanted: Wanted) -> Channels:
    """The channels of a request, in the form that its client speaks."""
    if connection.is_spdy(request):
        return Channels(await SpdyChannels.accept(request, wanted.channels))
    return Channels(await WebSocket.accept(request))


async def execute(request: web.Request, container: Container) -> web.StreamResponse:
    """Run a command in a container, its streams on channels; ends with a Status."""
    argv = request.query.getall("command", [])
    if not argv:
        raise web.HTTPBadRequest(text="you must specify at least 1 command for the container")
    context = container.context
    if context is None or not container.is_running:
        raise web.HTTPBadRequest(text=f'container "{container.name}" is not running')
    wanted = Wanted.parse(request.query)
    channels = await _accept(request, wanted)
    session = _Session(channels, wanted)
    streams = Streams(
        stdin=session.stdin,
        stdout=session.stdout,
        stderr=session.stderr if wanted.stderr else session.stdout,
        tty=wanted.tty,
    )
    await session.run(run(context, argv, streams), argv)
    return channels.response


async def attach(request: web.Request, container: Container) -> web.StreamResponse:
    """Show what the container writes from now on; ends when it ends, with its exit code."""
    if not container.is_running:
        raise web.HTTPBadRequest(text=f'container "{container.name}" is not running')
    wanted = Wanted.parse(request.query)
    channels = await _accept(request, wanted)
    session = _Session(channels, wanted)
    if wanted.stdin:
        session.stdout(_NO_INPUT.encode())
    await session.run(_follow(container, session), ())
    return channels.response


async def _follow(container: Container, session: "_Session") -> int:
    source = container.log
    async for line in source.follow(tail=0):
        session.stdout(line.text.encode() + b"\n")
    return source.exit_code


def _end(command: "asyncio.Task[int]", argv: Sequence[str]) -> bytes:
    """The Status of a command that has ended, also by a bug in it."""
    if (error := command.exception()) is not None:
        log.error("command failed by a bug", command=" ".join(argv), error=repr(error))
        return failure_status(f"internal error: {error!r}")
    return exit_status(command.result(), argv)


class _Session:
    """One connection of exec or attach."""

    def __init__(self, channels: Channels, wanted: Wanted) -> None:
        self._channels = channels
        self._wanted = wanted
        self._pipe = Pipe()
        self._interrupted = asyncio.Event()
        self._terminal = (
            Terminal(echo=self._raw_stdout, line=self._pipe.put, end=self._pipe.end, interrupt=self._interrupted.set)
            if wanted.tty
            else None
        )
        self.stdin: Input = self._pipe if wanted.stdin else NoInput()

    def _raw_stdout(self, data: bytes) -> None:
        if self._wanted.stdout:
            self._channels.send(STDOUT, data)

    def stdout(self, data: bytes) -> None:
        """To the client's standard output, with a terminal's line ends on a terminal."""
        self._raw_stdout(bytes(data).replace(b"\n", b"\r\n") if self._wanted.tty else bytes(data))

    def stderr(self, data: bytes) -> None:
        """To the client's standard error."""
        self._channels.send(STDERR, bytes(data))

    async def run(self, work: Coroutine[Any, Any, int], argv: Sequence[str]) -> None:
        """Do the work until it ends, the client leaves, or it has to be stopped; then say how it ended."""
        command = asyncio.create_task(work, name="exec")
        sending = asyncio.create_task(self._channels.pump(), name="exec output")
        reading = asyncio.create_task(self._receive(), name="exec input")
        overflow = asyncio.create_task(self._channels.is_overflowing.wait(), name="exec overflow")
        interrupt = asyncio.create_task(self._interrupted.wait(), name="exec interrupt")
        everything = (command, sending, reading, overflow, interrupt)
        try:
            await asyncio.wait({command, sending, reading, overflow, interrupt}, return_when=asyncio.FIRST_COMPLETED)
            if command.done():
                self._finish(_end(command, argv))
            elif interrupt.done():
                await stop(command)
                self._finish(exit_status(_INTERRUPTED, argv))
            elif overflow.done():
                await stop(command)
                self._channels.is_overflowing.clear()
                self._finish(failure_status("the client does not keep up with the command's output"))
            else:
                return
            with contextlib.suppress(ConnectionError):
                await sending
                await stop(reading)  # or it, and not `close`, would get the client's answer to the close
                await self._channels.close()
        finally:
            await stop(*everything)

    def _finish(self, status: bytes) -> None:
        self._channels.send(ERROR, status)
        self._channels.finish()

    async def _receive(self) -> None:
        """Hand the client's input on, until it closes the connection."""
        async for channel, data in self._channels.messages():
            if channel == STDIN and self._terminal is not None:
                self._terminal.feed(data)
            elif channel == STDIN:
                self._pipe.put(data)
            elif channel == CLOSE and data[:1] == bytes([STDIN]):
                self._pipe.end()
