"""Streams between nodes: new connections and datagrams to another node's pods, over TLS with certificates both ways.

A TLS connection carries one flow at a time: OPEN with the packet as it left the source node's rules, the target node's
ANSWER, bytes, END from both sides. Then it is idle, and the next flow to that node takes it, so that the handshake is
paid seldom. A reset ends the TLS connection with the flow. Flow control is TCP's own. Datagrams have a connection of
their own in each direction; what does not fit is lost.

A node's certificate says who it is (`system:node:<name>`): the client checks that it reached that node, the server
that a packet's source lies behind the sender (strict reverse path filtering), so no node speaks for another's pods.
"""

import asyncio
import errno
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from miniplane.dataplane.packet import Packet
from miniplane.observe import logs

from .frames import Answer, Frame, FrameError, Parser, decode_packet, encode, encode_packet
from .memory import Half, join
from .virtual import Dropped, VirtualNetwork

log = logs.get("agents.network.tunnel")

CONNECT_TIMEOUT_S = 5.0
"""How long a node may take for TCP and TLS before it counts as unreachable."""
IDLE_S = 60.0
"""An idle connection is kept this long."""
MAX_IDLE = 16
"""Idle connections kept to one node."""
QUEUED_DATAGRAMS = 256
"""Datagrams that wait for a connection to come up; the oldest are lost."""
SEND_BUFFER = 1024 * 1024
"""Datagrams are lost while more bytes than this wait in the connection."""
NODE_USER = "system:node:"
NODE_GROUP = "system:nodes"


class _Flow:
    """One connection's half on a stream; it lets go of the stream when it is over, and can't touch the next flow."""

    def __init__(self, stream: "_Stream") -> None:
        self.closed: Callable[[], None] | None = None
        self.far: Half | None = None
        self._stream: _Stream | None = stream
        self._early: list[bytes] = []
        self._end_in = self._end_out = False

    @property
    def full(self) -> bool:
        """See `Half`."""
        return self._stream is not None and self._stream.congested

    def join(self, other: Half) -> None:
        """See `Half`."""
        if self._stream is None:
            other.put_reset()
            self._tell_closed()
            return
        self.far = other
        for data in self._early:
            other.put(data)
        self._early.clear()
        if self._end_in:
            other.put_eof()
            self._finish_if_over()

    def put(self, data: bytes) -> None:
        """See `Half`."""
        if self._stream is not None:
            self._stream.write(Frame.DATA, data)
        elif self.far is not None:
            self.far.put_reset()

    def put_eof(self) -> None:
        """See `Half`."""
        if self._stream is not None and not self._end_out:
            self._end_out = True
            self._stream.write(Frame.END)
            self._finish_if_over()

    def put_reset(self) -> None:
        """See `Half`."""
        if self._stream is not None:
            self._stream.write(Frame.RESET)
            self._stream.close()
            self._let_go()

    def room(self) -> None:
        """See `Half`."""
        if self._stream is not None:
            self._stream.read_on()

    # From the stream.

    def received(self, data: bytes) -> bool:
        """Bytes; says whether more may come at once."""
        if self.far is None:
            self._early.append(data)
            return True
        self.far.put(data)
        return not self.far.full

    def ended(self) -> None:
        """The other node has no more."""
        self._end_in = True
        if self.far is not None:
            self.far.put_eof()
            self._finish_if_over()

    def reset(self) -> None:
        """The other node, or the way to it, is gone."""
        if self._stream is not None:
            self._let_go()
            if self.far is not None:
                self.far.put_reset()

    def _finish_if_over(self) -> None:
        if self._end_in and self._end_out and self._stream is not None:
            stream = self._stream
            self._let_go()
            stream.read_on()
            stream.idle()

    def _let_go(self) -> None:
        assert self._stream is not None
        self._stream.flow = None
        self._stream = None
        self._tell_closed()

    def _tell_closed(self) -> None:
        closed, self.closed = self.closed, None
        if closed is not None:
            closed()


