"""`/containerLogs`: a container's log, once or followed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web

from miniplane.aio import Clock
from miniplane.api import meta

from ..containers import Container
from ..logs import Line

_TRUE = frozenset({"true", "1", "True"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What of the log is asked for; names as in PodLogOptions."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: datetime | None = None
    limit_bytes: int | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str], now: datetime) -> "LogOptions":
        """From a query. Raises ValueError for what is no number or time, or negative."""
        since = meta.parse_timestamp(query["sinceTime"]) if query.get("sinceTime") else None
        if (seconds := _count(query, "sinceSeconds")) is not None:
            since = now - timedelta(seconds=seconds)
        return cls(
            follow=query.get("follow", "") in _TRUE,
            previous=query.get("previous", "") in _TRUE,
            timestamps=query.get("timestamps", "") in _TRUE,
            tail=_count(query, "tailLines"),
            since=since,
            limit_bytes=_count(query, "limitBytes"),
        )

    def render(self, line: Line) -> bytes:
        """One line as it is sent."""
        text = f"{line.stamp} {line.text}" if self.timestamps else line.text
        return text.encode() + b"\n"


def _count(query: Mapping[str, str], name: str) -> int | None:
    if not query.get(name):
        return None
    value = int(query[name])
    if value < 0:
        raise ValueError(f"{name} must not be negative")
    return value


async def answer(request: web.Request, container: Container, pod: str, clock: Clock) -> web.StreamResponse:
    """The log as text; with `follow` until the container ends or the client leaves."""
    try:
        options = LogOptions.parse(request.query, clock.now())
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    if options.previous and container.previous_log is None:
        text = f'previous terminated container "{container.name}" in pod "{pod}" not found'
        raise web.HTTPBadRequest(text=text)
    if not container.has_run:
        reason = container.view().state
        text = f'container "{container.name}" in pod "{pod}" is waiting to start: {getattr(reason, "reason", "")}'
        raise web.HTTPBadRequest(text=text)
    source = container.previous_log if options.previous else container.log
    assert source is not None
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    left = options.limit_bytes
    try:
        if not options.follow:
            body = b"".join(map(options.render, source.lines(tail=options.tail, since=options.since)))
            await response.write(body if left is None else body[:left])
            return response
        async for line in source.follow(tail=options.tail, since=options.since):
            data = options.render(line)
            await response.write(data if left is None else data[:left])
            left = None if left is None else left - len(data)
            if left is not None and left <= 0:
                break
    except ConnectionError:
        return response  # the client has left
    return response
