"""PriorityLevelConfiguration: how many requests of a level are served at once, and how others wait.

Upstream: flowcontrol.apiserver.k8s.io/v1. Kept as an object alone: this server's own limit is one for all requests.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, forbidden, not_supported, required
from miniplane.kinds.fields import at_least, fill, fill_zero, is_set, open_section, optional, section, text

_PATH = Path("spec")
_SHARES, _QUEUES, _QUEUE_LENGTH, _HAND = 30, 64, 50, 8


def defaults(level: Object) -> None:
    """Upstream's shares, queues and hand."""
    spec = open_section(level, "spec")
    if text(spec, "type") == "Exempt":
        fill(open_section(spec, "exempt"), nominalConcurrencyShares=0, lendablePercent=0)
    limited = section(spec, "limited")
    if is_set(spec, "limited"):
        fill(limited, nominalConcurrencyShares=_SHARES, lendablePercent=0)
        response = section(limited, "limitResponse")
        if text(response, "type") == "Queue":
            fill_zero(open_section(response, "queuing"), queues=_QUEUES, queueLengthLimit=_QUEUE_LENGTH, handSize=_HAND)


def validate(level: Object, _old: Object | None) -> Sequence[FieldError]:
    """The type is known and its part is there."""
    return list(_errors(section(level, "spec")))


def _errors(spec: Object) -> Iterator[FieldError]:
    kind = text(spec, "type")
    if kind == "Exempt":
        if is_set(spec, "limited"):
            yield forbidden(_PATH / "limited", "must be nil if the type is not Limited")
    elif kind == "Limited":
        if is_set(spec, "exempt"):
            yield forbidden(_PATH / "exempt", "must be nil if the type is Limited")
        if not is_set(spec, "limited"):
            yield required(_PATH / "limited", "must not be empty when type is Limited")
        else:
            yield from _limited(_PATH / "limited", section(spec, "limited"))
    else:
        yield not_supported(_PATH / "type", kind, ("Exempt", "Limited"))


def _limited(path: Path, limited: Object) -> Iterator[FieldError]:
    yield from at_least(path / "nominalConcurrencyShares", optional(limited, "nominalConcurrencyShares"))
    response, here = section(limited, "limitResponse"), path / "limitResponse"
    kind = text(response, "type")
    if kind == "Reject":
        if is_set(response, "queuing"):
            yield forbidden(here / "queuing", "must be nil if limited.limitResponse.type is not Limited")
    elif kind == "Queue":
        if not is_set(response, "queuing"):
            yield required(here / "queuing", "must not be empty if limited.limitResponse.type is Limited")
    else:
        yield not_supported(here / "type", kind, ("Queue", "Reject"))


def _of_queues(name: str, key: str) -> Column:
    def cell(level: Object, _now: datetime) -> Any:
        response = section(section(section(level, "spec"), "limited"), "limitResponse")
        count = optional(section(response, "queuing"), key)
        return "<none>" if count is None else count

    return Column(name, cell, type="integer", description=f"Its `{key}`.")


def _shares(level: Object, _now: datetime) -> Any:
    shares = optional(section(section(level, "spec"), "limited"), "nominalConcurrencyShares")
    return "<none>" if shares is None else shares


PRIORITY_LEVEL_CONFIGURATION = Kind(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    kind="PriorityLevelConfiguration",
    plural="prioritylevelconfigurations",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration",
    columns=(
        NAME,
        Column("Type", ".spec.type", description="Whether it is limited."),
        Column("NominalConcurrencyShares", _shares, type="integer", description="Its part of what is served at once."),
        _of_queues("Queues", "queues"),
        _of_queues("HandSize", "handSize"),
        _of_queues("QueueLengthLimit", "queueLengthLimit"),
        AGE,
    ),
    subresources=(STATUS,),
    defaults=defaults,
    strategy=Strategy(validate=validate, initial_status={}, counts_generation=True),
)
