"""Every kind and every verb: what holds for all of them holds for each."""

import base64
import copy
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from miniplane.api.kind import Kind
from miniplane.kinds import KINDS
from tests.contract.api.conftest import MERGE, TABLE, Api, config_map, deployment, pod, service

RULES = [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]
SPEC = deployment()["spec"]
JOB_TEMPLATE = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]}}
SCALED = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
WEBHOOK = {
    "name": "check.example.com",
    "clientConfig": {"url": "https://example.com/check"},
    "rules": [RULE],
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}
REQUEST = base64.b64encode(
    x509.CertificateSigningRequestBuilder()
    .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "someone")]))
    .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    .public_bytes(Encoding.PEM)
).decode()
BODIES: Mapping[str, dict[str, Any]] = {
    "Namespace": {},
    "Node": {},
    "Pod": {"spec": pod()["spec"]},
    "Service": {"spec": service()["spec"]},
    "Endpoints": {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]},
    "ConfigMap": {"data": config_map()["data"]},
    "Secret": {"data": {"k": "dg=="}},
    "ServiceAccount": {},
    "Event": {
        "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default"},
        "reason": "R",
        "type": "Normal",
    },
    "Deployment": {"spec": SPEC},
    "ReplicaSet": {"spec": SPEC},
    "Ingress": {"spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}},
    "IngressClass": {"spec": {"controller": "miniplane.io/ingress"}},
    "NetworkPolicy": {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}},
    "GatewayClass": {"spec": {"controllerName": "x.example/y"}},
    "Gateway": {"spec": {"gatewayClassName": "x", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}},
    "HTTPRoute": {"spec": {"parentRefs": [{"name": "x"}], "rules": [{"backendRefs": [{"name": "x", "port": 80}]}]}},
    "ReferenceGrant": {
        "spec": {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "x"}],
            "to": [{"group": "", "kind": "Service"}],
        }
    },
    "ClusterNetworkPolicy": {"spec": {"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}}},
    "AdminNetworkPolicy": {"spec": {"priority": 1, "subject": {"namespaces": {}}}},
    "BaselineAdminNetworkPolicy": {"spec": {"subject": {"namespaces": {}}}},
    "Role": {"rules": RULES},
    "ClusterRole": {"rules": RULES},
    "RoleBinding": {"roleRef": {"kind": "Role", "name": "x"}, "subjects": [{"kind": "User", "name": "ann"}]},
    "ClusterRoleBinding": {"roleRef": {"kind": "ClusterRole", "name": "x"}},
    "ServiceCIDR": {"spec": {"cidrs": ["10.97.0.0/24"]}},
    "IPAddress": {"spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "web"}}},
    "EndpointSlice": {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]},
    "Lease": {"spec": {"holderIdentity": "me"}},
    "StatefulSet": {"spec": SPEC | {"serviceName": "web"}},
    "DaemonSet": {"spec": {key: SPEC[key] for key in ("selector", "template")}},
    "ControllerRevision": {"data": {"spec": {}}, "revision": 1},
    "ReplicationController": {"spec": {"selector": {"app": "web"}, "template": SPEC["template"]}},
    "PodTemplate": {"template": SPEC["template"]},
    "Job": {"spec": {"template": JOB_TEMPLATE}},
    "CronJob": {"spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": JOB_TEMPLATE}}}},
    "PodDisruptionBudget": {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}},
    "HorizontalPodAutoscaler": {"spec": {"scaleTargetRef": SCALED, "maxReplicas": 3}},
    "events.k8s.io/v1/Event": {
        "eventTime": "2026-01-02T03:04:05.000000Z",
        "reportingController": "example.com/me",
        "reportingInstance": "me-1",
        "action": "Looked",
        "reason": "R",
        "type": "Normal",
        "regarding": {"kind": "Pod", "name": "web", "namespace": "default"},
    },
    "PriorityClass": {"value": 1000},
    "LimitRange": {"spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}},
    "ResourceQuota": {"spec": {"hard": {"pods": "10"}}},
    "PersistentVolume": {
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"}}
    },
    "PersistentVolumeClaim": {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    },
    "StorageClass": {"provisioner": "example.com/disk"},
    "CSIDriver": {"spec": {}},
    "CSINode": {"spec": {"drivers": []}},
    "CSIStorageCapacity": {"storageClassName": "fast"},
    "VolumeAttachment": {
        "spec": {"attacher": "example.com/disk", "nodeName": "a", "source": {"persistentVolumeName": "v"}}
    },
    "RuntimeClass": {"handler": "runc"},
    "MutatingWebhookConfiguration": {"webhooks": [WEBHOOK]},
    "ValidatingWebhookConfiguration": {"webhooks": [WEBHOOK]},
    "ValidatingAdmissionPolicy": {
        "spec": {
            "matchConstraints": {"resourceRules": [RULE | {"scope": "*"}]},
            "validations": [{"expression": "object.metadata.name != 'x'"}],
        }
    },
    "ValidatingAdmissionPolicyBinding": {"spec": {"policyName": "p", "validationActions": ["Deny"]}},
    "CertificateSigningRequest": {
        "spec": {"request": REQUEST, "signerName": "example.com/mine", "usages": ["client auth"]}
    },
    "CustomResourceDefinition": {
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "x-ones", "kind": "One"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        }
    },
    "FlowSchema": {"spec": {"priorityLevelConfiguration": {"name": "exempt"}}},
    "PriorityLevelConfiguration": {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}},
}


