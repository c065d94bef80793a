"""Connections in memory behave as TCP does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from agents.network.memory import HIGH_WATER, End, join


async def settle() -> None:
    """Let the loop do all that it can do now."""
    for _ in range(20):
        await asyncio.sleep(0)


class _Recorder(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self, *, stay: bool = False) -> None:
        self.told: list[str] = []
        self.data = b""
        self.stay = stay
        self.lost: list[Exception | None] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told.append("made" if isinstance(transport, End) else "odd")

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.told.append("eof")
        return self.stay

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")
        self.lost.append(exc)

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


class _Buffered(asyncio.BufferedProtocol):
    """Takes bytes into a small buffer of its own."""

    def __init__(self) -> None:
        self.buffer = bytearray(1000)
        self.data = b""

    def get_buffer(self, sizehint: int) -> bytearray:
        assert sizehint > 0
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.buffer[:nbytes]


@dataclass
class Pair:
    """Two ends and their protocols."""

    client: End
    server: End
    near: _Recorder
    far: _Recorder
    done: list[bool]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """A connection whose server side keeps its own direction open after the client's end."""
    near, far, done = _Recorder(), _Recorder(stay=True), list[bool]()
    client = End(near, sockname=("10.0.0.1", 40000), peername=("10.0.0.2", 80))
    server = End(far, sockname=("10.0.0.2", 80), peername=("10.0.0.1", 40000))
    join(client, server, lambda: done.append(True))
    await settle()
    yield Pair(client, server, near, far, done)
    client.abort()
    server.abort()
    await settle()


async def test_bytes_arrive_in_order_and_only_from_the_loop(pair: Pair) -> None:
    """What is written arrives in order, and never inside the writer's call."""
    for number in range(10):
        pair.client.write(b"%d" % number)
    assert pair.far.data == b""
    await settle()
    assert pair.far.data == b"0123456789"


async def test_addresses(pair: Pair) -> None:
    """Each end tells its own and the other's address."""
    assert pair.client.get_extra_info("peername") == ("10.0.0.2", 80)
    assert pair.server.get_extra_info("peername") == ("10.0.0.1", 40000)


async def test_half_close(pair: Pair) -> None:
    """After one side's end the other may still send, and is over only when both are closed."""
    pair.client.write(b"question")
    pair.client.write_eof()
    await settle()
    assert pair.far.data == b"question"
    assert pair.far.told == ["made", "eof"]
    pair.server.write(b"answer")
    pair.server.close()
    await settle()
    assert pair.near.data == b"answer"
    assert pair.near.told == ["made", "eof", "lost"]
    assert pair.near.lost == pair.far.lost == [None]
    assert pair.done == [True]
    with pytest.raises(RuntimeError):
        pair.client.write(b"more")


async def test_close_flushes(pair: Pair) -> None:
    """What was written before close arrives, then the end."""
    pair.client.write(b"last words")
    pair.client.close()
    await settle()
    assert pair.far.data == b"last words"
    assert pair.far.told == ["made", "eof"]
    assert not pair.done
    pair.server.write(b"nobody hears")
    await settle()
    assert isinstance(pair.far.lost[0], ConnectionResetError)
    assert pair.done == [True]


async def test_abort_resets(pair: Pair) -> None:
    """An abort takes away what was not delivered and is a reset for the other side."""
    pair.client.write(b"lost")
    pair.client.abort()
    await settle()
    assert pair.far.data == b""
    assert pair.near.lost == [None]
    assert isinstance(pair.far.lost[0], ConnectionResetError)


