"""CustomResourceDefinitions and the kinds that they bring, over HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contract.api.conftest import MERGE, STRATEGIC, TABLE, Api

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAME = "crontabs.example.com"
PATH = "/apis/example.com/v1/namespaces/default/crontabs"
SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["cron"],
    "x-kubernetes-validations": [
        {"rule": "self.replicas <= self.limit", "message": "too many"},
        {"rule": "!has(oldSelf.color) || self.color == oldSelf.color", "fieldPath": ".color"},
    ],
    "properties": {
        "cron": {"type": "string", "pattern": "^[*0-9 ]+$", "maxLength": 20},
        "replicas": {"type": "integer", "minimum": 1, "default": 1},
        "limit": {"type": "integer", "default": 5},
        "color": {"type": "string", "enum": ["red", "green"]},
        "port": {"x-kubernetes-int-or-string": True},
        "raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
    },
}
STATUS = {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}}


def version(name: str = "v1", *, storage: bool = True, **more: Any) -> dict[str, Any]:
    """A version of the CRD."""
    schema = {"type": "object", "properties": {"spec": SPEC, "status": STATUS}}
    scale = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, "scale": scale},
        "selectableFields": [{"jsonPath": ".spec.color"}],
        "additionalPrinterColumns": [{"name": "Cron", "type": "string", "jsonPath": ".spec.cron"}],
        **more,
    }


def definition(*versions: dict[str, Any], group: str = "example.com", **names: Any) -> dict[str, Any]:
    """A good CRD."""
    given = {"plural": "crontabs", "kind": "CronTab", "shortNames": ["ct"], **names}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{given['plural']}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": given, "versions": list(versions) or [version()]},
    }


def crontab(name: str = "a", **spec: Any) -> dict[str, Any]:
    """A good object."""
    return {
        "apiVersion": "example.com/v1",
        "kind": "CronTab",
        "metadata": {"name": name},
        "spec": {"cron": "* * *", **spec},
    }


async def condition(api: Api, name: str, word: str) -> Any:
    """A condition of a CRD, once it is there."""
    async with asyncio.timeout(5):
        while True:
            revision = api.store.revision
            crd = (await api("GET", f"{CRDS}/{name}")).obj
            for item in (crd.get("status") or {}).get("conditions") or ():
                if item["type"] == word:
                    return item
            await api.store.wait_for(revision + 1)


async def gone(api: Api, path: str) -> None:
    """Wait until there is nothing at a path."""
    async with asyncio.timeout(5):
        while True:
            revision = api.store.revision
            if (await api("GET", path)).status == 404:
                return
            await api.store.wait_for(revision + 1)


@pytest.fixture
async def running(api: Api) -> AsyncIterator[Api]:
    """A server that follows its definitions."""
    task = asyncio.create_task(api.app.definitions.run())
    yield api
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def crons(running: Api) -> Api:
    """The same with the kind CronTab."""
    await running.make(CRDS, definition())
    assert (await condition(running, NAME, "Established"))["status"] == "True"
    return running


async def test_served_at_once(crons: Api) -> None:
    """The kind is in discovery and OpenAPI, whose ETag and hash have changed, and objects can be made."""
    listed = (await crons("GET", "/apis/example.com/v1")).obj["resources"]
    assert [item["name"] for item in listed] == ["crontabs", "crontabs/status", "crontabs/scale"]
    assert "example.com" in (await crons("GET", "/apis")).text
    index = (await crons("GET", "/openapi/v3")).obj["paths"]
    document = (await crons("GET", index["apis/example.com/v1"]["serverRelativeURL"])).obj
    schema = document["components"]["schemas"]["com.example.v1.CronTab"]
    assert schema["properties"]["spec"]["properties"]["color"]["enum"] == ["red", "green"]
    assert "$ref" in str(schema["properties"]["metadata"])
    patch = document["paths"]["/apis/example.com/v1/namespaces/{namespace}/crontabs/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]
    made = await crons.make(PATH, crontab())
    assert made["spec"] == {"cron": "* * *", "replicas": 1, "limit": 5}
    assert made["metadata"]["generation"] == 1


async def test_discovery_changes(running: Api) -> None:
    """Documents that clients keep are told to have changed, the others are not."""
    before = await running("GET", "/apis")
    core = (await running("GET", "/openapi/v3")).obj["paths"]["api/v1"]
    await running.make(CRDS, definition())
    await condition(running, NAME, "Established")
    after = await running("GET", "/apis")
    assert before.headers["ETag"] != after.headers["ETag"]
    assert (await running("GET", "/openapi/v3")).obj["paths"]["api/v1"] == core


async def test_validation(crons: Api) -> None:
    """What breaks the schema is told field by field, in upstream's words."""
    bad = crontab(cron="no", replicas="2", color="blue", tags=["a", "a"])
    answer = await crons("POST", PATH, bad)
    assert (answer.status, answer.reason) == (422, "Invalid")
    causes = {cause["field"]: cause["message"] for cause in answer.obj["details"]["causes"]}
    assert causes["spec.cron"] == "Invalid value: \"no\": spec.cron in body should match '^[*0-9 ]+$'"
    text = 'Invalid value: "string": spec.replicas in body must be of type integer: "string"'
    assert causes["spec.replicas"] == text
    assert causes["spec.color"] == 'Unsupported value: "blue": supported values: "red", "green"'
    assert causes["spec.tags[1]"] == 'Duplicate value: "a"'
    assert "some validation rules were not checked" in causes["<nil>"]
    answer = await crons("POST", PATH, {**crontab(), "spec": {}})
    assert answer.fields == ["spec.cron", "<nil>"]


