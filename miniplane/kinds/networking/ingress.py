"""Ingress: HTTP hosts and paths, and the Services that answer for them.

Upstream: networking.k8s.io/v1; concept page "Ingress".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.names import (
    is_dns_label_1035,
    is_dns_subdomain,
    is_path_segment,
    is_port_name,
    is_wildcard_dns_subdomain,
)
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, invalid, not_supported, required
from miniplane.kinds.addresses import parse_address
from miniplane.kinds.fields import (
    elements,
    entries,
    is_set,
    named,
    named_required,
    number,
    port_number,
    section,
    shown,
    strings,
    text,
)
from miniplane.kinds.shared import NONE, load_balancer_addresses, load_balancer_errors, more

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""How the class was named before it became a field."""

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_PARTS = ("//", "/./", "/../", "%2f", "%2F")
_BAD_ENDS = ("/..", "/.")
_SHOWN = 3


def validate(ingress: Object, old: Object | None) -> Sequence[FieldError]:
    """Hosts are DNS names, paths absolute with a type, backends a Service's port or an object."""
    return list(_errors(ingress, old))


def _errors(ingress: Object, old: Object | None) -> Iterator[FieldError]:
    spec, path = section(ingress, "spec"), Path("spec")
    if not elements(spec, "rules") and not is_set(spec, "defaultBackend"):
        yield invalid(path, shown(spec.get("rules")), "either `defaultBackend` or `rules` must be specified")
    if is_set(spec, "defaultBackend"):
        yield from _backend(path / "defaultBackend", section(spec, "defaultBackend"))
    for index, rule in enumerate(entries(spec, "rules")):
        yield from _rule(path / "rules" @ index, rule)
    for index, tls in enumerate(entries(spec, "tls")):
        yield from _tls(path / "tls" @ index, tls)
    if is_set(spec, "ingressClassName"):
        yield from named(path / "ingressClassName", text(spec, "ingressClassName"), is_dns_subdomain)
    annotation, name = meta.annotations(ingress).get(CLASS_ANNOTATION), spec.get("ingressClassName")
    if old is None and None not in (annotation, name) and annotation != name:
        here = Path("annotations") / CLASS_ANNOTATION
        yield invalid(here, annotation, "must match `ingressClassName` when both are specified")


def _host(path: Path, host: str) -> Iterator[FieldError]:
    return named(path, host, is_wildcard_dns_subdomain if "*" in host else is_dns_subdomain)


def _rule(path: Path, rule: Object) -> Iterator[FieldError]:
    if host := text(rule, "host"):
        if parse_address(host):
            yield invalid(path / "host", host, "must be a DNS name, not an IP address")
        yield from _host(path / "host", host)
    if is_set(rule, "http"):
        paths = entries(section(rule, "http"), "paths")
        if not paths:
            yield required(path / "http" / "paths")
        for index, item in enumerate(paths):
            yield from _path(path / "http" / "paths" @ index, item)


def _path(path: Path, item: Object) -> Iterator[FieldError]:
    kind, value = text(item, "pathType"), text(item, "path")
    if not is_set(item, "pathType"):
        yield required(path / "pathType", "pathType must be specified")
        return
    if kind not in _PATH_TYPES:
        yield not_supported(path / "pathType", kind, _PATH_TYPES)
    elif not value.startswith("/") and (value or kind != "ImplementationSpecific"):
        yield invalid(path / "path", value, "must be an absolute path")
    if kind in ("Exact", "Prefix"):
        for part in _BAD_PARTS:
            if part in value:
                yield invalid(path / "path", value, f"must not contain '{part}'")
        for end in _BAD_ENDS:
            if value.endswith(end):
                yield invalid(path / "path", value, f"cannot end with '{end}'")
    yield from _backend(path / "backend", section(item, "backend"))


def _backend(path: Path, backend: Object) -> Iterator[FieldError]:
    if is_set(backend, "resource"):
        if is_set(backend, "service"):
            yield invalid(path, "", "cannot set both resource and service backends")
        else:
            yield from _resource(path / "resource", section(backend, "resource"))
    elif is_set(backend, "service"):
        yield from _service(path, section(backend, "service"))
    else:
        yield invalid(path, "", "resource or service backend is required")


def _resource(path: Path, resource: Object) -> Iterator[FieldError]:
    if is_set(resource, "apiGroup"):
        yield from named(path / "apiGroup", text(resource, "apiGroup"), is_dns_subdomain)
    for key in ("kind", "name"):
        yield from named_required(path / key, text(resource, key), is_path_segment)


def _service(path: Path, service: Object) -> Iterator[FieldError]:
    here = path / "service"
    yield from named_required(here / "name", text(service, "name"), is_dns_label_1035)
    port = section(service, "port")
    name, value = text(port, "name"), number(port, "number")
    if name and value:
        yield invalid(path, "", "cannot set both port name & port number")
    elif name:
        yield from named(here / "port" / "name", name, is_port_name)
    elif value:
        yield from port_number(here / "port" / "number", value)
    else:
        yield required(path, "port name or number is required")


def _tls(path: Path, tls: Object) -> Iterator[FieldError]:
    for index, host in enumerate(strings(tls, "hosts")):
        yield from _host(path / "hosts" @ index, host)
    if secret := text(tls, "secretName"):
        yield from named(path / "secretName", secret, is_dns_subdomain)


def validate_status(ingress: Object, old: Object | None) -> Sequence[FieldError]:
    """The addresses of the load balancer are such."""
    return list(load_balancer_errors(ingress, old))


def warnings(ingress: Object, old: Object | None) -> Sequence[str]:
    """The class belongs into its field."""
    if old is None and CLASS_ANNOTATION in meta.annotations(ingress):
        return (f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead",)
    return ()


def _hosts(ingress: Object, _now: datetime) -> str:
    rules = entries(section(ingress, "spec"), "rules")
    hosts = [host for rule in rules if (host := text(rule, "host"))]
    return more(hosts, len(rules) if len(hosts) >= _SHOWN else len(hosts)) or "*"


def _address(ingress: Object, _now: datetime) -> str:
    return ",".join(load_balancer_addresses(ingress))


def _ports(ingress: Object, _now: datetime) -> str:
    return "80, 443" if elements(section(ingress, "spec"), "tls") else "80"


def _class(ingress: Object, _now: datetime) -> str:
    return text(section(ingress, "spec"), "ingressClassName") or NONE


INGRESS = Kind(
    group="networking.k8s.io",
    version="v1",
    kind="Ingress",
    plural="ingresses",
    scope=Scope.NAMESPACED,
    short_names=("ing",),
    definition="io.k8s.api.networking.v1.Ingress",
    columns=(
        NAME,
        Column("Class", _class, description="The IngressClass that serves it."),
        Column("Hosts", _hosts, description="The hosts of its rules, * for every other one."),
        Column("Address", _address, description="Where it is served."),
        Column("Ports", _ports, description="80, and 443 with TLS."),
        AGE,
    ),
    subresources=(STATUS,),
    strategy=Strategy(
        counts_generation=True,
        validate=validate,
        validate_status=validate_status,
        warnings=warnings,
        initial_status={"loadBalancer": {}},
    ),
)
