"""`python -m apiserver`: the API server alone."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable

from miniplane import collector, config
from miniplane.observe import logs

from . import Settings, run

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop
except ModuleNotFoundError:  # not made for every system
    new_event_loop = asyncio.new_event_loop


async def _until_stopped(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await run(settings, ready=collector.settle)
    logs.get("apiserver").info("stopped")


def main() -> None:
    """Read the settings and serve until interrupted."""
    settings = config.load(Settings, sys.argv[1:], program="apiserver")
    logs.configure(settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_until_stopped(settings))


if __name__ == "__main__":
    main()