class _Stream(asyncio.Protocol):
    """One TLS connection, either side: frames in both directions, and the flow that it carries now."""

    def __init__(self) -> None:
        self.flow: _Flow | None = None
        self.congested = False
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the connection is lost."""
        self._transport: asyncio.Transport | None = None
        self._parser = Parser(self._data, self._control)

    @property
    def transport(self) -> asyncio.Transport:
        """The TLS transport."""
        assert self._transport is not None
        return self._transport

    @property
    def usable(self) -> bool:
        """Whether the connection still stands."""
        return not self.gone.done() and not self.transport.is_closing()

    def write(self, kind: Frame, payload: bytes = b"") -> None:
        """Send a frame, if there is still somebody."""
        if self.usable:
            self.transport.write(encode(kind, payload))

    def read_on(self) -> None:
        """Read again after the flow was full."""
        if self.usable:
            self.transport.resume_reading()

    def close(self) -> None:
        """Close once everything is sent."""
        self._parser.stop()
        self.transport.close()

    def abort(self) -> None:
        """Close now, and the flow with a reset."""
        self._parser.stop()
        self.transport.abort()

    def idle(self) -> None:
        """The flow is over in good order; the connection may carry another."""

    # From the wire.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready for the first flow."""
        # A cast, not an assertion: uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Frames; the connection ends with the first that is none."""
        try:
            self._parser.feed(data)
        except FrameError as error:
            log.warning("tunnel peer breaks the protocol", error=error)
            self.abort()

    def pause_writing(self) -> None:
        """The peer is slower than we."""
        self.congested = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self.congested = False
        if self.flow is not None and self.flow.far is not None:
            self.flow.far.room()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the loop's signature
        """Whatever the flow did not finish is a reset."""
        self._parser.stop()
        self.gone.set_result(None)
        if self.flow is not None:
            self.flow.reset()

    def _data(self, data: bytes) -> None:
        if self.flow is not None and not self.flow.received(data) and self.usable:
            self.transport.pause_reading()

    def _control(self, kind: Frame, payload: bytes) -> None:
        if kind is Frame.END and self.flow is not None:
            self.flow.ended()
        elif kind is Frame.RESET:
            if self.flow is not None:
                self.flow.reset()
            self.abort()
        else:
            self._command(kind, payload)

    def _command(self, kind: Frame, payload: bytes) -> None:
        raise FrameError(f"unexpected {kind.name} of {len(payload)} bytes")


