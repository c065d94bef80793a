"""Creates, updates and patches: what the server fills in, keeps, retries."""

import asyncio
import re
from typing import Any

from tests.contract.api.conftest import JSON_PATCH, MERGE, STRATEGIC, Api, config_map, deployment, pod

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


async def test_generated_names(api: Api) -> None:
    """`generateName` gets five letters appended, different ones each time."""
    body = {"metadata": {"generateName": "web-"}}
    made = [(await api.make(MAPS, body))["metadata"]["name"] for _ in range(5)]
    assert len(set(made)) == 5
    assert all(re.fullmatch(r"web-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in made)


async def test_what_the_server_fills_in_is_its_own(api: Api) -> None:
    """A client can't choose uid, creationTimestamp or generation, on create or on update."""
    long_ago = "2000-01-01T00:00:00Z"
    mine: dict[str, Any] = {"uid": "mine", "creationTimestamp": long_ago, "generation": 77, "selfLink": "x"}
    made = await api.make(MAPS, config_map(**mine, deletionTimestamp=long_ago))
    meta = made["metadata"]
    assert meta["uid"] != "mine"
    assert meta["creationTimestamp"] > "2026"
    assert {"selfLink", "deletionTimestamp"}.isdisjoint(meta)
    changed = {**meta, "creationTimestamp": None, "generation": 9, "labels": {"a": "1"}}
    after = (await api("PUT", f"{MAPS}/a", made | {"metadata": changed})).obj["metadata"]
    assert after["creationTimestamp"] == meta["creationTimestamp"]
    assert after.get("generation") == meta.get("generation")


async def test_generation_counts_changes_of_the_spec(api: Api) -> None:
    """metadata.generation grows with the spec and not with labels or status."""
    await api.make(DEPLOYMENTS, deployment())
    path = f"{DEPLOYMENTS}/web"

    async def patch(body: object, subresource: str = "") -> int:
        answer = await api("PATCH", path + subresource, body, media=MERGE)
        assert answer.status == 200, answer.text
        return int(answer.obj["metadata"]["generation"])

    assert await patch({"metadata": {"labels": {"a": "1"}}}) == 1
    assert await patch({"spec": {"replicas": 3}}) == 2
    assert await patch({"status": {"replicas": 3, "observedGeneration": 2}}, "/status") == 2


async def test_status_may_carry_annotations(api: Api) -> None:
    """A write to /status takes status, labels and annotations along, never the spec."""
    await api.make(DEPLOYMENTS, deployment())
    body = {
        "metadata": {"annotations": {"a": "1"}},
        "status": {"replicas": 2, "observedGeneration": 1},
        "spec": {"replicas": 9},
    }
    obj = (await api("PATCH", f"{DEPLOYMENTS}/web/status", body, media=MERGE)).obj
    assert obj["metadata"]["annotations"] == {"a": "1"}
    assert obj["status"]["replicas"] == 2
    assert obj["spec"]["replicas"] == 1


async def test_an_update_without_revision_is_unconditional(api: Api) -> None:
    """PUT without resourceVersion replaces whatever is there."""
    await api.make(MAPS, config_map())
    await api("PATCH", f"{MAPS}/a", {"data": {"x": "1"}}, media=MERGE)
    answer = await api("PUT", f"{MAPS}/a", config_map())
    assert answer.obj["data"] == {"k": "v"}


async def test_patches_at_once_all_count(api: Api) -> None:
    """Patches without precondition are made again when another was quicker: none is lost, none fails."""
    await api.make(MAPS, config_map())
    bodies = [{"data": {f"k{number}": "1"}} for number in range(4)]
    answers = await asyncio.gather(*(api("PATCH", f"{MAPS}/a", body, media=MERGE) for body in bodies))
    assert {answer.status for answer in answers} == {200}
    assert len((await api("GET", f"{MAPS}/a")).obj["data"]) == 5


async def test_a_patch_with_a_revision_is_conditional(api: Api) -> None:
    """A patch that sets resourceVersion conflicts where another is stored."""
    made = await api.make(MAPS, config_map())
    stale = {"metadata": {"resourceVersion": "1"}, "data": {"k": "w"}}
    assert (await api("PATCH", f"{MAPS}/a", stale, media=MERGE)).status == 409
    right = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"k": "w"}}
    assert (await api("PATCH", f"{MAPS}/a", right, media=MERGE)).status == 200


