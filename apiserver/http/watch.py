"""Watches: a stream of events that starts where the client says and follows selectors as objects enter and leave.

The bytes of an event are made once and shared by all watches of the same form, those of a batch by all that ask alike
(docs/explanation/flow.md); the store hands a batch over in a callback that writes it to the socket, so that no task
wakes for it. A watch that falls behind the store's window is closed; the client lists again. Upstream counterpart: the
API concepts page on watches, k8s.io/apiserver, pkg/storage/cacher.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from miniplane.aio import Clock
from miniplane.api.kind import Kind, Object
from miniplane.errors import ApiError, expired

from ..registry.reading import Reader, Selection, invalid_option, matching, parse_revision
from ..registry.request import Target
from ..store.base import Compacted, Entry, Event, EventType, SlowConsumer, Subscription, event_line
from .call import Call
from .negotiate import Form, Shape, negotiate
from .render import Renderer

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_CHUNK = 256
"""Initial events in one write."""
_SHARED = 2048
"""Encoded events of derived forms that are kept for other watches."""
_BATCHES, _BATCH_BYTES = 16, 256 * 1024
"""Encoded batches that are kept for other watches, and how large one may be to be kept."""
_FULL = 64 * 1024
"""Bytes that wait in a connection before its watch waits, too."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What a watch asks for beside its selectors."""

    resource_version: str = ""
    initial_events: bool | None = None
    """`sendInitialEvents`; None where the client does not say."""
    bookmarks: bool = False
    timeout_s: int = 0
    """`timeoutSeconds`; a negative one is over at once."""

    @classmethod
    def parse(cls, call: Call) -> "WatchOptions":
        """Of a request's query.

        Raises:
            ApiError: Invalid for combinations that upstream refuses.
        """
        name, match = "resourceVersionMatch", call.query.get("resourceVersionMatch", "")
        asks = "sendInitialEvents" in call.query
        if asks and match != "NotOlderThan":
            raise invalid_option(name, f"sendInitialEvents requires setting {name} to NotOlderThan")
        if match and not asks:
            raise invalid_option(name, f"{name} is forbidden for watch unless sendInitialEvents is provided")
        return cls(
            call.query.get("resourceVersion", ""),
            call.flag("sendInitialEvents") if asks else None,
            call.flag("allowWatchBookmarks"),
            call.number("timeoutSeconds"),
        )


def translate(event: Event, selection: Selection) -> tuple[EventType, Entry, bool] | None:
    """What an event means to a watch with selectors: None for nothing.

    The last item says that the object left the selection: it is shown as it was, at the revision at which it left.
    """
    entry, previous = event.entry, event.previous
    is_in = event.type is not EventType.DELETED and selection.matches(entry.obj)
    was_in = previous is not None and selection.matches(previous.obj)
    if is_in:
        return (EventType.MODIFIED if was_in else EventType.ADDED), entry, False
    if was_in and previous is not None:
        if event.type is EventType.DELETED:
            return EventType.DELETED, entry, False
        return EventType.DELETED, previous, True
    return None


