"""Bad input gets upstream's reason and field path, and changes nothing."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from apiserver.settings import Settings
from miniplane.config import Network
from tests.contract.api.conftest import JSON_PATCH, MERGE, STRATEGIC, Api, config_map, deployment, pod, service

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
SERVICES = "/api/v1/namespaces/default/services"


@pytest.fixture
async def unchanged(api: Api) -> AsyncIterator[None]:
    """Fails a test in which anything was stored."""
    before = api.store.revision
    yield
    assert api.store.revision == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("data", "media"),
    [
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'{"metadata": {"name": "a"}, }', "application/json"),
        (b"a: [", "application/yaml"),
        (b"a: 1\n---\nb: 2\n", "application/yaml"),
        (b"\xff\xfe", "application/json"),
        (b'{"metadata": []}', "application/json"),
        (b'{"kind": "Secret", "metadata": {"name": "a"}}', "application/json"),
        (b'{"apiVersion": "v2", "metadata": {"name": "a"}}', "application/json"),
        (b'{"kind": 5, "metadata": {"name": "a"}}', "application/json"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "application/json"),
    ],
)
async def test_a_body_that_is_no_object(api: Api, data: bytes, media: str) -> None:
    """Broken JSON or YAML, other values, other kinds and deep nesting answer 400 BadRequest."""
    answer = await api("POST", MAPS, data, media=media)
    assert (answer.status, answer.reason) == (400, "BadRequest")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        (MAPS, config_map() | {"data": {"k": 1}}, "json: cannot unmarshal number into Go struct field"),
        (MAPS, config_map() | {"data": []}, "json: cannot unmarshal array into Go struct field"),
        (PODS, pod() | {"spec": "x"}, "json: cannot unmarshal string into Go struct field"),
        (PODS, pod(labels={"a": 1}), "json: cannot unmarshal number into Go struct field"),
        (SERVICES, service(ports=[{"port": "80"}]), "json: cannot unmarshal string into Go struct field"),
    ],
)
async def test_wrong_types(api: Api, path: str, body: Any, text: str) -> None:
    """A value of the wrong type answers 400 in the words of upstream's decoder."""
    answer = await api("POST", path, body)
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert text in answer.message


@pytest.mark.usefixtures("unchanged")
async def test_duplicate_keys(api: Api) -> None:
    """Under Strict a key given twice answers 400 with its path; under Warn the last counts, with a warning."""
    data = b'{"metadata": {"name": "a"}, "data": {"k": "1", "k": "2"}}'
    answer = await api("POST", MAPS, data, fieldValidation="Strict")
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert 'duplicate field "data.k"' in answer.message
    warned = await api("POST", MAPS, data, dryRun="All")
    assert warned.obj["data"] == {"k": "2"}
    assert warned.warnings == ['299 - "duplicate field \\"data.k\\""']


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        (PODS, pod("Not_A_Name"), ["metadata.name"]),
        (PODS, pod("a", labels={"-": "x"}), ["metadata.labels"]),
        (PODS, {"metadata": {"name": "a"}}, ["spec.containers"]),
        (MAPS, {"metadata": {}}, ["metadata.name"]),
        (SERVICES, service(ports=[{"port": 0}]), ["spec.ports[0].port"]),
        (SERVICES, service(ports=[{"port": 70000}]), ["spec.ports[0].port"]),
        (SERVICES, service(type="NodePort", ports=[{"port": 80, "nodePort": 80}]), ["spec.ports[0].nodePort"]),
        (SERVICES, service(clusterIP="10.1.2.3"), ["spec.clusterIPs"]),
        (SERVICES, service(type="Bogus"), ["spec.type"]),
        (
            "/apis/networking.k8s.io/v1/servicecidrs",
            {"metadata": {"name": "x"}, "spec": {"cidrs": ["10.1.0.0/24", "10.1.0.0/25"]}},
            ["spec.cidrs"],
        ),
    ],
)
async def test_broken_rules(api: Api, path: str, body: Any, fields: list[str]) -> None:
    """An object that breaks rules answers 422 Invalid with a cause for each field; details name the Kind."""
    answer = await api("POST", path, body)
    assert (answer.status, answer.reason) == (422, "Invalid"), answer.text
    assert set(fields) <= {field.partition("[")[0] if "cidrs" in field else field for field in answer.fields}
    assert answer.obj["details"]["kind"] in {"Pod", "ConfigMap", "Service", "ServiceCIDR"}


async def test_an_update_that_breaks_rules_changes_nothing(api: Api) -> None:
    """PUT and every PATCH with a bad result answer 422 and leave the object as it was."""
    made = await api.make("/apis/apps/v1/namespaces/default/deployments", deployment())
    path = "/apis/apps/v1/namespaces/default/deployments/web"
    before = api.store.revision
    wrong = {"spec": {"replicas": -1}}
    for media, body in (
        (MERGE, wrong),
        (STRATEGIC, wrong),
        (JSON_PATCH, [{"op": "replace", "path": "/spec/replicas", "value": -1}]),
    ):
        answer = await api("PATCH", path, body, media=media)
        assert (answer.status, answer.fields) == (422, ["spec.replicas"]), media
    answer = await api("PUT", path, made | {"spec": {**made["spec"], "replicas": -1}})
    assert answer.status == 422
    assert api.store.revision == before


