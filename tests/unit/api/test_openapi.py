"""OpenAPI v3 documents hold what kubectl looks for."""

import pytest

from miniplane.api import openapi
from miniplane.api.definitions import GVK, Definitions, refs
from miniplane.api.kind import Kind, Object, Registry, Scope
from miniplane.kinds import DEPLOYMENT, KINDS

REGISTRY = Registry(KINDS)


@pytest.fixture(scope="module")
def documents(definitions: Definitions) -> dict[tuple[str, str], Object]:
    """Every document that the registry has."""
    return {key: openapi.document(REGISTRY, *key, definitions) for key in REGISTRY.group_versions()}


def test_index() -> None:
    """The index names each document with its hash."""
    hashes = {key: f"H{index}" for index, key in enumerate(REGISTRY.group_versions())}
    paths = openapi.index(REGISTRY, hashes)["paths"]
    assert paths["api/v1"] == {"serverRelativeURL": f"/openapi/v3/api/v1?hash={hashes['', 'v1']}"}
    assert "apis/networking.k8s.io/v1" in paths


def test_each_kind_is_described(documents: dict[tuple[str, str], Object]) -> None:
    """Each kind has a schema of its group, version and kind, and paths for itself."""
    for kind in KINDS:
        document = documents[kind.group, kind.version]
        schema = document["components"]["schemas"][kind.definition]
        assert {"group": kind.group, "version": kind.version, "kind": kind.kind} in schema[GVK]
        assert schema["description"]
        assert kind.path("{namespace}", "{name}") in document["paths"]


def test_no_reference_dangles(documents: dict[tuple[str, str], Object]) -> None:
    """Every schema that is referred to is in the same document."""
    for document in documents.values():
        schemas = document["components"]["schemas"]
        assert {ref for schema in schemas.values() for ref in refs(schema)} <= set(schemas)
        for path in document["paths"].values():
            for operation in path.values():
                if isinstance(operation, list):
                    continue
                contents = [operation.get("requestBody", {}), *operation["responses"].values()]
                for content in contents:
                    for media in content.get("content", {}).values():
                        assert set(refs(media["schema"])) <= set(schemas)


def test_writes_say_what_they_take(documents: dict[tuple[str, str], Object]) -> None:
    """Kubectl finds fieldValidation on the PATCH of a kind, and that it takes a strategic merge."""
    path = documents["apps", "v1"]["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    patch = path["patch"]
    assert patch[GVK] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert {"fieldValidation", "dryRun", "fieldManager", "force"} <= {item["name"] for item in patch["parameters"]}
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]
    assert "application/apply-patch+yaml" in patch["requestBody"]["content"]
    assert {"name", "namespace"} <= {item["name"] for item in path["parameters"]}


def test_operation_ids_are_unique(documents: dict[tuple[str, str], Object]) -> None:
    """Each operation has a name of its own, as generators of clients need."""
    for document in documents.values():
        ids = [
            operation["operationId"]
            for path in document["paths"].values()
            for operation in path.values()
            if isinstance(operation, dict)
        ]
        assert len(ids) == len(set(ids))


def test_verbs_that_a_kind_lacks_have_no_operation(documents: dict[tuple[str, str], Object]) -> None:
    """Namespaces can't be deleted as a collection."""
    assert "delete" not in documents["", "v1"]["paths"]["/api/v1/namespaces"]
    assert "delete" in documents["", "v1"]["paths"]["/api/v1/nodes"]


def test_subresources(documents: dict[tuple[str, str], Object]) -> None:
    """A subresource's operations are of the kind of its body."""
    paths = documents["apps", "v1"]["paths"]
    scale = paths[DEPLOYMENT.path("{namespace}", "{name}", "scale")]
    assert scale["get"][GVK]["kind"] == "Scale"
    assert paths[DEPLOYMENT.path("{namespace}", "{name}", "status")]["patch"][GVK]["kind"] == "Deployment"


def test_a_kind_of_our_own(definitions: Definitions) -> None:
    """A kind that upstream does not have is described openly and takes no strategic merge."""
    kind = Kind(group="example.com", version="v1", kind="Thing", plural="things", scope=Scope.CLUSTER)
    document = openapi.document(Registry((kind,)), "example.com", "v1", definitions)
    schema = document["components"]["schemas"]["com.example.v1.Thing"]
    assert schema[GVK] == [{"group": "example.com", "version": "v1", "kind": "Thing"}]
    content = document["paths"]["/apis/example.com/v1/things/{name}"]["patch"]["requestBody"]["content"]
    assert "application/strategic-merge-patch+json" not in content
    assert "application/merge-patch+json" in content
