"""The DNS server: datagrams and streams on a pod's link, answers from the zone, encoded once.

An answer is kept as bytes by the question's bytes (all but the id), so that a repeated question costs a dictionary
lookup and a copy; everything kept goes when the directory changes. Several addresses are answered in turn, each first
once, as CoreDNS' loadbalance does. Counterpart upstream: CoreDNS with its kubernetes, loadbalance, health and ready
plugins. Names that are not the cluster's are handed to a forwarder; without one they are refused.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from aiohttp import web

from miniplane.aio import stop
from miniplane.dataplane.dns_cache import Asked
from miniplane.dataplane.dns_directory import Directory
from miniplane.dataplane.dns_zone import TTL_S, Code, Record, Zone
from miniplane.observe import logs

from ..network.base import Datagrams, Link, Listener
from .forward import Forwarder

log = logs.get("agents.dns")

PORT = 53
HEALTH_PORT = 8080
READY_PORT = 8181
PLAIN_SIZE = 512
"""Longest answer to a datagram without EDNS (RFC 1035)."""
EDNS_SIZE = 1232
"""What we announce and never exceed over UDP: fits every path unfragmented (DNS flag day 2020)."""
MAX_KEPT = 10_000
"""Encoded answers kept; more, and all are dropped."""
MAX_TURNS = 8
"""Orders in which the addresses of one answer are given."""
MAX_WAITING = 4000
"""Clients that wait for other nameservers; more are not answered, as if their question was lost."""
_AT_ONCE_S = 0.01
"""To aiohttp no time at all means no limit."""
_HEADER = 12
_QR = 0x80
_MAX_TCP = 65535
_ADDRESSES = (dns.rdatatype.A, dns.rdatatype.AAAA)
_ALIAS_ENOUGH = (dns.rdatatype.CNAME, dns.rdatatype.ANY)
"""Types that an alias itself answers."""


@dataclass(slots=True)
class _Kept:
    """An encoded answer, without its id, in each of its orders."""

    turns: list[bytes] = field(default_factory=list)
    next: int = 0

    def take(self) -> bytes:
        self.next = (self.next + 1) % len(self.turns)
        return self.turns[self.next]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A question that other nameservers must answer, wholly or from an alias of the cluster's on."""

    asked: Asked
    aliases: dns.message.Message | None = None
    """The answer so far, whose last record is an alias of what `asked` asks; `size` is of the whole."""


class Responder:
    """Answers encoded questions; no I/O. `is_synced` says whether the directory is complete: SERVFAIL until then.

    With `forwards` what other nameservers know is given back as a `Foreign`, otherwise refused.
    """

    def __init__(
        self, zone: Zone, directory: Directory, is_synced: Callable[[], bool], *, forwards: bool = False
    ) -> None:
        self._zone, self._directory = zone, directory
        self._is_synced = is_synced
        self._forwards = forwards
        self._generation = -1
        self._kept: dict[tuple[bool, bytes], _Kept | Foreign] = {}

    def respond(self, query: bytes, *, stream: bool = False) -> bytes | Foreign | None:
        """The answer to a message; None for what deserves none (too short, or itself an answer)."""
        if len(query) < _HEADER or query[2] & _QR:
            return None
        if self._generation != self._directory.generation or len(self._kept) > MAX_KEPT:
            self._kept.clear()
            self._generation = self._directory.generation
        key = (stream, query[2:])
        kept = self._kept.get(key)
        if kept is None:
            if not self._is_synced():
                return self._failure(query, dns.rcode.SERVFAIL)
            kept = self._encode(query, stream=stream)
            self._kept[key] = kept
        return kept if isinstance(kept, Foreign) else query[:2] + kept.take()

    def _failure(self, query: bytes, code: dns.rcode.Rcode) -> bytes:
        """An answer made of the question's header and, if it can be read, its question."""
        try:
            answer = dns.message.make_response(dns.message.from_wire(query))
        except dns.exception.DNSException:
            flags = bytes((_QR | query[2] & 0x79, int(code)))
            return query[:2] + flags + bytes(8)
        answer.set_rcode(code)
        return answer.to_wire()

    def _encode(self, query: bytes, *, stream: bool) -> _Kept | Foreign:
        try:
            question = dns.message.from_wire(query)
        except dns.exception.DNSException:
            return _Kept([self._failure(query, dns.rcode.FORMERR)[2:]])
        code = _refusal(question)
        answer = dns.message.make_response(question)
        if question.edns >= 0:
            answer.use_edns(0, payload=EDNS_SIZE)
        if code is not None:
            answer.set_rcode(code)
            return _Kept([answer.to_wire()[2:]])
        asked = question.question[0]
        self._fill(answer, asked)
        size = _MAX_TCP if stream else _size(question)
        if self._forwards:
            answer.flags |= dns.flags.RA
            has_edns, wants_proof = question.edns >= 0, bool(question.ednsflags & dns.flags.DO)
            if answer.rcode() == dns.rcode.REFUSED:
                return Foreign(Asked(_question(asked.name, asked.rdtype), has_edns, wants_proof, size))
            if (target := self._elsewhere(answer, asked)) is not None:
                return Foreign(Asked(_question(target, asked.rdtype), has_edns, wants_proof, size), answer)
        return _Kept([wire[2:] for wire in _encodings(answer, size)])

    def _elsewhere(self, answer: dns.message.Message, asked: dns.rrset.RRset) -> dns.name.Name | None:
        """What an alias at the end of the answer leads to, if other nameservers know it."""
        last = answer.answer[-1] if answer.answer else None
        if last is None or last.rdtype != dns.rdatatype.CNAME or asked.rdtype in _ALIAS_ENOUGH:
            return None
        target: dns.name.Name = last[0].target
        return None if self._zone.is_ours(target.to_text()) else target

    def _fill(self, answer: dns.message.Message, asked: dns.rrset.RRset) -> None:
        reply = self._zone.resolve(asked.name.to_text(), dns.rdatatype.to_text(asked.rdtype))
        answer.set_rcode(dns.rcode.from_text(reply.code))
        if reply.code is not Code.REFUSED:
            answer.flags |= dns.flags.AA
        sections = ((answer.answer, reply.answer), (answer.authority, reply.authority))
        for section, records in (*sections, (answer.additional, reply.additional)):
            for record in records:
                _add(answer, section, record)


