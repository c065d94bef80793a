"""Ports and ranges of addresses as v1alpha1 writes them, in AdminNetworkPolicy and BaselineAdminNetworkPolicy alike."""

from collections.abc import Iterator

from miniplane.api.kind import Object
from miniplane.api.validation import FieldError, invalid
from miniplane.kinds.fields import entries, fill, section
from miniplane.kinds.policy.limits import block_errors, named_port_errors, network_errors, range_errors, rules_of

_FAMILY = "CIDR must be either an IPv4 or IPv6 address. IPv4 address embedded in IPv6 addresses are not supported"


def default_protocols(policy: Object) -> None:
    """Ports are TCP."""
    for _, rule, _ in rules_of(policy):
        for port in entries(rule, "ports"):
            for key in ("portNumber", "portRange"):
                if isinstance(port.get(key), dict):
                    fill(port[key], protocol="TCP")


def old_errors(policy: Object) -> Iterator[FieldError]:
    """The errors beyond the schema's limits."""
    yield from network_errors(policy, _network)
    for path, rule, _ in rules_of(policy):
        for index, port in enumerate(entries(rule, "ports")):
            yield from range_errors(path / "ports" @ index / "portRange", section(port, "portRange"))
    yield from named_port_errors(policy, "ports", "namedPort", ("networks", "nodes"))


def _network(path: str, block: str) -> Iterator[FieldError]:
    if (":" in block) == ("." in block):
        yield invalid(path, block, _FAMILY)
    else:
        yield from block_errors(path, block)
