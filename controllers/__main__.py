"""`python -m controllers`: the controllers alone."""

import asyncio
import sys

from miniplane import config
from miniplane.observe import logs

from . import Settings, run

try:
    from uvloop import new_event_loop
except ModuleNotFoundError:  # not made for every system
    from asyncio import new_event_loop  # type: ignore[assignment]  # the same call, a wider loop


def main() -> None:
    """Read the settings and work until interrupted."""
    settings = config.load(Settings, sys.argv[1:], program="controllers")
    logs.configure(settings.log_level, settings.log_format)
    log = logs.get("controllers")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            runner.run(run(settings, ready=lambda: log.info("working")))
        except KeyboardInterrupt:
            log.info("stopped")


if __name__ == "__main__":
    main()
