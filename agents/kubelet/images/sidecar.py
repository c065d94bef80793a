"""A log shipper's stand-in: looks at its neighbour on localhost now and then, and logs what it saw.

It shows that the containers of a pod share one network: `localhost` in the sidecar is the web container's.
"""

import asyncio
from dataclasses import dataclass

from ..http import BadResponse, Request, fetch
from .base import ContainerContext, Running, RunningContainer

TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Gets `http://localhost:<port>/` of the first neighbour that declares a port, 80 where none does."""

    period_s: float = 5.0
    """Time between two looks; the first is at once."""

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Begin to look. See `Image`."""
        return Running(self._look(context))

    async def _look(self, context: ContainerContext) -> int:
        port = _neighbour(context)
        while True:
            context.log(await self._once(context, port))
            await context.clock.sleep(self.period_s)

    async def _once(self, context: ContainerContext, port: int) -> str:
        url = f"http://localhost:{port}/"
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await fetch(context.link, Request(host="127.0.0.1", port=port, authority=f"localhost:{port}"))
        except (OSError, BadResponse) as error:
            return f"{url} failed: {str(error) or type(error).__name__}"
        return f"{url} answered {answer.status}, {len(answer.body)} bytes"


def _neighbour(context: ContainerContext) -> int:
    for container in context.pod["spec"]["containers"]:
        if container["name"] != context.container["name"]:
            for port in container.get("ports") or ():
                if port.get("protocol", "TCP") == "TCP":
                    return int(port["containerPort"])
    return 80
