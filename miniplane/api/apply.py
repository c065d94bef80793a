"""Server-side apply: a configuration merged into an object, with owners, conflicts and abandoned fields.

Counterpart upstream: structured-merge-diff, merge.Updater, and k8s.io/apimachinery, pkg/util/managedfields.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from miniplane.api import fieldsets, managed, typed
from miniplane.api.fieldsets import LEAF, Fields
from miniplane.api.kind import Object
from miniplane.api.managed import APPLY, UPDATE, Entry, Writer
from miniplane.api.nodes import Node
from miniplane.errors import Cause, Conflict

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL = "kubectl"
"""The manager that may take over what client-side apply left in the annotation."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The object that applying makes, with its managedFields inside."""

    obj: Object
    fields: Fields


def apply(live: Object, config: Object, node: Node, writer: Writer, *, force: bool) -> Applied:
    """Merges `config` into `live`; the argument `live` is used up, `config` is shared with the result.

    Raises:
        Conflict: Another manager owns a field that would change, and `force` is not set.
        TypedError: The configuration can't be merged.
    """
    wanted = managed.managed_part(config)
    fields = typed.field_set(wanted, node)
    before: Object = orjson.loads(orjson.dumps(live))
    entries = _entries_of(before, node, writer)
    mine = next((entry for entry in entries if writer.owns(entry, APPLY)), None)
    others = [entry for entry in entries if entry is not mine]
    merged: Object = typed.merge(live, wanted, node)
    if mine is not None:
        merged = _prune(merged, mine["fieldsV1"], [fields, *(entry["fieldsV1"] for entry in others)], node)
    found = managed.changes(before, merged, node)
    if not force and (conflicts := _conflicts(others, found.changed)):
        _allow_last_applied(before, conflicts, node, writer)
    result = [entry for entry in (_left(entry, found) for entry in others) if entry["fieldsV1"]]
    if fields:
        result.append(_own_entry(mine, fields, writer, changed=bool(found.changed or found.removed)))
    _follow_annotation(merged, before, config, writer)
    merged["metadata"]["managedFields"] = managed.ordered(result)
    return Applied(merged, fields)


def _entries_of(live: Object, node: Node, writer: Writer) -> list[Entry]:
    """The live object's entries; what stood there before anybody counted belongs to `before-first-apply`."""
    entries = live.get("metadata", {}).get("managedFields")
    if entries or not live.get("metadata", {}).get("uid"):
        return list(entries or ())
    earlier = Writer(managed.BEFORE_FIRST_APPLY, writer.api_version, writer.now)
    return managed.created(live, node, earlier)


def _own_entry(mine: Entry | None, fields: Fields, writer: Writer, *, changed: bool) -> Entry:
    same = mine is not None and mine["fieldsV1"] == fields and mine.get("apiVersion") == writer.api_version
    return mine if same and mine is not None and not changed else writer.entry(APPLY, fields)


def _left(entry: Entry, found: typed.Changes) -> Entry:
    """Another's entry, without what was taken or removed."""
    fields = fieldsets.without(entry["fieldsV1"], found.removed)
    if fieldsets.intersection(fields, found.changed):
        fields = fieldsets.difference(fields, found.changed)
    return entry if fields == entry["fieldsV1"] else {**entry, "fieldsV1": fields}


def _prune(merged: Object, last: Fields, owned: Sequence[Fields], node: Node) -> Object:
    """The object without what the manager applied last time and nobody wants now."""
    kept: Fields = {}
    for fields in owned:
        kept = fieldsets.union(kept, fields)
    gone = fieldsets.difference(typed.ensure_named(last, node), typed.ensure_named(kept, node))
    pruned: Object = typed.remove(merged, gone, node)
    pruned.setdefault("metadata", {})
    return pruned


def _conflicts(others: Sequence[Entry], changed: Fields) -> list[tuple[Entry, Fields]]:
    found = ((entry, fieldsets.intersection(entry["fieldsV1"], changed)) for entry in others)
    return [(entry, fields) for entry, fields in found if fields]


def _allow_last_applied(live: Object, conflicts: list[tuple[Entry, Fields]], node: Node, writer: Writer) -> None:
    """Lets kubectl take over what its annotation says that it applied; raises the conflict for anything else."""
    text = live["metadata"].get("annotations", {}).get(LAST_APPLIED) if writer.manager == _KUBECTL else None
    if text:
        try:
            last = managed.managed_part(orjson.loads(text))
            allowed = typed.field_set(last, node)
        except (ValueError, TypeError, AttributeError, typed.TypedError):
            allowed = LEAF
            last = {}
        changed, removed = typed.compare(last, managed.managed_part(live), node)
        allowed = fieldsets.difference(fieldsets.without(allowed, removed), changed)
        if not any(fieldsets.difference(fields, allowed) for _, fields in conflicts):
            return
    raise conflict_error([(entry, path) for entry, fields in conflicts for path in fieldsets.paths(fields)])


def conflict_error(conflicts: Sequence[tuple[Entry, str]]) -> Conflict:
    """The Conflict that names each field's manager."""
    named = [(_name(entry), path) for entry, path in conflicts]
    causes = [Cause("FieldManagerConflict", f"conflict with {name}", path) for name, path in named]
    if len(named) == 1:
        name, path = named[0]
        return Conflict(f"Apply failed with 1 conflict: conflict with {name}: {path}", causes=causes)
    lines: list[str] = []
    for manager in sorted({name for name, _ in named}):
        lines.append(f"conflicts with {manager}:")
        lines += [f"- {path}" for name, path in named if name == manager]
    return Conflict(f"Apply failed with {len(named)} conflicts: " + "\n".join(lines), causes=causes)


def _name(entry: Entry) -> str:
    text = orjson.dumps(entry.get("manager") or "").decode()
    if subresource := entry.get("subresource"):
        text += f' with subresource "{subresource}"'
    return f"{text} using {entry.get('apiVersion')}" if entry["operation"] == UPDATE else text


def _follow_annotation(merged: Object, live: Object, config: Object, writer: Writer) -> None:
    """Keeps the annotation of client-side apply in step, so that one may go back."""
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    if writer.manager != _KUBECTL or writer.subresource or LAST_APPLIED not in annotations:
        return
    kept: Mapping[str, Any] = merged["metadata"].get("annotations") or {}
    text = orjson.dumps(config, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    merged["metadata"]["annotations"] = {**kept, LAST_APPLIED: text}
