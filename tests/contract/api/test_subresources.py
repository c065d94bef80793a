"""Scale, binding and eviction."""

from typing import Any

from tests.contract.api.conftest import JSON_PATCH, MERGE, STRATEGIC, Api, deployment, pod

PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SCALE = f"{DEPLOYMENTS}/web/scale"


async def replicas(api: Api) -> int:
    """What the Deployment asks for."""
    return int((await api("GET", f"{DEPLOYMENTS}/web")).obj["spec"]["replicas"])


async def test_scale_reads_and_writes_replicas(api: Api) -> None:
    """GET shows a Scale; PUT (without Content-Type too) and each PATCH set spec.replicas."""
    await api.make(DEPLOYMENTS, deployment(replicas=2))
    scale = (await api("GET", SCALE)).obj
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"]["selector"] == "app=web"
    scale["spec"]["replicas"] = 3
    assert (await api("PUT", SCALE, scale)).obj["spec"]["replicas"] == 3
    assert await replicas(api) == 3
    operations = [{"op": "replace", "path": "/spec/replicas", "value": 6}]
    bodies = ((MERGE, {"spec": {"replicas": 4}}), (STRATEGIC, {"spec": {"replicas": 5}}), (JSON_PATCH, operations))
    for number, (media, body) in enumerate(bodies, start=4):
        assert (await api("PATCH", SCALE, body, media=media)).obj["spec"]["replicas"] == number
    scale = (await api("GET", SCALE)).obj
    scale["spec"]["replicas"] = 7
    data = str(scale).replace("'", '"').encode()
    async with api.session.put(api.url + SCALE, data=data, headers={"Content-Type": ""}) as response:
        assert response.status == 200
    assert await replicas(api) == 7


async def test_a_stale_or_bad_scale(api: Api) -> None:
    """An old revision is a Conflict, a negative number Invalid with the Scale's kind; nothing changes."""
    await api.make(DEPLOYMENTS, deployment())
    scale = (await api("GET", SCALE)).obj
    await api("PATCH", SCALE, {"spec": {"replicas": 2}}, media=MERGE)
    before = api.store.revision
    assert (await api("PUT", SCALE, scale)).status == 409
    answer = await api("PATCH", SCALE, {"spec": {"replicas": -1}}, media=MERGE)
    assert (answer.status, answer.fields, answer.obj["details"]["kind"]) == (422, ["spec.replicas"], "Scale")
    assert api.store.revision == before


async def test_binding_puts_a_pod_on_a_node_once(api: Api) -> None:
    """A binding sets the node and PodScheduled; a second one conflicts, one without target is Invalid."""
    made = await api.make(PODS, pod())
    none = await api("POST", f"{PODS}/web/binding", {"metadata": {"name": "web"}})
    assert none.fields == ["target.name"]
    binding = {
        "metadata": {"name": "web", "uid": made["metadata"]["uid"]},
        "target": {"kind": "Node", "name": "node-1"},
    }
    answer = await api("POST", f"{PODS}/web/binding", binding)
    assert (answer.status, answer.obj["status"]) == (201, "Success")
    obj = (await api("GET", f"{PODS}/web")).obj
    assert obj["spec"]["nodeName"] == "node-1"
    scheduled = next(item for item in obj["status"]["conditions"] if item["type"] == "PodScheduled")
    assert scheduled["status"] == "True"
    again = await api("POST", f"{PODS}/web/binding", binding)
    assert again.status == 409
    assert 'pod web is already assigned to node "node-1"' in again.message


async def test_eviction_deletes(api: Api) -> None:
    """An Eviction is a deletion with its options; a dry run of it is none."""
    await api.make(PODS, pod())
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"}}
    assert (await api("POST", f"{PODS}/web/eviction", eviction, dryRun="All")).status == 201
    assert (await api("GET", f"{PODS}/web")).status == 200
    answer = await api("POST", f"{PODS}/web/eviction", eviction)
    assert (answer.status, answer.obj["status"]) == (201, "Success")
    assert (await api("GET", f"{PODS}/web")).status == 404


BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


async def guarded(api: Api, *names: str, ready: str = "True", **status: Any) -> None:
    """Running pods of one label, and a budget over them with a status as its controller would write."""
    for name in names:
        await api.make(PODS, pod(name, labels={"app": "web"}))
        conditions = [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}]
        body = {"status": {"phase": "Running", "conditions": conditions}}
        assert (await api("PATCH", f"{PODS}/{name}/status", body, media=MERGE)).status == 200
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await api.make(BUDGETS, {"metadata": {"name": "web"}, "spec": spec})
    if status:
        answer = await api("PATCH", f"{BUDGETS}/web/status", {"status": status}, media=MERGE)
        assert answer.status == 200, answer.text


