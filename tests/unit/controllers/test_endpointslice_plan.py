"""Slices follow pods with as few writes as possible."""

from typing import Any

import pytest

from controllers.endpointslice import MANAGER, MAX_ENDPOINTS, Plan, plan
from miniplane.api.kind import Object


def service(**spec: Any) -> Object:
    """A Service with one port, 80 → 8000."""
    ports = [{"port": 80, "targetPort": 8000, "protocol": "TCP"}]
    return {
        "metadata": {"namespace": "default", "name": "api", "uid": "u-service"},
        "spec": {"selector": {"app": "api"}, "ports": ports, "ipFamilies": ["IPv4"], "clusterIP": "10.96.1.1", **spec},
    }


def pod(number: int, *, ready: bool = True, deleted: bool = False, **extra: Any) -> Object:
    """A running pod with an address of its own."""
    metadata: dict[str, Any] = {"namespace": "default", "name": f"api-{number}", "uid": f"u-{number}"}
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status = {
        "phase": "Running",
        "podIP": f"10.244.{number // 250}.{number % 250 + 1}",
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        **extra,
    }
    return {"metadata": metadata, "spec": {"nodeName": "node-1", "containers": [{"name": "c"}]}, "status": status}


def stored(written: Plan, before: list[Object] | None = None) -> list[Object]:
    """What the cluster holds after a plan was carried out."""
    gone = {item["metadata"]["name"] for item in [*written.delete, *written.update]}
    kept = [item for item in before or [] if item["metadata"]["name"] not in gone]
    return [*kept, *written.update, *written.create]


def addresses(slices: list[Object]) -> list[str]:
    """All addresses, sorted."""
    return sorted(endpoint["addresses"][0] for item in slices for endpoint in item["endpoints"])


def test_conditions_are_triples() -> None:
    """Ready is serving and not terminating; publishNotReadyAddresses makes everything ready."""
    pods = [pod(0), pod(1, ready=False), pod(2, deleted=True), pod(3, ready=False, deleted=True)]
    made = plan(service(), pods, {}, []).create[0]["endpoints"]
    triples = [tuple(endpoint["conditions"][key] for key in ("ready", "serving", "terminating")) for endpoint in made]
    assert triples == [(True, True, False), (False, False, False), (False, True, True), (False, False, True)]
    published = plan(service(publishNotReadyAddresses=True), pods, {}, []).create[0]["endpoints"]
    assert all(endpoint["conditions"]["ready"] for endpoint in published)


def test_ended_pods_and_pods_without_address_are_left_out() -> None:
    """Only pods that have an address and have not ended are endpoints."""
    pods = [pod(0), pod(1, phase="Succeeded"), pod(2, phase="Failed"), pod(3, podIP="")]
    assert addresses(plan(service(), pods, {}, []).create) == ["10.244.0.1"]


def test_no_pods_leave_one_empty_slice() -> None:
    """A Service without pods has one slice without endpoints, and keeps it without a write."""
    first = plan(service(), [], {}, [])
    assert [item["endpoints"] for item in first.create] == [[]]
    second = plan(service(), [], {}, stored(first))
    assert second == Plan()


def test_converged_slices_are_not_written() -> None:
    """The same pods again cost nothing, in any order."""
    pods = [pod(number) for number in range(250)]
    slices = stored(plan(service(), pods, {}, []))
    assert [len(item["endpoints"]) for item in slices] == [MAX_ENDPOINTS, MAX_ENDPOINTS, 50]
    assert plan(service(), list(reversed(pods)), {}, slices) == Plan()


def test_one_change_touches_one_slice() -> None:
    """A pod that turns unready rewrites its slice only; a new one goes where there is room."""
    pods = [pod(number) for number in range(250)]
    slices = stored(plan(service(), pods, {}, []))
    changed = plan(service(), [pod(0, ready=False), *pods[1:]], {}, slices)
    assert (len(changed.update), changed.create, changed.delete) == (1, [], [])
    grown = plan(service(), [*pods, pod(250)], {}, slices)
    assert [len(item["endpoints"]) for item in grown.update] == [51]


