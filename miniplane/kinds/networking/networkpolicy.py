"""NetworkPolicy: who may talk to and be talked to by the pods that it selects.

Upstream: networking.k8s.io/v1; concept page "Network Policies".
"""

from collections.abc import Iterator, Sequence

from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_port_name
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, forbidden, invalid, not_supported, required
from miniplane.kinds.addresses import Block, parse_block, valid_block
from miniplane.kinds.fields import (
    PROTOCOLS,
    elements,
    entries,
    fill,
    is_set,
    named,
    one_of,
    open_section,
    optional,
    port_number,
    section,
    shown,
    strings,
    text,
)
from miniplane.kinds.shared import selector_cell, selector_errors

_TYPES = ("Egress", "Ingress")
_DIRECTIONS = (("ingress", "from"), ("egress", "to"))


def defaults(policy: Object) -> None:
    """Ports are TCP; types are Ingress, and Egress where there is a rule for it."""
    spec = open_section(policy, "spec")
    if not is_set(spec, "podSelector"):
        spec["podSelector"] = {}
    if not elements(spec, "policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if elements(spec, "egress") else ["Ingress"]
    for direction, _ in _DIRECTIONS:
        for rule in entries(spec, direction):
            for port in entries(rule, "ports"):
                fill(port, protocol="TCP")


def validate(policy: Object, _old: Object | None) -> Sequence[FieldError]:
    """Selectors, ports and blocks are such, and each peer says who it is."""
    return list(_errors(section(policy, "spec")))


def _errors(spec: Object) -> Iterator[FieldError]:
    path = Path("spec")
    yield from selector_errors(path, spec, "podSelector")
    for direction, peers in _DIRECTIONS:
        for index, rule in enumerate(entries(spec, direction)):
            here = path / direction @ index
            for place, port in enumerate(entries(rule, "ports")):
                yield from _port(here / "ports" @ place, port)
            for place, peer in enumerate(entries(rule, peers)):
                yield from _peer(here / peers @ place, peer)
    types = strings(spec, "policyTypes")
    if len(types) > len(_TYPES):
        yield invalid(path / "policyTypes", shown(types), "may not specify more than two policyTypes")
        return
    for index, kind in enumerate(types):
        if kind not in _TYPES:
            yield not_supported(path / "policyTypes" @ index, kind, _TYPES)


def _port(path: Path, port: Object) -> Iterator[FieldError]:
    yield from one_of(path / "protocol", text(port, "protocol"), PROTOCOLS, needed=False)
    end, value = optional(port, "endPort"), port.get("port")
    if isinstance(value, str):
        if end is not None:
            yield invalid(path / "endPort", end, "may not be specified when `port` is non-numeric")
        yield from named(path / "port", value, is_port_name)
    elif (first := optional(port, "port")) is not None:
        yield from port_number(path / "port", first)
        if end is not None:
            if end < first:
                yield invalid(path / "endPort", end, "must be greater than or equal to `port`")
            yield from port_number(path / "endPort", end)
    elif end is not None:
        yield invalid(path / "endPort", end, "may not be specified when `port` is not specified")


def _peer(path: Path, peer: Object) -> Iterator[FieldError]:
    selectors = [key for key in ("podSelector", "namespaceSelector") if is_set(peer, key)]
    for key in selectors:
        yield from selector_errors(path, peer, key)
    if is_set(peer, "ipBlock"):
        yield from _block(path / "ipBlock", section(peer, "ipBlock"))
        if selectors:
            yield forbidden(path, "may not specify both ipBlock and another peer")
    elif not selectors:
        yield required(path, "must specify a peer")


def _block(path: Path, block: Object) -> Iterator[FieldError]:
    cidr = text(block, "cidr")
    if not cidr:
        yield required(path / "cidr")
        return
    yield from valid_block(path / "cidr", cidr)
    outer = parse_block(cidr)
    if outer is None:
        return
    for index, item in enumerate(strings(block, "except")):
        here = path / "except" @ index
        yield from valid_block(here, item)
        inner = parse_block(item)
        if inner is not None and not _is_strictly_inside(inner, outer):
            yield invalid(here, item, "must be a strict subset of `cidr`")


def _is_strictly_inside(inner: Block, outer: Block) -> bool:
    same_family = inner.version == outer.version
    return same_family and inner.network_address in outer and inner.prefixlen > outer.prefixlen


NETWORK_POLICY = Kind(
    group="networking.k8s.io",
    version="v1",
    kind="NetworkPolicy",
    plural="networkpolicies",
    scope=Scope.NAMESPACED,
    short_names=("netpol",),
    definition="io.k8s.api.networking.v1.NetworkPolicy",
    columns=(NAME, Column("Pod-Selector", selector_cell("podSelector"), description="The pods it is about."), AGE),
    defaults=defaults,
    strategy=Strategy(counts_generation=True, validate=validate),
)
