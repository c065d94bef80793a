"""FlowSchema: which requests share a level of priority.

Upstream: flowcontrol.apiserver.k8s.io/v1. Kept as an object alone: this server's own limit is one for all requests.
"""

from collections.abc import Sequence
from datetime import datetime

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.meta import is_condition_true
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, in_range, not_supported, required
from miniplane.kinds.fields import entries, is_set, number, open_section, section, text

_PATH = Path("spec")
_DEFAULT_PRECEDENCE, _LAST = 1000, 10000
_METHODS = ("ByNamespace", "ByUser")


def defaults(schema: Object) -> None:
    """In the middle of the order."""
    spec = open_section(schema, "spec")
    if not number(spec, "matchingPrecedence"):
        spec["matchingPrecedence"] = _DEFAULT_PRECEDENCE


def validate(schema: Object, _old: Object | None) -> Sequence[FieldError]:
    """A level is named, the place in the order is one."""
    spec = section(schema, "spec")
    errors = [*in_range(_PATH / "matchingPrecedence", number(spec, "matchingPrecedence"), 1, _LAST)]
    if is_set(spec, "distinguisherMethod"):
        method = text(section(spec, "distinguisherMethod"), "type")
        if method not in _METHODS:
            errors.append(not_supported(_PATH / "distinguisherMethod" / "type", method, _METHODS))
    if not text(section(spec, "priorityLevelConfiguration"), "name"):
        errors.append(required(_PATH / "priorityLevelConfiguration" / "name", "must reference a priority level"))
    for index, rule in enumerate(entries(spec, "rules")):
        if not entries(rule, "subjects"):
            errors.append(required(_PATH / "rules" @ index / "subjects", "subjects must contain at least one value"))
    return errors


def _level(schema: Object, _now: datetime) -> str:
    return text(section(section(schema, "spec"), "priorityLevelConfiguration"), "name")


def _method(schema: Object, _now: datetime) -> str:
    return text(section(section(schema, "spec"), "distinguisherMethod"), "type") or "<none>"


def _missing(schema: Object, _now: datetime) -> str:
    conditions = {text(item, "type") for item in entries(section(schema, "status"), "conditions")}
    return str(is_condition_true(schema, "Dangling")) if "Dangling" in conditions else "?"


FLOW_SCHEMA = Kind(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    kind="FlowSchema",
    plural="flowschemas",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.flowcontrol.v1.FlowSchema",
    columns=(
        NAME,
        Column("PriorityLevel", _level, description="The level that its requests have."),
        Column(
            "MatchingPrecedence",
            lambda obj, _now: number(section(obj, "spec"), "matchingPrecedence"),
            type="integer",
            description="The lower, the sooner it is asked.",
        ),
        Column("DistinguisherMethod", _method, description="What makes one flow of several requests."),
        AGE,
        Column("MissingPL", _missing, description="Whether the level is not there."),
    ),
    subresources=(STATUS,),
    defaults=defaults,
    strategy=Strategy(validate=validate, initial_status={}, counts_generation=True),
)
