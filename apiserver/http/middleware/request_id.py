"""Gives each request an id, or keeps the caller's, for logs and answers."""

import itertools
import os
import re

from ..call import Call, Handler, Middleware, Response

_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id() -> Middleware:
    """The middleware: `Audit-Id` in, a process-unique id otherwise."""
    prefix, counter = os.urandom(4).hex(), itertools.count(1)

    async def middleware(call: Call, handler: Handler) -> Response:
        given = call.request.headers.get("Audit-Id", "")
        call.id = given if given and _SAFE.fullmatch(given) else f"{prefix}-{next(counter):x}"
        return await handler(call)

    return middleware
