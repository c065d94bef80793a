"""Server-side apply and managed fields: who owns what, who is refused, what goes."""

from collections.abc import Sequence
from typing import Any

import pytest

from apiserver.store import StoreUnavailable, Write
from miniplane.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING
from tests.contract.api.conftest import MERGE, Answer, Api, config_map, deployment, pod, service
from tests.contract.api.test_rbac import binding, role

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


async def apply(api: Api, path: str, body: Any, manager: str = "x", **query: Any) -> Answer:
    """Apply `body`."""
    return await api("PATCH", path, body, media="application/apply-patch+yaml", fieldManager=manager, **query)


def owners(obj: Any) -> dict[tuple[str, str, str], Any]:
    """The sets of an object by manager, operation and subresource."""
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", [])
    }


async def test_applying_creates_and_again_changes_nothing(api: Api) -> None:
    """The first apply creates (201) and owns what it names, not the defaults; the same again takes no revision."""
    first = await apply(api, f"{SERVICES}/web", service())
    assert first.status == 201
    port: dict[str, Any] = {".": {}, "f:port": {}, "f:targetPort": {}}
    spec = {"f:selector": {}, "f:ports": {'k:{"port":80,"protocol":"TCP"}': port}}
    assert owners(first.obj) == {("x", "Apply", ""): {"f:spec": spec}}
    before = api.store.revision
    again = await apply(api, f"{SERVICES}/web", service())
    assert (again.status, again.obj) == (200, first.obj)
    assert api.store.revision == before


async def test_a_conflict_names_the_manager(api: Api) -> None:
    """Another value for a field that others own is 409 in upstream's words, one cause per field."""
    await apply(api, f"{DEPLOYMENTS}/web", deployment(replicas=2))
    refused = await apply(api, f"{DEPLOYMENTS}/web", deployment(replicas=3), "y")
    assert (refused.status, refused.reason) == (409, "Conflict")
    assert refused.message == 'Apply failed with 1 conflict: conflict with "x": .spec.replicas'
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "x"', "field": ".spec.replicas"}
    assert refused.obj["details"]["causes"] == [cause]
    await api("PATCH", f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 4}}, media=MERGE, fieldManager="scaler")
    refused = await apply(api, f"{DEPLOYMENTS}/web", deployment(replicas=3), "y")
    text = 'conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas'
    assert refused.message == f"Apply failed with 1 conflict: {text}"


async def test_several_conflicts_are_listed_by_manager(api: Api) -> None:
    """Conflicts with several fields are counted and grouped under their managers."""
    await apply(api, f"{MAPS}/a", config_map() | {"data": {"k": "1", "l": "1"}}, "x")
    refused = await apply(api, f"{MAPS}/a", config_map() | {"data": {"k": "2", "l": "2"}}, "y")
    assert refused.message == 'Apply failed with 2 conflicts: conflicts with "x":\n- .data.k\n- .data.l'


async def test_force_takes_the_field(api: Api) -> None:
    """With force the value is set and the field belongs to the applier alone."""
    await apply(api, f"{MAPS}/a", config_map() | {"data": {"k": "1", "l": "1"}}, "x")
    taken = await apply(api, f"{MAPS}/a", config_map() | {"data": {"k": "2"}}, "y", force="true")
    assert taken.obj["data"] == {"k": "2", "l": "1"}
    assert owners(taken.obj)["x", "Apply", ""] == {"f:data": {"f:l": {}}}
    assert owners(taken.obj)["y", "Apply", ""] == {"f:data": {"f:k": {}}}


async def test_an_abandoned_field_goes_unless_another_owns_it(api: Api) -> None:
    """What a manager applies no more is removed, or kept for a co-owner; a default takes an empty place."""
    await apply(api, f"{MAPS}/a", config_map() | {"data": {"k": "1", "l": "1"}}, "x")
    await apply(api, f"{MAPS}/a", config_map() | {"data": {"k": "1"}}, "y")
    left = await apply(api, f"{MAPS}/a", config_map() | {"data": {}}, "x")
    assert left.obj["data"] == {"k": "1"}
    await apply(api, f"{DEPLOYMENTS}/web", deployment(replicas=5))
    without = deployment()
    del without["spec"]["replicas"]
    assert (await apply(api, f"{DEPLOYMENTS}/web", without)).obj["spec"]["replicas"] == 1


