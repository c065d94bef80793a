"""Names that are not the cluster's: asked of other nameservers, answered from a cache where it can.

Servers are asked in turn until one answers; who asks what is being asked already waits for that answer. When nobody
answers in time the client hears SERVFAIL, before its own patience ends. A question of ours that comes back to us is a
loop and answered with SERVFAIL at once. Upstream: CoreDNS with its forward, cache and loop plugins.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

import dns.exception
import dns.message

from miniplane.aio import Clock, stop
from miniplane.dataplane.dns_cache import Asked, Cache, Kept, Malformed, edns, failure, question_of, render
from miniplane.dataplane.dns_config import Forwarding, Server
from miniplane.observe import logs

log = logs.get("agents.dns.forward")

ATTEMPT_S = 2.0
"""How long one server may take (CoreDNS: at most 4 s)."""
TOTAL_S = 4.5
"""How long all of them may: a little less than a stub resolver waits (5 s)."""
MAX_PENDING = 1000
"""Questions that are being asked at a time (CoreDNS: max_concurrent)."""
Ask = Callable[[bytes, Server], Awaitable[bytes]]


class Forwarder:
    """Asks other nameservers. `forwarding` may be replaced at any time."""

    def __init__(self, ask: Ask, clock: Clock, forwarding: Forwarding) -> None:
        self._ask, self._clock = ask, clock
        self._forwarding = forwarding
        self._cache = Cache()
        self._pending: dict[tuple[bytes, bool], asyncio.Task[Kept]] = {}
        self._sent: set[tuple[bytes, bytes]] = set()
        self._turn = 0

    @property
    def forwarding(self) -> Forwarding:
        """Whom we ask."""
        return self._forwarding

    @forwarding.setter
    def forwarding(self, forwarding: Forwarding) -> None:
        if forwarding != self._forwarding:
            self._forwarding = forwarding
            self._cache.clear()

    def cached(self, asked: Asked, head: bytes) -> bytes | None:
        """The answer if it is known, to a message that begins with `head`."""
        now = self._clock.monotonic()
        kept = self._cache.get(asked, now)
        return None if kept is None else render(kept, asked, head, now)

    async def answer(self, asked: Asked, head: bytes) -> bytes:
        """The answer, whatever it takes."""
        kept = await self.fetch(asked, head)
        return render(kept, asked, head, self._clock.monotonic())

    async def fetch(self, asked: Asked, head: bytes) -> Kept:
        """The answer as it is kept."""
        kept = self._cache.get(asked, self._clock.monotonic())
        if kept is not None:
            return kept
        if (head[:2], asked.key[0]) in self._sent:
            log.warning("a question that was forwarded came back: a nameserver leads here", question=_name(asked))
            return self._failed(asked)
        task = self._pending.get(asked.key)
        if task is None:
            if len(self._pending) >= MAX_PENDING:
                return Cache(0).put(asked, failure(asked), self._clock.monotonic())
            task = asyncio.create_task(self._fetch(asked), name="dns forward")
            self._pending[asked.key] = task
            task.add_done_callback(lambda _: self._pending.pop(asked.key, None))
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Ask no more."""
        await stop(*self._pending.values())

    async def _fetch(self, asked: Asked) -> Kept:
        servers = self._forwarding.servers(_name(asked))
        self._turn += 1
        first = self._turn % len(servers) if servers else 0
        try:
            async with asyncio.timeout(TOTAL_S):
                for server in (*servers[first:], *servers[:first]) * 2:
                    kept = await self._attempt(asked, server)
                    if kept is not None:
                        return kept
        except TimeoutError:
            pass
        return self._failed(asked)

    async def _attempt(self, asked: Asked, server: Server) -> Kept | None:
        """One server's answer; None if it has none, or says that it can't answer."""
        own_id = secrets.token_bytes(2)
        cookie = (own_id, asked.key[0])
        query = own_id + b"\x01\0\0\1\0\0\0\0\0\1" + asked.key[0] + edns(asked)
        self._sent.add(cookie)
        try:
            async with asyncio.timeout(ATTEMPT_S):
                wire = await self._ask(query, server)
            return self._keep(asked, wire)
        except (OSError, EOFError, TimeoutError, Malformed, dns.exception.DNSException) as error:
            log.debug("a nameserver gave no answer", server=str(server), error=repr(error))
            return None
        finally:
            self._sent.discard(cookie)

    def _keep(self, asked: Asked, wire: bytes) -> Kept | None:
        message = dns.message.from_wire(wire)
        if message.rcode() not in (0, 3):  # NOERROR, NXDOMAIN: anything else another server may do better
            return None
        message.use_edns(edns=False)
        plain = message.to_wire(max_size=65535, want_shuffle=False)
        if question_of(plain).lower() != asked.key[0]:
            return None
        return self._cache.put(asked, plain, self._clock.monotonic())

    def _failed(self, asked: Asked) -> Kept:
        return self._cache.put(asked, failure(asked), self._clock.monotonic())


def _name(asked: Asked) -> str:
    """The name asked for, for rules and people."""
    labels, offset = [], 0
    while length := asked.question[offset]:
        labels.append(asked.question[offset + 1 : offset + 1 + length].decode("latin-1"))
        offset += 1 + length
    return ".".join(labels)