def body(kind: Kind, name: str) -> dict[str, Any]:
    """A good object of a kind."""
    made = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": {"name": name}}
    return made | copy.deepcopy(BODIES.get(f"{kind.api_version}/{kind.kind}") or BODIES[kind.kind])


NAMES = {
    "IPAddress": ("10.99.0.7", "10.99.0.8"),
    "BaselineAdminNetworkPolicy": ("default",),
    "CustomResourceDefinition": ("x-ones.example.com",),
}
"""Good names of kinds that do not take any; there may be only one."""


WAITS = ("Namespace", "CustomResourceDefinition")
"""Kinds whose objects stay until what belongs to them is gone; nobody sees to that here."""


def names_of(kind: Kind) -> tuple[str, ...]:
    """One or two good names for a kind."""
    return NAMES.get(kind.kind, ("x-one", "x-two"))


def name_of(kind: Kind) -> str:
    """A good name for a kind."""
    return names_of(kind)[0]


def path(kind: Kind, name: str = "", subresource: str = "") -> str:
    """The path of an object or of all in the namespace `default`."""
    return kind.path("default", name, subresource)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.kind)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind."""
    found: Kind = request.param
    return found


async def test_an_object_lives_through_all_verbs(api: Api, kind: Kind) -> None:
    """Create, get, list, update, patch and delete do what they say, and each write is a later revision."""
    name = name_of(kind)
    made = await api.make(path(kind), body(kind, name))
    meta = made["metadata"]
    assert made["kind"] == kind.kind
    assert made["apiVersion"] == kind.api_version
    assert {"uid", "creationTimestamp", "resourceVersion"} <= meta.keys()
    got = await api("GET", path(kind, name))
    assert got.obj == made
    listed = await api("GET", path(kind))
    assert listed.obj["kind"] == f"{kind.kind}List"
    assert made in listed.obj["items"]
    everywhere = await api("GET", kind.path())
    assert made in everywhere.obj["items"]
    labelled = copy.deepcopy(made)
    labelled["metadata"]["labels"] = {**meta.get("labels", {}), "a": "1"}
    updated = await api("PUT", path(kind, name), labelled)
    assert updated.status == 200, updated.text
    assert updated.obj["metadata"]["labels"]["a"] == "1"
    patched = await api("PATCH", path(kind, name), {"metadata": {"labels": {"a": "2"}}}, media=MERGE)
    assert patched.obj["metadata"]["labels"]["a"] == "2"
    revisions = [int(obj["metadata"]["resourceVersion"]) for obj in (made, updated.obj, patched.obj)]
    assert revisions == sorted(set(revisions))
    deleted = await api("DELETE", path(kind, name))
    assert deleted.status == 200
    gone = await api("GET", path(kind, name))
    if kind.kind == "Namespace":
        assert gone.obj["status"]["phase"] == "Terminating"
    elif kind.kind in WAITS:
        assert gone.obj["metadata"]["deletionTimestamp"]
    else:
        assert (gone.status, gone.reason) == (404, "NotFound")


async def test_every_write_is_seen_by_a_watch(api: Api, kind: Kind) -> None:
    """A watch from the revision of a list tells ADDED, MODIFIED and DELETED, in revision order."""
    name = name_of(kind)
    since = (await api("GET", path(kind))).obj["metadata"]["resourceVersion"]
    await api.make(path(kind), body(kind, name))
    await api("PATCH", path(kind, name), {"metadata": {"labels": {"a": "2"}}}, media=MERGE)
    await api("DELETE", path(kind, name))
    events = await api.first_events(3, path(kind), resourceVersion=since)
    last = "MODIFIED" if kind.kind in WAITS else "DELETED"
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", last]
    assert all(event["object"]["metadata"]["name"] == name for event in events)
    revisions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert revisions == sorted(set(revisions))


async def test_a_change_of_nothing_takes_no_revision(api: Api, kind: Kind) -> None:
    """An update or patch that changes nothing answers with the stored object at its old revision."""
    name = name_of(kind)
    made = await api.make(path(kind), body(kind, name))
    before = api.store.revision
    assert (await api("PUT", path(kind, name), made)).obj == made
    assert (await api("PATCH", path(kind, name), {}, media=MERGE)).obj == made
    assert api.store.revision == before


async def test_a_dry_run_changes_nothing(api: Api, kind: Kind) -> None:
    """With dryRun=All every write answers as it would and leaves no trace."""
    name = name_of(kind)
    before = api.store.revision
    tried = await api("POST", path(kind), body(kind, name), dryRun="All")
    assert tried.status == 201
    assert tried.obj["metadata"]["name"] == name
    assert api.store.revision == before
    await api.make(path(kind), body(kind, name))
    before = api.store.revision
    change = {"metadata": {"labels": {"a": "1"}}}
    patched = await api("PATCH", path(kind, name), change, media=MERGE, dryRun="All")
    assert patched.obj["metadata"]["labels"]["a"] == "1"
    assert (await api("DELETE", path(kind, name), dryRun="All")).status == 200
    assert (await api("DELETE", path(kind, name), {"dryRun": ["All"]})).status == 200
    assert api.store.revision == before


async def test_a_stale_revision_is_a_conflict(api: Api, kind: Kind) -> None:
    """A PUT with an old resourceVersion answers 409 Conflict and changes nothing."""
    name = name_of(kind)
    made = await api.make(path(kind), body(kind, name))
    await api("PATCH", path(kind, name), {"metadata": {"labels": {"a": "1"}}}, media=MERGE)
    before = api.store.revision
    answer = await api("PUT", path(kind, name), made)
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert f'Operation cannot be fulfilled on {kind.stored.resource} "{name}"' in answer.message
    assert answer.obj["details"]["kind"] == kind.plural
    assert api.store.revision == before


async def test_the_same_name_twice_is_refused(api: Api, kind: Kind) -> None:
    """A second create of a name answers 409 AlreadyExists and changes nothing."""
    name = name_of(kind)
    await api.make(path(kind), body(kind, name))
    before = api.store.revision
    answer = await api("POST", path(kind), body(kind, name))
    assert (answer.status, answer.reason) == (409, "AlreadyExists")
    assert answer.message == f'{kind.stored.resource} "{name}" already exists'
    assert api.store.revision == before


async def test_what_is_not_there_is_not_found(api: Api, kind: Kind) -> None:
    """Every verb on a missing name answers 404 with the resource and the name."""
    name = name_of(kind)
    for method, content in (("GET", None), ("PUT", body(kind, name)), ("PATCH", {}), ("DELETE", None)):
        answer = await api(method, path(kind, name), content, media=MERGE if method == "PATCH" else "")
        assert (answer.status, answer.reason) == (404, "NotFound"), method
        assert answer.message == f'{kind.stored.resource} "{name}" not found'
        assert answer.obj["details"] == {
            key: value for key, value in (("name", name), ("group", kind.stored.group), ("kind", kind.plural)) if value
        }


async def test_tables_and_metadata_of_every_kind(api: Api, kind: Kind) -> None:
    """A Table has the kind's columns and one cell for each; PartialObjectMetadata has metadata alone."""
    name = name_of(kind)
    await api.make(path(kind), body(kind, name))
    for where in (path(kind), path(kind, name)):
        table = (await api("GET", where, accept=TABLE)).obj
        assert table["kind"] == "Table"
        names = [column["name"] for column in table["columnDefinitions"]]
        assert names == [column.name for column in kind.columns]
        row = next(row for row in table["rows"] if row["object"]["metadata"]["name"] == name)
        assert len(row["cells"]) == len(names)
        assert row["object"]["kind"] == "PartialObjectMetadata"
    partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    only = (await api("GET", path(kind, name), accept=partial)).obj
    assert set(only) == {"kind", "apiVersion", "metadata"}
    many = (await api("GET", path(kind), accept=partial.replace(";v=", "List;v="))).obj
    assert many["kind"] == "PartialObjectMetadataList"


