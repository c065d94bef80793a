"""PriorityClass: how important pods are to the scheduler, as a number with a name.

Upstream: scheduling.k8s.io/v1; concept page "Pod Priority and Preemption".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, forbidden, not_supported
from miniplane.kinds.fields import fill, flag, number, text, unchanged

HIGHEST = 1_000_000_000
"""The highest value that is not the system's own."""
SYSTEM = {"system-cluster-critical": 2 * HIGHEST, "system-node-critical": 2 * HIGHEST + 1000}
"""The classes that every cluster has, and their values."""
_POLICIES = ("Never", "PreemptLowerPriority")
_RESERVED = (
    "priority class names with 'system-' prefix are reserved for system use only. error: "
    "{} is not a known system priority class"
)


def defaults(priority: Object) -> None:
    """Pods of the class may push others aside."""
    fill(priority, preemptionPolicy="PreemptLowerPriority")


def prepare(priority: Object, old: Object | None) -> None:
    """The generation is 1 and stays."""
    if old is None:
        priority["metadata"]["generation"] = 1


def validate(priority: Object, old: Object | None) -> Sequence[FieldError]:
    """The highest values are the system's own, and values never change."""
    return [*_errors(priority), *(_update(priority, old) if old is not None else ())]


def _errors(priority: Object) -> Iterator[FieldError]:
    name, value = meta.name(priority), number(priority, "value")
    if name.startswith("system-"):
        if SYSTEM.get(name) != value:
            words = _RESERVED.format(name)
            if name in SYSTEM:
                words = words.partition(" error: ")[0] + f" error: value of {name} PriorityClass must be {SYSTEM[name]}"
            yield forbidden(Path("metadata") / "name", words)
    elif value > HIGHEST:
        yield forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST}")
    if (policy := text(priority, "preemptionPolicy")) and policy not in _POLICIES:
        yield not_supported("preemptionPolicy", policy, _POLICIES)


def _update(priority: Object, old: Object) -> Iterator[FieldError]:
    if number(priority, "value") != number(old, "value"):
        yield forbidden("value", "may not be changed in an update.")
    yield from unchanged("preemptionPolicy", text(priority, "preemptionPolicy"), text(old, "preemptionPolicy"))


def _is_default(priority: Object, _now: datetime) -> bool:
    return flag(priority, "globalDefault")


PRIORITY_CLASS = Kind(
    group="scheduling.k8s.io",
    version="v1",
    kind="PriorityClass",
    plural="priorityclasses",
    scope=Scope.CLUSTER,
    short_names=("pc",),
    definition="io.k8s.api.scheduling.v1.PriorityClass",
    columns=(
        NAME,
        Column("Value", lambda obj, _now: number(obj, "value"), type="integer", description="The higher, the sooner."),
        Column("Global-Default", _is_default, type="boolean", description="Whether pods without a class have it."),
        AGE,
        Column("PreemptionPolicy", ".preemptionPolicy", description="Whether its pods push others aside."),
    ),
    defaults=defaults,
    strategy=Strategy(prepare=prepare, validate=validate),
)
