"""EndpointSlice: a part of the addresses behind a Service, all of one family and with the same ports.

Upstream: discovery.k8s.io/v1; concept page "EndpointSlices".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_dns_label, is_dns_subdomain, is_qualified_name, validate_labels
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, duplicate, invalid, required, too_many
from miniplane.kinds.addresses import FAMILIES, parse_address, reachable
from miniplane.kinds.fields import (
    PROTOCOLS,
    elements,
    entries,
    fill,
    is_set,
    named,
    named_required,
    one_of,
    optional,
    section,
    string_map,
    strings,
    text,
    unchanged,
)
from miniplane.kinds.shared import more

_MAX_ADDRESSES, _MAX_PORTS, _MAX_ENDPOINTS, _MAX_ZONES = 100, 20000, 1000, 8


def defaults(endpoint_slice: Object) -> None:
    """Ports are TCP and have a name, if an empty one."""
    for port in entries(endpoint_slice, "ports"):
        fill(port, name="", protocol="TCP")


def _ip(family: int) -> Callable[[str, str], Iterator[FieldError]]:
    def rule(path: str, value: str) -> Iterator[FieldError]:
        address = parse_address(value)
        if address is None or address.version != family:
            yield invalid(path, value, f"must be a valid {FAMILIES[family]} address")
        else:
            yield from reachable(path, value)

    return rule


def _fqdn(path: str, value: str) -> Iterator[FieldError]:
    if not value:
        yield required(path)
        return
    name = value.removesuffix(".")
    yield from named(path, name, is_dns_subdomain)
    if "." not in name:
        yield invalid(path, value, "should be a domain with at least two segments separated by dots")


_RULES: Mapping[str, Callable[[str, str], Iterator[FieldError]]] = {"FQDN": _fqdn, "IPv4": _ip(4), "IPv6": _ip(6)}


def validate(endpoint_slice: Object, old: Object | None) -> Sequence[FieldError]:
    """Addresses are of the slice's type, which never changes; ports differ in name; sizes are bounded."""
    return list(_errors(endpoint_slice, old))


def _errors(endpoint_slice: Object, old: Object | None) -> Iterator[FieldError]:
    kind = text(endpoint_slice, "addressType")
    yield from one_of("addressType", kind, _RULES)
    yield from _endpoints(Path("endpoints"), entries(endpoint_slice, "endpoints"), kind)
    yield from _ports(Path("ports"), entries(endpoint_slice, "ports"))
    if old is not None:
        yield from unchanged("addressType", kind, text(old, "addressType"))


def _endpoints(path: Path, endpoints: list[Object], kind: str) -> Iterator[FieldError]:
    if len(endpoints) > _MAX_ENDPOINTS:
        yield too_many(path, len(endpoints), _MAX_ENDPOINTS)
        return
    rule = _RULES.get(kind)
    for index, endpoint in enumerate(endpoints):
        here, addresses = path @ index, strings(endpoint, "addresses")
        if not addresses:
            yield required(here / "addresses", "must contain at least 1 address")
        elif len(addresses) > _MAX_ADDRESSES:
            yield too_many(here / "addresses", len(addresses), _MAX_ADDRESSES)
        for place, address in enumerate(addresses):
            if rule:
                yield from rule(here / "addresses" @ place, address)
        yield from _details(here, endpoint)


def _details(path: Path, endpoint: Object) -> Iterator[FieldError]:
    if is_set(endpoint, "nodeName"):
        yield from named(path / "nodeName", text(endpoint, "nodeName"), is_dns_subdomain)
    yield from validate_labels(string_map(endpoint, "deprecatedTopology"), path / "deprecatedTopology")
    if is_set(endpoint, "hostname"):
        yield from named(path / "hostname", text(endpoint, "hostname"), is_dns_label)
    zones = entries(section(endpoint, "hints"), "forZones")
    here = path / "hints" / "forZones"
    if len(zones) > _MAX_ZONES:
        yield too_many(here, len(zones), _MAX_ZONES)
        return
    seen: set[str] = set()
    for index, zone in enumerate(zones):
        name = text(zone, "name")
        if name in seen:
            yield duplicate(here @ index / "name", name)
        seen.add(name)
        yield from named_required(here @ index / "name", name, is_dns_subdomain)


def _ports(path: Path, ports: list[Object]) -> Iterator[FieldError]:
    if len(ports) > _MAX_PORTS:
        yield too_many(path, len(ports), _MAX_PORTS)
        return
    names: set[str] = set()
    for index, port in enumerate(ports):
        here, name = path @ index, text(port, "name")
        if name:
            yield from named(here / "name", name, is_dns_label)
        if name in names:
            yield duplicate(here / "name", name)
        names.add(name)
        yield from one_of(here / "protocol", text(port, "protocol"), PROTOCOLS)
        if is_set(port, "appProtocol"):
            yield from named(here / "appProtocol", text(port, "appProtocol"), is_qualified_name)


def _ports_cell(endpoint_slice: Object, _now: datetime) -> str:
    ports = entries(endpoint_slice, "ports")
    shown = [_port(port) for port in ports]
    return more(shown, len(shown)) or "<unset>"


def _port(port: Object) -> str:
    number = optional(port, "port")
    if number is not None:
        return str(number)
    return text(port, "name") if is_set(port, "name") else "*"


def _endpoints_cell(endpoint_slice: Object, _now: datetime) -> str:
    endpoints = entries(endpoint_slice, "endpoints")
    shown = [str(address) for endpoint in endpoints for address in elements(endpoint, "addresses")]
    return more(shown, len(shown)) or "<unset>"


ENDPOINT_SLICE = Kind(
    group="discovery.k8s.io",
    version="v1",
    kind="EndpointSlice",
    plural="endpointslices",
    scope=Scope.NAMESPACED,
    definition="io.k8s.api.discovery.v1.EndpointSlice",
    columns=(
        NAME,
        Column("AddressType", ".addressType", description="IPv4, IPv6 or FQDN."),
        Column("Ports", _ports_cell, description="The ports of every endpoint."),
        Column("Endpoints", _endpoints_cell, description="The addresses."),
        AGE,
    ),
    defaults=defaults,
    strategy=Strategy(counts_generation=True, validate=validate),
)
