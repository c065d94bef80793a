"""Which objects a handler wants: by labels, annotations, the value of a field, or any function. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypedDict

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.runtime.essence import Path, at, path_of


class Presence(Enum):
    """Whether there is a value, whatever it is."""

    PRESENT = "present"
    ABSENT = "absent"


PRESENT, ABSENT = Presence.PRESENT, Presence.ABSENT
Wanted = str | int | bool | Presence | Callable[[Any], bool]
"""A value, its presence or absence, or a function of it (of None if there is none)."""


class Only(TypedDict, total=False):
    """The filters of a handler; all of them must hold."""

    labels: Mapping[str, Wanted]
    annotations: Mapping[str, Wanted]
    field: str
    """A dotted path, such as `spec.type`; alone it must be present."""
    value: Wanted
    """What stands at `field`."""
    when: Callable[[Object], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """The filters of one handler."""

    labels: Mapping[str, Wanted] = field(default_factory=dict)
    annotations: Mapping[str, Wanted] = field(default_factory=dict)
    path: Path = ()
    value: Wanted = PRESENT
    when: Callable[[Object], bool] | None = None

    @classmethod
    def of(cls, only: Only) -> "Filter":
        """From what a decorator was given."""
        return cls(
            labels=only.get("labels", {}),
            annotations=only.get("annotations", {}),
            path=path_of(only.get("field", "")),
            value=only.get("value", PRESENT),
            when=only.get("when"),
        )

    def takes(self, obj: Object) -> bool:
        """Whether the handler wants an object as it is."""
        return (
            _all(self.labels, meta.labels(obj))
            and _all(self.annotations, meta.annotations(obj))
            and (not self.path or _is(self.value, at(obj, self.path)))
            and (self.when is None or self.when(obj))
        )


def _all(wanted: Mapping[str, Wanted], found: Mapping[str, str]) -> bool:
    return all(_is(value, found.get(name)) for name, value in wanted.items())


def _is(wanted: Wanted, found: Any) -> bool:
    if isinstance(wanted, Presence):
        return (found is not None) is (wanted is PRESENT)
    if callable(wanted):
        return bool(wanted(found))
    return bool(wanted == found)
