"""A line in the audit log for each request that the settings name."""

from typing import Literal

from miniplane.aio import Clock
from miniplane.observe import logs

from ..call import Call, Handler, Middleware, Response

_log = logs.get("apiserver.audit")
_READS = frozenset(("GET", "HEAD", "OPTIONS"))


def audit(level: Literal["none", "writes", "all"], clock: Clock) -> Middleware:
    """The middleware: who asked for what, the answer's code and the time it took."""

    async def middleware(call: Call, handler: Handler) -> Response:
        if level == "none" or (level == "writes" and call.method in _READS):
            return await handler(call)
        started = clock.monotonic()
        response = await handler(call)
        _log.info(
            "request served",
            request=call.id,
            user=call.user.name,
            method=call.method,
            path=call.path,
            code=response.status,
            ms=round((clock.monotonic() - started) * 1000, 1),
        )
        return response

    return middleware
