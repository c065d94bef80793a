"""Commands: a container's `command`, and what `kubectl exec`, probes and hooks run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..images.base import ContainerContext, Image, Running, RunningContainer
from .base import Input, NoInput, Process, Write
from .registry import APPLETS
from .shell import Shell, Unknown, not_found


class LineWriter:
    """Cuts a stream of bytes into lines of a container's log."""

    def __init__(self, context: ContainerContext) -> None:
        self._log = context.log
        self._rest = b""

    def write(self, data: bytes) -> None:
        """Log the lines that are whole."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._log(line.decode("utf-8", "replace"))

    def flush(self) -> None:
        """Log what is left."""
        if self._rest:
            self._log(self._rest.decode("utf-8", "replace"))
            self._rest = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Where a command reads and writes."""

    stdout: Write
    stderr: Write
    stdin: Input = NoInput()  # noqa: RUF009 - it has no state
    tty: bool = False


async def run(context: ContainerContext, argv: Sequence[str], streams: Streams, *, unknown: Unknown = not_found) -> int:
    """Run a command in a container to its end and return its exit code; 127 for a program that is not here."""
    process = Process(
        args=argv,
        context=context,
        env=dict(context.env),
        stdin=streams.stdin,
        stdout=streams.stdout,
        stderr=streams.stderr,
        tty=streams.tty,
    )
    return await Shell(APPLETS, unknown=unknown).execute(process)


def is_known(program: str) -> bool:
    """Whether there is an applet of that name (folders do not count)."""
    return Shell(APPLETS).knows(program)


@dataclass(frozen=True, slots=True)
class Command:
    """A container that runs applets. A program that is none stands for the image's server, which is started then."""

    argv: Sequence[str]
    server: Image

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Run the command. See `Image`."""
        return Running(self._run(context))

    async def _run(self, context: ContainerContext) -> int:
        lines = LineWriter(context)
        try:
            return await run(context, self.argv, Streams(stdout=lines.write, stderr=lines.write), unknown=self._serve)
        finally:
            lines.flush()

    async def _serve(self, process: Process) -> int:
        process.context.log(f"{process.args[0]} is not run here: serving as the image does instead")
        try:
            running = await self.server.start(replace(process.context, args=process.args[1:]))
        except OSError:
            return 1
        try:
            return await running.exited
        finally:
            await running.kill()
