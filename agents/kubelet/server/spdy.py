"""SPDY/3.1 frames, as much of them as kubectl uses. Pure; no I/O.

kubectl up to 1.29 speaks SPDY for exec and attach, up to 1.30 to forward ports, and from 1.31 on it forwards ports by
SPDY inside a WebSocket: many streams on one connection. There is no flow control, as in the implementation that kubectl
has. Counterpart: the SPDY protocol draft 3.1.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

FIN = 0x01
_VERSION = 3
_CONTROL = 0x8000_0000
_MASK = 0x7FFF_FFFF
_HEAD = 8
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY = 1, 2, 3, 6, 7
_SYN_STREAM_HEAD = 10
MAX_FRAME = 1 << 20
"""Frames beyond this are refused; the format allows 16 MB, nobody sends more than 32 kB."""
MAX_HEADERS = 64 * 1024

# The words that both sides' compressors begin with; the protocol lists them in this order.
_WORDS = (
    "options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-language|accept-ranges|age|allow|"
    "authorization|cache-control|connection|content-base|content-encoding|content-language|content-length|"
    "content-location|content-md5|content-range|content-type|date|etag|expect|expires|from|host|if-match|"
    "if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|location|max-forwards|pragma|"
    "proxy-authenticate|proxy-authorization|range|referer|retry-after|server|te|trailer|transfer-encoding|upgrade|"
    "user-agent|vary|via|warning|www-authenticate|method|get|status|200 OK|version|HTTP/1.1|url|public|set-cookie|"
    "keep-alive|origin"
)
_CODES = (
    "100 101 201 202 205 206 300 302 303 304 305 306 307 402 405 406 407 408 409 410 411 412 413 414 415 416 417 502 "
    "504 505"
).replace(" ", "")
_PHRASES = (
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug "
    "Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,"
    "application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch"
    "charset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(len(word).to_bytes(4, "big") + word.encode() for word in _WORDS.split("|")) + (_CODES + _PHRASES).encode()
)
DICTIONARY_ID = 0xE3C6A7C2
"""Its Adler-32 checksum, which compressed data begin with: a wrong dictionary is noticed."""


class SpdyError(ValueError):
    """What came is no SPDY that we know."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The peer opens a stream."""

    stream: int
    headers: Mapping[str, str]
    is_finished: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes on a stream, perhaps the last."""

    stream: int
    data: bytes
    is_finished: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """The peer gives a stream up."""

    stream: int


@dataclass(frozen=True, slots=True)
class Ping:
    """To be sent back as it is."""

    number: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """The peer opens no more streams."""


Frame = Opened | Data | Reset | Ping | GoAway


@dataclass(slots=True)
class Decoder:
    """Bytes in pieces of any size to frames."""

    _buffer: bytearray = field(default_factory=bytearray)
    _inflate: "zlib._Decompress" = field(default_factory=lambda: zlib.decompressobj(zdict=DICTIONARY))

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now. Raises SpdyError."""
        self._buffer += data
        while len(self._buffer) >= _HEAD:
            first = int.from_bytes(self._buffer[:4], "big")
            flags, length = self._buffer[4], int.from_bytes(self._buffer[5:8], "big")
            if length > MAX_FRAME:
                raise SpdyError(f"a frame of {length} bytes is too long")
            if len(self._buffer) < _HEAD + length:
                return
            body = bytes(self._buffer[_HEAD : _HEAD + length])
            del self._buffer[: _HEAD + length]
            frame = self._control(first, flags, body) if first & _CONTROL else Data(first, body, bool(flags & FIN))
            if frame is not None:
                yield frame

    def _control(self, first: int, flags: int, body: bytes) -> Frame | None:
        version, kind = (first >> 16) & 0x7FFF, first & 0xFFFF
        if version != _VERSION:
            raise SpdyError(f"version {version} of SPDY is not spoken here")
        number = int.from_bytes(body[:4], "big") & _MASK
        if kind == _SYN_STREAM:
            return Opened(number, self._headers(body[_SYN_STREAM_HEAD:]), bool(flags & FIN))
        if kind == _RST_STREAM:
            return Reset(number)
        if kind == _PING:
            return Ping(int.from_bytes(body[:4], "big"))
        return GoAway() if kind == _GOAWAY else None

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block, MAX_HEADERS)
        except zlib.error as error:
            raise SpdyError(f"bad header block: {error}") from error
        reading = _Reading(plain)
        return {reading.text().lower(): reading.text() for _ in range(reading.number())}


@dataclass(slots=True)
class _Reading:
    """Numbers and texts, one after the other."""

    data: bytes
    at: int = 0

    def number(self) -> int:
        value = int.from_bytes(self.data[self.at : self.at + 4], "big")
        self.at += 4
        if self.at > len(self.data):
            raise SpdyError("a header block ends too early")
        return value

    def text(self) -> str:
        size = self.number()
        end = self.at + size
        if end > len(self.data):
            raise SpdyError("a header block ends too early")
        text = self.data[self.at : end].decode("utf-8", "replace")
        self.at = end
        return text


@dataclass(slots=True)
class Encoder:
    """Frames to bytes. Header blocks share one compressor, so they must be sent in the order in which they are made."""

    _deflate: "zlib._Compress" = field(default_factory=lambda: zlib.compressobj(zdict=DICTIONARY))

    def reply(self, stream: int, headers: Mapping[str, str] | None = None) -> bytes:
        """Take a stream that the peer has opened."""
        return _frame(_SYN_REPLY, 0, stream.to_bytes(4, "big") + self._block(headers or {}))

    def open(self, stream: int, headers: Mapping[str, str], *, finish: bool = False) -> bytes:
        """Open a stream: the client's half of the protocol."""
        body = stream.to_bytes(4, "big") + bytes(_SYN_STREAM_HEAD - 4) + self._block(headers)
        return _frame(_SYN_STREAM, FIN if finish else 0, body)

    def _block(self, headers: Mapping[str, str]) -> bytes:
        plain = len(headers).to_bytes(4, "big")
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                plain += len(text).to_bytes(4, "big") + text
        return self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def data_frame(stream: int, data: bytes, *, finish: bool = False) -> bytes:
    """Bytes on a stream."""
    return stream.to_bytes(4, "big") + bytes([FIN if finish else 0]) + len(data).to_bytes(3, "big") + data


def ping_frame(number: int) -> bytes:
    """A ping, or its answer."""
    return _frame(_PING, 0, number.to_bytes(4, "big"))


def reset_frame(stream: int, code: int = 5) -> bytes:
    """Give a stream up; 5 is CANCEL."""
    return _frame(_RST_STREAM, 0, stream.to_bytes(4, "big") + code.to_bytes(4, "big"))


def goaway_frame() -> bytes:
    """No more streams are taken; the connection ends in order."""
    return _frame(_GOAWAY, 0, bytes(8))


def _frame(kind: int, flags: int, body: bytes) -> bytes:
    return (_CONTROL | _VERSION << 16 | kind).to_bytes(4, "big") + bytes([flags]) + len(body).to_bytes(3, "big") + body