async def test_status_is_written_by_itself(api: Api, kind: Kind) -> None:
    """Where there is a status, the object's own path never changes it and `/status` changes nothing else."""
    if not kind.subresource("status"):
        answer = await api("GET", path(kind, name_of(kind), "status"))
        assert answer.status == 404
        return
    name = name_of(kind)
    made = await api.make(path(kind), body(kind, name) | {"status": {"bogus": 1}})
    stored = copy.deepcopy(made.get("status"))
    tampered = copy.deepcopy(made) | {"status": {"conditions": []}}
    assert (await api("PUT", path(kind, name), tampered)).obj.get("status") == stored
    assert (await api("GET", path(kind, name, "status"))).obj == made
    spec = {"finalizers": ["x"]} if kind.kind == "Namespace" else {"bogus": True}
    answer = await api("PATCH", path(kind, name, "status"), {"spec": spec}, media=MERGE)
    assert answer.status in (200, 400), answer.text
    assert (await api("GET", path(kind, name))).obj.get("spec") == made.get("spec")


async def test_unknown_fields_under_strict(api: Api, kind: Kind) -> None:
    """Strict refuses an unknown field and stores nothing; Warn tells it, Ignore does not; both drop it."""
    name = name_of(kind)
    before = api.store.revision
    wrong = body(kind, name) | {"bogus": 1}
    answer = await api("POST", path(kind), wrong, fieldValidation="Strict")
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert 'strict decoding error: unknown field "bogus"' in answer.message
    assert api.store.revision == before
    warned = await api("POST", path(kind), wrong, dryRun="All")
    assert '299 - "unknown field \\"bogus\\""' in warned.warnings
    assert "bogus" not in warned.obj
    silent = await api("POST", path(kind), wrong, dryRun="All", fieldValidation="Ignore")
    assert not any("bogus" in line for line in silent.warnings)


async def test_deletecollection_takes_what_is_selected(api: Api, kind: Kind) -> None:
    """A collection is deleted by label; the rest stays. A kind without the verb answers 405."""
    if "deletecollection" not in kind.verbs:
        assert (await api("DELETE", path(kind))).status == 405
        return
    names = names_of(kind)
    for name in names:
        made = body(kind, name)
        made["metadata"]["labels"] = {"name": name.replace(".", "-")}
        await api.make(path(kind), made)
    answer = await api("DELETE", path(kind), labelSelector=f"name={names[0].replace('.', '-')}")
    assert answer.status == 200, answer.text
    items = (await api("GET", path(kind))).obj["items"]
    left = [item["metadata"]["name"] for item in items if "deletionTimestamp" not in item["metadata"]]
    assert names[0] not in left
    assert set(names[1:]) <= set(left)
