"""A real socket as half of a connection: nothing that comes before it is joined is lost."""

import asyncio
from collections.abc import Callable

from agents.network.memory import join
from agents.network.sockets import SocketHalf


class Wire(asyncio.Transport):
    """A transport that, as uvloop's, goes on delivering after it was told to pause."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = True

    def pause_reading(self) -> None:
        """Remember it."""
        self.reading = False

    def resume_reading(self) -> None:
        """Remember it."""
        self.reading = True

    def is_closing(self) -> bool:
        """Never."""
        return False


class Far:
    """The other half: what it was given."""

    full = False

    def __init__(self) -> None:
        self.got: list[bytes | str] = []
        self.closed: Callable[[], None] | None = None

    def join(self, other: object) -> None:
        """Nothing to start."""

    def put(self, data: bytes) -> None:
        """Bytes."""
        self.got.append(data)

    def put_eof(self) -> None:
        """The end."""
        self.got.append("eof")

    def put_reset(self) -> None:
        """A reset."""
        self.got.append("reset")

    def room(self) -> None:
        """Nothing waits."""


def test_early_bytes_wait_for_the_other_half() -> None:
    """Data and end that arrive before `join` are handed on in order, and reading goes on only then."""
    half, wire, far = SocketHalf(), Wire(), Far()
    half.connection_made(wire)
    half.data_received(b"GET ")
    half.data_received(b"/")
    half.eof_received()
    assert not wire.reading
    half.join(far)
    assert far.got == [b"GET ", b"/", "eof"]
    assert wire.reading


def test_a_socket_lost_early_is_a_reset() -> None:
    """A client that is gone before the way to the pod stands resets it."""
    half, wire, far = SocketHalf(), Wire(), Far()
    half.connection_made(wire)
    half.data_received(b"x")
    half.connection_lost(None)
    half.join(far)
    assert far.got == [b"x", "reset"]


def test_a_socket_lost_early_is_done_with_once_the_other_half_is() -> None:
    """Whoever joins it is told of the connection's end, and can forget it."""
    half, far = SocketHalf(), Far()
    done: list[bool] = []
    half.connection_made(Wire())
    half.connection_lost(None)
    join(half, far, lambda: done.append(True))
    assert not done
    assert far.closed is not None
    far.closed()
    assert done == [True]
