"""LimitRange: bounds and defaults for what the pods, containers and claims of a namespace ask for.

Upstream: core/v1; concept page "Limit Ranges".
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from miniplane.api.kind import Kind, Object, Scope, Strategy
from miniplane.api.names import is_qualified_name
from miniplane.api.quantity import Quantity
from miniplane.api.table import CREATED_AT, NAME
from miniplane.api.validation import FieldError, Path, duplicate, forbidden, invalid, required
from miniplane.kinds.fields import entries, is_set, named, open_section, section, text
from miniplane.kinds.podspec.resources import parse_amount

_PATH = Path("spec") / "limits"
_BOUNDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def defaults(limits: Object) -> None:
    """A container's default limits come from the highest allowed, its default requests from those."""
    for item in entries(section(limits, "spec"), "limits"):
        if text(item, "type") != "Container":
            continue
        default = _merged(section(item, "max"), section(item, "default"))
        request = _merged(default, section(item, "min"), section(item, "defaultRequest"))
        for key, amounts in (("default", default), ("defaultRequest", request)):
            if amounts or is_set(item, key):
                open_section(item, key).update(amounts)


def _merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """All amounts, those of later layers first."""
    result: dict[str, Any] = {}
    for layer in layers:
        result |= layer
    return result


def validate(limits: Object, _old: Object | None) -> Sequence[FieldError]:
    """One item for each type, and in each the bounds agree."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, item in enumerate(entries(section(limits, "spec"), "limits")):
        here, kind = _PATH @ index, text(item, "type")
        errors += _type(here / "type", kind)
        if kind in seen:
            errors.append(duplicate(here / "type", kind))
        seen.add(kind)
        errors += _item(here, item, kind)
    return errors


def _type(path: str, kind: str) -> Iterator[FieldError]:
    if not kind:
        yield from named(path, kind, is_qualified_name)
    elif "/" not in kind and kind not in ("Pod", "Container", "PersistentVolumeClaim"):
        yield invalid(path, kind, "must be a standard limit type or fully qualified")


def _item(path: Path, item: Object, kind: str) -> Iterator[FieldError]:
    if kind == "Pod":
        for key in ("default", "defaultRequest"):
            if section(item, key):
                words = "may not be specified when `type` is 'Pod'"
                yield forbidden(path / key, words)
    if kind == "PersistentVolumeClaim" and not any("storage" in section(item, key) for key in ("min", "max")):
        yield required(path / "limits", "either minimum or maximum storage value is required, but neither was provided")
    names = list(dict.fromkeys(name for key in _BOUNDS for name in section(item, key)))
    for name in names:
        amounts = {key: parse_amount(section(item, key).get(name)) for key in _BOUNDS}
        yield from _order(path, name, {key: amount for key, amount in amounts.items() if amount is not None})


_ORDER = (
    ("min", "max", "min", "min value {0} is greater than max value {1}"),
    ("defaultRequest", "max", "defaultRequest", "default request value {0} is greater than max value {1}"),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "default request value {0} is greater than default limit value {1}",
    ),
    ("default", "max", "default", "default value {0} is greater than max value {1}"),
)
"""Of two amounts the first may not be more than the second; where the error stands, and its words."""
_FLOOR = (
    ("min", "defaultRequest", "min value {0} is greater than default request value {1}"),
    ("min", "default", "min value {0} is greater than default value {1}"),
)


def _order(path: Path, name: str, amounts: Mapping[str, Quantity]) -> Iterator[FieldError]:
    for low, high, where, words in _ORDER:
        if low in amounts and high in amounts and amounts[low] > amounts[high]:
            yield invalid(path / where @ name, str(amounts[low]), words.format(amounts[low], amounts[high]))
    for low, high, words in _FLOOR:
        if low in amounts and high in amounts and amounts[low] > amounts[high]:
            text_of = words.format(amounts[low], amounts[high])
            yield invalid(path / high @ name, str(amounts[high]), text_of)
    yield from _ratio(path / "maxLimitRequestRatio" @ name, amounts)


def _ratio(path: str, amounts: Mapping[str, Quantity]) -> Iterator[FieldError]:
    ratio = amounts.get("maxLimitRequestRatio")
    if ratio is None:
        return
    if ratio < Quantity.parse(1):
        yield invalid(path, str(ratio), f"ratio {ratio} is less than 1")
    low, high = amounts.get("min"), amounts.get("max")
    if low is not None and high is not None and low.nano and ratio.nano * low.nano > high.nano * 10**9:
        words = f"ratio {ratio} is greater than max/min = {high.nano / low.nano:f}"
        yield invalid(path, str(ratio), words)


LIMIT_RANGE = Kind(
    group="",
    version="v1",
    kind="LimitRange",
    plural="limitranges",
    scope=Scope.NAMESPACED,
    short_names=("limits",),
    definition="io.k8s.api.core.v1.LimitRange",
    columns=(NAME, CREATED_AT),
    defaults=defaults,
    strategy=Strategy(validate=validate),
)
