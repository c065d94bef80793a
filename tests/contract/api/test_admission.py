"""What the server sets and refuses beyond validation: priorities, limits, quotas, pod security, default classes."""

import asyncio
from typing import Any

import pytest

from tests.contract.api.conftest import MERGE, Api

CORE = "/api/v1/namespaces/default"
PREFIX = "pod-security.kubernetes.io/"
CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


def pod(name: str = "p", *, resources: Any = None, security: Any = None, **spec: Any) -> dict[str, Any]:
    """A pod with one container."""
    container: dict[str, Any] = {"name": "c", "image": "nginx"}
    if resources:
        container["resources"] = resources
    if security:
        container["securityContext"] = security
    return {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}


async def refused(api: Api, path: str, body: Any) -> str:
    """The message of a create that is Forbidden, after its head."""
    answer = await api("POST", path, body)
    assert (answer.status, answer.reason) == (403, "Forbidden"), answer.text
    return str(answer.message).partition(" is forbidden: ")[2]


async def test_a_priority_class_becomes_a_number(api: Api) -> None:
    """The class named, else the default one, gives priority and preemption; a number of the user's own is refused."""
    await api.make(CLASSES, {"metadata": {"name": "high"}, "value": 100, "preemptionPolicy": "Never"})
    spec = (await api.make(f"{CORE}/pods", pod("a", priorityClassName="high")))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (100, "Never")
    assert (await api.make(f"{CORE}/pods", pod("b")))["spec"]["priority"] == 0
    await api.make(CLASSES, {"metadata": {"name": "usual"}, "value": 7, "globalDefault": True})
    spec = (await api.make(f"{CORE}/pods", pod("c")))["spec"]
    assert (spec["priority"], spec["priorityClassName"]) == (7, "usual")
    assert (
        await refused(api, f"{CORE}/pods", pod("d", priorityClassName="x")) == "no PriorityClass with name x was found"
    )
    assert "must not be provided in pod spec" in await refused(api, f"{CORE}/pods", pod("e", priority=3))
    why = await refused(api, CLASSES, {"metadata": {"name": "second"}, "value": 8, "globalDefault": True})
    assert why == "PriorityClass usual is already marked as default. Only one default can exist"


async def test_the_systems_classes_are_there(api: Api) -> None:
    """A cluster has its two critical classes from the start."""
    items = (await api("GET", CLASSES)).obj["items"]
    assert {item["metadata"]["name"]: item["value"] for item in items} == {
        "system-cluster-critical": 2000000000,
        "system-node-critical": 2000001000,
    }


async def test_limit_ranges_fill_in_and_bound(api: Api) -> None:
    """What a container leaves out gets the defaults, told in an annotation; what is out of bounds is refused."""
    item = {
        "type": "Container",
        "default": {"cpu": "500m"},
        "defaultRequest": {"cpu": "100m"},
        "max": {"cpu": "1"},
        "min": {"cpu": "50m"},
    }
    await api.make(f"{CORE}/limitranges", {"metadata": {"name": "l"}, "spec": {"limits": [item]}})
    made = await api.make(f"{CORE}/pods", pod())
    assert made["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}}
    told = made["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
    assert told == "LimitRanger plugin set: cpu limit for container c; cpu request for container c"
    big = pod("big", resources={"limits": {"cpu": "2"}, "requests": {"cpu": "20m"}})
    assert await refused(api, f"{CORE}/pods", big) == (
        "[minimum cpu usage per Container is 50m, but request is 20m, "
        "maximum cpu usage per Container is 1, but limit is 2]"
    )


async def test_quotas_hold_also_against_each_other(api: Api) -> None:
    """Of many pods made at once only those that fit get in; one that names no amounts is told which."""
    hard = {"pods": "3", "requests.cpu": "1"}
    await api.make(f"{CORE}/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": hard}})
    small = {"requests": {"cpu": "100m"}}
    answers = await asyncio.gather(
        *(api("POST", f"{CORE}/pods", pod(f"p{number}", resources=small)) for number in range(8))
    )
    assert sorted(answer.status for answer in answers) == [201] * 3 + [403] * 5
    why = next(answer.message for answer in answers if answer.status == 403)
    assert why.endswith("exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3")
    await api(
        "DELETE", f"{CORE}/pods/{next(n for n, a in enumerate(answers) if a.status == 201)}", gracePeriodSeconds=0
    )
    mute = await refused(api, f"{CORE}/pods", pod("mute"))
    assert mute == "failed quota: q: must specify requests.cpu for: c"


