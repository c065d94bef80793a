"""A program as a process: settings, logs, a loop of its own, and a stop in good order."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from miniplane import collector, config
from miniplane.observe import logs

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop
except ModuleNotFoundError:  # not made for every system
    new_event_loop = asyncio.new_event_loop

Run = Callable[[Callable[[], None]], Awaitable[None]]
"""A program bound to its settings: given `ready`, runs until cancelled."""

log = logs.get("miniplane.process")


def main(program: str, settings_type: type[Any], run: Callable[..., Awaitable[None]], argv: Sequence[str]) -> int:
    """Run a program in the foreground until SIGTERM or SIGINT; its flags are its settings. Gives the exit code."""
    settings = config.load(settings_type, argv, program=program)
    logs.configure(settings.log_level, settings.log_format)
    run_until_stopped(lambda ready: run(settings, ready=ready), partial(log.info, "ready", program=program))
    log.info("stopped", program=program)
    return 0


def run_until_stopped(run: Run, ready: Callable[[], None], lifeline: int | None = None) -> None:
    """Run one program on a loop of its own until SIGTERM, and until `lifeline` reads end of file or else SIGINT."""

    def started() -> None:
        ready()
        collector.settle()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(run, started, lifeline))


async def _serve(run: Run, ready: Callable[[], None], lifeline: int | None) -> None:
    """Run a program until it is told to stop or its supervisor is gone."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if lifeline is None:
        loop.add_signal_handler(signal.SIGINT, stop.set)
    else:
        loop.add_reader(lifeline, stop.set)
    program = asyncio.ensure_future(run(ready))
    waiting = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({program, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if lifeline is not None:
            loop.remove_reader(lifeline)
        waiting.cancel()
        program.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await program


def run_module(program: str, settings_type: type[Any], run: Callable[..., Awaitable[None]]) -> None:
    """The whole of a program's `__main__`."""
    sys.exit(main(program, settings_type, run, sys.argv[1:]))
