"""A real TCP socket as one half of a connection."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import cast

from .memory import Half

_LINGER_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends a reset."""


class SocketHalf(asyncio.Protocol):
    """The protocol of a real transport; what comes before it is joined waits."""

    def __init__(self, made: Callable[["SocketHalf"], None] | None = None) -> None:
        self.closed: Callable[[], None] | None = None
        self.full = False
        self._made = made
        self._far: Half | None = None
        self._early: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._eof_in = self._eof_out = self._lost = False

    @property
    def transport(self) -> asyncio.Transport:
        """The real transport."""
        assert self._transport is not None
        return self._transport

    # From the real socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for `join`."""
        # A cast, not an assertion: uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.pause_reading()
        if self._made is not None:
            self._made(self)

    def data_received(self, data: bytes) -> None:
        """Hand on."""
        if self._far is None:
            # uvloop starts to read after `connection_made`, whatever that asked for.
            self.transport.pause_reading()
            self._early.append(data)
        else:
            self._far.put(data)
            if self._far.full and not self.transport.is_closing():
                self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Hand on; the other direction stays open."""
        self._eof_in = True
        if self._far is not None:
            self._far.put_eof()
        self._close_if_over()
        return True

    def pause_writing(self) -> None:
        """The socket is slower than what is pushed."""
        self.full = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self.full = False
        if self._far is not None:
            self._far.room()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the loop's signature
        """The socket is gone; the other side hears of it unless it has had the end already."""
        self._lost = True
        self.full = False
        if self._far is not None and not (self._eof_in and self._eof_out):
            self._far.put_reset()
        self._let_go()

    def _let_go(self) -> None:
        closed, self.closed = self.closed, None
        if closed is not None:
            closed()

    # From the other half.

    def join(self, other: Half) -> None:
        """See `Half`."""
        self._far = other
        early, self._early = self._early, []
        for data in early:
            other.put(data)
        if self._eof_in:
            other.put_eof()
        if self._lost:
            other.put_reset()
            self._let_go()
        elif not other.full:
            self.transport.resume_reading()

    def put(self, data: bytes) -> None:
        """See `Half`."""
        if self._lost:
            if self._far is not None:
                self._far.put_reset()
        elif not self._eof_out:
            self.transport.write(data)

    def put_eof(self) -> None:
        """See `Half`."""
        self._eof_out = True
        if not self._lost and not self.transport.is_closing():
            if not self._eof_in:
                with contextlib.suppress(OSError):  # the peer may be gone: the loop tells soon
                    self.transport.write_eof()
            self._close_if_over()

    def put_reset(self) -> None:
        """See `Half`."""
        self._eof_in = self._eof_out = True
        if not self._lost:
            real = self.transport.get_extra_info("socket")
            if real is not None:
                with contextlib.suppress(OSError):  # closed already
                    real.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
            self.transport.abort()

    def room(self) -> None:
        """See `Half`."""
        if not self._lost and not self.transport.is_closing():
            self.transport.resume_reading()

    def _close_if_over(self) -> None:
        if self._eof_in and self._eof_out:
            self.transport.close()
