"""Addresses, networks and URLs in expressions. An address or network is its canonical text, a URL a map of its text.

Counterpart upstream: k8s.io/apiserver, pkg/cel/library: ip.go, cidr.go, urls.go.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from miniplane.api.cel.functions import Function, FunctionError

_URL = "net.URL"
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def _address(text: str) -> _Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise FunctionError(f'IP Address "{text}" parse error during conversion from string: {error}') from error
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        raise FunctionError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise FunctionError(f'IP address "{text}" with zone value is not allowed')
    return address


def _network(text: str) -> _Network:
    try:
        if "/" not in text or not text.rpartition("/")[2].isdigit():
            raise FunctionError(f'network address parse error during conversion from string: "{text}"')
        return ipaddress.ip_interface(text)
    except ValueError as error:
        raise FunctionError(f'network address parse error during conversion from string: "{text}"') from error


def _accepts(parse: Any) -> Any:
    def accepts(text: str) -> bool:
        try:
            parse(text)
        except FunctionError:
            return False
        return True

    return accepts


def _contains_cidr(text: str, other: str) -> bool:
    outer, inner = _network(text).network, _network(other).network
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # of one version


def _is_global(text: str) -> bool:
    """Go's IsGlobalUnicast: also private addresses, and all but the special ones."""
    address = _address(text)
    special = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not special and text != "255.255.255.255"


def _is_local_multicast(text: str) -> bool:
    address = _address(text)
    links = "224.0.0.0/24" if address.version == 4 else "ff02::/16"  # noqa: PLR2004  IPv4
    return address in ipaddress.ip_network(links)


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise FunctionError(f'URL parse error during conversion from string: parse "{text}": {error}') from error
    is_absolute = bool(parts.scheme) or text.startswith("/")
    if not is_absolute or any(letter.isspace() or not letter.isprintable() for letter in text):
        raise FunctionError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return parts


def _url(text: str) -> dict[str, str]:
    _split(text)
    return {_URL: text}


def _parts(url: Mapping[str, Any]) -> SplitResult:
    text = url.get(_URL)
    if not isinstance(text, str):
        raise FunctionError("no such overload")
    return _split(text)


def _host(url: Mapping[str, Any]) -> str:
    return _parts(url).netloc.rpartition("@")[2]


def _hostname(url: Mapping[str, Any]) -> str:
    host = _host(url)
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _port(url: Mapping[str, Any]) -> str:
    port = _parts(url).port
    return "" if port is None else str(port)


FUNCTIONS = (
    Function("isIP", ("string",), "bool", _accepts(_address), is_member=False),
    Function("ip", ("string",), "string", lambda text: str(_address(text)), is_member=False),
    Function("ip.isCanonical", ("string",), "bool", lambda text: str(_address(text)) == text, is_member=False),
    Function("family", ("string",), "int", lambda text: _address(text).version),
    Function("isUnspecified", ("string",), "bool", lambda text: _address(text).is_unspecified),
    Function("isLoopback", ("string",), "bool", lambda text: _address(text).is_loopback),
    Function("isLinkLocalMulticast", ("string",), "bool", _is_local_multicast),
    Function("isLinkLocalUnicast", ("string",), "bool", lambda text: _address(text).is_link_local),
    Function("isGlobalUnicast", ("string",), "bool", _is_global),
    Function("isCIDR", ("string",), "bool", _accepts(_network), is_member=False),
    Function("cidr", ("string",), "string", lambda text: str(_network(text)), is_member=False),
    Function("containsIP", ("string", "string"), "bool", lambda text, ip: _address(ip) in _network(text).network),
    Function("containsCIDR", ("string", "string"), "bool", _contains_cidr),
    Function("ip", ("string",), "string", lambda text: str(_network(text).ip)),
    Function("masked", ("string",), "string", lambda text: str(_network(text).network)),
    Function("prefixLength", ("string",), "int", lambda text: _network(text).network.prefixlen),
    Function("isURL", ("string",), "bool", _accepts(_split), is_member=False),
    Function("url", ("string",), "map", _url, is_member=False),
    Function("getScheme", ("map",), "string", lambda url: _parts(url).scheme),
    Function("getHost", ("map",), "string", _host),
    Function("getHostname", ("map",), "string", _hostname),
    Function("getPort", ("map",), "string", _port),
    Function("getEscapedPath", ("map",), "string", lambda url: quote(_parts(url).path, safe="/%:@!$&'()*+,;=~")),
    Function("getQuery", ("map",), "map", lambda url: parse_qs(_parts(url).query, keep_blank_values=True)),
)
