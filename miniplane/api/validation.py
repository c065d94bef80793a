"""Field errors: what is wrong, where, in upstream's words.

A validator returns a list of `FieldError`; the registry turns it into one `Invalid`. Messages follow
k8s.io/apimachinery, pkg/util/validation/field.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from miniplane.errors import Cause


class Path(str):
    """A field path: `Path("spec") / "ports" @ 0 / "port"` is `spec.ports[0].port`."""

    __slots__ = ()

    def __truediv__(self, name: str) -> Self:
        return type(self)(f"{self}.{name}" if self else name)

    def __matmul__(self, index: int | str) -> Self:
        return type(self)(f"{self}[{index}]")


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule. `reason` is the machine word of the cause, `message` the text after the field path."""

    reason: str
    field: str
    message: str

    def to_cause(self) -> Cause:
        """As a cause of an Invalid Status."""
        return Cause(self.reason, self.message, self.field)


def _quoted(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def required(path: str, detail: str = "") -> FieldError:
    """A field that must be given is not."""
    return FieldError("FieldValueRequired", path, "Required value" + (f": {detail}" if detail else ""))


def invalid(path: str, value: Any, detail: str = "") -> FieldError:
    """The value breaks a rule of form or range."""
    return FieldError("FieldValueInvalid", path, f"Invalid value: {_quoted(value)}" + (f": {detail}" if detail else ""))


def not_supported(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    """The value is none of an enumeration; `supported` is shown sorted."""
    words = ", ".join(_quoted(word) for word in sorted(supported))
    return FieldError("FieldValueNotSupported", path, f"Unsupported value: {_quoted(value)}: supported values: {words}")


def duplicate(path: str, value: Any) -> FieldError:
    """The value must be unique in its list and is not."""
    return FieldError("FieldValueDuplicate", path, f"Duplicate value: {_quoted(value)}")


def forbidden(path: str, detail: str) -> FieldError:
    """The field may not be set or changed."""
    return FieldError("FieldValueForbidden", path, f"Forbidden: {detail}")


def not_found(path: str, value: Any) -> FieldError:
    """The value names something that is not there."""
    return FieldError("FieldValueNotFound", path, f"Not found: {_quoted(value)}")


def too_long(path: str, limit: int) -> FieldError:
    """The value is longer than allowed; `limit` in bytes."""
    return FieldError("FieldValueTooLong", path, f"Too long: may not be more than {limit} bytes")


def too_many(path: str, count: int, limit: int) -> FieldError:
    """The list is longer than allowed."""
    return FieldError("FieldValueTooMany", path, f"Too many: {count}: must have at most {limit} items")


def immutable(path: str, new: Any, old: Any) -> Sequence[FieldError]:
    """An error if `new` differs from `old`."""
    return () if new == old else (invalid(path, new, "field is immutable"),)


def in_range(path: str, value: Any, low: int, high: int) -> Sequence[FieldError]:
    """An error unless `low <= value <= high`."""
    if isinstance(value, int) and low <= value <= high:
        return ()
    return (invalid(path, value, f"must be between {low} and {high}, inclusive"),)