async def test_list_items_merge_by_key(api: Api) -> None:
    """Two managers own a container each; the one that stops takes only its own away."""
    await apply(api, f"{DEPLOYMENTS}/web", deployment())
    second = deployment()
    second["spec"]["template"]["spec"]["containers"] = [{"name": "side", "image": "busybox"}]
    both = await apply(api, f"{DEPLOYMENTS}/web", second, "y")
    assert [c["name"] for c in both.obj["spec"]["template"]["spec"]["containers"]] == ["web", "side"]
    del second["spec"]["template"]["spec"]
    one = await apply(api, f"{DEPLOYMENTS}/web", second, "y")
    assert [c["name"] for c in one.obj["spec"]["template"]["spec"]["containers"]] == ["web"]


async def test_updates_own_what_they_change(api: Api) -> None:
    """Creates and updates are noted under the fieldManager or the client's program; status by itself."""
    made = await api("POST", PODS, pod(), fieldManager="maker")
    assert owners(made.obj).keys() == {("maker", "Update", "")}
    assert "f:containers" in owners(made.obj)["maker", "Update", ""]["f:spec"]
    labelled = await api("PATCH", f"{PODS}/web", {"metadata": {"labels": {"a": "1"}}}, media=MERGE)
    expected: dict[str, Any] = {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}
    assert owners(labelled.obj)["Python", "Update", ""] == expected
    status = {"status": {"message": "m"}}
    told = await api("PATCH", f"{PODS}/web/status", status, media=MERGE, fieldManager="kubelet")
    assert owners(told.obj)["kubelet", "Update", "status"] == {"f:status": {"f:message": {}}}
    taken = await api("PATCH", f"{PODS}/web/status", {"status": {"message": None}}, media=MERGE, fieldManager="y")
    assert ("kubelet", "Update", "status") not in owners(taken.obj)


async def test_old_updaters_are_joined(api: Api) -> None:
    """More than ten updating managers leave ten entries, the oldest of them as `ancient-changes`."""
    await api.make(MAPS, config_map())
    for number in range(14):
        body = {"data": {f"n{number}": ""}}
        await api("PATCH", f"{MAPS}/a", body, media=MERGE, fieldManager=f"m{number:02}")
    found = owners((await api("GET", f"{MAPS}/a")).obj)
    assert len(found) == 10
    ancient = found["ancient-changes", "Update", ""]["f:data"]
    assert {"f:n0", "f:n1"} <= ancient.keys()


async def test_clearing_and_first_apply(api: Api) -> None:
    """`[{}]` clears managedFields, an empty list does not; what stood before then has `before-first-apply` as owner."""
    await api.make(MAPS, config_map())
    kept = await api("PATCH", f"{MAPS}/a", {"metadata": {"managedFields": []}}, media=MERGE)
    assert owners(kept.obj)
    cleared = await api("PATCH", f"{MAPS}/a", {"metadata": {"managedFields": [{}]}}, media=MERGE)
    assert not owners(cleared.obj)
    assert not owners((await api("PATCH", f"{MAPS}/a", {"data": {"z": "1"}}, media=MERGE)).obj)
    refused = await apply(api, f"{MAPS}/a", config_map() | {"data": {"k": "other"}})
    assert refused.message == ('Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.k')


async def test_what_apply_refuses(api: Api) -> None:
    """No manager, managedFields in the body, force elsewhere, doubles, unknown fields, another object: precise 4xx."""
    path, media = f"{MAPS}/a", "application/apply-patch+yaml"
    nobody = await api("PATCH", path, config_map(), media=media)
    assert nobody.status == 422
    assert "fieldManager: Required value: is required for apply patch" in nobody.message
    owned = await apply(api, path, config_map(managedFields=[]))
    assert (owned.status, owned.message) == (400, "metadata.managedFields must be nil")
    assert (await apply(api, path, config_map(uid="u"))).status == 409
    assert (await apply(api, path, config_map("b"))).status == 400
    assert (await apply(api, path, b"{a: [")).status == 400
    assert (await apply(api, path, config_map(), fieldValidation="Bad")).status in (400, 422)
    unknown = await apply(api, path, config_map() | {"foo": 1}, fieldValidation="Strict")
    assert (unknown.status, 'unknown field "foo"' in unknown.message) == (400, True)
    twice = deployment()
    twice["spec"]["template"]["spec"]["containers"] *= 2
    double = await apply(api, f"{DEPLOYMENTS}/web", twice)
    assert (double.status, "duplicate entries for key" in double.message) == (400, True)
    made = await api.make(MAPS, config_map())
    forced = await api("PATCH", path, {}, media=MERGE, force="true")
    assert (forced.status, "may not be specified for non-apply patch" in forced.message) == (422, True)
    await api("PATCH", path, {"data": {"z": "1"}}, media=MERGE)
    stale = await apply(api, path, config_map(resourceVersion=made["metadata"]["resourceVersion"]))
    assert stale.status == 409
    assert (await apply(api, path, config_map(uid="other"))).status == 409
    assert (
        await apply(api, f"{DEPLOYMENTS}/none/status", {"apiVersion": "apps/v1", "kind": "Deployment"})
    ).status == 404


