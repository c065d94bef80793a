"""Kinds that only the server knows: what a CustomResourceDefinition adds is used as any built-in kind."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.integration.cli.conftest import Run

pytestmark = pytest.mark.timeout(60)

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gizmos.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: gizmos, singular: gizmo, kind: Gizmo, listKind: GizmoList, shortNames: [gz], categories: [toys]}
  versions:
  - &version
    name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {replicas: {type: integer}}}}
    subresources: {scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns: [{name: Wanted, type: integer, jsonPath: .spec.replicas}]
  - {<<: *version, name: v1beta1, storage: false}
"""
GIZMO = "{apiVersion: example.com/v1, kind: Gizmo, metadata: {name: one}, spec: {replicas: 1}}"


@pytest.fixture
def gizmos(miniplane: Run, manifest: Callable[[str], str]) -> Iterator[None]:
    """The kind, as long as a test needs it."""
    assert miniplane("apply", "-f", manifest(DEFINITION))[0] == 0
    while not miniplane("api-resources", "--api-group", "example.com", "--no-headers")[1]:
        pass
    yield
    assert miniplane("delete", "crd", "gizmos.example.com")[0] == 0


@pytest.mark.usefixtures("gizmos")
def test_a_kind_that_the_server_tells(miniplane: Run, manifest: Callable[[str], str]) -> None:
    """Every command takes its plural, singular, short name, group, versions and category."""
    assert miniplane("apply", "-f", manifest(GIZMO)) == (0, "gizmo.example.com/one created\n", "")
    for word in ("gizmos", "Gizmo", "gz", "gizmos.example.com", "gizmo.v1beta1.example.com", "toys"):
        assert miniplane("get", word) == (0, "NAME   WANTED\none    1\n", ""), word
    shown = miniplane("get", "gizmos.v1beta1.example.com", "one", "-o", "json")[1]
    assert json.loads(shown)["apiVersion"] == "example.com/v1beta1"
    assert "Replicas:" in miniplane("describe", "gz", "one")[1]
    assert miniplane("scale", "gz/one", "--replicas", "3") == (0, "gizmo.example.com/one scaled\n", "")
    assert json.loads(miniplane("get", "gz", "one", "-o", "json")[1])["spec"]["replicas"] == 3
    rows = miniplane("api-resources", "--api-group", "example.com", "--no-headers")[1].split()
    assert rows == ["gizmos", "gz", "example.com/v1", "true", "Gizmo"]
    assert miniplane("delete", "gz", "one") == (0, 'gizmo.example.com "one" deleted\n', "")


def test_an_object_of_no_kind(miniplane: Run, manifest: Callable[[str], str]) -> None:
    """An object whose definition is missing fails by itself; what stands beside it is applied."""
    settings = "{apiVersion: v1, kind: ConfigMap, metadata: {name: beside}}"
    code, out, err = miniplane("apply", "-f", manifest(f"{GIZMO}\n---\n{settings}"))
    assert (code, out) == (1, "configmap/beside created\n")
    assert 'no matches for kind "Gizmo" in version "example.com/v1"\nensure CRDs are installed first' in err


def test_built_in_names(miniplane: Run) -> None:
    """Categories name each object once whatever versions it has; groups and verbs narrow what is listed."""
    assert miniplane("get", "all", "-o", "name")[1].splitlines() == ["service/kubernetes"]
    names = miniplane("api-resources", "--categories", "all", "-o", "name")[1].splitlines()
    assert {"pods", "statefulsets.apps", "jobs.batch", "horizontalpodautoscalers.autoscaling"} <= set(names)
    assert len(names) == len(set(names))
    assert "bindings" not in miniplane("api-resources", "--verbs", "list", "-o", "name")[1].splitlines()