class Watches:
    """Serves watches."""

    def __init__(self, reader: Reader, renderer: Renderer, clock: Clock, *, timeout_s: int, bookmark_s: float) -> None:
        self._reader = reader
        self._renderer = renderer
        self._clock = clock
        self._timeout_s = timeout_s
        self._bookmark_s = bookmark_s
        self._shared: OrderedDict[tuple[int, str, Kind, Form, str], bytes] = OrderedDict()
        self._batches: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
        self._open: set[Subscription] = set()

    def close(self) -> None:
        """End all watches, so that the server can stop."""
        for subscription in list(self._open):
            subscription.close()

    async def serve(self, call: Call, target: Target, selection: Selection) -> web.StreamResponse:
        """Answer a watch request until its time is up, the client leaves or the server stops."""
        options = WatchOptions.parse(call)
        stream = _Stream(self, call, target.served, selection, negotiate(call.request.headers.get("Accept", "")))
        since = parse_revision(options.resource_version)
        await self._reader.wait_for(since)
        wants_initial = since == 0 if options.initial_events is None else options.initial_events
        initial: Sequence[Entry] = ()
        if since == 0 or wants_initial:
            listing = self._reader.store.list(target.resource, target.namespace)
            since = listing.revision
            initial = listing.entries if wants_initial else ()
        await stream.start()
        try:
            subscription = self._reader.store.watch(
                target.resource, target.namespace, since=since, about=selection.about
            )
        except Compacted as error:
            text = f"too old resource version: {error.revision} ({error.oldest})"
            await stream.error(expired(text))
            return stream.response
        self._open.add(subscription)
        try:
            await stream.initial(initial)
            if options.initial_events and options.bookmarks:
                await stream.bookmark(since, {INITIAL_EVENTS_END: "true"})
            await self._follow(stream, subscription, options)
        except SlowConsumer:
            pass  # the client notices the end and lists again
        except ConnectionError:
            pass  # the client has left
        finally:
            subscription.close()
            self._open.discard(subscription)
        return stream.response

    async def _follow(self, stream: "_Stream", subscription: Subscription, options: WatchOptions) -> None:
        now = self._clock.monotonic()
        end, bookmark = now + (options.timeout_s or self._timeout_s), now + self._bookmark_s
        pump = _Pump(stream, subscription)
        while now < end:
            try:
                async with asyncio.timeout(max(min(bookmark, end) - now, 0)):
                    await pump.run()
            except TimeoutError:
                now = self._clock.monotonic()
            else:
                return
            if now >= bookmark:
                bookmark += self._bookmark_s
                if options.bookmarks:
                    await stream.bookmark(subscription.revision)
        if options.bookmarks:
            await stream.bookmark(subscription.revision)

    def batch(self, key: tuple[Any, ...]) -> bytes | None:
        """The bytes of a batch that another watch has made."""
        return self._batches.get(key)

    def keep_batch(self, key: tuple[Any, ...], data: bytes) -> None:
        """Keep the bytes of a batch for other watches."""
        if len(data) <= _BATCH_BYTES:
            self._batches[key] = data
            if len(self._batches) > _BATCHES:
                self._batches.popitem(last=False)

    def line(self, call: Call, kind: Kind, entry: Entry, form: Form, event_type: EventType) -> bytes:
        """The bytes of a live event in a derived form, shared between watches that ask alike."""
        key = (entry.revision, event_type, kind, form, call.query.get("includeObject", ""))
        line = self._shared.get(key)
        if line is None:
            shaped = self._renderer.shape(call, kind, entry.obj, form)
            line = self._shared[key] = event_line(event_type, orjson.dumps(shaped))
            if len(self._shared) > _SHARED:
                self._shared.popitem(last=False)
        return line

    def shape(self, call: Call, kind: Kind, obj: Object, form: Form) -> Any:
        """An object in a derived form, not shared."""
        return self._renderer.shape(call, kind, obj, form)


class _Pump:
    """Moves batches from a subscription to a stream: in the store's callback while the connection takes them.

    A task has work only when the connection is full, the watch ends or something fails.
    """

    def __init__(self, stream: "_Stream", subscription: Subscription) -> None:
        self._stream = stream
        self._subscription = subscription
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopped.set_result(None)  # the first push is the task's

    async def run(self) -> None:
        """Return when the subscription ends. May be cancelled and called again.

        Raises:
            SlowConsumer, ConnectionError: The watch is over.
        """
        while True:
            await asyncio.shield(self._stopped)
            await self._stream.drain()
            if self._subscription.closed:
                return
            self._stopped = asyncio.get_running_loop().create_future()
            self._push()

    def _push(self) -> None:
        try:
            while batch := self._subscription.take():
                if not self._stream.send(batch):
                    self._stop()
                    return
            if self._subscription.closed:
                self._stop()
            else:
                self._subscription.on_ready(self._push)
        except Exception as error:  # noqa: BLE001  raised in the task that serves the watch
            self._stop(error)

    def _stop(self, error: Exception | None = None) -> None:
        if self._stopped.done():
            return
        if error is None:
            self._stopped.set_result(None)
        else:
            self._stopped.set_exception(error)


