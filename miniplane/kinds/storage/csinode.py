"""CSINode: the storage drivers of a node.

Upstream: storage.k8s.io/v1.
"""

from collections.abc import Iterator, Sequence

from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, duplicate, invalid, required
from miniplane.kinds.fields import at_least, elements, entries, optional, repeated, section, shown, strings, text

_PATH = Path("spec") / "drivers"


def validate(node: Object, old: Object | None) -> Sequence[FieldError]:
    """Each driver has a name, once, and an id; a driver does not change while it is there."""
    drivers = entries(section(node, "spec"), "drivers")
    errors = [error for index, driver in enumerate(drivers) for error in _driver(_PATH @ index, driver)]
    errors += repeated(_PATH, "name", drivers)
    if old is not None:
        before = {text(driver, "name"): driver for driver in entries(section(old, "spec"), "drivers")}
        for index, driver in enumerate(drivers):
            known = before.get(text(driver, "name"))
            if known is not None and known != driver:
                errors.append(invalid(_PATH @ index, shown(driver), "field is immutable"))
    return errors


def _driver(path: Path, driver: Object) -> Iterator[FieldError]:
    for key in ("name", "nodeID"):
        if not text(driver, key):
            yield required(path / key)
    yield from at_least(path / "allocatable" / "count", optional(section(driver, "allocatable"), "count"))
    keys = strings(driver, "topologyKeys")
    for index, key in enumerate(keys):
        if not key:
            yield required(path / "topologyKeys")
        if key in keys[:index]:
            yield duplicate(path / "topologyKeys", key)


CSI_NODE = Kind(
    group="storage.k8s.io",
    version="v1",
    kind="CSINode",
    plural="csinodes",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.storage.v1.CSINode",
    columns=(
        NAME,
        Column(
            "Drivers",
            lambda obj, _now: len(elements(section(obj, "spec"), "drivers")),
            type="integer",
            description="How many drivers it has.",
        ),
        AGE,
    ),
    strategy=Strategy(validate=validate),
)
