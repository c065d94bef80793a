"""Tables: what `kubectl get` prints, rendered by the server.

Column getters are compiled once per list of columns. Cells are printed verbatim by clients, so ages are text here and
the present time is an argument. Also the metadata-only forms of objects. Counterpart upstream: pkg/printers and
k8s.io/apiserver, pkg/endpoints/handlers/response.go.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from miniplane.api.kind import Column, Kind, Object
from miniplane.api.meta import created, path_getter
from miniplane.errors import bad_request

META_V1 = "meta.k8s.io/v1"
INCLUDE = ("None", "Metadata", "Object")

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400
_SPANS = (
    # below this many seconds: the unit shown, and the smaller one shown after it
    (2 * _MINUTE, (1, "s"), None),
    (10 * _MINUTE, (_MINUTE, "m"), (1, "s")),
    (3 * _HOUR, (_MINUTE, "m"), None),
    (8 * _HOUR, (_HOUR, "h"), (_MINUTE, "m")),
    (2 * _DAY, (_HOUR, "h"), None),
    (8 * _DAY, (_DAY, "d"), (_HOUR, "h")),
    (2 * _YEAR, (_DAY, "d"), None),
    (8 * _YEAR, (_YEAR, "y"), (_DAY, "d")),
)


def human_duration(seconds: float) -> str:
    """A span in at most two units, as upstream's duration.HumanDuration: `95s`, `3m5s`, `7d4h`.

    A second of clock skew counts as none; more is `<invalid>`.
    """
    whole = int(seconds)
    if whole < 0:
        return "0s" if whole == -1 else "<invalid>"
    for limit, (size, unit), minor in _SPANS:
        if whole < limit:
            rest = whole % size // minor[0] if minor else 0
            return f"{whole // size}{unit}" + (f"{rest}{minor[1]}" if minor and rest else "")
    return f"{whole // _YEAR}y"


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago, in a cell; `<unknown>` where the moment is."""
    return "<unknown>" if moment is None else human_duration((now - moment).total_seconds())


def _age(obj: Object, now: datetime) -> str:
    return age(created(obj), now)


NAME = Column("Name", ".metadata.name", format="name", description="The name, unique among its kind and namespace.")
AGE = Column("Age", _age, description="The time since the object was created.")
CREATED_AT = Column(
    "Created At", ".metadata.creationTimestamp", type="date", description="When the object was created."
)
DEFAULT_COLUMNS = (NAME, CREATED_AT)
"""The columns of a kind that declares none."""

_Getter = Callable[[Object, datetime], Any]


def _by_path(column: Column, path: str) -> _Getter:
    get = path_getter(path)
    is_text = column.type in ("string", "date")
    missing = "<none>" if column.type == "string" else None

    def cell(obj: Object, _now: datetime) -> Any:
        value = get(obj)
        if value in (None, "", []):
            return missing
        if isinstance(value, list):
            return ",".join(str(item) for item in value)
        return str(value) if is_text and not isinstance(value, str) else value

    return cell


@lru_cache(maxsize=256)
def _compiled(columns: tuple[Column, ...]) -> tuple[list[Object], tuple[_Getter, ...]]:
    """The definitions and the getters of a list of columns."""
    columns = columns or DEFAULT_COLUMNS
    definitions = [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in columns
    ]
    getters = tuple(
        _by_path(column, column.value) if isinstance(column.value, str) else column.value for column in columns
    )
    return definitions, getters


def column_definitions(kind: Kind) -> Sequence[Object]:
    """The `columnDefinitions` of a kind's Table; shared, to be read only."""
    return _compiled(kind.columns)[0]


def cells(kind: Kind, obj: Object, now: datetime) -> list[Any]:
    """One object's cells, as JSON values."""
    return [get(obj, now) for get in _compiled(kind.columns)[1]]


def partial(obj: Object, api_version: str = META_V1) -> Object:
    """An object's metadata alone; the metadata is shared with the object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": obj.get("metadata") or {}}


def partial_list(objects: Iterable[Object], metadata: Mapping[str, Any], api_version: str = META_V1) -> Object:
    """The list form of `partial`."""
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": api_version,
        "metadata": dict(metadata),
        "items": [partial(obj, api_version) for obj in objects],
    }


def include_option(word: str) -> str:
    """The `includeObject` of a request, `Metadata` where it says nothing.

    Raises:
        ApiError: BadRequest for any other word.
    """
    if word and word not in INCLUDE:
        raise bad_request(f'unrecognized includeObject value: "{word}"')
    return word or "Metadata"


def row(kind: Kind, obj: Object, now: datetime, *, include_object: str = "Metadata") -> Object:
    """One row of a stored object; the object in it shares its parts with `obj`."""
    result: Object = {"cells": cells(kind, obj, now)}
    if include_object != "None":
        result["object"] = kind.shown(obj) if include_object == "Object" else partial(obj)
    else:
        result["object"] = None
    return result


def to_table(
    kind: Kind,
    objects: Iterable[Object],
    now: datetime,
    *,
    include_object: str = "Metadata",
    metadata: Mapping[str, Any] | None = None,
    definitions: bool = True,
    api_version: str = META_V1,
) -> Object:
    """A Table of objects of one kind; a watch event holds one of one row.

    Args:
        kind: Whose columns.
        objects: One row each, in this order.
        now: What ages are counted to.
        include_object: `Metadata`, `Object` or `None`, as the request asks.
        metadata: The list's metadata; for a single object give its resourceVersion.
        definitions: Whether to send the column definitions; later events of a watch may leave them out.
        api_version: `meta.k8s.io/v1`, or v1beta1 for an old client.
    """
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": dict(metadata or {}),
        "columnDefinitions": column_definitions(kind) if definitions else [],
        "rows": [row(kind, obj, now, include_object=include_object) for obj in objects],
    }