async def test_a_dry_run_of_apply_leaves_no_trace(api: Api) -> None:
    """With dryRun=All neither creation nor change by apply is stored."""
    before = api.store.revision
    assert (await apply(api, f"{SERVICES}/web", service(), dryRun="All")).status == 201
    await apply(api, f"{SERVICES}/web", service())
    after = api.store.revision
    assert after > before
    tried = await apply(api, f"{SERVICES}/web", service(selector={"a": "1"}), dryRun="All")
    assert tried.obj["spec"]["selector"] == {"a": "1"}
    assert api.store.revision == after


async def test_apply_on_subresources(api: Api) -> None:
    """`/status` and `/scale` take applies, and note the subresource."""
    await apply(api, f"{DEPLOYMENTS}/web", deployment(), "x")
    status = {"apiVersion": "apps/v1", "kind": "Deployment", "status": {"replicas": 1}}
    told = await apply(api, f"{DEPLOYMENTS}/web/status", status, "c")
    assert owners(told.obj)["c", "Apply", "status"] == {"f:status": {"f:replicas": {}}}
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 4}}
    assert (await apply(api, f"{DEPLOYMENTS}/web/scale", scale, "s")).status == 409
    scaled = await apply(api, f"{DEPLOYMENTS}/web/scale", scale, "s", force="true")
    assert scaled.obj["spec"]["replicas"] == 4
    found = owners((await api("GET", f"{DEPLOYMENTS}/web")).obj)
    assert found["s", "Apply", "scale"] == {"f:spec": {"f:replicas": {}}}


async def test_kubectl_takes_over_from_its_annotation(api: Api) -> None:
    """Manager `kubectl` may change what its last-applied annotation says it applied; the annotation follows."""
    name = "kubectl.kubernetes.io/last-applied-configuration"
    text = '{"apiVersion":"v1","data":{"k":"v"},"kind":"ConfigMap","metadata":{"name":"a"}}'
    await api.make(MAPS, config_map(annotations={name: text}))
    wanted = config_map() | {"data": {"k": "new"}}
    assert (await apply(api, f"{MAPS}/a", wanted, "other")).status == 409
    taken = await apply(api, f"{MAPS}/a", wanted, "kubectl")
    assert taken.obj["data"] == {"k": "new"}
    assert '"k":"new"' in taken.obj["metadata"]["annotations"][name]


async def test_creating_by_apply_needs_the_right_to_create(api: Api) -> None:
    """Who may patch and not create may apply to what is there only."""
    rule = {"verbs": ["patch"], "apiGroups": [""], "resources": ["configmaps"]}
    await api.make(CLUSTER_ROLE.path(), role("r", rule))
    await api.make(CLUSTER_ROLE_BINDING.path(), binding("b", "ClusterRole", "r", "ann"))
    refused = await apply(api, f"{MAPS}/a", config_map(), user="ann")
    assert (refused.status, 'cannot create resource "configmaps"' in refused.message) == (403, True)
    await api.make(MAPS, config_map())
    assert (await apply(api, f"{MAPS}/a", config_map(), user="ann")).status == 200


async def test_a_store_that_can_not_write_is_unavailable(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that the disk refuses is 503 ServiceUnavailable, which clients try again."""

    async def refuse(_writes: Sequence[Write]) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(api.store, "commit", refuse)
        answer = await api("POST", MAPS, config_map())
    assert (answer.status, answer.reason) == (503, "ServiceUnavailable")
