"""Rules of the three kinds that their schemas' limits do not state: upstream they are a few expressions."""

from collections.abc import Callable, Iterator, Sequence

from miniplane.api.kind import Object
from miniplane.api.validation import (
    FieldError,
    Path,
    invalid,
)
from miniplane.kinds.addresses import parse_block
from miniplane.kinds.fields import entries, is_set, optional, section, strings

DIRECTIONS = (("ingress", "from"), ("egress", "to"))
"""The lists of rules, and where a rule has its peers."""
_ADDRESSED = ("networks", "nodes", "domainNames")


def rules_of(policy: Object) -> Iterator[tuple[Path, Object, str]]:
    """Every rule with its path, and where it has its peers."""
    for direction, side in DIRECTIONS:
        for index, rule in enumerate(entries(section(policy, "spec"), direction)):
            yield Path("spec") / direction @ index, rule, side


def network_errors(policy: Object, network: Callable[[str, str], Iterator[FieldError]]) -> Iterator[FieldError]:
    """The errors of every range of addresses, as `network(path, text)` finds them."""
    for path, rule, side in rules_of(policy):
        for index, peer in enumerate(entries(rule, side)):
            for place, block in enumerate(strings(peer, "networks")):
                yield from network(path / side @ index / "networks" @ place, block)


def block_errors(path: str, block: str) -> Iterator[FieldError]:
    """An error unless the text is a range of addresses."""
    if parse_block(block) is None:
        yield invalid(path, block, "Invalid CIDR format provided")


def named_port_errors(policy: Object, ports: str, name: str, kinds: Sequence[str]) -> Iterator[FieldError]:
    """An error for each rule with a port's name (at `.<ports>[].<name>`) and a peer that has no names of ports."""
    for path, rule, side in rules_of(policy):
        addressed = any(is_set(peer, key) for peer in entries(rule, side) for key in _ADDRESSED)
        if addressed and any(is_set(port, name) for port in entries(rule, ports)):
            words = "/".join(kinds)
            yield invalid(
                path, "object", f"{words} peer cannot be set with namedPorts since there are no namedPorts for {words}"
            )


def range_errors(path: Path, ports: Object) -> Iterator[FieldError]:
    """An error for a range whose start is not below its end."""
    start, end = optional(ports, "start"), optional(ports, "end")
    if start is not None and end is not None and start >= end:
        yield invalid(path, "object", "Start port must be less than End port")
