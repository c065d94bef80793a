"""Clients that speak HTTP/2 from the first byte are told that only HTTP/1.1 is spoken here."""

import asyncio
from collections.abc import Callable
from typing import cast

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS, _GOAWAY = 4, 7
_HTTP_1_1_REQUIRED = 13
_TEXT = b"this proxy speaks HTTP/1.1 only; gRPC and HTTP/2 are not served"


def _frame(kind: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, 0)) + bytes(4) + payload


REFUSAL = _frame(_SETTINGS, b"") + _frame(_GOAWAY, bytes(4) + _HTTP_1_1_REQUIRED.to_bytes(4, "big") + _TEXT)
"""An empty SETTINGS frame and a GOAWAY with HTTP_1_1_REQUIRED (RFC 9113)."""


class _First(asyncio.Protocol):
    """Looks at the first bytes and then steps aside."""

    def __init__(self, inner: asyncio.Protocol) -> None:
        self._inner = inner
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not an assertion: uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if data.startswith(PREFACE[:14]):
            self._transport.write(REFUSAL)
            self._transport.close()
            return
        self._transport.set_protocol(self._inner)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)


def refusing_http2(factory: Callable[[], asyncio.BaseProtocol]) -> Callable[[], asyncio.BaseProtocol]:
    """A factory of the same protocols behind that look."""
    return lambda: _First(cast("asyncio.Protocol", factory()))
