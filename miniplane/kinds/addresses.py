"""Addresses and blocks in fields: parsing that does not fail, and upstream's rules for them."""

import ipaddress
from collections.abc import Iterator
from functools import partial

from miniplane.api.names import is_cidr, is_ip_address
from miniplane.api.validation import FieldError, invalid
from miniplane.kinds.fields import named

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Block = ipaddress.IPv4Network | ipaddress.IPv6Network

FAMILIES = {4: "IPv4", 6: "IPv6"}
"""The names of the families by the version of an address."""


def parse_address(text: str) -> Address | None:
    """The address, if it is one."""
    return None if is_ip_address(text) else ipaddress.ip_address(text)


def parse_block(text: str) -> Block | None:
    """The block, if it is one; bits beyond the prefix are cut off."""
    return None if is_cidr(text) else ipaddress.ip_network(text, strict=False)


valid_address = partial(named, rule=is_ip_address)
"""`(path, text)` → the errors of an address."""

valid_block = partial(named, rule=is_cidr)
"""`(path, text)` → the errors of a block."""


def reachable(path: str, text: str) -> Iterator[FieldError]:
    """Errors for addresses that can't be somebody else: unspecified, loopback, link-local."""
    address = parse_address(text)
    if address is None:
        yield invalid(path, text, "must be a valid IP address")
    elif address.is_unspecified:
        yield invalid(path, text, f"may not be unspecified ({text})")
    elif address.is_loopback:
        yield invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    elif address.is_link_local:
        yield invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    elif address in _LINK_LOCAL_MULTICAST[address.version]:
        yield invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


_LINK_LOCAL_MULTICAST: dict[int, Block] = {
    4: ipaddress.ip_network("224.0.0.0/24"),
    6: ipaddress.ip_network("ff02::/16"),
}
