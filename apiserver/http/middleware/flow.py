"""Flow control: a limit on the requests in work, so that a flood is told to wait and not queued without end."""

from miniplane.errors import ApiError, Reason

from ..call import Call, Handler, Middleware, Response
from ..routes import is_watch

LONG_RUNNING = frozenset(("log", "exec", "attach", "portforward", "proxy"))
"""Subresources whose requests last as long as the client likes; they do not count, nor do watches."""


def flow(limit: int) -> Middleware:
    """The middleware: above `limit` requests a 429 with Retry-After 1."""
    in_flight = 0

    async def middleware(call: Call, handler: Handler) -> Response:
        nonlocal in_flight
        if is_watch(call.query) or (call.route is not None and call.route.subresource in LONG_RUNNING):
            return await handler(call)
        if in_flight >= limit:
            raise ApiError(
                "Too many requests, please try again later.", reason=Reason.TOO_MANY_REQUESTS, retry_after_s=1
            )
        in_flight += 1
        try:
            return await handler(call)
        finally:
            in_flight -= 1

    return middleware