def test_emptied_slices_go() -> None:
    """A slice that loses all endpoints is deleted, but not the last one."""
    pods = [pod(number) for number in range(250)]
    slices = stored(plan(service(), pods, {}, []))
    shrunk = plan(service(), pods[:100], {}, slices)
    assert (len(shrunk.delete), shrunk.update, shrunk.create) == (2, [], [])


def test_named_target_ports_split_slices() -> None:
    """Pods with different numbers for a named port get slices of their own."""
    named = service(ports=[{"port": 80, "targetPort": "http", "protocol": "TCP"}])
    pods = [pod(0), pod(1)]
    for number, item in enumerate(pods):
        item["spec"]["containers"] = [{"name": "c", "ports": [{"name": "http", "containerPort": 8000 + number}]}]
    made = plan(named, pods, {}, []).create
    assert sorted(item["ports"][0]["port"] for item in made) == [8000, 8001]


def test_slices_say_whose_they_are() -> None:
    """Labels name Service and manager, the owner is the Service, a headless Service is marked."""
    made = plan(service(clusterIP="None"), [pod(0)], {}, []).create[0]["metadata"]
    assert made["labels"]["kubernetes.io/service-name"] == "api"
    assert made["labels"]["endpointslice.kubernetes.io/managed-by"] == MANAGER
    assert made["labels"]["service.kubernetes.io/headless"] == ""
    assert made["ownerReferences"][0]["uid"] == "u-service"


def test_names_repeat_for_a_stale_cache() -> None:
    """A second run that does not see the first one's slice chooses the same name, which the server refuses."""
    one, two = plan(service(), [pod(0)], {}, []), plan(service(), [pod(0)], {}, [])
    assert one.create[0]["metadata"]["name"] == two.create[0]["metadata"]["name"]


def _node(name: str, zone: str = "") -> Object:
    return {"metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone} if zone else {}}}


@pytest.mark.parametrize(
    ("distribution", "zone", "hints"),
    [
        ("PreferClose", "east", {"forZones": [{"name": "east"}]}),
        ("PreferSameZone", "east", {"forZones": [{"name": "east"}]}),
        ("PreferSameNode", "east", {"forZones": [{"name": "east"}], "forNodes": [{"name": "node-1"}]}),
        ("PreferSameNode", "", {"forNodes": [{"name": "node-1"}]}),
        ("PreferClose", "", None),
        (None, "east", None),
    ],
)
def test_traffic_distribution_makes_hints(distribution: str | None, zone: str, hints: Object | None) -> None:
    """A ready endpoint is meant for its zone, and for its node if asked for; what is unknown gives no hint."""
    made = plan(service(trafficDistribution=distribution), [pod(0)], {"node-1": _node("node-1", zone)}, [])
    assert made.create[0]["endpoints"][0].get("hints") == hints


def test_only_ready_endpoints_have_hints() -> None:
    """What terminates or is not ready is meant for nobody, so that it can't make others' hints useless."""
    pods = [pod(0), pod(1, ready=False), pod(2, deleted=True)]
    made = plan(service(trafficDistribution="PreferClose"), pods, {"node-1": _node("node-1", "east")}, [])
    assert ["hints" in endpoint for endpoint in made.create[0]["endpoints"]] == [True, False, False]


def test_a_change_of_distribution_rewrites_the_slices_once() -> None:
    """Hints come and go with the field, and stay without a write while it stays."""
    nodes = {"node-1": _node("node-1", "east")}
    plain = stored(plan(service(), [pod(0)], nodes, []))
    close = service(trafficDistribution="PreferClose")
    hinted = plan(close, [pod(0)], nodes, plain)
    assert len(hinted.update) == 1
    assert plan(close, [pod(0)], nodes, stored(hinted, plain)) == Plan()
    assert len(plan(service(), [pod(0)], nodes, stored(hinted, plain)).update) == 1