async def test_rules(crons: Api) -> None:
    """Validation rules hold on create, and those on change on update alone."""
    answer = await crons("POST", PATH, crontab(replicas=9))
    assert answer.message == 'CronTab.example.com "a" is invalid: spec: Invalid value: "object": too many'
    await crons.make(PATH, crontab(color="red"))
    answer = await crons("PATCH", f"{PATH}/a", {"spec": {"color": "green"}}, media=MERGE)
    assert answer.fields == ["spec.color"]
    assert "failed rule: !has(oldSelf.color)" in answer.message


async def test_unknown_fields(crons: Api) -> None:
    """Fields that the schema does not have are dropped with a warning, or refused where the client is strict."""
    body = crontab(colour="red", raw={"any": {"thing": 1}})
    answer = await crons("POST", PATH, body)
    assert answer.obj["spec"] == {"cron": "* * *", "raw": {"any": {"thing": 1}}, "replicas": 1, "limit": 5}
    assert answer.warnings == ['299 - "unknown field \\"spec.colour\\""']
    answer = await crons("POST", PATH, body, fieldValidation="Strict")
    assert answer.status == 400
    assert 'strict decoding error: unknown field "spec.colour"' in answer.message


async def test_subresources(crons: Api) -> None:
    """Status and scale stand apart, and generation counts changes of the spec."""
    made = await crons.make(PATH, {**crontab(), "status": {"replicas": 7}})
    assert "status" not in made
    status = {"status": {"replicas": 2, "selector": "app=a"}, "spec": {"cron": "1"}}
    patched = (await crons("PATCH", f"{PATH}/a/status", status, media=MERGE)).obj
    assert (patched["spec"]["cron"], patched["status"]["replicas"]) == ("* * *", 2)
    scale = (await crons("GET", f"{PATH}/a/scale")).obj
    assert (scale["spec"], scale["status"]) == ({"replicas": 1}, {"replicas": 2, "selector": "app=a"})
    await crons("PATCH", f"{PATH}/a/scale", {"spec": {"replicas": 3}}, media=MERGE)
    scaled = (await crons("GET", f"{PATH}/a")).obj
    assert (scaled["spec"]["replicas"], scaled["metadata"]["generation"]) == (3, 2)


async def test_reads(crons: Api) -> None:
    """Tables have the columns of the definition, and fields are selectable that it names."""
    await crons.make(PATH, crontab("a", color="red"))
    await crons.make(PATH, crontab("b", color="green"))
    table = (await crons("GET", PATH, accept=TABLE)).obj
    assert [item["name"] for item in table["columnDefinitions"]] == ["Name", "Cron"]
    assert [row["cells"] for row in table["rows"]] == [["a", "* * *"], ["b", "* * *"]]
    chosen = (await crons("GET", PATH, fieldSelector="spec.color=red")).obj["items"]
    assert [item["metadata"]["name"] for item in chosen] == ["a"]
    assert (await crons("GET", PATH, fieldSelector="spec.cron=a")).status == 400


async def test_strategic_merge_is_refused(crons: Api) -> None:
    """Custom kinds have no strategic merge."""
    await crons.make(PATH, crontab())
    assert (await crons("PATCH", f"{PATH}/a", {}, media=STRATEGIC)).status == 415


async def test_versions(running: Api) -> None:
    """An object is there in every served version, as that version has it; watches see it, too."""
    beta = version("v1beta1", storage=False)
    beta["schema"] = {
        "openAPIV3Schema": {
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "properties": {"cron": {"type": "string"}, "old": {"type": "string", "default": "x"}},
                }
            },
        }
    }
    beta["selectableFields"] = []
    await running.make(CRDS, definition(version(), beta))
    await condition(running, NAME, "Established")
    other = PATH.replace("/v1/", "/v1beta1/")
    await running.make(PATH, crontab("a", color="red"))
    seen = (await running("GET", f"{other}/a")).obj
    assert (seen["apiVersion"], seen["spec"]) == ("example.com/v1beta1", {"cron": "* * *", "old": "x"})
    made = await running.make(other, {**crontab("b"), "apiVersion": "example.com/v1beta1"})
    assert made["apiVersion"] == "example.com/v1beta1"
    listed = (await running("GET", PATH)).obj["items"]
    assert [(item["metadata"]["name"], item["apiVersion"]) for item in listed] == [
        ("a", "example.com/v1"),
        ("b", "example.com/v1"),
    ]
    events = await running.watch(other)
    assert [event["object"]["apiVersion"] for event in events] == ["example.com/v1beta1"] * 2
    groups = (await running("GET", "/apis/example.com")).obj
    assert [item["version"] for item in groups["versions"]] == ["v1", "v1beta1"]


