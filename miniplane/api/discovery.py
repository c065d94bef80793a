"""Discovery: which groups, versions and resources there are, in every form that clients ask for.

Pure functions of the Registry. Counterpart upstream: k8s.io/api, apidiscovery, and the API groups page of the docs.
"""

from collections.abc import Iterable
from typing import Any

from miniplane.api.kind import Kind, Object, Registry, Subresource

AGGREGATED_VERSIONS = ("v2", "v2beta1")
"""The aggregated forms served, newest first."""


def _groups(registry: Registry) -> dict[str, dict[str, list[Kind]]]:
    """`{group: {version: kinds}}`, in order of first appearance."""
    groups: dict[str, dict[str, list[Kind]]] = {}
    for (group, version), kinds in registry.group_versions().items():
        groups.setdefault(group, {})[version] = kinds
    return groups


def api_versions(registry: Registry, server_address: str) -> Object:
    """`/api`: the versions of the core group."""
    return {
        "kind": "APIVersions",
        "versions": list(_groups(registry).get("", {})),
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    }


def _group(name: str, versions: Iterable[str]) -> Object:
    entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[0]}


def api_groups(registry: Registry) -> Object:
    """`/apis`: every group but the core."""
    groups = [_group(name, versions) for name, versions in _groups(registry).items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_group(registry: Registry, group: str) -> Object:
    """`/apis/<group>`: one group that the registry has."""
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(group, _groups(registry)[group])


def resource_list(registry: Registry, group: str, version: str) -> Object:
    """`/api/v1` or `/apis/<group>/<version>`: the resources of one version, subresources as `pods/status`."""
    resources = []
    for kind in _groups(registry)[group][version]:
        resources.append(_resource(kind))
        resources += [_subresource(kind, sub) for sub in kind.subresources]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": resources,
    }


def _words(kind: Kind) -> Object:
    """The short names and categories, where there are any."""
    words = {"shortNames": list(kind.short_names), "categories": list(kind.categories)}
    return {key: value for key, value in words.items() if value}


def _resource(kind: Kind) -> Object:
    return {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": sorted(kind.verbs),
    } | _words(kind)


def _subresource(kind: Kind, sub: Subresource) -> Object:
    resource: Object = {"name": f"{kind.plural}/{sub.name}", "singularName": "", "namespaced": kind.namespaced}
    if sub.group_version_kind is not None:
        group, version, name = sub.group_version_kind
        if (group, version) != (kind.group, kind.version):
            resource |= {"group": group, "version": version}
        return resource | {"kind": name, "verbs": sorted(sub.verbs)}
    return resource | {"kind": kind.kind, "verbs": sorted(sub.verbs)}


def aggregated_version(accept: str) -> str | None:
    """The aggregated form that an Accept header asks for first, None where it wants a legacy document."""
    for clause in accept.split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        options = dict(part.split("=", 1) for part in parameters if "=" in part)
        if media not in ("application/json", "application/*", "*/*"):
            continue
        if options.get("as") == "APIGroupDiscoveryList" and options.get("g") == "apidiscovery.k8s.io":
            if options.get("v") in AGGREGATED_VERSIONS:
                return options["v"]
        elif "as" not in options:
            return None
    return None


def aggregated(registry: Registry, version: str, *, core: bool) -> Object:
    """The aggregated document: with `core` the half that `/api` answers, without it that of `/apis`."""
    items = [
        {
            "metadata": {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None},
            "versions": [
                {"version": word, "resources": [_aggregated_resource(kind) for kind in kinds], "freshness": "Current"}
                for word, kinds in versions.items()
            ],
        }
        for name, versions in _groups(registry).items()
        if (not name) is core
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def _response_kind(group: str, version: str, kind: str) -> Object:
    return {"group": group, "version": version, "kind": kind}


def _aggregated_resource(kind: Kind) -> Object:
    own = (kind.group, kind.version, kind.kind)
    subresources: list[Any] = [
        {
            "subresource": sub.name,
            "responseKind": _response_kind(*(sub.group_version_kind or own)),
            "verbs": sorted(sub.verbs),
        }
        for sub in kind.subresources
    ]
    resource: Object = {
        "resource": kind.plural,
        "responseKind": _response_kind(*own),
        "scope": str(kind.scope),
        "singularResource": kind.singular,
        "verbs": sorted(kind.verbs),
    } | _words(kind)
    return resource | ({"subresources": subresources} if subresources else {})
