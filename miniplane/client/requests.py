"""Requests as values: what each verb puts on the wire, built without I/O.

`client` sends them; tests and other transports can look at them. Upstream's counterpart: the REST conventions of the
API (sig-architecture, api-conventions.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key

JSON = "application/json"


class PatchType(StrEnum):
    """The forms of a patch; the value is its media type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `query` holds only what is not empty."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = JSON

    @property
    def target(self) -> str:
        """Path and query as they stand in the request line."""
        path = quote(self.path, safe="/:@!$&'()*+,;=~")
        return f"{path}?{urlencode(self.query, quote_via=quote)}" if self.query else path

    @property
    def is_read(self) -> bool:
        """Whether sending it twice is the same as sending it once, also when the first answer was lost."""
        return self.method in ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind: a namespace (all if empty) and selectors in their text form."""

    namespace: str = ""
    labels: str = ""
    fields: str = ""

    def query(self) -> dict[str, str]:
        """The query parameters of the selectors."""
        return _present(labelSelector=self.labels, fieldSelector=self.fields)


EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class Page:
    """A list, or a page of one. `revision` is the list's resourceVersion: opaque, to be handed back."""

    items: list[Object]
    revision: str
    continue_token: str = ""


def _present(**values: Any) -> dict[str, str]:
    """Query parameters, without those that say nothing."""
    words = {True: "true", False: ""}
    texts = {name: words[value] if isinstance(value, bool) else str(value or "") for name, value in values.items()}
    return {name: text for name, text in texts.items() if text}


def _where(kind: Kind, key: Key, subresource: str = "") -> str:
    if not key.name:
        raise ValueError(f"a {kind.kind} needs a name here")
    if kind.namespaced and not key.namespace:
        raise ValueError(f"{kind.kind} {key.name!r} needs a namespace")
    return kind.path(key.namespace, key.name, subresource)


def get(kind: Kind, key: Key, *, subresource: str = "") -> Request:
    """Read one object."""
    return Request("GET", _where(kind, key, subresource))


def list_(kind: Kind, selection: Selection = EVERYTHING, *, limit: int = 0, continue_token: str = "") -> Request:
    """Read a collection, or a page of it."""
    query = selection.query() | _present(limit=limit) | _present(**{"continue": continue_token})
    return Request("GET", kind.path(selection.namespace), query)


def watch(kind: Kind, selection: Selection, *, revision: str, timeout_s: int) -> Request:
    """Follow a collection from a revision on, with bookmarks."""
    query = selection.query() | {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": revision,
        "timeoutSeconds": str(timeout_s),
    }
    return Request("GET", kind.path(selection.namespace), query)


def create(kind: Kind, obj: Object, *, dry_run: bool = False) -> Request:
    """Make an object."""
    namespace = meta.namespace(obj)
    if kind.namespaced and not namespace:
        raise ValueError(f"{kind.kind} {meta.name(obj)!r} needs a namespace")
    return Request("POST", kind.path(namespace), _present(dryRun="All" if dry_run else ""), orjson.dumps(obj))


def create_subresource(kind: Kind, key: Key, subresource: str, body: Object) -> Request:
    """Post to a subresource, such as a pod's `binding`."""
    return Request("POST", _where(kind, key, subresource), {}, orjson.dumps(body))


def update(kind: Kind, obj: Object, *, subresource: str = "", dry_run: bool = False) -> Request:
    """Replace an object; its resourceVersion, if any, must be the stored one."""
    return Request(
        "PUT", _where(kind, meta.key_of(obj), subresource), _present(dryRun="All" if dry_run else ""), orjson.dumps(obj)
    )


def patch(
    kind: Kind,
    key: Key,
    body: Any,
    *,
    type: PatchType = PatchType.MERGE,  # noqa: A002  the word of the API
    subresource: str = "",
    options: Mapping[str, str] | None = None,
) -> Request:
    """Change a part of an object; `options` are query parameters such as `fieldManager` or `force`."""
    return Request("PATCH", _where(kind, key, subresource), dict(options or {}), orjson.dumps(body), str(type))


def delete(kind: Kind, key: Key, *, propagation: str = "", grace_s: int | None = None, uid: str = "") -> Request:
    """Delete an object; with `uid`, only that very one."""
    options: dict[str, Any] = {}
    if propagation:
        options["propagationPolicy"] = propagation
    if grace_s is not None:
        options["gracePeriodSeconds"] = grace_s
    if uid:
        options["preconditions"] = {"uid": uid}
    body = orjson.dumps({"kind": "DeleteOptions", "apiVersion": "v1", **options}) if options else None
    return Request("DELETE", _where(kind, key), {}, body)


def delete_collection(kind: Kind, selection: Selection) -> Request:
    """Delete every object that is selected."""
    return Request("DELETE", kind.path(selection.namespace), selection.query())