class _Outgoing(_Stream):
    """Our connection to another node."""

    def __init__(self, client: "TunnelClient", node: str) -> None:
        super().__init__()
        self.node = node
        self.expiry: asyncio.TimerHandle | None = None
        self._client = client
        self._answer: asyncio.Future[Answer | None] | None = None

    async def open(self, packet: Packet) -> Answer | None:
        """Ask for a new flow; None if the connection was lost before the answer."""
        if not self.usable:
            return None
        self._answer = asyncio.get_running_loop().create_future()
        try:
            self.write(Frame.OPEN, encode_packet(packet))
            return await self._answer
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._answer = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As for any."""
        super().connection_made(transport)
        self._client.streams.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """As for any; who waits for an answer is told."""
        super().connection_lost(exc)
        self._client.lost(self)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)
        if self.expiry is not None:
            self.expiry.cancel()

    def idle(self) -> None:
        """Back to the pool."""
        self._client.release(self)

    def _command(self, kind: Frame, payload: bytes) -> None:
        if kind is not Frame.ANSWER or self._answer is None or self._answer.done() or len(payload) != 1:
            raise FrameError(f"unexpected {kind.name}")
        try:
            answer = Answer(payload[0])
        except ValueError as error:
            raise FrameError(f"unknown answer {payload[0]}") from error
        if answer is Answer.ACCEPTED:
            self.flow = _Flow(self)  # now, since bytes may follow in the same piece
        self._answer.set_result(answer)


class _Incoming(_Stream):
    """Another node's connection to us."""

    def __init__(self, server: "TunnelServer") -> None:
        super().__init__()
        self.task: asyncio.Task[None] | None = None
        """Making the connection that was asked for."""
        self._server = server
        self._node = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find out who it is; nobody but nodes is served."""
        super().connection_made(transport)
        self._node = node_of(transport.get_extra_info("peercert") or {})
        self._server.streams.add(self)
        if not self._node:
            log.warning("tunnel client is no node", peer=transport.get_extra_info("peername"))
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """As for any; a connection being made is given up."""
        super().connection_lost(exc)
        self._server.streams.discard(self)
        if self.task is not None:
            self.task.cancel()

    def _command(self, kind: Frame, payload: bytes) -> None:
        packet, rest = decode_packet(payload)
        network = self._server.network
        known = network.is_from(self._node, packet)
        if kind is Frame.DATAGRAM:
            if known:
                network.take_datagram(packet, rest)
        elif kind is not Frame.OPEN or self.task is not None or self.flow is not None:
            raise FrameError(f"unexpected {kind.name}")
        elif known:
            self.task = asyncio.create_task(self._take(packet), name=f"tunnel {packet}")
        else:
            log.debug("packet from the wrong node", node=self._node, packet=packet)
            self._reply(Answer.DROPPED)

    async def _take(self, packet: Packet) -> None:
        network = self._server.network
        half = None
        answer = Answer.ACCEPTED
        try:
            half = await network.take(packet)
        except Dropped:
            answer = Answer.DROPPED
        except ConnectionRefusedError:
            answer = Answer.REJECTED
        except OSError:
            answer = Answer.UNREACHABLE
        finally:
            self.task = None
        self._reply(answer)
        if half is not None:
            self.flow = flow = _Flow(self)
            join(flow, half, lambda: network.forget(packet))
            if not self.usable:
                flow.reset()

    def _reply(self, answer: Answer) -> None:
        self.write(Frame.ANSWER, bytes((answer,)))


def node_of(certificate: dict[str, Any]) -> str:
    """The name of the node that a certificate (as `getpeercert` tells it) belongs to; empty if it is no node's."""
    names = {(key, value) for part in certificate.get("subject", ()) for key, value in part}
    if ("organizationName", NODE_GROUP) not in names:
        return ""
    users = (value for key, value in names if key == "commonName" and value.startswith(NODE_USER))
    return str(next(users, "")).removeprefix(NODE_USER)


