"""Connections in memory: asyncio transports that need no file descriptor.

A connection is two *halves* joined: each takes what the other pushes. An `End` is the half that a protocol talks to;
other halves are real sockets (`sockets.py`) and streams to other nodes (`tunnel.py`), so that any two make a connection
and bytes are handed on without a pump between them.

It behaves as TCP does where a protocol can tell: half close, reset, and bytes for somebody who has closed are answered
with a reset. One thing is kinder: closing with unread bytes does not take away what was written before.
Nothing is delivered inside a call of the other side, always from the event loop.
"""

import asyncio
import contextlib
import errno
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

HIGH_WATER = 64 * 1024
"""A half with more bytes waiting than this asks the other to pause; asyncio's own default."""
LOW_WATER = HIGH_WATER // 4
JOIN = 64 * 1024
"""Waiting pieces are joined up to this size before they are delivered, as a socket would."""

Address = tuple[str, int]
"""Address and port, as `peername` and `sockname` tell them."""


class Half(Protocol):
    """One side of a connection, as the other side sees it."""

    closed: Callable[[], None] | None
    """Called once when nothing can come from or go to this half any more."""

    @property
    def full(self) -> bool:
        """Whether the other side should stop pushing until `room` is called."""

    def join(self, other: "Half") -> None:
        """Start, with `other` as the other side."""

    def put(self, data: bytes) -> None:
        """Take bytes that the other side sends."""

    def put_eof(self) -> None:
        """The other side sends no more."""

    def put_reset(self) -> None:
        """The other side is gone; what was not delivered is lost."""

    def room(self) -> None:
        """The other side has room again."""


def join(one: Half, two: Half, done: Callable[[], None] | None = None) -> None:
    """Make two halves a connection; `done` is called once both are closed."""
    if done is not None:
        left = 2

        def closed() -> None:
            nonlocal left
            left -= 1
            if not left:
                done()

        one.closed = two.closed = closed
    one.join(two)
    two.join(one)


def reset_error() -> ConnectionResetError:
    """What a protocol is told whose peer went without a word."""
    return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


