"""Fragments of several kinds: selectors, object references, scalable workloads, load balancers' addresses, columns.

What belongs to pods and pod templates stands in `podspec`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from miniplane.api.kind import Column, Object
from miniplane.api.meta import parse_timestamp
from miniplane.api.names import is_dns_subdomain
from miniplane.api.selectors import LabelSelector, validate_label_selector
from miniplane.api.validation import FieldError, Path, invalid, required
from miniplane.errors import ApiError
from miniplane.kinds.addresses import parse_address, valid_address
from miniplane.kinds.fields import (
    at_least,
    elements,
    entries,
    named,
    number,
    optional,
    section,
    shown,
    string_map,
    strings,
    text,
)

NONE = "<none>"
"""What a table shows for nothing."""

Cell = Callable[[Object, datetime], Any]


def more(items: list[str], count: int, limit: int = 3) -> str:
    """The first `limit` of `count` items, and how many are left."""
    head = ",".join(items[:limit])
    return f"{head} + {count - limit} more..." if count > limit else head


def labels_text(labels: Mapping[str, str]) -> str:
    """Labels in a cell: sorted, `<none>` where there are none."""
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels)) or NONE


# --- label selectors


def clean_selector(obj: Mapping[str, Any], key: str) -> Object | None:
    """The label selector at a key without nulls, None where there is none."""
    if not isinstance(obj.get(key), dict):
        return None
    selector = section(obj, key)
    expressions = [
        {"key": text(item, "key"), "operator": text(item, "operator"), "values": strings(item, "values")}
        for item in entries(selector, "matchExpressions")
    ]
    return {"matchLabels": string_map(selector, "matchLabels"), "matchExpressions": expressions}


def selector_errors(path: Path, obj: Mapping[str, Any], key: str) -> list[FieldError]:
    """The errors of the label selector at a key, none where there is none; `path` is that of `obj`."""
    selector = clean_selector(obj, key)
    return [] if selector is None else validate_label_selector(selector, path / key)


def parse_selector(obj: Mapping[str, Any], key: str) -> LabelSelector | None:
    """The label selector at a key, None where it can't be understood."""
    try:
        return LabelSelector.from_object(clean_selector(obj, key))
    except ApiError:
        return None


def selector_cell(spec_key: str) -> Cell:
    """A cell with the label selector at `.spec.<key>`."""

    def cell(obj: Object, _now: datetime) -> str:
        selector = parse_selector(section(obj, "spec"), spec_key)
        return "<error>" if selector is None else str(selector) or NONE

    return cell


# --- workloads with a pod template


def _containers(key: str) -> Cell:
    def cell(obj: Object, _now: datetime) -> str:
        pod = section(section(section(obj, "spec"), "template"), "spec")
        return ",".join(text(container, key) for container in entries(pod, "containers"))

    return cell


WORKLOAD_COLUMNS = (
    Column("Containers", _containers("name"), priority=1, description="The names of the template's containers."),
    Column("Images", _containers("image"), priority=1, description="The images of the template's containers."),
    Column("Selector", selector_cell("selector"), priority=1, description="The labels that select the pods."),
)
"""The wide columns of what has a pod template."""


def selector_required(path: Path, spec: Object, owner: str = "deployment") -> Iterator[FieldError]:
    """The selector of a workload, an `owner`, is there, valid and not empty; `path` is the spec's."""
    given = clean_selector(spec, "selector")
    if given is None:
        yield required(path / "selector")
        return
    yield from selector_errors(path, spec, "selector")
    if not any(given.values()):
        yield invalid(path / "selector", shown(section(spec, "selector")), f"empty selector is invalid for {owner}")


def selector_immutable(path: Path, new: Object, old: Object) -> Iterator[FieldError]:
    """An error if a workload's selector changed; `path` is the spec's."""
    if clean_selector(new, "selector") != clean_selector(old, "selector"):
        yield invalid(path / "selector", shown(new.get("selector")), "field is immutable")


def replica_count_errors(obj: Object, parts: Sequence[str]) -> Iterator[FieldError]:
    """Negative counts in a workload's status, and those of its `parts` that are more than `replicas`."""
    status, path = section(obj, "status"), Path("status")
    for key in ("replicas", *parts, "observedGeneration"):
        yield from at_least(path / key, optional(status, key))
    for key in parts:
        if (part := number(status, key)) > number(status, "replicas"):
            yield invalid(path / key, part, "cannot be greater than status.replicas")


def count_column(name: str, part: str, key: str, description: str, *, type: str = "string") -> Column:  # noqa: A002  a column's word
    """A column with the number at `.<part>.<key>`, 0 where there is none."""
    return Column(name, lambda obj, _now: number(section(obj, part), key), type=type, description=description)


# --- load balancers


def load_balancer_errors(obj: Object, _old: Object | None) -> Iterator[FieldError]:
    """The errors of `status.loadBalancer`, of a Service or an Ingress."""
    path = Path("status") / "loadBalancer" / "ingress"
    for index, ingress in enumerate(entries(section(section(obj, "status"), "loadBalancer"), "ingress")):
        here = path @ index
        if address := text(ingress, "ip"):
            yield from valid_address(here / "ip", address)
        if hostname := text(ingress, "hostname"):
            yield from named(here / "hostname", hostname, is_dns_subdomain)
            if parse_address(hostname):
                yield invalid(here / "hostname", hostname, "must be a DNS name, not an IP address")


def load_balancer_addresses(obj: Object) -> list[str]:
    """The addresses and host names of a Service or an Ingress, sorted."""
    found = entries(section(section(obj, "status"), "loadBalancer"), "ingress")
    return sorted({text(item, "ip") or text(item, "hostname") for item in found} - {""})


def count_cell(*keys: str) -> Cell:
    """A cell with how many items the maps or lists at these keys have."""

    def cell(obj: Object, _now: datetime) -> int:
        return sum(len(section(obj, key)) + len(elements(obj, key)) for key in keys)

    return cell


def parse_moment(text: str) -> datetime | None:
    """The time that a field names, None where it is none."""
    try:
        return parse_timestamp(text)
    except ValueError:
        return None
