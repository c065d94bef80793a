"""List and watch as one endless stream with explicit states, for whoever keeps a copy of a collection.

    Init → InitApply* → InitDone → (Apply | Delete)* ─┐
      ▲                                               │ the revision is too old (410): begin again
      └───────────────────────────────────────────────┘

Between `Init` and `InitDone` comes the whole collection: what the consumer has beside it is gone. A broken
connection is resumed from the last revision seen (bookmarks move it too) after a pause that doubles; it is no event.
The stream ends only with cancellation or when the server refuses the caller (401, 403), which it raises. Prior art:
kube-rs' watcher.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import orjson

from miniplane.aio import Clock
from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.client import requests
from miniplane.client.requests import Page, Request, Selection
from miniplane.errors import ApiError, Expired, Reason, Unavailable, from_status
from miniplane.observe import logs

log = logs.get("miniplane.client.watch")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
"""Upstream waits up to 30 s; a local server is back sooner."""
TIMEOUT_S = 540
"""After this the server ends a watch and it is resumed, so no dead connection stays unseen (upstream: 5 to 10 min)."""
GRACE_S = 30.0
"""What a server may take longer than `TIMEOUT_S` before the connection counts as dead."""
PAGE = 5000
"""Objects of a page of the first list: bounds what one answer holds in memory."""
_REFUSED = (Reason.UNAUTHORIZED, Reason.FORBIDDEN)


class Source(Protocol):
    """What a watch needs of a client."""

    async def page(self, kind: Kind, selection: Selection, *, limit: int, continue_token: str) -> Page:
        """A page of a list."""

    def lines(self, request: Request, *, timeout_s: float | None) -> AsyncGenerator[bytes, None]:
        """The lines of an answer, as they come."""


@dataclass(frozen=True, slots=True)
class Init:
    """A list begins."""


@dataclass(frozen=True, slots=True)
class InitApply:
    """An object of the list."""

    obj: Object


@dataclass(frozen=True, slots=True)
class InitDone:
    """The list is complete; it is the state of `revision`."""

    revision: str


@dataclass(frozen=True, slots=True)
class Apply:
    """An object is new or has changed."""

    obj: Object


@dataclass(frozen=True, slots=True)
class Delete:
    """An object is gone, or no longer selected; this is its last state."""

    obj: Object


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Everything up to `revision` has been told."""

    revision: str


WatchEvent = Init | InitApply | InitDone | Apply | Delete | Bookmark


@dataclass(slots=True)
class Position:
    """Where a watch stands: the revision to resume from (empty: list first) and the failures in a row."""

    revision: str = ""
    failures: int = 0

    def advance(self, line: bytes) -> WatchEvent:
        """The event of one line of a watch; moves on. Raises what an ERROR line tells; Unavailable for half a line."""
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError as error:  # a server that went in the midst of it
            raise Unavailable("the watch broke off within an event") from error
        word, obj = event["type"], event["object"]
        if word == "ERROR":
            raise from_status(obj, obj.get("code") or Reason.INTERNAL_ERROR.code)
        self.revision = meta.metadata(obj).get("resourceVersion") or self.revision
        self.failures = 0
        if word == "BOOKMARK":
            return Bookmark(self.revision)
        return Delete(obj) if word == "DELETED" else Apply(obj)

    def fail(self, error: ApiError) -> float:
        """Take a failure in; gives the seconds to wait. Raises the error again if waiting does not help."""
        if error.reason in _REFUSED:
            raise error
        if isinstance(error, Expired) or error.reason is Reason.GONE:
            self.revision = ""
            pause_s = 0.0 if not self.failures else FIRST_PAUSE_S
        else:
            pause_s = min(FIRST_PAUSE_S * 2 ** min(self.failures, 16), LONGEST_PAUSE_S)
        self.failures += 1
        return pause_s


async def watch(
    client: Source, kind: Kind, selection: Selection = requests.EVERYTHING, *, clock: Clock
) -> AsyncGenerator[WatchEvent, None]:
    """The endless stream of a collection's events. Close it (`contextlib.aclosing`) if you stop before its end.

    Raises:
        ApiError: Unauthorized or Forbidden.
    """
    position = Position()
    while True:
        try:
            if not position.revision:
                async with aclosing(_list(client, kind, selection)) as listing:
                    async for event in listing:
                        yield event
                        if isinstance(event, InitDone):
                            position.revision, position.failures = event.revision, 0
            before = position.revision
            request = requests.watch(kind, selection, revision=before, timeout_s=TIMEOUT_S)
            async with aclosing(client.lines(request, timeout_s=TIMEOUT_S + GRACE_S)) as lines:
                async for line in lines:
                    yield position.advance(line)
            pause_s = 0.0 if position.revision != before else FIRST_PAUSE_S
        except ApiError as error:
            pause_s = position.fail(error)
            log.debug("watch interrupted", kind=kind.kind, error=error.message, again_in_s=pause_s)
        if pause_s:
            await clock.sleep(pause_s)


async def _list(client: Source, kind: Kind, selection: Selection) -> AsyncGenerator[WatchEvent, None]:
    yield Init()
    token = ""
    while True:
        page = await client.page(kind, selection, limit=PAGE, continue_token=token)
        for item in page.items:
            yield InitApply(item)
        if not (token := page.continue_token):
            break
    yield InitDone(page.revision)
