"""Watches: a stream of events that starts where the client says and follows selectors as objects enter and leave.

The bytes of an event are made once and shared by all watches of the same form (docs/explanation/flow.md). A watch that
falls behind the store's window is closed; the client lists again. Upstream counterpart: the API concepts page on
watches, k8s.io/apiserver, pkg/storage/cacher.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

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


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What a watch asks for beside its selectors."""

    resource_version: str = ""
    initial_events: bool | None = None
    """`sendInitialEvents`; None where the client does not say."""
    bookmarks: bool = False
    timeout_s: int = 0

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
            max(call.number("timeoutSeconds"), 0),
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
        self._shared: OrderedDict[tuple[int, str, Form, str], bytes] = OrderedDict()
        self._open: set[Subscription] = set()

    def close(self) -> None:
        """End all watches, so that the server can stop."""
        for subscription in list(self._open):
            subscription.close()

    async def serve(self, call: Call, target: Target, selection: Selection) -> web.StreamResponse:
        """Answer a watch request until its time is up, the client leaves or the server stops."""
        options = WatchOptions.parse(call)
        stream = _Stream(self, call, target.kind, selection, negotiate(call.request.headers.get("Accept", "")))
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
            subscription = self._reader.store.watch(target.resource, target.namespace, since=since)
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
        end = self._clock.monotonic() + (options.timeout_s or self._timeout_s)
        async for batch in self._batches(subscription, end):
            if batch:
                await stream.events(batch)
            elif options.bookmarks:
                await stream.bookmark(subscription.revision)

    async def _batches(self, subscription: Subscription, end: float) -> AsyncIterator[Sequence[Event]]:
        """Batches of events, and an empty one whenever a bookmark is due; a last one of these at the end."""
        bookmark = self._clock.monotonic() + self._bookmark_s
        while True:
            now = self._clock.monotonic()
            if now >= end:
                yield ()
                return
            try:
                async with asyncio.timeout(max(min(bookmark, end) - now, 0)):
                    batch = await anext(subscription)
            except TimeoutError:
                if self._clock.monotonic() >= bookmark:
                    bookmark += self._bookmark_s
                    yield ()
                continue
            except StopAsyncIteration:
                return
            yield batch

    def line(self, call: Call, kind: Kind, entry: Entry, form: Form, event_type: EventType) -> bytes:
        """The bytes of a live event in a derived form, shared between watches that ask alike."""
        key = (entry.revision, event_type, form, call.query.get("includeObject", ""))
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


class _Stream:
    """One watch's answer: turns events into lines and writes them."""

    def __init__(self, watches: Watches, call: Call, kind: Kind, selection: Selection, form: Form) -> None:
        self._watches = watches
        self._call = call
        self._kind = kind
        self._selection = selection
        self._form = form
        self._plain = form.shape is Shape.OBJECT
        self.response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        )

    async def start(self) -> None:
        """Send the head, so that the client knows that it watches."""
        await self.response.prepare(self._call.request)

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

    async def events(self, batch: Sequence[Event]) -> None:
        """What has happened."""
        if self._plain and not self._selection:
            await self._write(event.line for event in batch)
        else:
            await self._write(self._lines(batch))

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
