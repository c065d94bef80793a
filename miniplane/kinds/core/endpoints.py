"""Endpoints: the addresses behind a Service, in the old form. EndpointSlice is what the data path reads.

Upstream: core/v1, deprecated since v1.33.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_dns_label, is_dns_subdomain
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, forbidden, required
from miniplane.kinds.addresses import reachable, valid_address
from miniplane.kinds.fields import PROTOCOLS, entries, fill, is_set, named, number, one_of, port_number, text
from miniplane.kinds.shared import NONE, more

_LISTS = ("addresses", "notReadyAddresses")


def defaults(endpoints: Object) -> None:
    """Ports are TCP."""
    for subset in entries(endpoints, "subsets"):
        for port in entries(subset, "ports"):
            fill(port, protocol="TCP")


def validate(endpoints: Object, old: Object | None) -> Sequence[FieldError]:
    """Each subset has addresses that can be somebody else, and named ports if more than one."""
    nodes = _nodes(old) if old else {}
    errors: list[FieldError] = []
    for index, subset in enumerate(entries(endpoints, "subsets")):
        errors += _subset(Path("subsets") @ index, subset, nodes)
    return errors


def _nodes(endpoints: Object) -> dict[str, str]:
    """The node of each address that has one."""
    return {
        text(address, "ip"): text(address, "nodeName")
        for subset in entries(endpoints, "subsets")
        for key in _LISTS
        for address in entries(subset, key)
        if is_set(address, "nodeName")
    }


def _subset(path: Path, subset: Object, nodes: Mapping[str, str]) -> Iterator[FieldError]:
    if not any(entries(subset, key) for key in _LISTS):
        yield required(path, "must specify `addresses` or `notReadyAddresses`")
    for key in _LISTS:
        for index, address in enumerate(entries(subset, key)):
            yield from _address(path / key @ index, address, nodes)
    ports = entries(subset, "ports")
    for index, port in enumerate(ports):
        here, name = path / "ports" @ index, text(port, "name")
        if name:
            yield from named(here / "name", name, is_dns_label)
        elif len(ports) > 1:
            yield required(here / "name")
        yield from port_number(here / "port", number(port, "port"))
        yield from one_of(here / "protocol", text(port, "protocol"), PROTOCOLS)


def _address(path: Path, address: Object, nodes: Mapping[str, str]) -> Iterator[FieldError]:
    ip, node = text(address, "ip"), text(address, "nodeName")
    errors = list(valid_address(path / "ip", ip))
    if hostname := text(address, "hostname"):
        errors += named(path / "hostname", hostname, is_dns_label)
    if is_set(address, "nodeName"):
        errors += named(path / "nodeName", node, is_dns_subdomain)
        if nodes.get(ip, node) != node:
            errors.append(forbidden(path / "nodeName", f"Cannot change NodeName for {ip} to {node}"))
    yield from errors or reachable(path / "ip", ip)


def warnings(_endpoints: Object, _old: Object | None) -> Sequence[str]:
    """The kind itself is on its way out."""
    return ("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",)


def _endpoints(endpoints: Object, _now: datetime) -> str:
    found: list[str] = []
    for subset in entries(endpoints, "subsets"):
        ips = [text(address, "ip") for address in entries(subset, "addresses")]
        ports = [number(port, "port") for port in entries(subset, "ports")]
        hosts = [f"[{ip}]" if ":" in ip else ip for ip in ips]
        found += [f"{host}:{port}" for port in ports for host in hosts] if ports else ips
    return more(found, len(found)) if entries(endpoints, "subsets") else NONE


ENDPOINTS = Kind(
    group="",
    version="v1",
    kind="Endpoints",
    plural="endpoints",
    scope=Scope.NAMESPACED,
    short_names=("ep",),
    definition="io.k8s.api.core.v1.Endpoints",
    columns=(NAME, Column("Endpoints", _endpoints, description="The ready addresses, each with its port."), AGE),
    defaults=defaults,
    strategy=Strategy(validate=validate, warnings=warnings),
)