def _question(name: dns.name.Name, kind: dns.rdatatype.RdataType) -> bytes:
    wire = name.to_wire()
    assert wire is not None
    return wire + kind.to_bytes(2, "big") + dns.rdataclass.IN.to_bytes(2, "big")


def _refusal(question: dns.message.Message) -> dns.rcode.Rcode | None:
    if question.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if len(question.question) != 1:
        return dns.rcode.FORMERR
    if question.edns > 0:
        return dns.rcode.BADVERS
    asked = question.question[0]
    if asked.rdclass != dns.rdataclass.IN or asked.rdtype in (dns.rdatatype.AXFR, dns.rdatatype.IXFR):
        return dns.rcode.REFUSED
    return None


def _size(question: dns.message.Message) -> int:
    return min(max(question.payload, PLAIN_SIZE), EDNS_SIZE) if question.edns >= 0 else PLAIN_SIZE


def _add(answer: dns.message.Message, section: list[dns.rrset.RRset], record: Record) -> None:
    kind = dns.rdatatype.from_text(record.type)
    name = dns.name.from_text(record.name)
    rrset = answer.find_rrset(section, name, dns.rdataclass.IN, kind, create=True)
    rrset.add(dns.rdata.from_text(dns.rdataclass.IN, kind, record.data), record.ttl)


def _encodings(answer: dns.message.Message, size: int) -> list[bytes]:
    """The answer encoded once per order of its addresses; once where there is nothing to choose."""
    last = answer.answer[-1] if answer.answer else None
    if last is None or last.rdtype not in _ADDRESSES or len(last) == 1:
        return [_wire(answer, size)]
    records = list(last)
    found = []
    for first in range(min(len(records), MAX_TURNS)):
        last.clear()  # type: ignore[no-untyped-call]  # dnspython's set has no annotations
        for record in records[first:] + records[:first]:
            last.add(record, TTL_S)
        found.append(_wire(answer, size))
    return found


