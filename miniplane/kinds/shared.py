"""Fragments of several kinds: selectors, object references, scalable workloads, load balancers' addresses, columns.

What belongs to pods and pod templates stands in `podspec`.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from miniplane.api.kind import Column, Object
from miniplane.api.names import is_dns_subdomain
from miniplane.api.selectors import LabelSelector, validate_label_selector
from miniplane.api.validation import FieldError, Path, invalid, required
from miniplane.errors import ApiError
from miniplane.kinds.addresses import parse_address, valid_address
from miniplane.kinds.fields import elements, entries, named, section, string_map, strings, text

NONE = "<none>"
"""What a table shows for nothing."""

Cell = Callable[[Object, datetime], Any]


def more(shown: list[str], count: int, limit: int = 3) -> str:
    """The first `limit` of `count` items, and how many are left."""
    head = ",".join(shown[:limit])
    return f"{head} + {count - limit} more..." if count > limit else head


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
    """The errors of the label selector at a key, none where there is none."""
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


def workload_selector(path: Path, spec: Object) -> Iterator[FieldError]:
    """A workload's selector: there, valid, not empty, and matching its own template."""
    if clean_selector(spec, "selector") is None:
        yield required(path / "selector")
        return
    yield from selector_errors(path, spec, "selector")
    selector = parse_selector(spec, "selector")
    if selector is not None and not selector:
        yield invalid(path / "selector", _Selector(spec), "empty selector is invalid for deployment")


class _Selector:
    """A label selector in an error message."""

    def __init__(self, spec: Object) -> None:
        self._empty = not spec.get("selector")

    def __str__(self) -> str:
        return "{}" if self._empty else '{"matchLabels":{}}'


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