class _Stream:
    """One watch's answer: turns events into lines and writes them."""

    def __init__(self, watches: Watches, call: Call, kind: Kind, selection: Selection, form: Form) -> None:
        self._watches = watches
        self._call = call
        self._kind = kind
        self._selection = selection
        self._form = form
        self._plain = form.shape is Shape.OBJECT and kind.face is None
        query = call.query
        asked = (query.get(name, "") for name in ("labelSelector", "fieldSelector", "includeObject"))
        self._key = (call.path, form, *asked)
        """What the bytes of a batch depend on, beside the batch."""
        self._writer: AbstractStreamWriter | None = None
        self._chunked = False
        self.response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        )

    async def start(self) -> None:
        """Send the head, so that the client knows that it watches."""
        self._writer = await self.response.prepare(self._call.request)
        self._chunked = self.response.headers.get("Transfer-Encoding") == "chunked"

    async def initial(self, entries: Sequence[Entry]) -> None:
        """What is there, as ADDED events."""
        chosen = list(matching(entries, self._selection))
        for start in range(0, len(chosen), _CHUNK):
            await self._write(self._initial_line(entry) for entry in chosen[start : start + _CHUNK])

    def _initial_line(self, entry: Entry) -> bytes:
        if self._plain:
            return event_line(EventType.ADDED, entry.value)
        shaped = self._watches.shape(self._call, self._kind, entry.obj, self._form)
        return event_line(EventType.ADDED, orjson.dumps(shaped))

    def send(self, batch: Sequence[Event]) -> bool:
        """Write what has happened without waiting; False if the connection is full and `drain` is due.

        Raises:
            ConnectionError: The client has left.
        """
        key = (*self._key, batch[0].entry.revision, batch[-1].entry.revision)
        data = self._watches.batch(key)
        if data is None:
            plain = self._plain and not self._selection
            data = b"".join(event.line for event in batch) if plain else b"".join(self._lines(batch))
            self._watches.keep_batch(key, data)
        transport = self._call.request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has left")
        if data:
            # Past the response's writer, whose `write` is a coroutine: most of the cost of a small write.
            transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        return transport.get_write_buffer_size() <= _FULL

    async def drain(self) -> None:
        """Wait until the connection takes more."""
        if self._writer is not None:
            await self._writer.drain()

    def _lines(self, batch: Sequence[Event]) -> Iterator[bytes]:
        name, selection = self._selection.name, self._selection
        for event in batch:
            if name and event.entry.key.name != name:
                continue
            meaning = translate(event, selection) if selection else (event.type, event.entry, False)
            if meaning is None:
                continue
            event_type, entry, left = meaning
            if left:
                yield self._leaving(entry, event.entry.revision)
            elif not self._plain:
                yield self._watches.line(self._call, self._kind, entry, self._form, event_type)
            elif event_type is event.type:
                yield event.line
            else:
                yield event_line(event_type, entry.value)

    def _leaving(self, entry: Entry, revision: int) -> bytes:
        obj = {**entry.obj, "metadata": {**entry.obj["metadata"], "resourceVersion": str(revision)}}
        if not self._plain:
            obj = self._watches.shape(self._call, self._kind, obj, self._form)
        return event_line(EventType.DELETED, orjson.dumps(obj))

    async def bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> None:
        """Tell how far the client has seen everything."""
        metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        obj: Object = {"kind": self._kind.kind, "apiVersion": self._kind.api_version, "metadata": metadata}
        if self._form.shape is Shape.TABLE:
            row = {
                "cells": [],
                "object": {**obj, "kind": "PartialObjectMetadata", "apiVersion": self._form.api_version},
            }
            obj = {
                "kind": "Table",
                "apiVersion": self._form.api_version,
                "metadata": {"resourceVersion": str(revision)},
                "columnDefinitions": [],
                "rows": [row],
            }
        elif self._form.shape is Shape.PARTIAL:
            obj = {**obj, "kind": "PartialObjectMetadata", "apiVersion": self._form.api_version}
        await self._write((event_line("BOOKMARK", orjson.dumps(obj)),))

    async def error(self, error: ApiError) -> None:
        """End with an ERROR event."""
        await self._write((event_line("ERROR", orjson.dumps(error.to_status())),))

    async def _write(self, lines: Iterable[bytes]) -> None:
        if data := b"".join(lines):
            await self.response.write(data)