def _wire(answer: dns.message.Message, size: int) -> bytes:
    """Encode; what does not fit is cut, with TC set if records of the answer are missing."""
    try:
        return answer.to_wire(max_size=size, prefer_truncation=False, want_shuffle=False)
    except dns.exception.TooBig:
        answer.additional.clear()
    last = answer.answer[-1] if answer.answer else None
    records = list(last or ())
    keep = len(records)
    while last is not None and keep > 1:
        try:
            return answer.to_wire(max_size=size, want_shuffle=False)
        except dns.exception.TooBig:
            # Some addresses are worth more than none to clients that never ask again over TCP.
            answer.flags |= dns.flags.TC
            keep -= max(1, keep // 8)
            last.clear()  # type: ignore[no-untyped-call]  # dnspython's set has no annotations
            for record in records[:keep]:
                last.add(record, TTL_S)
    answer.flags |= dns.flags.TC
    return answer.to_wire(max_size=size, prefer_truncation=True)


def _joined(aliases: dns.message.Message, onward: bytes, head: bytes, size: int) -> bytes:
    """Aliases of the cluster and what they lead to, as one answer to the message that begins with `head`."""
    found = dns.message.from_wire(onward)
    whole = dns.message.from_wire(aliases.to_wire())
    whole.id = int.from_bytes(head[:2], "big")
    whole.set_rcode(found.rcode())
    whole.answer = [*aliases.answer, *found.answer]
    whole.authority = [] if found.answer else found.authority
    return _wire(whole, size)


class _StreamServer(asyncio.Protocol):
    """DNS over TCP: messages with their length in front, several on one connection."""

    def __init__(self, server: "DnsServer", transports: set[asyncio.Transport]) -> None:
        self._server = server
        self._transports = transports
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not an assertion: uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        self._transports.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the loop's signature
        if self._transport is not None:
            self._transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._buffer += data
        while len(self._buffer) >= 2:  # noqa: PLR2004  bytes of the length
            end = 2 + int.from_bytes(self._buffer[:2], "big")
            if len(self._buffer) < end:
                return
            message, self._buffer = self._buffer[2:end], self._buffer[end:]
            if not self._server.serve(message, self._send, stream=True):
                self._transport.close()
                return

    def _send(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(len(answer).to_bytes(2, "big") + answer)


class DnsServer:
    """The sockets of one DNS pod: 53 on UDP and TCP, `/health` on 8080, `/ready` on 8181."""

    def __init__(
        self, link: Link, responder: Responder, is_synced: Callable[[], bool], forwarder: Forwarder | None = None
    ) -> None:
        self._link = link
        self._responder = responder
        self._forwarder = forwarder
        self._waiting: set[asyncio.Task[None]] = set()
        self._is_synced = is_synced
        self._listeners: list[Listener] = []
        self._socket: Datagrams | None = None
        self._transports: set[asyncio.Transport] = set()
        self._web = [web.Server(self._health, access_log=None), web.Server(self._ready, access_log=None)]

    async def start(self) -> None:
        """Open everything. Raises OSError for a port in use, with nothing left open."""
        try:
            self._socket = await self._link.bind(self._received, PORT)
            self._listeners.append(await self._link.listen(lambda: _StreamServer(self, self._transports), PORT))
            for server, port in zip(self._web, (HEALTH_PORT, READY_PORT), strict=True):
                self._listeners.append(await self._link.listen(server, port))
        except OSError:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close everything."""
        if self._socket is not None:
            self._socket.close()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for transport in list(self._transports):
            transport.abort()
        if self._forwarder is not None:
            await self._forwarder.aclose()
        await stop(*self._waiting)
        for server in self._web:
            server.pre_shutdown()
            await server.shutdown(_AT_ONCE_S)

    def _received(self, data: bytes, host: str, port: int) -> None:
        socket = self._socket
        if socket is not None:
            self.serve(data, lambda answer: socket.send(answer, host, port))

    def serve(self, query: bytes, send: Callable[[bytes], None], *, stream: bool = False) -> bool:
        """Answer a message by `send`, now or later; whether it deserves an answer."""
        answer = self._responder.respond(query, stream=stream)
        if isinstance(answer, bytes):
            send(answer)
        elif answer is not None:
            assert self._forwarder is not None
            known = None if answer.aliases is not None else self._forwarder.cached(answer.asked, query)
            if known is not None:
                send(known)
            elif len(self._waiting) < MAX_WAITING:
                task = asyncio.create_task(self._forward(answer, query[:4], send), name="dns client")
                self._waiting.add(task)
                task.add_done_callback(self._waiting.discard)
        return answer is not None

    async def _forward(self, foreign: Foreign, head: bytes, send: Callable[[bytes], None]) -> None:
        assert self._forwarder is not None
        if foreign.aliases is None:
            send(await self._forwarder.answer(foreign.asked, head))
            return
        onward = await self._forwarder.answer(replace(foreign.asked, size=_MAX_TCP), head)
        send(_joined(foreign.aliases, onward, head, foreign.asked.size))

    async def _health(self, request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="OK") if request.path == "/health" else web.Response(status=404)

    async def _ready(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != "/ready":
            return web.Response(status=404)
        return web.Response(text="OK") if self._is_synced() else web.Response(text="kubernetes", status=503)