async def test_three_ways_to_patch(api: Api) -> None:
    """Strategic merge goes by merge key, merge patch replaces lists, JSON patch goes by index."""
    await api.make(DEPLOYMENTS, deployment())
    path = f"{DEPLOYMENTS}/web"

    def containers(obj: dict[str, Any]) -> list[str]:
        return [item["name"] for item in obj["spec"]["template"]["spec"]["containers"]]

    def body(name: str) -> dict[str, object]:
        return {"spec": {"template": {"spec": {"containers": [{"name": name, "image": "x"}]}}}}

    merged = (await api("PATCH", path, body("side"), media=STRATEGIC)).obj
    assert set(containers(merged)) == {"web", "side"}
    replaced = (await api("PATCH", path, body("only"), media=MERGE)).obj
    assert containers(replaced) == ["only"]
    operation = {"op": "add", "path": "/spec/template/spec/containers/0", "value": {"name": "first", "image": "x"}}
    added = (await api("PATCH", path, [operation], media=JSON_PATCH)).obj
    assert containers(added) == ["first", "only"]


async def test_yaml_bodies(api: Api) -> None:
    """A body may be YAML."""
    answer = await api("POST", MAPS, b"metadata: {name: y}\ndata:\n  k: 'v'\n", media="application/yaml")
    assert (answer.status, answer.obj["data"]) == (201, {"k": "v"})


async def test_a_body_without_content_type(api: Api) -> None:
    """No Content-Type means JSON."""
    headers = {"Content-Type": ""}
    async with api.session.post(api.url + MAPS, data=b'{"metadata":{"name":"n"}}', headers=headers) as response:
        assert response.status == 201


async def test_admission_fills_in_pods(api: Api) -> None:
    """A pod runs as `default` and tolerates a lost node for five minutes."""
    spec = (await api.make(PODS, pod()))["spec"]
    assert spec["serviceAccountName"] == "default"
    assert {item["key"]: item["tolerationSeconds"] for item in spec["tolerations"]} == {
        "node.kubernetes.io/not-ready": 300,
        "node.kubernetes.io/unreachable": 300,
    }


async def test_the_default_ingress_class(api: Api) -> None:
    """An Ingress that names no class gets the default one, where there is one."""
    path = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
    spec = {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}
    before = await api.make(path, {"metadata": {"name": "before"}, "spec": spec})
    assert "ingressClassName" not in before["spec"]
    annotations = {"ingressclass.kubernetes.io/is-default-class": "true"}
    body = {"metadata": {"name": "main", "annotations": annotations}, "spec": {"controller": "miniplane.io/ingress"}}
    await api.make("/apis/networking.k8s.io/v1/ingressclasses", body)
    after = await api.make(path, {"metadata": {"name": "after"}, "spec": spec})
    assert after["spec"]["ingressClassName"] == "main"


async def test_a_new_cluster(api: Api) -> None:
    """The system namespaces, the first ServiceCIDR and the `kubernetes` Service with its endpoints are there."""
    items = (await api("GET", "/api/v1/namespaces")).obj["items"]
    assert {item["metadata"]["name"] for item in items} == {"default", "kube-system", "kube-public", "kube-node-lease"}
    kubernetes = (await api("GET", "/api/v1/namespaces/default/services/kubernetes")).obj["spec"]
    assert kubernetes["clusterIP"] == "10.96.0.1"
    endpoints = (await api("GET", "/api/v1/namespaces/default/endpoints/kubernetes")).obj["subsets"]
    assert endpoints[0]["addresses"] == [{"ip": "172.30.0.1"}]
    assert endpoints[0]["ports"][0]["port"] == 6443
    slices = (await api("GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")).obj
    assert slices["endpoints"][0]["addresses"] == ["172.30.0.1"]
    cidr = (await api("GET", "/apis/networking.k8s.io/v1/servicecidrs/kubernetes")).obj
    assert cidr["status"]["conditions"][0]["status"] == "True"
    address = (await api("GET", "/apis/networking.k8s.io/v1/ipaddresses/10.96.0.1")).obj
    assert address["spec"]["parentRef"]["name"] == "kubernetes"
