"""IPAddress: one address in use, named by it; the store makes it unique.

Upstream: networking.k8s.io/v1. Written in the same commit as the Service that gets the address.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_dns_subdomain, is_path_segment
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, required
from miniplane.kinds.fields import is_set, named, named_required, section, text, unchanged
from miniplane.kinds.shared import NONE


def validate(address: Object, old: Object | None) -> Sequence[FieldError]:
    """Somebody is named who uses the address, and stays the same."""
    return list(_errors(section(address, "spec"), old))


def _errors(spec: Object, old: Object | None) -> Iterator[FieldError]:
    path = Path("spec") / "parentRef"
    if old is not None:
        yield from unchanged(path, spec.get("parentRef"), section(old, "spec").get("parentRef"))
        return
    if not is_set(spec, "parentRef"):
        yield required(path)
        return
    parent = section(spec, "parentRef")
    if group := text(parent, "group"):
        yield from named(path / "group", group, is_dns_subdomain)
    yield from named_required(path / "resource", text(parent, "resource"), is_path_segment)
    yield from named_required(path / "name", text(parent, "name"), is_path_segment)
    yield from named(path / "namespace", text(parent, "namespace"), is_path_segment)


def _parent(address: Object, _now: datetime) -> str:
    parent = section(section(address, "spec"), "parentRef")
    if not parent:
        return NONE
    resource, group = text(parent, "resource").lower(), text(parent, "group").lower()
    words = (f"{resource}.{group}" if group else resource, text(parent, "namespace"), text(parent, "name"))
    return "/".join(word for word in words if word)


IP_ADDRESS = Kind(
    group="networking.k8s.io",
    version="v1",
    kind="IPAddress",
    plural="ipaddresses",
    scope=Scope.CLUSTER,
    short_names=("ip",),
    definition="io.k8s.api.networking.v1.IPAddress",
    columns=(NAME, Column("ParentRef", _parent, description="Who uses the address."), AGE),
    strategy=Strategy(validate=validate, name_is="ip"),
)
