"""What of an object is its user's will, and how two states of that differ. Pure; the words are kopf's.

The essence leaves out what the server and controllers write: status, system metadata, and marks of operators.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from miniplane.api.kind import Object
from miniplane.api.wellknown import LAST_APPLIED

Path = tuple[str, ...]

_KEPT = ("labels", "annotations")
MARKS = ".miniplane.io/"
"""What stands between an operator's name and its own word in the annotations and finalizers that it sets."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs; lists differ as wholes. A side that does not have the field is None."""

    op: Literal["add", "change", "remove"]
    path: Path
    old: Any
    new: Any


def path_of(text: str) -> Path:
    r"""`spec.replicas` as a path; a dot in a name is written `\\.`."""
    parts = text.replace("\\.", "\0").split(".")
    return tuple(part.replace("\0", ".") for part in parts if part)


def essence(obj: Object) -> Object:
    """An object without what is not its user's will; shares its parts."""
    metadata: Object = {key: obj["metadata"][key] for key in _KEPT if obj["metadata"].get(key)}
    annotations = {
        name: value
        for name, value in (metadata.pop("annotations", None) or {}).items()
        if name != LAST_APPLIED and MARKS not in name
    }
    rest = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    if annotations:
        metadata["annotations"] = annotations
    return rest | ({"metadata": metadata} if metadata else {})


def at(value: Any, path: Path) -> Any:
    """What stands at a path; None if nothing does."""
    for part in path:
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def differences(old: Any, new: Any, path: Path = ()) -> Sequence[Difference]:
    """All fields that differ, in order of their names."""
    return tuple(_differences(old, new, path))


def _differences(old: Any, new: Any, path: Path) -> Iterator[Difference]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _differences(old.get(key), new.get(key), (*path, key))
    elif old is None:
        yield Difference("add", path, None, new)
    elif new is None:
        yield Difference("remove", path, old, None)
    else:
        yield Difference("change", path, old, new)