async def test_a_refused_or_failed_write_takes_no_quota(api: Api) -> None:
    """What did not get in, for a bad name or as a dry run, leaves the room to others."""
    await api.make(f"{CORE}/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "2"}}})
    maps = f"{CORE}/configmaps"
    assert (await api("POST", maps, {"metadata": {"name": "Bad!"}})).status == 422
    assert (await api("POST", maps, {"metadata": {"name": "dry"}}, dryRun="All")).status == 201
    await api.make(maps, {"metadata": {"name": "one"}})
    assert (await api("POST", maps, {"metadata": {"name": "one"}})).status == 409
    await api.make(maps, {"metadata": {"name": "two"}})
    assert "exceeded quota" in await refused(api, maps, {"metadata": {"name": "three"}})


async def test_quotas_with_scopes_and_counts(api: Api) -> None:
    """A scoped quota sees only its pods; `count/` works for any kind; node ports are counted as they come and go."""
    quotas = f"{CORE}/resourcequotas"
    scoped = {"hard": {"pods": "0"}, "scopes": ["BestEffort"]}
    await api.make(quotas, {"metadata": {"name": "best"}, "spec": scoped})
    counts = {"count/deployments.apps": "0", "services.nodeports": "1"}
    await api.make(quotas, {"metadata": {"name": "counts"}, "spec": {"hard": counts}})
    await api.make(f"{CORE}/pods", pod(resources={"requests": {"cpu": "1"}}))
    assert "exceeded quota: best" in await refused(api, f"{CORE}/pods", pod("q"))
    service = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    await api.make(f"{CORE}/services", service)
    other = {"metadata": {"name": "t"}, "spec": {"ports": [{"port": 80}]}}
    await api.make(f"{CORE}/services", other)
    changed = await api("PATCH", f"{CORE}/services/t", {"spec": {"type": "NodePort"}}, media=MERGE)
    assert "exceeded quota: counts" in changed.message


PRIVILEGED = (
    'non-default capabilities (container "c" must not include "NET_ADMIN" in securityContext.capabilities.add), '
    'privileged (container "c" must not set securityContext.privileged=true)'
)
UNRESTRICTED = (
    'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), '
    'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), '
    'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
    'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
    '"Localhost")'
)
SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.mark.parametrize(
    ("level", "body", "why"),
    [
        ("baseline", pod(), ""),
        ("baseline", pod(hostNetwork=True), "host namespaces (hostNetwork=true)"),
        (
            "baseline",
            pod(security={"privileged": True, "capabilities": {"add": ["NET_ADMIN"]}}),
            PRIVILEGED,
        ),
        ("baseline", pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), 'hostPath volumes (volume "v")'),
        ("restricted", pod(security=SAFE), ""),
        (
            "restricted",
            pod(),
            UNRESTRICTED,
        ),
    ],
)
async def test_pod_security_levels(api: Api, level: str, body: Any, why: str) -> None:
    """A namespace's enforced level refuses with upstream's words; the level warned of answers with a Warning."""
    await api("PATCH", "/api/v1/namespaces/default", {"metadata": {"labels": {PREFIX + "enforce": level}}}, media=MERGE)
    if why:
        assert await refused(api, f"{CORE}/pods", body) == f'violates PodSecurity "{level}:latest": {why}'
    else:
        await api.make(f"{CORE}/pods", body)
    labels: dict[str, str | None] = {PREFIX + "enforce": None, PREFIX + "warn": level}
    await api("PATCH", "/api/v1/namespaces/default", {"metadata": {"labels": labels}}, media=MERGE)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": body["spec"]}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    workload = await api(
        "POST", "/apis/apps/v1/namespaces/default/deployments", {"metadata": {"name": "d"}, "spec": spec}
    )
    assert workload.status == 201
    assert bool(workload.warnings) is bool(why)
    assert not why or "would violate PodSecurity" in workload.warnings[0]


async def test_a_new_level_tells_which_pods_break_it(api: Api) -> None:
    """Labelling a namespace names the pods that it would refuse; an unknown level is Invalid."""
    await api.make(f"{CORE}/pods", pod(hostNetwork=True))
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    told = await api("PATCH", "/api/v1/namespaces/default", {"metadata": {"labels": labels}}, media=MERGE)
    assert any("p: host namespaces" in line for line in told.warnings)
    labels = {"pod-security.kubernetes.io/enforce": "strict"}
    wrong = await api("PATCH", "/api/v1/namespaces/default", {"metadata": {"labels": labels}}, media=MERGE)
    assert (wrong.status, wrong.fields) == (422, ["metadata.labels[pod-security.kubernetes.io/enforce]"])


async def test_default_classes_of_claims_and_runtimes(api: Api) -> None:
    """A claim gets the default StorageClass; a pod with a RuntimeClass gets its overhead, an unknown one is refused."""
    mark = {"storageclass.kubernetes.io/is-default-class": "true"}
    await api.make(
        "/apis/storage.k8s.io/v1/storageclasses",
        {"metadata": {"name": "fast", "annotations": mark}, "provisioner": "example.com/disk"},
    )
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = await api.make(f"{CORE}/persistentvolumeclaims", {"metadata": {"name": "c"}, "spec": spec})
    assert claim["spec"]["storageClassName"] == "fast"
    overhead = {"podFixed": {"cpu": "10m"}}
    body = {"metadata": {"name": "kata"}, "handler": "kata", "overhead": overhead}
    await api.make("/apis/node.k8s.io/v1/runtimeclasses", body)
    made = await api.make(f"{CORE}/pods", pod(runtimeClassName="kata"))
    assert made["spec"]["overhead"] == {"cpu": "10m"}
    why = await refused(api, f"{CORE}/pods", pod("q", runtimeClassName="none"))
    assert why == 'pod rejected: RuntimeClass "none" not found'