async def evict(api: Api, name: str, **query: Any) -> Any:
    """An Eviction as kubectl drain sends it."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}}
    return await api("POST", f"{PODS}/{name}/eviction", body, **query)


async def test_an_eviction_spends_its_budget(api: Api) -> None:
    """A pod goes while the budget allows it, and is written down there; the next one is told to wait, and stays."""
    await guarded(api, "a", "b", disruptionsAllowed=1, currentHealthy=2, desiredHealthy=1, observedGeneration=1)
    assert (await evict(api, "a", dryRun="All")).status == 201
    assert (await api("GET", f"{BUDGETS}/web")).obj["status"]["disruptionsAllowed"] == 1
    assert (await evict(api, "a")).status == 201
    status = (await api("GET", f"{BUDGETS}/web")).obj["status"]
    assert (status["disruptionsAllowed"], list(status["disruptedPods"])) == (0, ["a"])
    answer = await evict(api, "b")
    assert (answer.status, answer.reason) == (429, "TooManyRequests")
    assert answer.message == "Cannot evict pod as it would violate the pod's disruption budget."
    cause = answer.obj["details"]["causes"][0]
    assert cause["reason"] == "DisruptionBudget"
    assert cause["message"] == "The disruption budget web needs 1 healthy pods and has 2 currently"
    assert (await api("GET", f"{PODS}/b")).status == 200


async def test_an_eviction_waits_for_the_count(api: Api) -> None:
    """A budget that nobody has counted yet lets nothing go, and says when to come again."""
    await guarded(api, "a")
    answer = await evict(api, "a")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "10")
    assert "is still being processed by the server" in answer.obj["details"]["causes"][0]["message"]


async def test_evictions_that_no_budget_counts(api: Api) -> None:
    """A pod that has not begun goes; one that is not ready goes while enough others are; two budgets are too many."""
    await guarded(api, "a", ready="False", currentHealthy=1, desiredHealthy=1, observedGeneration=1)
    await api.make(PODS, pod("pending", labels={"app": "web"}))
    assert (await evict(api, "pending")).status == 201
    await api.make(BUDGETS, {"metadata": {"name": "all"}, "spec": {"maxUnavailable": 0, "selector": {}}})
    answer = await evict(api, "a")
    assert (answer.status, answer.reason) == (500, "InternalError")
    assert "more than one PodDisruptionBudget" in answer.message
    await api("DELETE", f"{BUDGETS}/all")
    assert (await evict(api, "a")).status == 201


async def test_a_replication_controller_scales(api: Api) -> None:
    """The Scale of a ReplicationController has its plain selector as text."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod()["spec"]}
    path = "/api/v1/namespaces/default/replicationcontrollers"
    await api.make(path, {"metadata": {"name": "web"}, "spec": {"template": template}})
    assert (await api("GET", f"{path}/web/scale")).obj["status"]["selector"] == "app=web"
    answer = await api("PATCH", f"{path}/web/scale", {"spec": {"replicas": 3}}, media=MERGE)
    assert answer.obj["spec"]["replicas"] == 3


async def test_ephemeral_containers_are_only_added_and_only_below(api: Api) -> None:
    """The subresource adds them and nothing else; what is there stays; the pod itself takes no change of them."""
    await api.make(PODS, pod())
    url = f"{PODS}/web/ephemeralcontainers"
    looking = {"name": "look", "image": "busybox", "targetContainerName": "web"}
    body = {"metadata": {"labels": {"sly": "yes"}}, "spec": {"ephemeralContainers": [looking], "hostname": "sly"}}
    added = await api("PATCH", url, body, media=STRATEGIC)
    assert added.status == 200, added.text
    assert [item["name"] for item in added.obj["spec"]["ephemeralContainers"]] == ["look"]
    assert "hostname" not in added.obj["spec"]
    assert "sly" not in added.obj["metadata"].get("labels", {})
    same = await api("GET", f"{PODS}/web")
    assert (await api("PUT", f"{PODS}/web", same.obj)).status == 200
    for path, change in (
        (url, [{"op": "remove", "path": "/spec/ephemeralContainers/0"}]),
        (url, [{"op": "replace", "path": "/spec/ephemeralContainers/0/image", "value": "alpine"}]),
        (f"{PODS}/web", [{"op": "add", "path": "/spec/ephemeralContainers/-", "value": {"name": "b", "image": "b"}}]),
    ):
        refused = await api("PATCH", path, change, media=JSON_PATCH)
        assert (refused.status, set(refused.fields)) == (422, {"spec.ephemeralContainers"}), refused.text
