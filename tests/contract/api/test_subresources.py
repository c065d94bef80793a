"""Scale, binding and eviction."""

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
