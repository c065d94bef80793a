"""A whole answer as one write: what nearly every request gets.

aiohttp's own Response keeps its headers in a multidict, fills in what is missing and serialises them: half of what
answering costs here. Our headers are known, so their bytes are joined.
"""

from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time

_LARGE = 64 * 1024
"""Bodies above this are not copied behind their head, and the connection is waited for."""
_STATUS = {code.value: f"{code.value} {code.phrase}" for code in HTTPStatus}
_HTTP_1_1 = (1, 1)


class Answer(web.StreamResponse):
    """A status, the lines of a head (each with its line end) and a body."""

    def __init__(self, status: int, head: str, body: bytes) -> None:
        super().__init__(status=status)
        self._head = head
        self._content = body
        self._written = False

    @property
    def content(self) -> bytes:
        """The body."""
        return self._content

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Called by aiohttp's server before `write_eof`."""
        self._req = request
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002  aiohttp's signature
        """Called by aiohttp's server to end the answer: writes all of it.

        Raises:
            ConnectionError: The client has left.
        """
        request: Any = self._req
        if self._written or request is None:
            return
        self._written = True
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has left")
        head, body = self._bytes_of_head(request), b"" if request.method == "HEAD" else self._content
        request.writer.output_size += len(head) + len(body)  # tells aiohttp that an answer has begun
        if len(body) <= _LARGE:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
            await request.writer.drain()

    def _bytes_of_head(self, request: web.BaseRequest) -> bytes:
        version = request.version
        connection = ""
        if not self._keep_alive:
            connection = "Connection: close\r\n"
        elif version < _HTTP_1_1:
            connection = "Connection: keep-alive\r\n"
        status = _STATUS.get(self.status) or str(self.status)
        return (
            f"HTTP/{version[0]}.{version[1]} {status}\r\n{self._head}Content-Length: {len(self._content)}\r\n"
            f"Date: {rfc822_formatted_time()}\r\n{connection}\r\n"
        ).encode(errors="replace")
