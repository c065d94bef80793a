"""Discovery documents tell what the registry has."""

import pytest

from miniplane.api import discovery
from miniplane.api.kind import SCALE, STATUS, Kind, Registry, Scope

WEB = Kind(
    group="apps",
    version="v1",
    kind="Deployment",
    plural="deployments",
    scope=Scope.NAMESPACED,
    short_names=("deploy",),
    categories=("all",),
    subresources=(STATUS, SCALE),
)
NODE = Kind(group="", version="v1", kind="Node", plural="nodes", scope=Scope.CLUSTER)
OLD = Kind(group="apps", version="v1beta1", kind="Deployment", plural="deployments", scope=Scope.NAMESPACED)
REGISTRY = Registry((NODE, WEB, OLD))


def test_legacy_documents() -> None:
    """`/api` has the core versions, `/apis` the other groups, the first version preferred."""
    assert discovery.api_versions(REGISTRY, "127.0.0.1:6443")["versions"] == ["v1"]
    groups = discovery.api_groups(REGISTRY)["groups"]
    assert [group["name"] for group in groups] == ["apps"]
    assert [item["groupVersion"] for item in groups[0]["versions"]] == ["apps/v1", "apps/v1beta1"]
    assert discovery.api_group(REGISTRY, "apps")["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}


def test_resource_list() -> None:
    """Resources come with verbs and short names, subresources with the kind of their body."""
    document = discovery.resource_list(REGISTRY, "apps", "v1")
    assert document["groupVersion"] == "apps/v1"
    resource, status, scale = document["resources"]
    assert (resource["name"], resource["shortNames"], resource["namespaced"]) == ("deployments", ["deploy"], True)
    assert (status["name"], status["kind"]) == ("deployments/status", "Deployment")
    assert (scale["name"], scale["group"], scale["version"], scale["kind"]) == (
        "deployments/scale",
        "autoscaling",
        "v1",
        "Scale",
    )
    assert discovery.resource_list(REGISTRY, "", "v1")["groupVersion"] == "v1"


def test_aggregated_halves() -> None:
    """Each path answers its half, in the version asked for."""
    core = discovery.aggregated(REGISTRY, "v2", core=True)
    assert [item["metadata"].get("name", "") for item in core["items"]] == [""]
    assert core["items"][0]["versions"][0]["resources"][0]["scope"] == "Cluster"
    rest = discovery.aggregated(REGISTRY, "v2beta1", core=False)
    assert rest["apiVersion"] == "apidiscovery.k8s.io/v2beta1"
    (group,) = rest["items"]
    assert [item["version"] for item in group["versions"]] == ["v1", "v1beta1"]
    (resource,) = group["versions"][0]["resources"]
    assert resource["subresources"][1] == {
        "subresource": "scale",
        "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
        "verbs": ["get", "patch", "update"],
    }


@pytest.mark.parametrize(
    ("accept", "version"),
    [
        (
            (
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
                "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
            ),
            "v2",
        ),
        ("application/json; g=apidiscovery.k8s.io; v=v2beta1; as=APIGroupDiscoveryList", "v2beta1"),
        ("application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,application/json", None),
        ("application/json", None),
        ("*/*", None),
        ("", None),
    ],
)
def test_what_is_accepted(accept: str, version: str | None) -> None:
    """The first form that is known and asked for is taken; plain JSON means the legacy documents."""
    assert discovery.aggregated_version(accept) == version
