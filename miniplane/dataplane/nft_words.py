"""The words of nft: how fields, types and values are written, for the printer and the reader alike."""

from hashlib import blake2s
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from miniplane.dataplane.packet import Protocol
from miniplane.dataplane.ruleset import Field, Origin, Range, Type, Value, remark

COMMENT_LIMIT: Final = 120
"""Longest comment in bytes; the kernel takes 127."""
SEPARATOR: Final = " + "
"""Between several origins in one comment."""

_TYPES = {Type.PROTOCOL: "inet_proto", Type.PORT: "inet_service", Type.MARK: "mark"}
_FIELDS = {
    Field.PROTOCOL: "meta l4proto",
    Field.SPORT: "th sport",
    Field.DPORT: "th dport",
    Field.MARK: "meta mark",
    Field.CT_MARK: "ct mark",
}
PROTOCOLS = {int(protocol): protocol.name.lower() for protocol in Protocol if protocol.has_ports}
"""The protocols that nft knows by these names whatever /etc/protocols says; others are written as numbers."""


def type_word(kind: Type, family: str) -> str:
    """The nft name of a type, such as `ipv4_addr`."""
    return _TYPES.get(kind) or ("ipv4_addr" if family == "ip" else "ipv6_addr")


def field_words(field: Field, family: str) -> str:
    """The nft name of a field, such as `ip saddr`."""
    return _FIELDS.get(field) or f"{family} {field.value[0]}"


def value_word(value: Value, kind: Type, family: str) -> str:
    """`10.244.0.0/24`, `80-90`, `0x00000001`, `tcp`."""
    if isinstance(value, Range):
        if kind is Type.ADDRESS:
            return _address_range(value, family)
        return f"{_one(value.low, kind, family, named=False)}-{_one(value.high, kind, family, named=False)}"
    return _one(value, kind, family)


def _one(value: int, kind: Type, family: str, *, named: bool = True) -> str:
    match kind:
        case Type.ADDRESS:
            return str(IPv4Address(value) if family == "ip" else IPv6Address(value))
        case Type.PROTOCOL:
            return PROTOCOLS.get(value, str(value)) if named else str(value)
        case Type.MARK:
            return f"0x{value:08x}"
        case Type.PORT:
            return str(value)


def _address_range(value: Range, family: str) -> str:
    """As a prefix where it is one."""
    bits = 32 if family == "ip" else 128
    size = value.high - value.low + 1
    low = _one(value.low, Type.ADDRESS, family)
    if size & (size - 1) == 0 and value.low % size == 0:
        return f"{low}/{bits - size.bit_length() + 1}"
    return f"{low}-{_one(value.high, Type.ADDRESS, family)}"


def comment(origins: tuple[Origin, ...]) -> str:
    """What a comment says of origins: all of them if there is room, else their digest."""
    text = SEPARATOR.join(map(str, origins))
    return text if len(text.encode()) <= COMMENT_LIMIT else digest(origins)


def digest(origins: tuple[Origin, ...]) -> str:
    """A short name of origins; a catalogue leads back."""
    return "#" + blake2s("\n".join(map(str, origins)).encode(), digest_size=8).hexdigest()


def origins_of(text: str) -> tuple[Origin, ...]:
    """The origins that a comment spells out."""
    return tuple(_origin(part) for part in text.split(SEPARATOR))


def _origin(text: str) -> Origin:
    if not text[:1].isupper():
        return remark(text)
    kind, name, path = text.split(" ", 2)
    namespace, _, last = name.rpartition("/")
    return Origin(kind, namespace, last, path)