async def test_flow_control(pair: Pair) -> None:
    """A reader that pauses makes the writer pause; reading again lets it go on, and nothing is lost."""
    pair.server.pause_reading()
    chunk = b"x" * (HIGH_WATER // 2)
    for _ in range(3):
        pair.client.write(chunk)
    assert pair.near.told == ["made", "pause"]
    await settle()
    assert pair.far.data == b""
    assert pair.client.get_write_buffer_size() == 3 * len(chunk)
    pair.server.resume_reading()
    await settle()
    assert pair.near.told == ["made", "pause", "resume"]
    assert len(pair.far.data) == 3 * len(chunk)


async def test_writer_is_freed_when_the_reader_closes(pair: Pair) -> None:
    """A paused writer whose reader closes is not left waiting: its next bytes are answered by a reset."""
    pair.server.pause_reading()
    pair.client.write(b"x" * (HIGH_WATER + 1))
    pair.server.close()
    await settle()
    assert pair.near.told[:3] == ["made", "pause", "resume"]
    pair.client.write(b"y")
    await settle()
    assert pair.near.told[-1] == "lost"


async def test_buffered_protocols() -> None:
    """A BufferedProtocol gets everything through its own buffer."""
    near, far = _Recorder(), _Buffered()
    client, server = End(near, sockname=("a", 1), peername=("b", 2)), End(far, sockname=("b", 2), peername=("a", 1))
    join(client, server)
    client.write(bytes(range(256)) * 20)
    await settle()
    client.abort()
    await settle()
    assert far.data == bytes(range(256)) * 20


async def test_a_failing_protocol_loses_its_connection() -> None:
    """An exception in a protocol reaches the loop's handler and resets the other side."""
    failures: list[str] = []

    class Failing(_Recorder):
        def data_received(self, data: bytes) -> None:
            raise ValueError(data)

    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(str(context["exception"])))
    near, far = _Recorder(), Failing()
    client, server = End(near, sockname=("a", 1), peername=("b", 2)), End(far, sockname=("b", 2), peername=("a", 1))
    join(client, server)
    client.write(b"x")
    await settle()
    assert failures == ["b'x'"]
    assert isinstance(near.lost[0], ConnectionResetError)
    assert far.lost == [None]


async def test_streams() -> None:
    """The reader and writer of asyncio work on it, with drain, for more bytes than any buffer holds."""
    loop = asyncio.get_running_loop()

    def stream() -> tuple[asyncio.StreamReader, asyncio.StreamReaderProtocol]:
        reader = asyncio.StreamReader()
        return reader, asyncio.StreamReaderProtocol(reader)

    (near, near_protocol), (far, far_protocol) = stream(), stream()
    client = End(near_protocol, sockname=("a", 1), peername=("b", 2))
    server = End(far_protocol, sockname=("b", 2), peername=("a", 1))
    join(client, server)
    client.start()
    writer = asyncio.StreamWriter(client, near_protocol, near, loop)
    size = 1024 * 1024

    async def send() -> None:
        for _ in range(16):
            writer.write(b"x" * (size // 16))
            await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(send())
    assert len(await far.read()) == size
    await sending
    server.close()
    assert await near.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_aiohttp() -> None:
    """The server and client of aiohttp work on it, keep-alive included, with a body larger than any buffer."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        return web.Response(body=body * 2, headers={"X-Peer": str(request.remote)})

    server = web.Server(answer, access_log=None)
    made: list[End] = []

    class Connector(aiohttp.BaseConnector):
        async def _create_connection(self, *_: object) -> object:  # type: ignore[override]  # its arguments don't matter
            protocol = self._factory()
            near = End(protocol, sockname=("10.0.0.1", 40000), peername=("10.0.0.2", 80))
            far = End(server(), sockname=("10.0.0.2", 80), peername=("10.0.0.1", 40000))
            join(near, far)
            near.start()
            made.append(near)
            return protocol

    async with aiohttp.ClientSession(connector=Connector()) as session:
        for _ in range(2):
            async with session.post("http://10.0.0.2/", data=b"ab" * 500_000) as response:
                assert response.status == 200
                assert response.headers["X-Peer"] == "10.0.0.1"
                assert len(await response.read()) == 2_000_000
    await server.shutdown(0)
    await settle()
    assert len(made) == 1
