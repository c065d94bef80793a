"""What a node's silence leads to: conditions, taints, rates, pods that no longer count as ready."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controllers.nodehealth import rates, silenced, unready_pods, wanted_taints
from controllers.tainteviction import seconds_left
from miniplane.api import meta
from miniplane.api.kind import Object

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EARLIER = meta.timestamp(NOW - timedelta(seconds=60))


def node(ready: str = "True", *, zone: str = "", taints: Any = (), **conditions: str) -> Object:
    """A Node whose conditions have lasted for a minute."""
    said = {"Ready": ready, **conditions} if ready else conditions
    return {
        "metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": zone}},
        "spec": {"taints": list(taints)},
        "status": {
            "conditions": [
                {"type": kind, "status": value, "lastTransitionTime": EARLIER} for kind, value in said.items()
            ]
        },
    }


def keys(taints: list[Object]) -> list[str]:
    """Taints as `key:effect`, without upstream's prefix."""
    return [f"{taint['key'].removeprefix('node.kubernetes.io/')}:{taint['effect']}" for taint in taints]


def test_silence_makes_what_only_a_kubelet_knows_unknown() -> None:
    """All four conditions become Unknown, those never reported say so, and a second time there is nothing to write."""
    found = silenced(node(MemoryPressure="False"), NOW)
    assert found is not None
    assert {item["type"]: (item["status"], item["reason"]) for item in found} == {
        "Ready": ("Unknown", "NodeStatusUnknown"),
        "MemoryPressure": ("Unknown", "NodeStatusUnknown"),
        "DiskPressure": ("Unknown", "NodeStatusNeverUpdated"),
        "PIDPressure": ("Unknown", "NodeStatusNeverUpdated"),
    }
    assert silenced({"status": {"conditions": found}}, NOW) is None


@pytest.mark.parametrize(
    ("where", "evict", "wanted"),
    [
        (node(), True, []),
        (node("Unknown"), False, ["unreachable:NoSchedule"]),
        (node("Unknown"), True, ["unreachable:NoSchedule", "unreachable:NoExecute"]),
        (node("False"), True, ["not-ready:NoSchedule", "not-ready:NoExecute"]),
        (node(DiskPressure="True", PIDPressure="Unknown"), True, ["disk-pressure:NoSchedule"]),
        (node(NetworkUnavailable="True"), True, ["network-unavailable:NoSchedule"]),
    ],
)
def test_conditions_ask_for_taints(where: Object, *, evict: bool, wanted: list[str]) -> None:
    """Each condition has its taint; the one that drives pods away comes only when it may."""
    assert keys(wanted_taints(where, evict=evict, now=NOW)) == wanted


def test_taints_of_others_stay_and_ours_go_when_over() -> None:
    """A node that is well again keeps a user's taint and loses ours; one that is there keeps its time."""
    gpu = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    lost = {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule", "timeAdded": EARLIER}
    assert wanted_taints(node(taints=[gpu, lost]), evict=True, now=NOW) == [gpu]
    assert wanted_taints(node("Unknown", taints=[gpu, lost]), evict=False, now=NOW) == [gpu, lost]


def test_a_cordoned_node_is_tainted() -> None:
    """`kubectl cordon` shows as a taint too, so that DaemonSets can tolerate it."""
    cordoned = node() | {"spec": {"unschedulable": True}}
    assert keys(wanted_taints(cordoned, evict=False, now=NOW)) == ["unschedulable:NoSchedule"]


@pytest.mark.parametrize(
    ("well", "ill", "rate"),
    [(3, 1, 0.1), (1, 2, 0.1), (2, 3, 0.0), (30, 40, 0.01), (40, 20, 0.1)],
)
def test_too_many_ill_nodes_slow_evictions_down(well: int, ill: int, rate: float) -> None:
    """A zone that is mostly ill evicts slowly if it is large and not at all if it is small."""
    nodes = [node() for _ in range(well)] + [node("Unknown") for _ in range(ill)]
    assert rates(nodes) == {":": rate}


def test_no_evictions_when_everybody_is_ill() -> None:
    """If no node speaks it is our own fault; one dead zone beside a living one is evicted at the full rate."""
    assert rates([node("Unknown", zone="a"), node("Unknown", zone="b")]) == {":a": 0.0, ":b": 0.0}
    assert rates([node("Unknown", zone="a"), node(zone="b")]) == {":a": 0.1, ":b": 0.1}


def test_a_kubelet_that_speaks_is_believed_about_its_pods() -> None:
    """Of a silent node all pods are unready; of one that said it is not ready, those who were ready before."""
    before, after = (
        {"status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": at}]}}
        for at in (meta.timestamp(NOW - timedelta(seconds=90)), meta.timestamp(NOW))
    )
    assert unready_pods(node("Unknown"), [before, after]) == [before, after]
    assert unready_pods(node("False"), [before, after]) == [before]


@pytest.mark.parametrize(
    ("taint", "tolerations", "left"),
    [
        ({"effect": "NoSchedule"}, [], math.inf),
        ({"effect": "NoExecute"}, [], 0.0),
        ({"effect": "NoExecute"}, [{"operator": "Exists"}], math.inf),
        ({"effect": "NoExecute"}, [{"key": "k", "operator": "Exists", "tolerationSeconds": 300}], 240.0),
        ({"effect": "NoExecute"}, [{"key": "k", "operator": "Exists", "tolerationSeconds": 20}], 0.0),
        ({"effect": "NoExecute"}, [{"key": "other", "operator": "Exists"}], 0.0),
        (
            {"effect": "NoExecute"},
            [{"operator": "Exists"}, {"key": "k", "operator": "Exists", "tolerationSeconds": 90}],
            30.0,
        ),
    ],
)
def test_how_long_a_pod_may_stay(taint: Object, tolerations: list[Object], left: float) -> None:
    """Untolerated: no time; tolerated for ever: all; else what is left of the least toleration since the taint."""
    where = node(taints=[{"key": "k", "timeAdded": EARLIER, **taint}])
    assert seconds_left({"spec": {"tolerations": tolerations}}, where, NOW) == left
