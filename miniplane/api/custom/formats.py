"""Formats of texts in structural schemas, as k8s.io/kube-openapi, pkg/validation/strfmt, judges them.

A format that is not here is not checked, as upstream.
"""

import base64
import binascii
import ipaddress
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import date
from urllib.parse import urlsplit

from miniplane.api.meta import parse_timestamp

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)
_DURATION = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)\s*(ns|us|µs|μs|ms|s|m|h|d|w|hr|day|week|minute|second)s?", re.ASCII)
_GO_DURATION = re.compile(r"([+-]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+|[+-]?0)")
_HOSTNAME = re.compile(
    r"([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9])(\.([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9]))*\.?"
)
_EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_MAC = re.compile(
    r"([0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){7}|([0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4})"
)
_HEX_COLOR = re.compile(r"#?([A-Fa-f0-9]{6}|[A-Fa-f0-9]{3})")


def _accepts(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def accepts(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, OverflowError, binascii.Error):
            return False
        return True

    return accepts


def _is_date_time(text: str) -> bool:
    return bool(_DATE_TIME.fullmatch(text)) and _accepts(parse_timestamp)(text.upper().replace(" ", "T"))


def _is_uri(text: str) -> bool:
    return bool(urlsplit(text).scheme or text.startswith("/")) and not any(letter.isspace() for letter in text)


FORMATS: Mapping[str, Callable[[str], bool]] = {
    "byte": _accepts(lambda text: base64.b64decode(text, validate=True)),
    "cidr": lambda text: "/" in text and _accepts(ipaddress.ip_interface)(text),
    "date": _accepts(date.fromisoformat),
    "date-time": _is_date_time,
    "datetime": _is_date_time,
    "duration": lambda text: bool(_DURATION.fullmatch(text) or _GO_DURATION.fullmatch(text)),
    "email": lambda text: bool(_EMAIL.fullmatch(text)),
    "hexcolor": lambda text: bool(_HEX_COLOR.fullmatch(text)),
    "hostname": lambda text: len(text) < 256 and bool(_HOSTNAME.fullmatch(text)),  # noqa: PLR2004  RFC 1123
    "ipv4": _accepts(ipaddress.IPv4Address),
    "ipv6": _accepts(ipaddress.IPv6Address),
    "mac": lambda text: bool(_MAC.fullmatch(text)),
    "uri": lambda text: _accepts(urlsplit)(text) and _is_uri(text),
    "uuid": lambda text: len(text) in (32, 36) and _accepts(uuid.UUID)(text),
}
"""Whether a text is of a format, by the format's name."""
