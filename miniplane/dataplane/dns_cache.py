"""Answers of other nameservers, kept as bytes and handed out again with their age taken off. Pure: time is given.

A kept answer serves every client: its id, flags, the question's case, EDNS and the times to live are set in a copy.
Sizes and times are those of CoreDNS' `cache 30` as Kubernetes' own installations have it.
"""

from dataclasses import dataclass, field

MAX_KEPT = 10_000
MAX_S = 30
"""Longest time that an answer is kept, whatever it allows itself."""
FAILURE_S = 5
"""How long a server's failure is handed out before it is asked again (RFC 9520: at least 1)."""
HEADER = 12
SERVFAIL, NXDOMAIN = 2, 3
_QR, _RD, _TC = 0x80, 0x01, 0x02
_RA, _AD, _CD = 0x80, 0x20, 0x10
_OPT, _SOA = 41, 6
_POINTER = 0xC0
_FIXED = 10
"""Octets of a record between its name and its data."""


class Malformed(ValueError):
    """Bytes that are no message."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client's message asks, and how it wants to be answered."""

    question: bytes
    """Name, type and class as on the wire, in the client's case."""
    edns: bool = False
    dnssec: bool = False
    size: int = 512
    """Longest answer that the client takes."""

    @property
    def key(self) -> tuple[bytes, bool]:
        """Equal for what one answer serves."""
        return self.question.lower(), self.dnssec


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer without EDNS, its times to live, and until when it is good."""

    wire: bytes
    ttls: tuple[tuple[int, int], ...]
    """(offset, seconds) of every record."""
    since: float
    until: float


@dataclass(slots=True)
class Cache:
    """Answers by what was asked; the oldest goes when there are too many."""

    limit: int = MAX_KEPT
    _kept: dict[tuple[bytes, bool], Kept] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, asked: Asked, now: float) -> Kept | None:
        """What is kept and still good."""
        kept = self._kept.get(asked.key)
        if kept is not None and kept.until <= now:
            del self._kept[asked.key]
            return None
        return kept

    def put(self, asked: Asked, wire: bytes, now: float) -> Kept:
        """Keep an answer, without EDNS in it, as long as its records allow. Raises Malformed."""
        ttls = times_to_live(wire)
        kept = Kept(wire, ttls, now, now + lifetime(wire, ttls))
        self._kept.pop(asked.key, None)
        if kept.until > now:
            while len(self._kept) >= self.limit:
                self._kept.pop(next(iter(self._kept)))
            self._kept[asked.key] = kept
        return kept

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()


def render(kept: Kept, asked: Asked, head: bytes, now: float) -> bytes:
    """The answer to a message that begins with `head` (its id and flags). Cut with TC set if it is too long."""
    age = max(0, int(now - kept.since))
    wire = bytearray(kept.wire)
    wire[0:2] = head[0:2]
    wire[2] = _QR | head[2] & (0x78 | _RD)
    wire[3] = _RA | wire[3] & (0x0F | _AD) | head[3] & _CD
    end = HEADER + len(asked.question)
    wire[HEADER:end] = asked.question
    for offset, seconds in kept.ttls:
        wire[offset : offset + 4] = max(0, min(seconds, MAX_S) - age).to_bytes(4, "big")
    opt = edns(asked) if asked.edns else b""
    if len(wire) + len(opt) > asked.size:
        del wire[end:]
        wire[2] |= _TC
        wire[6:12] = bytes(6)
    if opt:
        wire[10:12] = (int.from_bytes(wire[10:12], "big") + 1).to_bytes(2, "big")
    return bytes(wire + opt)


def edns(asked: Asked, payload: int = 1232) -> bytes:
    """Our OPT record."""
    flags = 0x8000 if asked.dnssec else 0
    return b"\0" + _OPT.to_bytes(2, "big") + payload.to_bytes(2, "big") + b"\0\0" + flags.to_bytes(2, "big") + b"\0\0"


def failure(asked: Asked) -> bytes:
    """A message that says SERVFAIL, to be kept and rendered."""
    return bytes((0, 0, _QR, _RA | SERVFAIL, 0, 1, 0, 0, 0, 0, 0, 0)) + asked.question


def question_of(wire: bytes) -> bytes:
    """The one question of a message, as its bytes. Raises Malformed."""
    if len(wire) < HEADER or wire[4:6] != b"\0\1":
        raise Malformed("not one question")
    end = _skip_name(wire, HEADER) + 4
    if end > len(wire):
        raise Malformed("the question is cut")
    return wire[HEADER:end]


def times_to_live(wire: bytes) -> tuple[tuple[int, int], ...]:
    """(offset, seconds) of each record's time to live. Raises Malformed."""
    offset = HEADER + len(question_of(wire))
    count = sum(int.from_bytes(wire[at : at + 2], "big") for at in (6, 8, 10))
    found = []
    for _ in range(count):
        offset = _skip_name(wire, offset)
        if offset + _FIXED > len(wire):
            raise Malformed("a record is cut")
        found.append((offset + 4, int.from_bytes(wire[offset + 4 : offset + 8], "big")))
        offset += _FIXED + int.from_bytes(wire[offset + 8 : offset + 10], "big")
    if offset != len(wire):
        raise Malformed("records and length differ")
    return tuple(found)


def lifetime(wire: bytes, ttls: tuple[tuple[int, int], ...]) -> int:
    """Seconds that an answer may be kept (RFC 2308: what says no as long as its SOA allows; failures shortly)."""
    code = wire[3] & 0x0F
    if code not in (0, NXDOMAIN):
        return FAILURE_S
    is_negative = code == NXDOMAIN or wire[6:8] == b"\0\0"
    if not is_negative:
        return min([seconds for _, seconds in ttls] + [MAX_S])
    limits = [min(seconds, _minimum(wire, offset)) for offset, seconds in ttls if _type(wire, offset) == _SOA]
    return min([*limits, MAX_S]) if limits else FAILURE_S


def _type(wire: bytes, offset: int) -> int:
    return int.from_bytes(wire[offset - 4 : offset - 2], "big")


def _minimum(wire: bytes, offset: int) -> int:
    """The last number of an SOA whose time to live is at `offset`."""
    end = offset + 6 + int.from_bytes(wire[offset + 4 : offset + 6], "big")
    return int.from_bytes(wire[end - 4 : end], "big")


def _skip_name(wire: bytes, offset: int) -> int:
    while offset < len(wire):
        length = wire[offset]
        if length & _POINTER == _POINTER:
            return offset + 2
        if length & _POINTER:
            raise Malformed("a label of no known kind")
        offset += 1 + length
        if not length:
            return offset
    raise Malformed("a name is cut")
