"""No hook of any kind fails, whatever well-typed object it is given, and defaults settle at once."""

import copy
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniplane.api.definitions import Definitions, Schema, load
from miniplane.api.kind import Kind, Object
from miniplane.api.table import cells
from miniplane.kinds import KINDS

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DEPTH = 9
WORDS = st.sampled_from(
    (
        *("", "a", "web", "None", "TCP", "UDP", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "ClientIP"),
        *("Always", "Never", "Local", "In", "Exists", "Equal", "RollingUpdate", "Recreate", "IPv4", "IPv6", "FQDN"),
        *("10.0.0.1", "fd00::1", "10.0.0.0/8", "10.0.0.1/33", "fd00::/8", "100%", "25%", "1Gi", "-1", "100m", "cpu"),
        *("2026-01-01T00:00:00Z", "kubernetes.io/tls", "kubernetes.io/dockerconfigjson", "eyJhIjoxfQ==", "*.a.b"),
        *("Exact", "Prefix", "/", "/../x", "metadata.name", "a/b/c", "ünï", "Not A Name", "nginx:latest"),
    )
)
NUMBERS = st.sampled_from((-1, 0, 1, 2, 80, 30080, 65535, 65536, 2**31))


@cache
def _definitions() -> Definitions:
    return load(KINDS)


@cache
def _values(name: str, depth: int) -> st.SearchStrategy[Any]:
    return _of_schema(_definitions().schemas[name], depth)


def _of_schema(schema: Schema, depth: int) -> st.SearchStrategy[Any]:
    """Values of the schema's type, each field of which may be missing or null."""
    target = schema if "$ref" in schema else next(iter(schema.get("allOf") or ()), {})
    if ref := target.get("$ref"):
        return st.deferred(lambda: _values(ref.rpartition("/")[2], depth))
    if "oneOf" in schema:
        return st.one_of(WORDS, NUMBERS)
    match schema.get("type"):
        case "string":
            return WORDS
        case "boolean":
            return st.booleans()
        case "integer" | "number":
            return NUMBERS
        case "array":
            return st.lists(_of_schema(schema["items"], depth - 1), max_size=3) if depth else st.just([])
        case _ if "properties" in schema and depth:
            fields = {
                key: st.one_of(st.none(), _of_schema(child, depth - 1)) for key, child in schema["properties"].items()
            }
            return st.deferred(lambda: st.lists(st.sampled_from(sorted(fields)), max_size=6, unique=True)).flatmap(
                lambda keys: st.fixed_dictionaries({key: fields[key] for key in keys})
            )
        case _ if isinstance(schema.get("additionalProperties"), dict) and depth:
            values = _of_schema(schema["additionalProperties"], depth - 1)
            return st.dictionaries(WORDS, values, max_size=3)
        case _:
            return st.just({})


@st.composite
def _objects(draw: st.DrawFn, kind: Kind) -> Object:
    """Objects of a kind that have a name, and more often than not their spec."""
    obj: Object = draw(_values(kind.definition, DEPTH))
    properties = _definitions().schemas[kind.definition]["properties"]
    for part in ("spec", "status", "subsets", "endpoints", "ports", "data"):
        if part in properties and draw(st.booleans()):
            obj[part] = draw(_of_schema(properties[part], DEPTH))
    obj["metadata"] = {"name": "web", "namespace": "default"}
    return obj


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_hooks_take_any_object(kind: Kind, data: st.DataObject) -> None:
    """Defaults, prepare, validate, warnings, canonicalize and columns run on odd objects, also undefaulted ones."""
    strategy = kind.strategy
    raw, old, new = (data.draw(_objects(kind)) for _ in range(3))
    assert list(strategy.validate(raw, None)) is not None
    cells(kind, raw, NOW)
    kind.defaults(old)
    kind.defaults(new)
    for before in (None, old):
        obj = copy.deepcopy(new)
        strategy.prepare(obj, before)
        errors = [*strategy.validate(obj, before), *strategy.validate_status(obj, before)]
        assert all(str(error.field) is not None and error.message for error in errors)
        assert all(isinstance(text, str) for text in strategy.warnings(obj, before))
        strategy.canonicalize(obj, before)
        assert len(cells(kind, obj, NOW)) == len(kind.columns)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_defaults_settle_at_once(kind: Kind, data: st.DataObject) -> None:
    """Defaulting twice is defaulting once: a stored object does not change by being read."""
    obj = data.draw(_objects(kind))
    kind.defaults(obj)
    once = copy.deepcopy(obj)
    kind.defaults(obj)
    assert obj == once


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_validating_changes_nothing(kind: Kind, data: st.DataObject) -> None:
    """Validators and columns only look: neither the new nor the old object is different afterwards."""
    new, old = data.draw(_objects(kind)), data.draw(_objects(kind))
    copies = copy.deepcopy((new, old))
    list(kind.strategy.validate(new, old))
    list(kind.strategy.validate_status(new, old))
    kind.strategy.warnings(new, old)
    cells(kind, new, NOW)
    assert (new, old) == copies
