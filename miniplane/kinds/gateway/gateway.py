"""Gateway: ports and hosts at which requests come in."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, duplicate, forbidden, required
from miniplane.kinds.fields import entries, is_set, section, text
from miniplane.kinds.gateway.schemas import GROUP, V1, definition
from miniplane.kinds.schemalimits import condition_errors, within
from miniplane.kinds.schematables import fill

_NAME = definition("v1", "Gateway")


def defaults(gateway: Object) -> None:
    """Those of the schema."""
    fill(V1, V1[_NAME], gateway)


def validate(new: Object, _old: Object | None) -> Sequence[FieldError]:
    """The limits of the schema; names of listeners are unique; TLS is for HTTPS."""
    return [*within(V1, _NAME, new, "spec"), *_listener_errors(new)]


def _listener_errors(gateway: Object) -> Iterator[FieldError]:
    names: set[str] = set()
    for index, listener in enumerate(entries(section(gateway, "spec"), "listeners")):
        path = Path("spec") / "listeners" @ index
        if (name := text(listener, "name")) in names:
            yield duplicate(path / "name", name)
        names.add(name)
        protocol, tls = text(listener, "protocol"), section(listener, "tls")
        if protocol in ("HTTP", "TCP", "UDP") and is_set(listener, "tls"):
            yield forbidden(path / "tls", f"must not be specified for protocols ['{protocol}']")
        if (
            protocol == "HTTPS"
            and text(tls, "mode") == "Terminate"
            and not (is_set(tls, "certificateRefs") or is_set(tls, "options"))
        ):
            yield required(path / "tls" / "certificateRefs", "certificateRefs or options must be specified")


def validate_status(new: Object, _old: Object | None) -> Sequence[FieldError]:
    """Conditions are whole."""
    return [*within(V1, _NAME, new, "status"), *condition_errors(new)]


def _address(gateway: Object, _now: datetime) -> str:
    return ",".join(text(item, "value") for item in entries(section(gateway, "status"), "addresses"))


def _programmed(gateway: Object, _now: datetime) -> str:
    conditions = entries(section(gateway, "status"), "conditions")
    return next((text(item, "status") for item in conditions if text(item, "type") == "Programmed"), "")


GATEWAY = Kind(
    group=GROUP,
    version="v1",
    kind="Gateway",
    plural="gateways",
    scope=Scope.NAMESPACED,
    short_names=("gtw",),
    categories=("gateway-api",),
    definition=_NAME,
    schemas=V1,
    columns=(
        NAME,
        Column("Class", ".spec.gatewayClassName", description="Its GatewayClass."),
        Column("Address", _address, description="Where it is served."),
        Column("Programmed", _programmed, description="Whether it is served."),
        AGE,
    ),
    subresources=(STATUS,),
    defaults=defaults,
    strategy=Strategy(counts_generation=True, validate=validate, validate_status=validate_status),
)
