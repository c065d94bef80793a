"""Fields of a spec that only a subresource of their own writes: a pod's ephemeral containers."""

from collections.abc import Iterator

from miniplane.api.kind import Object, Strategy
from miniplane.api.validation import FieldError, forbidden

from ..store.base import Entry
from .decoding import copy_of


def keep_all_but_part(new: Object, entry: Entry, field: str) -> None:
    """A write to the subresource: all but that field is as it is stored."""
    stored = copy_of(entry.value)
    given, revision = (new.get("spec") or {}).get(field), new["metadata"].get("resourceVersion")
    new.clear()
    new |= stored
    new["metadata"]["resourceVersion"] = revision
    spec = new.setdefault("spec", {})
    spec.pop(field, None)
    if given:
        spec[field] = given


def parts_of_others(strategy: Strategy, subresource: str, new: Object, old: Object) -> Iterator[FieldError]:
    """An error for each field that is changed past its subresource."""
    for name, field in strategy.parts.items():
        after, before = ((obj.get("spec") or {}).get(field) or [] for obj in (new, old))
        if name != subresource and after != before:
            yield forbidden(f"spec.{field}", f"may only be changed through the subresource {name}")
