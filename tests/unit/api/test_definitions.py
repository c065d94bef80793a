"""Upstream's definitions are found, normalised, pruned and cached."""

from pathlib import Path

import orjson
import pytest

from miniplane.api import definitions as module
from miniplane.api.definitions import GVK, Definitions, load, refs
from miniplane.kinds import DEPLOYMENT, KINDS, LEASE

DEPLOYMENT_SPEC = "io.k8s.api.apps.v1.DeploymentSpec"


def test_each_kind_has_its_definition_and_list(definitions: Definitions) -> None:
    """What the kinds name is there, under their group, version and kind."""
    for kind in KINDS:
        assert definitions.by_gvk(kind.group, kind.version, kind.kind) == kind.definition
        assert definitions.by_gvk(kind.group, kind.version, f"{kind.kind}List") == f"{kind.definition}List"


def test_every_reference_is_kept(definitions: Definitions) -> None:
    """Pruning leaves no dangling reference."""
    assert {ref for schema in definitions.schemas.values() for ref in refs(schema)} <= set(definitions.schemas)


def test_pruning() -> None:
    """Only what the kinds reach is kept: a Lease needs no pods."""
    names = load([LEASE]).schemas
    assert "io.k8s.api.coordination.v1.LeaseSpec" in names
    assert "io.k8s.api.core.v1.PodSpec" not in names


def test_normal_form(definitions: Definitions) -> None:
    """Types are single, constants of kind are gone, references are components, and what stands beside them stays."""
    properties = definitions.schemas[DEPLOYMENT_SPEC]["properties"]
    assert properties["replicas"]["type"] == "integer"
    template = properties["template"]
    assert template["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodTemplateSpec"}]
    assert template["description"]
    assert "enum" not in definitions.schemas[DEPLOYMENT.definition]["properties"]["kind"]
    assert properties["strategy"]["x-kubernetes-patch-strategy"] == "retainKeys"
    assert definitions.schemas[DEPLOYMENT.definition][GVK] == [{"group": "apps", "kind": "Deployment", "version": "v1"}]
    text = orjson.dumps(definitions.schemas)
    assert b'"null"' not in text
    assert b"$defs" not in text


def test_properties_named_like_keywords() -> None:
    """A property called `$ref` or `enum` is a property, not a keyword."""
    name = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
    properties = module._build("1.33", [name], {})[name]["properties"]
    assert properties["$ref"]["type"] == "string"
    assert properties["enum"]["type"] == "array"
    assert "type" in properties


def test_the_cache_is_used_and_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second load reads the pruned file alone; a broken one is made again; other kinds have another file."""
    first = load([LEASE], cache_dir=tmp_path / "new")
    (path,) = (tmp_path / "new").iterdir()
    with monkeypatch.context() as patched:
        patched.setattr(module, "_source", None)
        assert load([LEASE], cache_dir=tmp_path / "new") == first
    path.write_bytes(b"{")
    assert load([LEASE], cache_dir=tmp_path / "new") == first
    load([DEPLOYMENT], cache_dir=tmp_path / "new")
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_an_unwritable_cache_is_no_obstacle(tmp_path: Path) -> None:
    """Where the directory can't be made, the definitions are there all the same."""
    (tmp_path / "file").touch()
    assert load([LEASE], cache_dir=tmp_path / "file").schemas


def test_unknown_version() -> None:
    """A version that the package does not have is named."""
    with pytest.raises(LookupError, match=r"1\.2"):
        load([LEASE], version="1.2")
