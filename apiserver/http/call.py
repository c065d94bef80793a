"""One request on its way through the server, and the shape of handlers and middlewares."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeAlias
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from miniplane.errors import ApiError, Reason, bad_request

from ..auth.identity import ANONYMOUS, Action, User
from .routes import Route

_TRUE = frozenset(("true", "True", "TRUE", "t", "T", "1"))
_FALSE = frozenset(("false", "False", "FALSE", "f", "F", "0", ""))


class Call:
    """A request: its parts as they are found out, one attribute per stage."""

    __slots__ = (
        "action",
        "id",
        "impersonator",
        "is_allowed",
        "is_identified",
        "method",
        "path",
        "query",
        "query_string",
        "request",
        "route",
        "sent",
        "user",
        "warnings",
    )

    def __init__(self, request: web.BaseRequest) -> None:
        raw, _, self.query_string = request._message.path.partition("?")  # noqa: SLF001  the raw target: parsing it as a URL costs more than the rest of the routing
        self.request = request
        self.method = request.method
        self.path = unquote(raw) if "%" in raw else raw
        self.query: Mapping[str, str] = (
            dict(reversed(parse_qsl(self.query_string, keep_blank_values=True))) if self.query_string else {}
        )
        self.id = ""
        self.user: User = ANONYMOUS
        self.impersonator: User | None = None
        """Who really asks, where `user` is impersonated."""
        self.is_identified = self.is_allowed = False
        self.sent = b""
        """The body, once it has been read."""
        self.route: Route | None = None
        self.action: Action | None = None
        self.warnings: list[str] = []

    def flag(self, name: str) -> bool:
        """A boolean query parameter, in any spelling that upstream takes; absent is false."""
        text = self.query.get(name, "")
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        raise bad_request(f'strconv.ParseBool: parsing "{text}": invalid syntax')

    def number(self, name: str) -> int:
        """A whole query parameter, 0 where absent."""
        text = self.query.get(name, "")
        try:
            return int(text) if text else 0
        except ValueError:
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None

    async def body(self, timeout_s: float) -> bytes:
        """The whole body.

        Raises:
            ApiError: RequestEntityTooLarge above the server's limit, Timeout for a client that is too slow.
        """
        try:
            if self.request.content.is_eof():
                self.sent = await self.request.read()
                return self.sent
            async with asyncio.timeout(timeout_s):
                self.sent = await self.request.read()
                return self.sent
        except web.HTTPRequestEntityTooLarge as error:
            raise ApiError(
                "Request entity too large: limit is " + str(self.request.client_max_size),
                reason=Reason.REQUEST_ENTITY_TOO_LARGE,
            ) from error
        except TimeoutError as error:
            raise ApiError("the request body was not sent in time", reason=Reason.TIMEOUT) from error
        except web.RequestPayloadError as error:
            raise bad_request(f"the request body could not be read: {error}") from error


Response: TypeAlias = web.StreamResponse
Handler: TypeAlias = Callable[[Call], Awaitable[Response]]


class Middleware(Protocol):
    """Answers a call with the help of the handler behind it."""

    def __call__(self, call: Call, handler: Handler) -> Awaitable[Response]:
        """The answer."""


def chain(middlewares: Sequence[Middleware], handler: Handler) -> Handler:
    """A handler behind middlewares, the first one outermost."""
    for middleware in reversed(middlewares):
        handler = functools.partial(middleware, handler=handler)
    return handler
