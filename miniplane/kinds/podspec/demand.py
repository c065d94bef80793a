"""What a pod asks for in all: its containers and sidecars together, or an init container with the sidecars before it.

Upstream: k8s.io/component-helpers/resource. What is no amount has been refused by the schema, and is passed over here.
"""

from collections.abc import Mapping
from typing import Any, Literal

from miniplane.api.kind import Object
from miniplane.api.quantity import Quantity
from miniplane.kinds.fields import entries, section, text
from miniplane.kinds.podspec.resources import parse_amount

Amounts = dict[str, Quantity]
ZERO = Quantity(0)


def amounts(texts: Mapping[str, Any]) -> Amounts:
    """A map of amounts, without what is none."""
    return {name: amount for name, value in texts.items() if (amount := parse_amount(value)) is not None}


def add(total: Amounts, more: Mapping[str, Quantity]) -> None:
    """Add to a sum in place."""
    for name, amount in more.items():
        total[name] = total.get(name, ZERO) + amount


def asked(spec: Object, what: Literal["requests", "limits"]) -> Amounts:
    """The requests or limits of a pod's spec, by resource, with its overhead."""
    total: Amounts = {}
    sidecars: Amounts = {}
    peaks: list[Amounts] = []
    for container in entries(spec, "containers"):
        add(total, _of(container, what))
    for container in entries(spec, "initContainers"):
        if text(container, "restartPolicy") == "Always":
            add(sidecars, _of(container, what))
            peaks.append(dict(sidecars))
        else:
            peak = dict(sidecars)
            add(peak, _of(container, what))
            peaks.append(peak)
    add(total, sidecars)
    for peak in peaks:
        for name, amount in peak.items():
            total[name] = max(total.get(name, ZERO), amount)
    overhead = amounts(section(spec, "overhead"))
    if what == "limits":
        overhead = {name: amount for name, amount in overhead.items() if name in total}
    add(total, overhead)
    return total


def _of(container: Object, what: str) -> Amounts:
    return amounts(section(section(container, "resources"), what))