async def test_bad_patches(api: Api) -> None:
    """A patch that can't be read is 400, one that does not apply 422, one of an unknown form 415."""
    await api.make(MAPS, config_map())
    path, before = f"{MAPS}/a", api.store.revision
    test = [{"op": "test", "path": "/data/k", "value": "other"}]
    assert (await api("PATCH", path, test, media=JSON_PATCH)).status == 422
    assert (await api("PATCH", path, b"{", media=MERGE)).status == 400
    assert (await api("PATCH", path, {"not": "a list"}, media=JSON_PATCH)).status == 400
    assert (await api("PATCH", path, {}, media="application/json")).status == 415
    apply = await api("PATCH", path, {}, media="application/apply-patch+yaml", fieldManager="x")
    assert apply.status == 400
    assert "apiVersion must be set" in apply.message
    assert (await api("PATCH", path, {"data": {"k": 1}}, media=MERGE)).status == 400
    strict = await api("PATCH", path, {"bogus": 1}, media=MERGE, fieldValidation="Strict")
    assert strict.status == 400
    assert api.store.revision == before


@pytest.mark.usefixtures("unchanged")
async def test_names_and_namespaces_must_match_the_path(api: Api) -> None:
    """A body of another namespace is 400, a missing namespace is 404, a revision on create is 400."""
    other = await api("POST", MAPS, config_map(namespace="kube-system"))
    assert (other.status, other.reason) == (400, "BadRequest")
    missing = await api("POST", "/api/v1/namespaces/nowhere/configmaps", config_map())
    assert (missing.status, missing.message) == (404, 'namespaces "nowhere" not found')
    versioned = await api("POST", MAPS, config_map(resourceVersion="5"))
    assert versioned.message == "resourceVersion should not be set on objects to be created"


async def test_another_uid_or_name_is_refused_on_update(api: Api) -> None:
    """PUT with another uid is a Conflict, with another name a BadRequest."""
    made = await api.make(MAPS, config_map())
    meta = made["metadata"]
    uid = await api("PUT", f"{MAPS}/a", made | {"metadata": {**meta, "uid": "other"}})
    assert (uid.status, uid.reason) == (409, "Conflict")
    name = await api("PUT", f"{MAPS}/a", made | {"metadata": {**meta, "name": "b"}})
    assert name.message == "the name of the object (b) does not match the name on the URL (a)"


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"labelSelector": "a in"}, 400),
        ({"labelSelector": "=="}, 400),
        ({"fieldSelector": "spec.bogus=1"}, 400),
        ({"limit": "x"}, 400),
        ({"continue": "x"}, 400),
        ({"resourceVersion": "x"}, 400),
        ({"resourceVersionMatch": "Exact"}, 422),
        ({"resourceVersionMatch": "Bogus", "resourceVersion": "1"}, 422),
        ({"resourceVersionMatch": "Exact", "resourceVersion": "0"}, 422),
        ({"sendInitialEvents": "true"}, 422),
        ({"watch": "true", "sendInitialEvents": "true"}, 422),
        ({"watch": "true", "resourceVersionMatch": "NotOlderThan"}, 422),
    ],
)
async def test_bad_list_options(api: Api, query: dict[str, str], status: int) -> None:
    """Selectors and options that make no sense are refused before anything is listed."""
    answer = await api("GET", PODS, **query)
    assert answer.status == status, answer.text
    assert answer.obj["kind"] == "Status"


@pytest.mark.usefixtures("unchanged")
async def test_paths_methods_and_forms_that_are_not_there(api: Api) -> None:
    """Unknown paths are 404, methods 405, body forms 415, answer forms 406: each a Status."""
    for path in ("/api/v1/bogus", "/apis/bogus/v1/pods", "/bogus", "/api/v2", "/apis/apps/v1/pods", f"{PODS}/a/bogus"):
        answer = await api("GET", path)
        assert (answer.status, answer.reason) == (404, "NotFound"), path
    assert (await api("POST", f"{PODS}/a", pod())).status == 405
    assert (await api("PUT", PODS, pod())).status == 405
    assert (await api("POST", "/api/v1/pods", pod())).status == 405
    assert (await api("POST", MAPS, b"x", media="text/plain")).status == 415
    refused = await api("GET", PODS, accept="application/vnd.kubernetes.protobuf")
    assert (refused.status, refused.reason) == (406, "NotAcceptable")


@pytest.mark.usefixtures("unchanged")
async def test_a_body_that_is_too_large(api: Api, settings: Settings) -> None:
    """A body above the limit answers 413 RequestEntityTooLarge."""
    body = config_map() | {"data": {"k": "x" * settings.max_body_bytes}}
    answer = await api("POST", MAPS, body)
    assert (answer.status, answer.reason) == (413, "RequestEntityTooLarge")


class TestSmallRanges:
    """A cluster whose ranges are nearly empty."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Four addresses for Services beside `kubernetes`, two node ports."""
        return replace(settings, network=Network(service_cidrs=("10.96.0.0/29",), node_ports=(30000, 30001)))

    async def test_exhausted_ranges(self, api: Api) -> None:
        """When no address or port is left the create fails with InternalError and frees nothing that it took."""
        for number in range(5):
            await api.make(SERVICES, service(f"s{number}"))
        before = api.store.revision
        answer = await api("POST", SERVICES, service("late"))
        assert (answer.status, answer.reason) == (500, "InternalError")
        assert "failed to allocate a serviceIP: range is full" in answer.message
        assert api.store.revision == before
        await api("DELETE", f"{SERVICES}/s0")
        await api("DELETE", f"{SERVICES}/s1")
        two = [{"name": "a", "port": 1}, {"name": "b", "port": 2}]
        await api.make(SERVICES, service("late", type="NodePort", ports=two))
        before = api.store.revision
        answer = await api("POST", SERVICES, service("later", type="NodePort"))
        assert answer.status == 500
        assert "failed to allocate a nodePort: range is full" in answer.message
        assert api.store.revision == before
