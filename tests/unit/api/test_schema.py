"""Bodies are read along the schema, with the messages of Go's decoder."""

from typing import Any

import pytest

from miniplane.api.kind import Kind, Scope
from miniplane.api.schema import Schema, strict_error, strict_texts
from miniplane.errors import ApiError
from miniplane.kinds import CONFIG_MAP, DEPLOYMENT, EVENT, LEASE, NODE, POD, SECRET, SERVICE

PREFIX = '{0} in version "v1" cannot be handled as a {0}: '


def test_a_right_body_stays(schema: Schema) -> None:
    """Nothing is changed or reported where everything is right and canonical."""
    obj: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "labels": {"a": "b"}, "creationTimestamp": "2026-01-02T03:04:05Z"},
        "spec": {
            "replicas": 2,
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
            "template": {
                "spec": {
                    "containers": [
                        {"name": "c", "resources": {"limits": {"cpu": "500m"}}, "ports": [{"containerPort": 80}]}
                    ]
                }
            },
        },
    }
    assert schema.read(obj, DEPLOYMENT) == []
    assert obj["spec"]["replicas"] == 2


def test_unknown_fields_have_paths(schema: Schema) -> None:
    """Each unknown field is named once with its indexes; what it holds is not looked into."""
    obj: dict[str, Any] = {
        "metadata": {"name": "a", "foo": 1},
        "spec": {"bar": {"x": {}}, "template": {"spec": {"containers": [{}, {"baz": 1}]}}},
    }
    unknown = schema.read(obj, DEPLOYMENT)
    assert unknown == ["metadata.foo", "spec.bar", "spec.template.spec.containers[1].baz"]
    assert obj["spec"]["bar"] == {"x": {}}
    assert schema.read(obj, DEPLOYMENT, drop=True) == unknown
    assert obj == {"metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [{}, {}]}}}}


def test_nulls_are_dropped(schema: Schema) -> None:
    """A null field is as if absent; a null in a list or map is the zero value of its type."""
    pod: dict[str, Any] = {
        "metadata": {"creationTimestamp": None, "labels": {"a": None}, "finalizers": [None]},
        "spec": {"containers": [None, {"args": None}]},
        "status": None,
    }
    assert schema.read(pod, POD) == []
    assert pod == {"metadata": {"labels": {"a": ""}, "finalizers": [""]}, "spec": {"containers": [{}, {}]}}


def test_canonical_forms(schema: Schema) -> None:
    """Quantities, times and base64 are brought into the form that upstream answers with."""
    node = {"status": {"capacity": {"cpu": 2, "memory": "1024Mi"}}}
    event = {
        "lastTimestamp": "2026-01-02T05:04:05.5+02:00",
        "eventTime": "2026-01-02T03:04:05Z",
    }
    secret = {"data": {"a": "YWJj\nZGVm"}}
    for obj, kind in ((node, NODE), (event, EVENT), (secret, SECRET)):
        assert schema.read(obj, kind) == []
    assert node["status"]["capacity"] == {"cpu": "2", "memory": "1Gi"}
    assert event == {"lastTimestamp": "2026-01-02T03:04:05Z", "eventTime": "2026-01-02T03:04:05.000000Z"}
    assert secret == {"data": {"a": "YWJjZGVm"}}


@pytest.mark.parametrize(
    ("kind", "obj", "message"),
    [
        (
            DEPLOYMENT,
            {"spec": {"replicas": "3"}},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENT,
            {"spec": {"replicas": 1.5}},
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENT,
            {"spec": {"replicas": 2**31}},
            "json: cannot unmarshal number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENT,
            {"spec": {"replicas": True}},
            "json: cannot unmarshal bool into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            POD,
            {"spec": {"containers": [{"ports": [{"name": 80}]}]}},
            (
                "json: cannot unmarshal number into Go struct field ContainerPort.spec.containers.ports.name"
                " of type string"
            ),
        ),
        (
            POD,
            {"metadata": {"labels": {"a": 1}}},
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            POD,
            {"metadata": {"labels": ["a"]}},
            "json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (
            POD,
            {"spec": []},
            "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec",
        ),
        (
            POD,
            {"spec": {"containers": {}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            POD,
            {"spec": {"hostNetwork": "yes"}},
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        (
            CONFIG_MAP,
            {"data": {"a": {}}},
            "json: cannot unmarshal object into Go struct field ConfigMap.data of type string",
        ),
        (
            SERVICE,
            {"spec": {"ports": [{"targetPort": True}]}},
            "json: cannot unmarshal bool into Go value of type int32",
        ),
        (SECRET, {"data": {"a": "YWJ"}}, "illegal base64 data at input byte 0"),
        (SECRET, {"data": {"a": "YW!j"}}, "illegal base64 data at input byte 2"),
        (
            NODE,
            {"status": {"capacity": {"cpu": "lots"}}},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            POD,
            {"metadata": {"creationTimestamp": "today"}},
            'parsing time "today" as "2006-01-02T15:04:05Z07:00": cannot parse "today" as "2006"',
        ),
        (POD, {"metadata": {"deletionTimestamp": 1}}, "json: cannot unmarshal number into Go value of type string"),
    ],
)
def test_wrong_types(schema: Schema, kind: Kind, obj: dict[str, Any], message: str) -> None:
    """A value of the wrong type is a BadRequest in the words that users of upstream know."""
    with pytest.raises(ApiError) as caught:
        schema.read(obj, kind)
    assert (caught.value.code, caught.value.message) == (400, PREFIX.format(kind.kind) + message)


def test_free_content(schema: Schema) -> None:
    """FieldsV1 is not looked into; a kind without definition takes anything."""
    fields = {"f:metadata": {"f:labels": None}}
    obj = {"metadata": {"managedFields": [{"manager": "a", "fieldsV1": fields}]}}
    assert schema.read(obj, LEASE) == []
    assert fields == {"f:metadata": {"f:labels": None}}
    own = Kind(group="x.io", version="v1", kind="Own", plural="owns", scope=Scope.NAMESPACED)
    assert schema.read({"spec": {"any": None}}, own) == []
    assert not schema.view(own).is_known


def test_merge_keys(schema: Schema) -> None:
    """Patches learn which lists merge, and by what."""
    spec = schema.view(DEPLOYMENT).below("spec")
    containers = spec.below("template").below("spec").below("containers")
    assert (containers.merges, containers.merge_key) == (True, "name")
    ports = containers.items.below("ports")
    assert (ports.merges, ports.merge_key) == (True, "containerPort")
    assert ports.field is not None
    assert ports.field.list_keys == ("containerPort", "protocol")
    finalizers = schema.view(DEPLOYMENT).below("metadata").below("finalizers")
    assert (finalizers.merges, finalizers.merge_key) == (True, "")
    assert not containers.items.below("args").merges
    assert "retainKeys" in (spec.below("strategy").field or ports.field).strategies
    assert not spec.below("nothing").is_known


def test_descriptions(schema: Schema) -> None:
    """A field is described by its path, through lists and maps."""
    assert "Deployment" in schema.describe(DEPLOYMENT)
    assert schema.describe(DEPLOYMENT, "spec.template.spec.containers.image")
    assert schema.describe(DEPLOYMENT, "spec.nothing.here") == ""


def test_strict_texts() -> None:
    """Strict validation joins what it has against a body in one BadRequest."""
    texts = strict_texts(["spec.foo"], ["spec.x"])
    assert texts == ['unknown field "spec.foo"', 'duplicate field "spec.x"']
    assert strict_error(DEPLOYMENT, texts).message == PREFIX.format("Deployment") + (
        'strict decoding error: unknown field "spec.foo", duplicate field "spec.x"'
    )
