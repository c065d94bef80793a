"""The contract between the kubelet and what runs in a container.

An image is started with a `ContainerContext` and gives back a `RunningContainer`. It costs no process: a server is some
listeners on the pod's link, and needs no task while nobody talks to it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from miniplane.aio import Clock, stop
from miniplane.api.kind import Object

from ...network.base import Link
from ..resolver import Resolver

TERMINATION_LOG = "/dev/termination-log"
"""Where a container writes its last words unless its spec names another file."""
KILLED = 137
"""Exit code of a container that was killed: 128 + SIGKILL."""
TERMINATED = 143
"""Exit code of a program that SIGTERM ended: 128 + SIGTERM."""

DRAIN_S = 1.0
"""How long a built-in server goes on taking connections after SIGTERM.

The news that its endpoint leaves needs that long to reach every node's rules, so no client meets a closed port.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerContext:
    """All that a container is given. `pod` and `container` are shared and read-only."""

    pod: Object
    container: Object
    node: str
    """The name of the node that it runs on."""
    link: Link
    names: Resolver
    """Resolves names as the pod's resolv.conf and hosts file say."""
    clock: Clock
    log: Callable[[str], None]
    """Writes to the container's log; each line of the text gets its time."""
    event: Callable[[str, str, str], None]
    """Records an event (type, reason, message) on the pod."""
    args: Sequence[str] = ()
    """The arguments after the image's own program, variables expanded."""
    env: Mapping[str, str] = field(default_factory=dict)
    files: MutableMapping[str, str] = field(default_factory=dict)
    """`{absolute path: text}`: /etc/hosts, /etc/resolv.conf, what volumes of ConfigMaps and Secrets project, and what
    applets write. Made anew at each start of the container."""

    def with_args(self, args: Sequence[str]) -> "ContainerContext":
        """The same with other arguments."""
        return replace(self, args=args)

    @property
    def ports(self) -> list[tuple[str, int]]:
        """The declared (protocol, containerPort) pairs, in order."""
        declared = self.container.get("ports") or ()
        return [(port.get("protocol", "TCP"), port["containerPort"]) for port in declared]


class RunningContainer(Protocol):
    """A container between its start and its end."""

    @property
    def exited(self) -> "asyncio.Future[int]":
        """Set to the exit code when the container has ended, and not before everything of it is gone."""

    def terminate(self) -> None:
        """SIGTERM: ask it to end in its own time. Idempotent."""

    async def kill(self) -> None:
        """SIGKILL: when this returns it has ended, with code 137 unless it ended before. Idempotent."""


class Image(Protocol):
    """Something that can be started in a container."""

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Start it; returns as soon as it serves.

        Raises OSError where the program would fail at its start (a port in use), ValueError for arguments that it does
        not take: the kubelet takes either as exit code 1.
        """


class Served:
    """A container that is a set of open things: listeners, sockets, HTTP servers, tasks.

    `close` releases them; it is awaited exactly once, on the first of: `kill`, the end of the drain after `terminate`,
    `finish`.
    """

    def __init__(self, context: ContainerContext, close: Callable[[], Awaitable[None]]) -> None:
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.was_killed = False
        """Whether there is no time left for what is on its way."""
        self._close = close
        self._clock = context.clock
        self._draining: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    def terminate(self) -> None:
        """Serve for a while longer, then end with code 0."""
        if self._draining is None and not self.exited.done():
            self._draining = asyncio.create_task(self._drain(), name="drain")

    def finish(self, code: int) -> None:
        """End by itself with `code`."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(code), name="container end")

    async def kill(self) -> None:
        """End now."""
        self.was_killed = True
        if self._draining is not None:
            await stop(self._draining)
        self.finish(KILLED)
        assert self._ending is not None
        await asyncio.shield(self._ending)

    async def _drain(self) -> None:
        await self._clock.sleep(DRAIN_S)
        self.finish(0)

    async def _end(self, code: int) -> None:
        try:
            await self._close()
        finally:
            if not self.exited.done():
                self.exited.set_result(code)


class Running:
    """A container that is one task: an applet, a command."""

    def __init__(self, work: Awaitable[int]) -> None:
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._code = KILLED
        self._task = asyncio.ensure_future(work)
        self._task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Future[int]") -> None:
        if not self.exited.done():
            self.exited.set_result(self._code if task.cancelled() or task.exception() else task.result())

    def terminate(self) -> None:
        """End at once, as a program does that has no handler for SIGTERM."""
        if not self._task.done():
            self._code = TERMINATED
            self._task.cancel()

    async def kill(self) -> None:
        """End now."""
        self._task.cancel()
        await asyncio.shield(self.exited)