class End(asyncio.Transport):
    """The half that a protocol talks to."""

    def __init__(self, protocol: asyncio.BaseProtocol, *, sockname: Address, peername: Address) -> None:
        super().__init__({"sockname": sockname, "peername": peername})
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._far: Half | None = None
        self.closed: Callable[[], None] | None = None
        self.lost: Callable[[End], None] | None = None
        """Called once with this end when its protocol has been told that the connection is lost."""
        self.full = False
        self._high, self._low = HIGH_WATER, LOW_WATER
        self._queue: deque[bytes] = deque()
        self._waiting = 0
        self._started = self._closing = self._scheduled = False
        self._reading_paused = self._writing_paused = False
        self._eof_in = self._eof_told = self._eof_out = False

    # The half: what comes from the other side.

    def join(self, other: Half) -> None:
        """Start soon; see `start`."""
        self._far = other
        self._loop.call_soon(self.start)

    def start(self) -> None:
        """Tell the protocol that the connection is made. Idempotent, so that a caller need not wait for the loop."""
        if self._started:
            return
        self._started = True
        with self._guarded():
            self._protocol.connection_made(self)
        self._wake()

    def put(self, data: bytes) -> None:
        """See `Half`."""
        if self._closing:
            if self._far is not None:
                self._far.put_reset()
            return
        self._queue.append(data)
        self._waiting += len(data)
        if self._waiting > self._high:
            self.full = True
        self._wake()

    def put_eof(self) -> None:
        """See `Half`."""
        self._eof_in = True
        self._wake()

    def put_reset(self) -> None:
        """See `Half`."""
        self._shut(reset_error())

    def room(self) -> None:
        """See `Half`."""
        if self._writing_paused and not self._closing:
            self._writing_paused = False
            self._protocol.resume_writing()

    def _wake(self) -> None:
        if not self._scheduled and self._started and not self._reading_paused and not self._closing:
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        if self._reading_paused or self._closing:
            return
        if self._queue:
            data = self._take()
            with self._guarded():
                self._hand_over(data)
            self._relieve()
            if self._queue or self._eof_in:
                self._wake()
        elif self._eof_in and not self._eof_told:
            self._eof_told = True
            stay = False
            with self._guarded():
                assert isinstance(self._protocol, asyncio.Protocol | asyncio.BufferedProtocol)
                stay = bool(self._protocol.eof_received())
            if not stay:
                self.close()

    def _take(self) -> bytes:
        first = self._queue.popleft()
        size = len(first)
        if self._queue and size + len(self._queue[0]) <= JOIN:
            parts = [first]
            while self._queue and size + len(self._queue[0]) <= JOIN:
                size += len(self._queue[0])
                parts.append(self._queue.popleft())
            first = b"".join(parts)
        self._waiting -= size
        return first

    def _hand_over(self, data: bytes) -> None:
        protocol = self._protocol
        if not isinstance(protocol, asyncio.BufferedProtocol):
            assert isinstance(protocol, asyncio.Protocol)
            protocol.data_received(data)
            return
        rest = memoryview(data)
        while rest:
            buffer = memoryview(protocol.get_buffer(len(rest))).cast("B")
            size = min(len(buffer), len(rest))
            buffer[:size] = rest[:size]
            protocol.buffer_updated(size)
            rest = rest[size:]
            if rest and (self._reading_paused or self._closing or self._protocol is not protocol):
                self._queue.appendleft(bytes(rest))
                self._waiting += len(rest)
                return

    def _relieve(self) -> None:
        if self.full and self._waiting <= self._low:
            self.full = False
            if self._far is not None:
                self._far.room()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """A protocol that fails loses its connection; its exception goes on to the loop's handler."""
        well = False
        try:
            yield
            well = True
        finally:
            if not well:
                self.abort()

    def _shut(self, error: Exception | None) -> bool:
        """Stop; says whether this was the first time."""
        if self._closing:
            return False
        self._closing = True
        self._queue.clear()
        self._waiting = 0
        self.full = False
        self._loop.call_soon(self._lose, error)
        return True

    def _lose(self, error: Exception | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            if self.lost is not None:
                self.lost(self)
            closed, self.closed = self.closed, None
            if closed is not None:
                closed()

    # The transport: what the protocol does.

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol in use."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Deliver to another protocol from now on."""
        self._protocol = protocol

    def is_closing(self) -> bool:
        """Whether the connection is closed or closing."""
        return self._closing

    def is_reading(self) -> bool:
        """Whether bytes are being delivered."""
        return not self._reading_paused and not self._closing

    def pause_reading(self) -> None:
        """Hold bytes back. Idempotent."""
        self._reading_paused = True

    def resume_reading(self) -> None:
        """Deliver again. Idempotent."""
        self._reading_paused = False
        if self._queue or (self._eof_in and not self._eof_told):
            self._wake()

    def get_write_buffer_size(self) -> int:
        """Bytes that the other side has not taken; 0 where they left this process' memory."""
        return self._far._waiting if isinstance(self._far, End) else 0  # noqa: SLF001  its own class

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The water marks in use, low and high."""
        far = self._far
        return (far._low, far._high) if isinstance(far, End) else (LOW_WATER, HIGH_WATER)  # noqa: SLF001  its own class

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks, with asyncio's defaults."""
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        low = high // 4 if low is None else low
        if not 0 <= low <= high:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        if isinstance(self._far, End):
            self._far._high, self._far._low = high, low  # noqa: SLF001  its own class

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Send. A `bytes` object is handed on without a copy."""
        if self._eof_out:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data or self._far is None:
            return
        self._far.put(data if type(data) is bytes else bytes(data))
        if self._far.full and not self._writing_paused and not self._closing:
            self._writing_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: "Iterable[bytes | bytearray | memoryview[Any]]") -> None:
        """Send several pieces in order."""
        for data in list_of_data:
            self.write(data)

    def can_write_eof(self) -> bool:
        """Half close works."""
        return True

    def write_eof(self) -> None:
        """Send the end; reading goes on. Idempotent."""
        if self._closing or self._eof_out:
            return
        self._eof_out = True
        if self._far is not None:
            self._far.put_eof()

    def close(self) -> None:
        """Read no more; what was written still arrives, then the end."""
        was_full = self.full
        if self._shut(None) and self._far is not None:
            if not self._eof_out:
                self._far.put_eof()
            if was_full:
                self._far.room()

    def abort(self) -> None:
        """Close at once; the other side sees a reset."""
        if self._shut(None) and self._far is not None:
            self._far.put_reset()

    def _force_close(self, exc: BaseException | None) -> None:  # noqa: ARG002  asyncio's TLS protocol ends a failed handshake so
        self.abort()
