"""Amounts of resources: their rules, and the quality-of-service class that follows from them.

What is no amount has been refused by the schema, and is passed over here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from miniplane.api.kind import Object
from miniplane.api.names import is_qualified_name
from miniplane.api.quantity import Quantity
from miniplane.api.validation import FieldError, Path, invalid, required
from miniplane.kinds.fields import entries, named, section

_STANDARD = frozenset(("cpu", "memory", "ephemeral-storage"))
_HUGE_PAGES = "hugepages-"
_COMPUTE = ("cpu", "memory")


def parse_amount(value: Any) -> Quantity | None:
    """The amount, None where it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return Quantity.parse(value)
    except ValueError:
        return None


def amount_errors(path: Path, amounts: Mapping[str, Any]) -> Iterator[FieldError]:
    """The errors of a map of resource names to amounts, whatever the names."""
    for name, value in amounts.items():
        yield from _amount(path @ name, name, value)


def _amount(path: str, name: str, value: Any) -> Iterator[FieldError]:
    quantity = parse_amount(value)
    if quantity is None:
        return
    if quantity.nano < 0:
        yield invalid(path, str(quantity), "must be greater than or equal to 0")
    if _is_whole(name) and quantity.milli % 1000:
        yield invalid(path, str(quantity), "must be an integer")


def _is_whole(name: str) -> bool:
    """Whether a resource is counted in pieces."""
    return name not in _STANDARD and not name.startswith(_HUGE_PAGES) and ("/" in name or name == "pods")


def _is_overcommit_allowed(name: str) -> bool:
    return "/" not in name and not name.startswith(_HUGE_PAGES)


def _container_resource(path: Path, name: str) -> Iterator[FieldError]:
    yield from named(path, name, is_qualified_name)
    if "/" not in name and name not in _STANDARD and not name.startswith(_HUGE_PAGES):
        yield invalid(path, name, "must be a standard resource for containers")


def resource_errors(path: Path, container: Object) -> Iterator[FieldError]:
    """The errors of a container's limits and requests; `path` is the container's."""
    path /= "resources"
    resources = section(container, "resources")
    limits, requests = section(resources, "limits"), section(resources, "requests")
    for key, amounts in (("limits", limits), ("requests", requests)):
        for name, value in amounts.items():
            here = path / key @ name
            yield from _container_resource(here, name)
            yield from _amount(here, name, value)
    for name, value in requests.items():
        yield from _against_limit(path, name, parse_amount(value), limits)


def _against_limit(path: Path, name: str, amount: Quantity | None, limits: Object) -> Iterator[FieldError]:
    strict = not _is_overcommit_allowed(name)
    if name not in limits:
        if strict:
            yield required(path / "limits", "Limit must be set for non overcommitable resources")
        return
    limit = parse_amount(limits[name])
    if amount is None or limit is None:
        return
    if strict and amount != limit:
        yield invalid(path / "requests", str(amount), f"must be equal to {name} limit of {limit}")
    elif amount > limit:
        yield invalid(path / "requests", str(amount), f"must be less than or equal to {name} limit of {limit}")


def qos_class(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort, as upstream's ComputePodQOS."""
    containers = [*entries(spec, "initContainers"), *entries(spec, "containers")]
    amounts = [_compute(container) for container in containers]
    if not any(limits or requests for limits, requests in amounts):
        return "BestEffort"
    if all(len(limits) == len(_COMPUTE) and requests in ({}, limits) for limits, requests in amounts):
        return "Guaranteed"
    return "Burstable"


def _compute(container: Object) -> tuple[dict[str, Quantity], dict[str, Quantity]]:
    """The limits and requests of processor and memory that are not 0."""
    resources = section(container, "resources")
    limits, requests = (
        {name: quantity for name in _COMPUTE if (quantity := parse_amount(section(resources, key).get(name)))}
        for key in ("limits", "requests")
    )
    return limits, requests
