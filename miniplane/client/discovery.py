"""The kinds that a server has, from its aggregated discovery documents: two requests, whatever it serves.

A discovered kind has the names, verbs and subresources of the server, and none of our defaults, rules or columns.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from miniplane.api.discovery import AGGREGATED_VERSIONS
from miniplane.api.kind import Kind, Object, Registry, Scope, Subresource
from miniplane.client.client import Client
from miniplane.client.requests import JSON, Request
from miniplane.errors import ApiError

ACCEPT = ",".join(f"{JSON};g=apidiscovery.k8s.io;v={word};as=APIGroupDiscoveryList" for word in AGGREGATED_VERSIONS)
ROOTS = ("/api", "/apis")


async def discover(client: Client) -> Registry:
    """The kinds in the server's order, the preferred version of each group first.

    Raises:
        ApiError: The server does not tell its kinds in the aggregated form (upstream: v1.27 and later do).
    """
    found: list[Kind] = []
    for root in ROOTS:
        document = orjson.loads(await client.send(Request("GET", root), headers={"Accept": ACCEPT}))
        if document.get("kind") != "APIGroupDiscoveryList":
            raise ApiError(f"{root} answers without aggregated discovery (apidiscovery.k8s.io)")
        found += kinds_of(document)
    return Registry(found)


def kinds_of(document: Object) -> Iterator[Kind]:
    """The kinds of an APIGroupDiscoveryList; entries without a kind of their own hold only subresources of others."""
    for group in document.get("items") or ():
        name = (group.get("metadata") or {}).get("name", "")
        for version in group.get("versions") or ():
            for resource in version.get("resources") or ():
                if (resource.get("responseKind") or {}).get("kind"):
                    yield _kind(name, version["version"], resource)


def _kind(group: str, version: str, resource: Object) -> Kind:
    return Kind(
        group=group,
        version=version,
        kind=resource["responseKind"]["kind"],
        plural=resource["resource"],
        scope=Scope(resource["scope"]),
        singular=resource.get("singularResource", ""),
        short_names=tuple(resource.get("shortNames") or ()),
        categories=tuple(resource.get("categories") or ()),
        verbs=tuple(resource.get("verbs") or ()),
        subresources=tuple(_subresource(item) for item in resource.get("subresources") or ()),
    )


def _subresource(item: Any) -> Subresource:
    body = item.get("responseKind") or {}
    return Subresource(
        item["subresource"],
        tuple(item.get("verbs") or ()),
        (body.get("group", ""), body.get("version", ""), body.get("kind", "")),
    )
