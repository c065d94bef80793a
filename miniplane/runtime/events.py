"""Events: what happened to an object, told to users as core/v1 Events with a count.

A repeated event raises the count of the one that is there. One object gets a burst of events and then one every five
minutes, so that a controller gone wild can't fill the store. Telling is best effort: an event that can't be written is
dropped. Upstream: client-go's tools/record (correlator and spam filter).
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from miniplane.aio import Clock
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.client import Client
from miniplane.errors import ApiError, NotFound
from miniplane.kinds import EVENT
from miniplane.observe import logs

log = logs.get("miniplane.runtime.events")

PENDING = 1000
"""Events that may wait to be written; more are dropped."""
REMEMBERED = 4096
"""Events whose count can still be raised, and objects whose rate is limited (upstream's cache size)."""
BURST = 25
REFILL_S = 300.0
"""One object's events: this many at once, then one each so many seconds (upstream's spam filter)."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One event; equal ones are counted together."""

    involved: tuple[tuple[str, str], ...]
    type: str
    reason: str
    message: str

    @property
    def uid(self) -> str:
        """The uid of the object that it is about."""
        return dict(self.involved).get("uid", "")


@dataclass(slots=True)
class _Written:
    """An Event in the store."""

    key: Key
    count: int


class _Bucket:
    """Tokens of one object."""

    def __init__(self, now: float) -> None:
        self.tokens, self.since = float(BURST), now

    def take(self, now: float) -> bool:
        self.tokens = min(float(BURST), self.tokens + (now - self.since) / REFILL_S)
        self.since = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def reference(obj: Object) -> tuple[tuple[str, str], ...]:
    """The `involvedObject` of an object, as sorted pairs; empty parts left out."""
    data = meta.metadata(obj)
    parts = {
        "apiVersion": obj.get("apiVersion", ""),
        "kind": obj.get("kind", ""),
        "name": data.get("name", ""),
        "namespace": data.get("namespace", ""),
        "uid": data.get("uid", ""),
        "resourceVersion": data.get("resourceVersion", "") if not data.get("uid") else "",
    }
    return tuple(sorted((name, value) for name, value in parts.items() if value))


class EventRecorder:
    """Takes events at once and writes them in `run`, one after the other."""

    def __init__(self, client: Client, clock: Clock, component: str, *, host: str = "") -> None:
        self._client, self._clock = client, clock
        self._source = {"component": component} | ({"host": host} if host else {})
        self._component = component
        self._pending: OrderedDict[Happening, int] = OrderedDict()
        self._wake = asyncio.Event()
        self._written: OrderedDict[Happening, _Written] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._number = 0

    def record(self, obj: Object, type: str, reason: str, message: str) -> None:  # noqa: A002  the field's name
        """Take an event about `obj`; returns at once."""
        happening = Happening(reference(obj), type, reason, message)
        bucket = self._buckets.setdefault(happening.uid, _Bucket(self._clock.monotonic()))
        self._buckets.move_to_end(happening.uid)
        _trim(self._buckets, REMEMBERED)
        if not bucket.take(self._clock.monotonic()):
            return
        if happening not in self._pending and len(self._pending) >= PENDING:
            log.warning("event dropped", reason=reason, object=str(meta.key_of(obj)))
            return
        self._pending[happening] = self._pending.get(happening, 0) + 1
        self._wake.set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be written."""
        return not self._pending

    async def run(self) -> None:
        """Write what is recorded, until cancelled."""
        while True:
            await self._wake.wait()
            while self._pending:
                happening, times = next(iter(self._pending.items()))
                try:
                    await self._write(happening, times)
                except ApiError as error:
                    log.debug("event not written", reason=happening.reason, error=error.message)
                left = self._pending.pop(happening) - times
                if left:
                    self._pending[happening] = left
            self._wake.clear()

    async def _write(self, happening: Happening, times: int) -> None:
        now = self._clock.now()
        if written := self._written.get(happening):
            written.count += times
            body = {"count": written.count, "lastTimestamp": meta.timestamp(now)}
            try:
                await self._client.patch(EVENT, written.key, body)
            except NotFound:
                del self._written[happening]
            else:
                self._written.move_to_end(happening)
                return
        made = await self._client.create(EVENT, self._object(happening, times, now))
        self._written[happening] = _Written(meta.key_of(made), times)
        _trim(self._written, REMEMBERED)

    def _object(self, happening: Happening, times: int, now: datetime) -> Object:
        involved = dict(happening.involved)
        namespace = involved.get("namespace") or "default"
        self._number += 1
        # Upstream's form is name.nanoseconds in hexadecimal; the number tells apart two of one microsecond.
        moment = int(now.timestamp() * 1_000_000) * 1000 + self._number % 1000
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": f"{involved.get('name', '')}.{moment:x}", "namespace": namespace},
            "involvedObject": involved,
            "type": happening.type,
            "reason": happening.reason,
            "message": happening.message,
            "source": self._source,
            "firstTimestamp": meta.timestamp(now),
            "lastTimestamp": meta.timestamp(now),
            "count": times,
            "reportingComponent": self._component,
            "reportingInstance": self._source.get("host", ""),
        }


def _trim(store: OrderedDict[Any, Any], size: int) -> None:
    while len(store) > size:
        store.popitem(last=False)
