"""PodDisruptionBudget: how many of some pods must stay while others are evicted.

Upstream: policy/v1; concept page "Disruptions".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, invalid, not_supported
from miniplane.kinds.fields import at_least, is_set, optional, section, shown, text
from miniplane.kinds.percentages import at_most_whole, count_or_percent
from miniplane.kinds.shared import Cell, count_column, selector_errors

_PATH = Path("spec")
_POLICIES = ("AlwaysAllow", "IfHealthyBudget")
_COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


def validate(budget: Object, _old: Object | None) -> Sequence[FieldError]:
    """One of the two amounts at most, and a selector that can be understood."""
    return list(_errors(section(budget, "spec")))


def _errors(spec: Object) -> Iterator[FieldError]:
    if is_set(spec, "minAvailable") and is_set(spec, "maxUnavailable"):
        yield invalid(_PATH, shown(spec), "minAvailable and maxUnavailable cannot be both set")
    for key in ("minAvailable", "maxUnavailable"):
        if is_set(spec, key):
            yield from count_or_percent(_PATH / key, spec[key])
            yield from at_most_whole(_PATH / key, spec[key])
    yield from selector_errors(_PATH, spec, "selector")
    if is_set(spec, "unhealthyPodEvictionPolicy"):
        policy = text(spec, "unhealthyPodEvictionPolicy")
        if policy not in _POLICIES:
            yield not_supported(_PATH / "unhealthyPodEvictionPolicy", policy, _POLICIES)


def validate_status(budget: Object, _old: Object | None) -> Sequence[FieldError]:
    """Counts are not negative."""
    status, path = section(budget, "status"), Path("status")
    return [error for key in _COUNTS for error in at_least(path / key, optional(status, key))]


def _amount(key: str) -> Cell:
    def cell(budget: Object, _now: datetime) -> str:
        spec = section(budget, "spec")
        return str(spec[key]) if is_set(spec, key) else "N/A"

    return cell


POD_DISRUPTION_BUDGET = Kind(
    group="policy",
    version="v1",
    kind="PodDisruptionBudget",
    plural="poddisruptionbudgets",
    scope=Scope.NAMESPACED,
    short_names=("pdb",),
    definition="io.k8s.api.policy.v1.PodDisruptionBudget",
    columns=(
        NAME,
        Column("Min Available", _amount("minAvailable"), description="How many pods must be available."),
        Column("Max Unavailable", _amount("maxUnavailable"), description="How many pods may be unavailable."),
        count_column(
            "Allowed Disruptions", "status", "disruptionsAllowed", "How many pods may be evicted now.", type="integer"
        ),
        AGE,
    ),
    subresources=(STATUS,),
    strategy=Strategy(
        validate=validate,
        validate_status=validate_status,
        initial_status={"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
        counts_generation=True,
    ),
)