class TunnelServer:
    """Takes other nodes' traffic. `context` must require client certificates of the cluster's CA."""

    def __init__(self, network: VirtualNetwork, context: ssl.SSLContext) -> None:
        self.network = network
        self.streams: set[_Incoming] = set()
        self._context = context
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int = 0) -> tuple[str, int]:
        """Listen; the real address in use, for the annotation `miniplane.io/tunnel-address`."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Incoming(self), host, port, ssl=self._context)
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    async def aclose(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
            streams = list(self.streams)
            tasks = [stream.task for stream in streams if stream.task is not None]
            for stream in streams:
                stream.abort()
            await asyncio.gather(*(stream.gone for stream in streams))
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._server.wait_closed()


class _Channel:
    """The datagrams to one node."""

    def __init__(self, dial: "Callable[[], asyncio.Task[_Outgoing]]") -> None:
        self._dial = dial
        self._stream: _Outgoing | None = None
        self._task: asyncio.Task[_Outgoing] | None = None
        self._waiting: deque[bytes] = deque(maxlen=QUEUED_DATAGRAMS)

    def send(self, datagram: bytes) -> None:
        """Send now, or once the connection stands; lost if it can't keep up."""
        if self._stream is not None and self._stream.usable:
            if self._stream.transport.get_write_buffer_size() < SEND_BUFFER:
                self._stream.write(Frame.DATAGRAM, datagram)
            return
        self._waiting.append(datagram)
        if self._task is None:
            self._task = self._dial()
            self._task.add_done_callback(self._ready)

    def _ready(self, task: asyncio.Task[_Outgoing]) -> None:
        self._task = None
        if task.cancelled() or task.exception() is not None:
            self._waiting.clear()
            return
        self._stream = task.result()
        while self._waiting:
            self._stream.write(Frame.DATAGRAM, self._waiting.popleft())

    async def aclose(self) -> None:
        """Give up."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class TunnelClient:
    """The way to other nodes (see `Peers`).

    `locate` gives the real address of a node's tunnel server, or None; `context` shows this node's certificate and
    checks names: the server must be the node that was asked for.
    """

    def __init__(self, context: ssl.SSLContext, locate: Callable[[str], tuple[str, int] | None]) -> None:
        self.streams: set[_Outgoing] = set()
        self._context = context
        self._locate = locate
        self._idle: dict[str, list[_Outgoing]] = {}
        self._channels: dict[str, _Channel] = {}

    async def open(self, node: str, packet: Packet) -> Half:
        """See `Peers`."""
        while True:
            # An idle connection may be closing just now: the next one then, and at last a new one.
            fresh = not self._idle.get(node)
            stream = await self._connect(node) if fresh else self._reuse(node)
            answer = await stream.open(packet)
            if answer is not None:
                break
            if fresh:
                raise OSError(errno.EHOSTUNREACH, "No route to host")
        if answer is Answer.ACCEPTED:
            if stream.flow is None:  # lost again already
                raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
            return stream.flow
        self.release(stream)
        if answer is Answer.REJECTED:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        if answer is Answer.DROPPED:
            raise Dropped(packet)
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    def send(self, node: str, packet: Packet, data: bytes) -> None:
        """See `Peers`."""
        channel = self._channels.get(node)
        if channel is None:

            def dial() -> asyncio.Task[_Outgoing]:
                return asyncio.create_task(self._connect(node), name=f"datagrams to {node}")

            channel = self._channels[node] = _Channel(dial)
        channel.send(encode_packet(packet) + data)

    def release(self, stream: _Outgoing) -> None:
        """Keep an idle connection for the next flow."""
        idle = self._idle.setdefault(stream.node, [])
        if not stream.usable:
            return
        if len(idle) >= MAX_IDLE:
            stream.close()
            return
        idle.append(stream)

        def expire() -> None:
            if stream in idle:
                idle.remove(stream)
            stream.close()

        stream.expiry = asyncio.get_running_loop().call_later(IDLE_S, expire)

    def lost(self, stream: _Outgoing) -> None:
        """A connection is gone; the pool has room for another."""
        self.streams.discard(stream)
        idle = self._idle.get(stream.node, [])
        if stream in idle:
            idle.remove(stream)

    async def aclose(self) -> None:
        """End every connection."""
        for channel in self._channels.values():
            await channel.aclose()
        streams = list(self.streams)
        for stream in streams:
            stream.abort()
        await asyncio.gather(*(stream.gone for stream in streams))

    async def _connect(self, node: str) -> _Outgoing:
        where = self._locate(node)
        if where is None:
            raise OSError(errno.EHOSTUNREACH, f"no tunnel address of {node} is known")
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, stream = await asyncio.get_running_loop().create_connection(
                    lambda: _Outgoing(self, node), *where, ssl=self._context, server_hostname=node
                )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            log.warning("node can't be reached", peer=node, address=where, error=repr(error))
            raise OSError(errno.EHOSTUNREACH, "No route to host") from error
        return stream

    def _reuse(self, node: str) -> _Outgoing:
        stream = self._idle[node].pop()
        if stream.expiry is not None:
            stream.expiry.cancel()
            stream.expiry = None
        return stream
