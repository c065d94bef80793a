"""HTTP/1.1 below the handlers: how long a request's head may be, and what a head that can't be read is answered."""

from typing import Any

from aiohttp import web

from miniplane.errors import ApiError, bad_request

from .middleware.errors import internal_error, render

LINE_BYTES = 64 * 1024
"""A request line: room for selectors over a thousand names."""
FIELD_BYTES = 32 * 1024
"""A header field: room for the largest tokens."""
_CLIENTS_FAULT = range(400, 500)


class Protocol(web.RequestHandler):
    """A connection whose unreadable requests are answered with a Status.

    Neither they nor clients that leave in the middle make a log line: anybody can do that, as often as they like.
    """

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  aiohttp's signature
    ) -> web.StreamResponse:
        """The answer; the connection closes after it.

        Raises:
            ConnectionError: Something has been answered already.
        """
        if request.writer.output_size > 0:
            raise ConnectionError("an error after the answer had begun")
        if status not in _CLIENTS_FAULT and not isinstance(exc, ConnectionError):
            self.log_exception("request failed outside its handler", exc_info=exc)
        response = render(_error(status, exc))
        response.force_close()
        return response


def _error(status: int, exc: BaseException | None) -> ApiError:
    if status not in _CLIENTS_FAULT:
        return internal_error("see the server's log")
    return bad_request(f"the request's head could not be read: {type(exc).__name__}")


class Server(web.Server):
    """Makes a `Protocol` for each connection; the arguments are aiohttp's."""

    def __init__(self, handler: Any, **arguments: Any) -> None:
        super().__init__(handler, **arguments, max_line_size=LINE_BYTES, max_field_size=FIELD_BYTES)

    def __call__(self) -> web.RequestHandler:
        """A new connection."""
        return Protocol(self, loop=self._loop, **self._kwargs)
