"""Calls to admission webhooks: HTTPS, the certificate checked against the webhook's own authorities."""

import ssl
from functools import lru_cache

import aiohttp

from ..admission.webhooks import CallError, Outgoing

ANSWER_LIMIT_BYTES = 3 * 1024 * 1024
"""A longer answer is refused: no object is as large."""
_OK = range(200, 300)


class WebhookClient:
    """Keeps connections; nothing is opened before the first call."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()

    async def post(self, call: Outgoing) -> bytes:
        """The body of the answer.

        Raises:
            CallError: No answer in time, a certificate that does not hold, another status than 2xx.
        """
        head = f'failed to call webhook: Post "{call.url}": '
        try:
            return await self._send(call)
        except TimeoutError as error:
            raise CallError(f"{head}context deadline exceeded") from error
        except aiohttp.ClientConnectorError as error:
            raise CallError(f"{head}{error.os_error}") from error  # its own text shows our TLS context
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CallError(f"{head}{error}") from error

    async def _send(self, call: Outgoing) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        headers = {"Content-Type": "application/json", "Accept": "application/json, */*"}
        if call.host:
            headers["Host"] = call.host
        async with self._session.post(
            call.url,
            data=call.body,
            headers=headers,
            ssl=_context(call.ca),
            server_hostname=call.host or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=call.timeout_s),
        ) as response:
            if response.status not in _OK:
                raise CallError(f"failed to call webhook: the server answered {response.status}")
            answer = bytearray()
            async for part in response.content.iter_chunked(65536):
                answer += part
                if len(answer) > ANSWER_LIMIT_BYTES:
                    raise CallError(f"failed to call webhook: the answer has more than {ANSWER_LIMIT_BYTES} bytes")
            return bytes(answer)


@lru_cache(maxsize=64)
def _context(ca: bytes) -> ssl.SSLContext:
    """Trusts these authorities alone, or the system's where there are none."""
    return ssl.create_default_context(cadata=ca.decode() if ca else None)
