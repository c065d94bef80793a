"""GatewayClass: who serves the Gateways that name it."""

from collections.abc import Sequence
from typing import Any

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, invalid
from miniplane.kinds.fields import section, text
from miniplane.kinds.gateway.schemas import GROUP, V1, definition
from miniplane.kinds.schemalimits import condition_errors, within

_NAME = definition("v1", "GatewayClass")
_WAITING: Any = {
    "conditions": [
        {
            "type": "Accepted",
            "status": "Unknown",
            "reason": "Pending",
            "message": "Waiting for controller",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }
    ]
}


def validate(new: Object, old: Object | None) -> Sequence[FieldError]:
    """The limits of the schema; the controller stays the same."""
    errors = list(within(V1, _NAME, new, "spec"))
    before, after = (text(section(obj or {}, "spec"), "controllerName") for obj in (old, new))
    if old is not None and before != after:
        errors.append(invalid(Path("spec") / "controllerName", after, "Value is immutable"))
    return errors


def validate_status(new: Object, _old: Object | None) -> Sequence[FieldError]:
    """Conditions are whole."""
    return [*within(V1, _NAME, new, "status"), *condition_errors(new)]


def accepted(obj: Object, _now: object) -> str:
    """The status of the condition Accepted, for the table."""
    for condition in section(obj, "status").get("conditions") or ():
        if isinstance(condition, dict) and condition.get("type") == "Accepted":
            return text(condition, "status")
    return ""


GATEWAY_CLASS = Kind(
    group=GROUP,
    version="v1",
    kind="GatewayClass",
    plural="gatewayclasses",
    scope=Scope.CLUSTER,
    short_names=("gc",),
    categories=("gateway-api",),
    definition=_NAME,
    schemas=V1,
    columns=(
        NAME,
        Column("Controller", ".spec.controllerName", description="Who serves the class."),
        Column("Accepted", accepted, description="Whether somebody does."),
        AGE,
        Column("Description", ".spec.description", priority=1, description="Words for people."),
    ),
    subresources=(STATUS,),
    strategy=Strategy(
        counts_generation=True, validate=validate, validate_status=validate_status, initial_status=_WAITING
    ),
)
