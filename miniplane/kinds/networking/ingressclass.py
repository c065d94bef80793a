"""IngressClass: which controller serves an Ingress.

Upstream: networking.k8s.io/v1; concept page "Ingress".
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_dns_label, is_dns_subdomain, is_path_segment
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, forbidden, invalid, required, too_long
from miniplane.kinds.fields import fill, is_set, named, named_required, one_of, section, text, unchanged
from miniplane.kinds.shared import NONE

_MAX_CONTROLLER = 250
_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"


def defaults(ingress_class: Object) -> None:
    """Parameters are cluster-wide objects."""
    parameters = section(section(ingress_class, "spec"), "parameters")
    if parameters:
        fill(parameters, scope="Cluster")


def validate(ingress_class: Object, old: Object | None) -> Sequence[FieldError]:
    """The controller is `domain/path` and never changes; parameters say where they are."""
    return list(_errors(section(ingress_class, "spec"), old))


def _errors(spec: Object, old: Object | None) -> Iterator[FieldError]:
    path = Path("spec")
    controller = text(spec, "controller")
    if old is not None:
        yield from unchanged(path / "controller", controller, text(section(old, "spec"), "controller"))
    yield from _controller(path / "controller", controller)
    if is_set(spec, "parameters"):
        yield from _parameters(path / "parameters", section(spec, "parameters"))


def _controller(path: Path, controller: str) -> Iterator[FieldError]:
    if not controller:
        yield required(path)
        return
    if len(controller) > _MAX_CONTROLLER:
        yield too_long(path, _MAX_CONTROLLER)
    domain, _, rest = controller.partition("/")
    if not domain or not rest:
        yield invalid(path, controller, 'must be a domain-prefixed path (such as "acme.io/foo")')
        return
    yield from named(path, domain, is_dns_subdomain)
    if not re.fullmatch(_PATH, rest, re.ASCII):
        yield invalid(path, rest, f"Invalid path (regex used for validation is '{_PATH}')")


def _parameters(path: Path, parameters: Object) -> Iterator[FieldError]:
    if is_set(parameters, "apiGroup"):
        yield from named(path / "apiGroup", text(parameters, "apiGroup"), is_dns_subdomain)
    for key in ("kind", "name"):
        yield from named_required(path / key, text(parameters, key), is_path_segment)
    scope = text(parameters, "scope")
    yield from one_of(path / "scope", scope, ("Cluster", "Namespace"))
    if scope == "Namespace":
        if not is_set(parameters, "namespace"):
            yield required(path / "namespace", "`parameters.scope` is set to 'Namespace'")
        else:
            yield from named(path / "namespace", text(parameters, "namespace"), is_dns_label)
    elif scope == "Cluster" and is_set(parameters, "namespace"):
        yield forbidden(path / "namespace", "`parameters.scope` is set to 'Cluster'")


def _parameters_cell(ingress_class: Object, _now: datetime) -> str:
    parameters = section(section(ingress_class, "spec"), "parameters")
    if not parameters:
        return NONE
    group = f".{text(parameters, 'apiGroup')}" if is_set(parameters, "apiGroup") else ""
    return f"{text(parameters, 'kind')}{group}/{text(parameters, 'name')}"


INGRESS_CLASS = Kind(
    group="networking.k8s.io",
    version="v1",
    kind="IngressClass",
    plural="ingressclasses",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.networking.v1.IngressClass",
    columns=(
        NAME,
        Column("Controller", ".spec.controller", description="Who serves the class."),
        Column("Parameters", _parameters_cell, description="An object with more settings for the controller."),
        AGE,
    ),
    defaults=defaults,
    strategy=Strategy(counts_generation=True, validate=validate),
)
