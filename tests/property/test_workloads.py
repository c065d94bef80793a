"""Workloads converge from wherever they are, and then nothing is left to do."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controllers import jobs
from controllers.daemons import Daemons
from controllers.jobpods import TRACKING
from controllers.revisions import REVISION_HASH
from controllers.stateful import Members, identity
from miniplane.api import meta
from miniplane.api.kind import Object

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TEMPLATE: Object = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [], "restartPolicy": "Never"}}
READY = [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]


def pod(name: str, of: str, *, ready: bool = True, **more: Any) -> Object:
    """A running pod of a revision."""
    metadata = {"name": name, "namespace": "n", "uid": name, "labels": {REVISION_HASH: of, **more.pop("labels", {})}}
    return {
        "metadata": metadata | more.pop("metadata", {}),
        "spec": {"nodeName": "a", **more},
        "status": {"phase": "Running", "conditions": READY if ready else []},
    }


def revision(name: str) -> Object:
    """A revision of the template."""
    return {"metadata": {"name": name}, "data": {"spec": {"template": TEMPLATE}}}


@given(
    there=st.dictionaries(st.integers(0, 6), st.tuples(st.sampled_from(["old", "new"]), st.booleans())),
    replicas=st.integers(0, 5),
    partition=st.integers(0, 6),
    policy=st.sampled_from(["OrderedReady", "Parallel"]),
)
def test_a_stateful_set_converges(
    there: dict[int, tuple[str, bool]], replicas: int, partition: int, policy: str
) -> None:
    """It ends with its numbers and revisions; in order, it never does two things at once."""
    made: Object = {
        "metadata": {"name": "s", "namespace": "n", "uid": "s"},
        "spec": {
            "replicas": replicas,
            "podManagementPolicy": policy,
            "selector": {},
            "template": TEMPLATE,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}},
        },
    }
    pods = {n: pod(f"s-{n}", of, ready=ready, labels=identity(made, n)) for n, (of, ready) in there.items()}
    for _ in range(50):
        plan = Members(made, [*pods.values()], revision("old"), revision("new"), NOW).plan()
        assert policy == "Parallel" or len(plan.create) + len(plan.delete) <= 1
        for item in plan.delete:
            del pods[int(meta.name(item).removeprefix("s-"))]
        pods |= {n: pod(f"s-{n}", meta.name(of), labels=identity(made, n)) for n, of in plan.create.items()}
        if plan.is_empty and all(item["status"]["conditions"] for item in pods.values()):
            break
        for item in pods.values():
            item["status"]["conditions"] = READY
    else:
        raise AssertionError("it does not come to rest")
    assert sorted(pods) == [*range(replicas)]
    assert all(meta.labels(pods[n])[REVISION_HASH] == "new" for n in pods if n >= partition)


@given(
    there=st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["old", "new"]), st.booleans()), max_size=8),
    nodes=st.integers(0, 4),
    rolling=st.sampled_from([{"maxUnavailable": 1}, {"maxUnavailable": "50%"}, {"maxUnavailable": 0, "maxSurge": 1}]),
)
def test_a_daemon_set_converges(there: list[tuple[int, str, bool]], nodes: int, rolling: Object) -> None:
    """It ends with one pod of the newest template on each node."""
    made = {
        "metadata": {"name": "d", "namespace": "n", "uid": "d"},
        "spec": {
            "selector": {},
            "template": TEMPLATE,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        },
    }
    machines = {f"n{index}": {"metadata": {"name": f"n{index}"}, "spec": {}} for index in range(nodes)}
    placed = enumerate((f"n{on}", of, ready) for on, of, ready in there if on < nodes)
    pods = {f"p{n}": pod(f"p{n}", of, ready=ready, nodeName=on) for n, (on, of, ready) in placed}
    count = len(there)
    for _ in range(50):
        view = Daemons(made, machines, [*pods.values()], "new", NOW)
        plan = view.manage()
        if not plan.create and not plan.delete:
            plan = view.update()
        for item in plan.delete:
            del pods[meta.name(item)]
        for on in plan.create:
            count += 1
            pods[f"p{count}"] = pod(f"p{count}", "new", nodeName=on)
        if not plan.create and not plan.delete and all(item["status"]["conditions"] for item in pods.values()):
            break
        for item in pods.values():
            item["status"]["conditions"] = READY
    assert sorted(item["spec"]["nodeName"] for item in pods.values()) == sorted(machines)
    assert {meta.labels(item)[REVISION_HASH] for item in pods.values()} <= {"new"}


@given(
    ends=st.lists(st.sampled_from(["Succeeded", "Failed"]), min_size=20, max_size=20),
    frees=st.lists(st.booleans(), min_size=60, max_size=60),
    completions=st.integers(0, 5),
    parallelism=st.integers(1, 3),
    limit=st.integers(0, 3),
)
def test_a_job_counts_each_pod_once(
    ends: list[str], frees: list[bool], completions: int, parallelism: int, limit: int
) -> None:
    """However late its pods are let go, the counts at the end are those of the pods that ended."""
    spec = {"completions": completions, "parallelism": parallelism, "backoffLimit": limit, "template": TEMPLATE}
    made: Object = {"metadata": {"name": "j", "namespace": "n", "uid": "j"}, "spec": spec}
    pods: dict[str, Object] = {}
    words, lets_go, now = iter(ends), iter([*frees, *[True] * 1000]), NOW
    for _ in range(200):
        now += timedelta(hours=1)
        found = jobs.outcome(made, [*pods.values()], now)
        made = made | {"status": found.status}
        if jobs.is_finished(made):
            break
        for item in found.free:
            if next(lets_go):
                pods[meta.name(item)] = item | {"metadata": item["metadata"] | {"finalizers": []}}
        for item in [*found.withdraw, *found.delete]:
            del pods[meta.name(item)]
        for _index, _failed in found.create:
            name = f"p{len(pods)}-{len(made['status'])}-{now:%d%H}"
            assert name not in pods
            pods[name] = pod(name, "", metadata={"finalizers": [TRACKING]})
        running = [item for item in pods.values() if item["status"]["phase"] == "Running"]
        assert len(running) <= parallelism
        for item in running[:1]:
            item["status"]["phase"] = next(words, "Succeeded")
    assert jobs.is_finished(made)
    ended = [item["status"]["phase"] for item in pods.values()]
    status = made["status"]
    assert (status.get("succeeded", 0), status.get("failed", 0)) == (ended.count("Succeeded"), ended.count("Failed"))
    complete = meta.is_condition_true(made, "Complete")
    assert complete is (ended.count("Failed") <= limit)
    assert not complete or ended.count("Succeeded") == completions
