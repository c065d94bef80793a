"""Which resource and verb a path names. Counterpart upstream: k8s.io/apiserver, pkg/endpoints/request."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from miniplane.api.kind import Kind, Registry

from ..auth.identity import Action


@dataclass(frozen=True, slots=True)
class Route:
    """A path below a group and version, taken apart.

    `kind` is None where no such resource is served; `rest` is what follows a `proxy` subresource.
    """

    group: str
    version: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    kind: Kind | None = None


_NAMESPACE_SUBRESOURCES = frozenset(("status", "finalize"))
_VERBS: Mapping[str, str] = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_NO = ("false", "0")
_SHORT = 128
"""Paths that are remembered."""
_COLLECTION_VERBS: Mapping[str, str] = {**_VERBS, "GET": "list", "HEAD": "list", "DELETE": "deletecollection"}


def parse(path: str, registry: Registry) -> Route | None:
    """The route of a decoded path; None for a path that names no resource."""
    return (_parse_short if len(path) <= _SHORT else _parse)(path, registry)


def _parse(path: str, registry: Registry) -> Route | None:
    parts = path.rstrip("/").split("/")
    if len(parts) > 3 and parts[1] == "api":  # noqa: PLR2004  "", api, version, resource
        return _resource("", parts[2], parts[3:], registry)
    if len(parts) > 4 and parts[1] == "apis":  # noqa: PLR2004  "", apis, group, version, resource
        return _resource(parts[2], parts[3], parts[4:], registry)
    return None


_parse_short = functools.lru_cache(maxsize=1024)(_parse)
"""Most requests are for a few paths."""


def _resource(group: str, version: str, parts: list[str], registry: Registry) -> Route | None:
    namespace = ""
    if parts[0] == "namespaces" and parts[2:] and parts[2] not in _NAMESPACE_SUBRESOURCES:
        namespace, parts = parts[1], parts[2:]
    resource = parts[0]
    name = parts[1] if len(parts) > 1 else ""
    if parts[1:2] == [""] or (namespace == "" and parts[0] == ""):
        return None
    kind = registry.by_resource(group, version, resource)
    if kind is not None and namespace and not kind.namespaced:
        kind = None
    if kind is not None and kind.namespaced and name and not namespace:
        kind = None
    return Route(
        group,
        version,
        resource,
        namespace or (name if resource == "namespaces" and not group else ""),
        name,
        parts[2] if parts[2:] else "",
        "/".join(parts[3:]),
        kind,
    )


def action(route: Route | None, method: str, path: str, query: Mapping[str, str]) -> Action:
    """What a request asks for, as authorisation sees it."""
    if route is None:
        return Action(_VERBS.get(method, method).lower() if method != "HEAD" else "head", path=path)
    if route.name:
        verb = _VERBS.get(method, method.lower())
        if verb == "get" and not route.subresource and is_watch(query):
            verb = "watch"
    else:
        verb = _COLLECTION_VERBS.get(method, method.lower())
        if verb == "list" and is_watch(query):
            verb = "watch"
    name = route.name
    field_selector = query.get("fieldSelector", "")
    if (
        not name
        and verb in ("list", "watch")
        and field_selector.startswith("metadata.name=")
        and "," not in field_selector
    ):
        name = field_selector.removeprefix("metadata.name=").removeprefix("=")
    return Action(
        verb,
        route.group,
        route.resource,
        route.subresource,
        route.namespace,
        name,
        path,
        query.get("labelSelector", ""),
        field_selector,
    )


def is_watch(query: Mapping[str, str]) -> bool:
    """Whether the query asks for a watch: as upstream reads it, any value but false and 0 does."""
    return "watch" in query and query["watch"].lower() not in _NO
