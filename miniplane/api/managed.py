"""`metadata.managedFields`: who owns which field, kept through every write.

Entries are told apart by manager, operation and subresource, updates also by apiVersion. Lists and entries are never
changed in place: a write makes new ones and shares the rest. Counterpart upstream: k8s.io/apimachinery,
pkg/util/managedfields.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from miniplane.api import fieldsets, typed
from miniplane.api.fieldsets import LEAF, SELF, Fields
from miniplane.api.nodes import Node
from miniplane.api.typed import Changes

Entry = dict[str, Any]

APPLY: Final = "Apply"
UPDATE: Final = "Update"
ANCIENT: Final = "ancient-changes"
"""The manager that the oldest updates are joined under."""
BEFORE_FIRST_APPLY: Final = "before-first-apply"
UPDATERS_LIMIT = 10
"""So many update entries stand on their own: upstream's number."""
_UNMANAGED = frozenset(
    (
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "generation",
        "managedFields",
        "resourceVersion",
    )
)
"""Metadata that nobody owns."""
_TYPE = ("apiVersion", "kind")
_BY_VALUE = ("metadata", "spec", "status", "strategy", "updateStrategy", "template", "jobTemplate")
"""Structs that exist even where nothing is in them: they are not fields that somebody adds."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: the name of the manager, the version and subresource written through, the time."""

    manager: str
    api_version: str
    now: str
    subresource: str = ""

    def entry(self, operation: str, fields: Fields) -> Entry:
        """An entry of this writer."""
        entry = {
            "manager": self.manager,
            "operation": operation,
            "apiVersion": self.api_version,
            "time": self.now,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
        if self.subresource:
            entry["subresource"] = self.subresource
        return entry

    def owns(self, entry: Entry, operation: str) -> bool:
        """Whether an entry is this writer's."""
        return (
            entry.get("manager") == self.manager
            and entry["operation"] == operation
            and entry.get("subresource", "") == self.subresource
            and (operation == APPLY or entry.get("apiVersion") == self.api_version)
        )


def managed_part(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object without what nobody owns; shares its values."""
    part = {key: value for key, value in obj.items() if key not in _TYPE and key != "metadata"}
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in _UNMANAGED}
    return {"metadata": metadata, **part} if metadata else part


def read(entries: Any) -> list[Entry] | None:
    """A client's managedFields in canonical form; None where they say nothing or are none.

    `[{}]` is the way to clear them, and gives an empty list.
    """
    if not isinstance(entries, list) or not entries:
        return None
    if entries == [{}]:
        return []
    result: list[Entry] = []
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("operation") not in (APPLY, UPDATE):
            return None
        try:
            result.append({**entry, "fieldsV1": fieldsets.read(entry.get("fieldsV1") or {})})
        except ValueError:
            return None
    return result


def created(obj: Mapping[str, Any], node: Node, writer: Writer) -> list[Entry]:
    """The entry of whom creates an object: everything in it."""
    part = managed_part(obj)
    spec = part.pop("spec", None)
    fields = dict(typed.everything(part, node))
    fields.pop(SELF, None)
    if isinstance(spec, dict):
        fields["f:spec"] = _everything_in_spec(orjson.dumps(spec), node)
    return [writer.entry(UPDATE, _unstructured(fields))] if fields else []


@functools.lru_cache(maxsize=256)
def _everything_in_spec(spec: bytes, node: Node) -> Fields:
    """All in a spec, remembered by its JSON: pods of one template come by the hundred, and walking is what costs."""
    whole = typed.everything({"spec": orjson.loads(spec)}, node)
    child: Fields = whole["f:spec"]
    return child


def _unstructured(fields: Fields) -> Fields:
    """The set without the structs that are there by value."""
    for name in _BY_VALUE:
        child = fields.get(step := f"f:{name}")
        if child is None:
            continue
        child = _unstructured({key: value for key, value in child.items() if key != SELF})
        if child:
            fields[step] = child
        else:
            del fields[step]
    return fields


def changes(old: Mapping[str, Any], new: Mapping[str, Any], node: Node) -> Changes:
    """How a write changed what can be owned."""
    changed: Fields = {}
    removed: Fields = {}
    for part in {**old, **new}:
        if part in _TYPE or (before := old.get(part)) == (after := new.get(part)):
            continue
        one, other = (
            (managed_part({part: value}) if part == "metadata" else {part: value}) if value is not None else {}
            for value in (before, after)
        )
        below = typed.compare(one, other, node)
        changed.update(below.changed)
        removed.update(below.removed)
    return Changes(_unstructured(changed), removed)


def updated(entries: Sequence[Entry], found: Changes, writer: Writer) -> list[Entry]:
    """The entries after an update: what it changed is the writer's alone, what it removed nobody's."""
    changed, removed = found
    if not changed and not removed:
        return list(entries)
    result: list[Entry] = []
    mine: Fields = {}
    for entry in entries:
        if writer.owns(entry, UPDATE):
            mine = _after(entry, LEAF, removed)["fieldsV1"]
            if not changed and mine:
                result.append({**entry, "fieldsV1": mine})
            continue
        kept = _after(entry, changed, removed)
        if kept["fieldsV1"]:
            result.append(kept)
    if changed:
        grown = fieldsets.union(mine, changed) if fieldsets.difference(changed, mine) else mine
        result.append(writer.entry(UPDATE, grown))
    return ordered(capped(result))


def _after(entry: Entry, changed: Fields, removed: Fields) -> Entry:
    fields = entry["fieldsV1"]
    kept = fieldsets.without(fields, removed) if removed else fields
    if changed and fieldsets.intersection(kept, changed):
        kept = fieldsets.difference(kept, changed)
    return entry if kept is fields or kept == fields else {**entry, "fieldsV1": kept}


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """Entries in upstream's order: applied ones first, then by time and name."""
    names = ("operation", "time", "manager", "apiVersion", "subresource")
    return sorted(entries, key=lambda entry: [entry.get(name) or "" for name in names])


def capped(entries: list[Entry]) -> list[Entry]:
    """The oldest updates joined, one entry per version, while there are more than the limit."""
    updates = [entry for entry in entries if entry["operation"] == UPDATE]
    surplus = len(updates) - UPDATERS_LIMIT
    if surplus <= 0:
        return entries
    result = [entry for entry in entries if entry["operation"] != UPDATE]
    oldest = sorted(updates, key=lambda entry: [entry.get("time") or "", entry.get("manager") or ""])
    buckets: dict[str, Entry] = {}
    while oldest and surplus > 0:
        entry = oldest.pop(0)
        version = entry.get("apiVersion") or ""
        if version not in buckets:
            buckets[version] = entry
            continue
        first = buckets[version]
        fields = fieldsets.union(first["fieldsV1"], entry["fieldsV1"])
        joined = {**entry, "manager": ANCIENT, "fieldsV1": fields}
        joined.pop("subresource", None)
        buckets[version] = joined
        surplus -= 1
    return [*result, *buckets.values(), *oldest]