async def test_a_new_default_is_read(crons: Api) -> None:
    """A default that the schema gets later shows on what was stored before."""
    await crons.make(PATH, crontab())
    crd = (await crons("GET", f"{CRDS}/{NAME}")).obj
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    spec["zone"] = {"type": "string", "default": "utc"}
    assert (await crons("PUT", f"{CRDS}/{NAME}", crd)).status == 200
    await crons.app.definitions.sync()
    assert (await crons("GET", f"{PATH}/a")).obj["spec"]["zone"] == "utc"


async def test_conflicting_names(crons: Api) -> None:
    """A name that another definition of the group has is not accepted, until that one is gone."""
    second = definition(plural="others", kind="CronTab")
    await crons.make(CRDS, second)
    item = await condition(crons, "others.example.com", "NamesAccepted")
    assert (item["status"], item["reason"]) == ("False", "MultipleConflicts")
    assert (await condition(crons, "others.example.com", "Established"))["status"] == "False"
    assert (await crons("GET", "/apis/example.com/v1/others")).status == 404


async def test_deletion_takes_the_objects(crons: Api) -> None:
    """A definition goes after its objects; meanwhile no new one can be made."""
    await crons.make(PATH, crontab("a"))
    held = crontab("b")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await crons.make(PATH, held)
    await crons("DELETE", f"{CRDS}/{NAME}")
    assert (await condition(crons, NAME, "Terminating"))["status"] == "True"
    await gone(crons, f"{PATH}/a")
    assert (await crons("POST", PATH, crontab("c"))).status == 405
    await crons("PATCH", f"{PATH}/b", {"metadata": {"finalizers": None}}, media=MERGE)
    await gone(crons, f"{CRDS}/{NAME}")
    assert (await crons("GET", PATH)).status == 404


async def test_a_built_in_kind(running: Api) -> None:
    """A definition of a kind that is built in is established and changes nothing."""
    crd = definition(group="policy.networking.k8s.io", plural="clusternetworkpolicies", kind="ClusterNetworkPolicy")
    crd["metadata"]["annotations"] = {"api-approved.kubernetes.io": "https://example.com"}
    del crd["spec"]["names"]["shortNames"]
    await running.make(CRDS, crd)
    name = crd["metadata"]["name"]
    assert (await condition(running, name, "Established"))["status"] == "True"
    await running("DELETE", f"{CRDS}/{name}")
    await gone(running, f"{CRDS}/{name}")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"properties": {"a": {}}}, "properties[a].type"),
        ({"properties": {"a": {"type": "array"}}}, "properties[a].items"),
        ({"properties": {"a": {"type": "string", "pattern": "("}}}, "properties[a].pattern"),
        ({"properties": {"a": {"type": "integer", "default": "x"}}}, "properties[a].default"),
        ({"properties": {"a": {"$ref": "#/x", "type": "object"}}}, "properties[a].$ref"),
        ({"x-kubernetes-validations": [{"rule": "self +"}]}, "x-kubernetes-validations[0].rule"),
        ({"anyOf": [{"type": "object"}]}, "anyOf[0].type"),
        ({"additionalProperties": {"type": "array", "items": {"type": 5}}}, ""),
    ],
)
async def test_bad_schemas(running: Api, change: dict[str, Any], field: str) -> None:
    """A schema that is not structural is refused with the place."""
    schema = {"type": "object", **change}
    crd = definition(version(schema={"openAPIV3Schema": schema}, selectableFields=[]))
    answer = await running("POST", CRDS, crd)
    if not field:
        assert answer.status == 400
        return
    assert answer.status == 422, answer.text
    assert f"spec.versions[0].schema.openAPIV3Schema.{field}" in answer.fields


async def test_webhook_conversion_is_refused(running: Api) -> None:
    """What this server does not do it says."""
    crd = definition()
    crd["spec"]["conversion"] = {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}}
    answer = await running("POST", CRDS, crd)
    assert answer.fields == ["spec.conversion.strategy"]


async def test_server_side_apply(crons: Api) -> None:
    """Apply merges by the schema's list types: a set belongs to several managers, one item each."""
    media = "application/apply-patch+yaml"
    made = await crons("PATCH", f"{PATH}/a", crontab(tags=["x"]), media=media, fieldManager="one")
    assert made.status == 201, made.text
    more = {**crontab(tags=["y"])}
    del more["spec"]["cron"]
    merged = await crons("PATCH", f"{PATH}/a", more, media=media, fieldManager="two")
    assert (merged.status, merged.obj["spec"]["tags"]) == (200, ["x", "y"]), merged.text
    other = await crons("PATCH", f"{PATH}/a", crontab(cron="1 1"), media=media, fieldManager="two")
    assert (other.status, other.fields) == (409, [".spec.cron"])
