"""The proxy's way to its backends: an HTTP client whose connections go through the pod's link, so through the rules."""

import asyncio

import aiohttp
from aiohttp.client_proto import ResponseHandler

from ..network.base import Link

CONNECT_TIMEOUT_S = 5.0
"""How long an endpoint may take to answer the first packet (nginx: 60 s; here the next endpoint is tried)."""
KEEPALIVE_S = 30.0
PER_ENDPOINT = 256
"""Connections to one endpoint at a time."""


class Unreachable(aiohttp.ClientConnectionError):
    """No connection was made, nothing was sent: another endpoint may be tried. `silent`: it did not answer in time."""

    def __init__(self, address: str, *, silent: bool) -> None:
        super().__init__(address)
        self.silent = silent


class LinkConnector(aiohttp.BaseConnector):
    """Connects from a pod. Hosts in URLs must be addresses."""

    def __init__(self, link: Link) -> None:
        super().__init__(keepalive_timeout=KEEPALIVE_S, limit=0, limit_per_host=PER_ENDPOINT)
        self._link = link

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: object,  # noqa: ARG002  the signature is aiohttp's
        timeout: object,  # noqa: ARG002  as above
    ) -> ResponseHandler:
        host, port = req.url.raw_host or "", req.url.port or 80
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, protocol = await self._link.connect(self._factory, host, port)
        except TimeoutError as error:
            raise Unreachable(f"{host}:{port}", silent=True) from error
        except OSError as error:
            raise Unreachable(f"{host}:{port}", silent=False) from error
        return protocol  # type: ignore[return-value]  # what the factory made
