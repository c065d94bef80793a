"""The arithmetic of a rollout."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers import rollout
from controllers.deployment import plan
from miniplane.api import meta
from miniplane.api.kind import Object


def deployment(replicas: int = 10, surge: Any = "25%", unavailable: Any = "25%", **spec: Any) -> Object:
    """A Deployment of the template `new`."""
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    return {
        "metadata": {"name": "web", "namespace": "a", "uid": "d", "annotations": {}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": rolling,
            "template": template("new"),
            **spec,
        },
    }


def template(image: str) -> Object:
    """A pod template."""
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def replica_set(name: str, replicas: int, available: int | None = None, *, image: Any = "", **told: Any) -> Object:
    """A ReplicaSet; its name is its age and, unless given, its image."""
    made = template(image or name)
    made["metadata"]["labels"]["pod-template-hash"] = name
    annotations = {f"deployment.kubernetes.io/{key.replace('_', '-')}": str(value) for key, value in told.items()}
    count = replicas if available is None else available
    return {
        "metadata": {"name": name, "uid": name, "creationTimestamp": name, "annotations": annotations},
        "spec": {"replicas": replicas, "template": made},
        "status": {"replicas": replicas, "availableReplicas": count},
    }


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (4, 1, 0, (1, 0)),
        (4, "0%", "10%", (0, 1)),
        (3, 0, 5, (0, 3)),
        (0, "25%", "25%", (0, 0)),
    ],
)
def test_limits_round_for_safety(replicas: int, surge: Any, unavailable: Any, expected: tuple[int, int]) -> None:
    """The surge rounds up, what may be missing down; both zero would stand still, so one may be missing."""
    found = rollout.limits(deployment(replicas, surge, unavailable))
    assert (found.surge, found.unavailable) == expected


def test_the_new_one_is_found_by_template() -> None:
    """The hash label does not count, other differences do; of several the oldest is taken."""
    sets = [replica_set("3", 1, image="new"), replica_set("1", 1), replica_set("2", 1, image="new")]
    found = rollout.find_new(deployment(), sets)
    assert found is not None
    assert meta.name(found) == "2"
    assert [meta.name(item) for item in rollout.find_old(found, sets)] == ["1", "3"]


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (None, 10, 3),
        (replica_set("new", 3), 10, 3),
        (replica_set("new", 3), 8, 5),
        (replica_set("new", 9), 1, 10),
        (replica_set("new", 12), 0, 10),
    ],
)
def test_the_new_one_grows_into_the_room(new: Object | None, old: int, expected: int) -> None:
    """All together stay within wanted + surge, the new one within wanted."""
    assert rollout.new_target(deployment(), new, [replica_set("1", old)]) == expected


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (replica_set("new", 3, 0), [replica_set("1", 10)], {"1": 8}),
        (replica_set("new", 3, 0), [replica_set("1", 8)], {}),
        (replica_set("new", 5, 5), [replica_set("1", 8)], {"1": 3}),
        (replica_set("new", 3, 0), [replica_set("1", 5, 0), replica_set("2", 5, 5)], {"1": 3}),
        (replica_set("new", 10), [replica_set("1", 2), replica_set("2", 1)], {"1": 0, "2": 0}),
    ],
)
def test_old_ones_shrink_as_availability_allows(new: Object, old: list[Object], expected: dict[str, int]) -> None:
    """Pods that are not available go first; the others only above wanted - unavailable; the oldest set first."""
    assert rollout.old_targets(deployment(), new, old) == expected


def test_scaling_in_the_middle_of_a_rollout_is_proportional() -> None:
    """A new count is spread by size; the largest takes what rounding leaves over."""
    told = {"desired_replicas": 10, "max_replicas": 13}
    old, new = replica_set("1", 8, **told), replica_set("2", 5, image="new", **told)
    wanted = deployment(20)
    assert rollout.is_scaling(wanted, [old, new])
    step = plan(wanted, [old, new], old_pods=False)
    assert step.scale == {"1": 15, "2": 10}
    assert sum(step.scale.values()) == 25


def test_whoever_needs_no_scaling_is_told_the_new_count() -> None:
    """Otherwise the rollout would take the old count for a change for ever."""
    told = {"desired_replicas": 2, "max_replicas": 3}
    old, new = replica_set("1", 2, **told), replica_set("2", 1, image="new", **told)
    step = plan(deployment(3, 1, 0), [old, new], old_pods=False)
    assert set(step.scale) == {"1", "2"}
    assert sum(step.scale.values()) == 4


def test_a_hash_is_stable_and_depends_on_collisions() -> None:
    """Key order does not matter; a collision changes it; it fits into a name and is no word."""
    one = rollout.template_hash({"a": 1, "b": 2})
    assert one == rollout.template_hash({"b": 2, "a": 1})
    assert one != rollout.template_hash({"a": 1, "b": 2}, 1)
    assert set(one) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_history_keeps_the_newest_rollouts() -> None:
    """Beyond the limit the oldest revisions go, unless they still have pods."""
    sets = [replica_set(str(number), 0, revision=number) for number in (3, 1, 2)]
    found = rollout.to_clean_up(deployment(revisionHistoryLimit=1), sets)
    assert [meta.name(item) for item in found] == ["1", "2"]
    sets[1]["spec"]["replicas"] = 1
    assert [meta.name(item) for item in rollout.to_clean_up(deployment(revisionHistoryLimit=1), sets)] == ["2"]


@given(
    replicas=st.integers(0, 20),
    surge=st.integers(0, 5),
    unavailable=st.integers(0, 5),
    old=st.lists(st.integers(0, 10), max_size=3),
    choices=st.lists(st.integers(0, 99), max_size=60),
)
def test_a_rollout_keeps_its_limits_and_ends(
    replicas: int, surge: int, unavailable: int, old: list[int], choices: list[int]
) -> None:
    """Whatever the order in which pods become ready: limits hold at every step, and the wanted state is reached."""
    old = [count for count in old if sum(old) <= replicas + surge] or [replicas]
    wanted = deployment(replicas, surge, unavailable)
    limits = rollout.limits(wanted)
    told = {"desired_replicas": replicas, "max_replicas": replicas + limits.surge}
    sets = [replica_set(str(number), count, **told) for number, count in enumerate(old)]
    ceiling = max(replicas + limits.surge, sum(old))
    for step_number in range(300):
        step = plan(wanted, sets, old_pods=False)
        if step.create is not None:
            made = step.create
            made["metadata"] |= {"uid": "new", "creationTimestamp": "new"}
            made["status"] = {}
            sets.append(made)
        for item in sets:
            target = step.scale.get(meta.uid(item))
            if target is not None:
                gone = item["spec"]["replicas"] - target
                item["spec"]["replicas"] = target
                unready = item["status"].get("replicas", 0) - item["status"].get("availableReplicas", 0)
                if gone > unready:
                    item["status"]["availableReplicas"] -= gone - max(unready, 0)
            item["status"]["replicas"] = item["spec"]["replicas"]
        floor = min(replicas - limits.unavailable, sum(old))
        assert sum(item["spec"]["replicas"] for item in sets) <= ceiling
        assert sum(item["status"].get("availableReplicas", 0) for item in sets) >= floor
        pending = [item for item in sets if item["status"].get("availableReplicas", 0) < item["spec"]["replicas"]]
        if pending:
            choice = choices[step_number % len(choices)] if choices else 0
            lucky = pending[choice % len(pending)]["status"]
            lucky["availableReplicas"] = lucky.get("availableReplicas", 0) + 1
        elif step.create is None and not step.scale:
            break
    assert {meta.uid(item): item["spec"]["replicas"] for item in sets if item["spec"]["replicas"]} == (
        {"new": replicas} if replicas else {}
    )
