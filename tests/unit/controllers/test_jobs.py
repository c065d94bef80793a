"""What a Job does next, and what its status says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controllers import indexes, jobpods, jobs
from controllers.jobpods import FAILURES, INDEX, TRACKING
from controllers.jobs import Outcome
from controllers.podfailure import Verdict, verdict
from miniplane.api import meta
from miniplane.api.kind import Object

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LONG_AGO = "2026-01-01T00:00:00Z"


def job(status: Object | None = None, **spec: Any) -> Object:
    """A Job of three completions, two at once."""
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}}
    return {
        "metadata": {"name": "j", "namespace": "n", "uid": "j"},
        "spec": {"completions": 3, "parallelism": 2, "backoffLimit": 6, "template": template, **spec},
        "status": {"startTime": LONG_AGO, **(status or {})},
    }


def pod(name: str, word: str = "Running", index: int | None = None, **more: Any) -> Object:
    """A pod that is not counted yet, unless `free`."""
    metadata: Object = {"name": name, "namespace": "n", "uid": name, "finalizers": [TRACKING], "annotations": {}}
    if more.pop("free", False):
        metadata["finalizers"] = []
    if more.pop("going", False):
        metadata["deletionTimestamp"] = LONG_AGO
    if index is not None:
        metadata["annotations"] = {INDEX: str(index), FAILURES: str(more.pop("failures", 0))}
    ended = {"finishedAt": more.pop("at", LONG_AGO), "exitCode": more.pop("code", word == "Failed")}
    state = {"terminated": ended} if word in ("Succeeded", "Failed") else {"running": {}}
    containers = [{"name": "c", "state": state, "restartCount": more.pop("restarts", 0)}]
    status = {"phase": word, "containerStatuses": containers, "conditions": more.pop("conditions", [])}
    return {"metadata": metadata, "spec": {"nodeName": "a"}, "status": status}


def look(made: Object, *pods: Object) -> Outcome:
    """What there is to do now."""
    return jobs.outcome(made, pods, NOW)


def names(pods: list[Object]) -> list[str]:
    """Their names."""
    return [meta.name(item) for item in pods]


def conditions(found: Outcome) -> dict[str, str]:
    """`{type: reason}` of those that are true."""
    return {item["type"]: item["reason"] for item in found.status.get("conditions") or () if item["status"] == "True"}


@pytest.mark.parametrize(
    ("spec", "status", "pods", "created", "withdrawn"),
    [
        ({}, {}, [], 2, 0),
        ({}, {}, [pod("a")], 1, 0),
        ({}, {"succeeded": 2}, [], 1, 0),
        ({}, {"succeeded": 2}, [pod("a"), pod("b")], 0, 1),
        ({"parallelism": 0}, {}, [pod("a")], 0, 1),
        ({"suspend": True}, {}, [pod("a"), pod("b")], 0, 2),
        ({"completions": None}, {}, [], 2, 0),
        ({"completions": None}, {"succeeded": 1}, [pod("a")], 0, 0),
        ({}, {}, [pod("a", going=True)], 2, 0),
        ({"podReplacementPolicy": "Failed"}, {}, [pod("a", going=True)], 1, 0),
        ({}, {}, [pod("a", "Failed")], 2, 0),
        ({}, {}, [pod("a", "Failed", at="2026-01-02T03:04:00Z")], 0, 0),
    ],
)
def test_how_many_pods_run(spec: Object, status: Object, pods: list[Object], created: int, withdrawn: int) -> None:
    """As many as parallelism allows and completions need; after a failure there is a pause."""
    found = look(job(status, **spec), *pods)
    assert (len(found.create), len(found.withdraw), found.delete) == (created, withdrawn, [])


def test_a_pod_is_counted_once_in_three_steps() -> None:
    """Its uid is noted, it is let go, and then the count rises."""
    first = look(job(), pod("a", "Succeeded"), pod("b", "Failed"))
    assert first.status["uncountedTerminatedPods"] == {"succeeded": ["a"], "failed": ["b"]}
    assert sorted(names(first.free)) == ["a", "b"]
    second = look(job(first.status), pod("a", "Succeeded"), pod("b", "Failed", free=True))
    assert second.status["uncountedTerminatedPods"] == {"succeeded": ["a"]}
    assert second.status["failed"] == 1
    third = look(job(second.status), pod("a", "Succeeded", free=True), pod("b", "Failed", free=True))
    assert (third.status["succeeded"], third.status["failed"]) == (1, 1)
    assert third.status["uncountedTerminatedPods"] == {}


def test_it_completes_when_all_is_counted() -> None:
    """First the criteria are met, then, with nothing left to count, the Job is complete."""
    first = look(job({"succeeded": 2}), pod("a", "Succeeded"))
    assert conditions(first) == {"SuccessCriteriaMet": "CompletionsReached"}
    last = look(job(first.status), pod("a", "Succeeded", free=True))
    assert conditions(last) == {"SuccessCriteriaMet": "CompletionsReached", "Complete": "CompletionsReached"}
    assert last.status["completionTime"] == meta.timestamp(NOW)
    assert last.events == [("Normal", "Completed", "Job completed")]


@pytest.mark.parametrize(
    ("made", "pods", "reason"),
    [
        (job({"failed": 7}), [], "BackoffLimitExceeded"),
        (job({"failed": 6}), [], ""),
        (job(activeDeadlineSeconds=10), [], "DeadlineExceeded"),
        (job(activeDeadlineSeconds=10, suspend=True), [], ""),
        (
            job({"failedIndexes": "0-1"}, completionMode="Indexed", backoffLimitPerIndex=0, maxFailedIndexes=1),
            [],
            "MaxFailedIndexesExceeded",
        ),
        (
            job({"failedIndexes": "0", "completedIndexes": "1,2"}, completionMode="Indexed", backoffLimitPerIndex=0),
            [],
            "FailedIndexes",
        ),
    ],
)
def test_how_a_job_fails(made: Object, pods: list[Object], reason: str) -> None:
    """The condition Failed names the limit that was reached."""
    found = {word: why for word, why in conditions(look(made, *pods)).items() if word != "Suspended"}
    assert found == ({"FailureTarget": reason, "Failed": reason} if reason else {})


def test_restarts_in_place_count_too() -> None:
    """With restartPolicy OnFailure the restarts of containers are limited."""
    made = job(backoffLimit=2)
    made["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    assert conditions(look(made, pod("a", restarts=1))) == {}
    found = look(made, pod("a", restarts=2))
    assert conditions(found) == {"FailureTarget": "BackoffLimitExceeded"}
    assert names(found.delete) == ["a"]


def test_indexes_run_from_the_lowest() -> None:
    """Completed, busy and failed indexes get no pod; a second pod of an index goes."""
    made = job({"completedIndexes": "0"}, completionMode="Indexed", completions=5, parallelism=3)
    assert [index for index, _ in look(made, pod("a", index=2)).create] == [1, 3]
    assert names(look(made, pod("a", index=2), pod("b", index=2), pod("c", index=9)).withdraw) == ["b", "c"]


def test_failures_are_counted_by_index() -> None:
    """A failed pod stays until its index has another; when the limit is reached the index has failed."""
    made = job(completionMode="Indexed", backoffLimitPerIndex=1, completions=2)
    found = look(made, pod("a", "Failed", index=0), pod("b", index=1))
    assert found.free == []
    ((index, failed),) = found.create
    assert index == 0
    assert failed is not None
    again = jobpods.pod_for(made, 0, failed)
    assert meta.annotations(again)[FAILURES] == "1"
    last = look(made, pod("a", "Failed", index=0), pod("c", "Failed", index=0, failures=1), pod("b", index=1))
    assert last.status["failedIndexes"] == "0"
    assert last.create == []
    assert sorted(last.status["uncountedTerminatedPods"]["failed"]) == ["a", "c"]


def test_a_success_policy_ends_the_rest() -> None:
    """When a rule is met the pods that still run are removed."""
    rules = {"rules": [{"succeededIndexes": "0,2", "succeededCount": 1}]}
    made = job({"completedIndexes": "2"}, completionMode="Indexed", successPolicy=rules)
    found = look(made, pod("a", index=1))
    assert conditions(found) == {"SuccessCriteriaMet": "SuccessPolicy"}
    assert names(found.delete) == ["a"]
    assert found.status["conditions"][0]["message"] == "Matched rules at index 0"


def test_suspension_is_told_and_starts_the_clock_anew() -> None:
    """Suspended with its event; on resuming a new start time."""
    rest = look(job(suspend=True), pod("a"))
    assert conditions(rest) == {"Suspended": "JobSuspended"}
    assert rest.events == [("Normal", "Suspended", "Job suspended")]
    back = look(job(rest.status))
    assert conditions(back) == {}
    assert back.status["startTime"] == meta.timestamp(NOW)
    assert back.events == [("Normal", "Resumed", "Job resumed")]


ON_42 = {"onExitCodes": {"operator": "In", "values": [42]}}
DISRUPTED = {"onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


@pytest.mark.parametrize(
    ("rule", "failed", "expected"),
    [
        (ON_42 | {"action": "FailJob"}, pod("a", "Failed", code=42), Verdict(
            "FailJob", "Container c for pod n/a failed with exit code 42 matching FailJob rule at index 0")),
        (ON_42 | {"action": "FailJob"}, pod("a", "Failed", code=1), Verdict()),
        ({"onExitCodes": {"operator": "NotIn", "values": [42]}, "action": "Ignore"}, pod("a", "Failed", code=1),
         Verdict("Ignore")),
        ({"onExitCodes": {"containerName": "d", "operator": "In", "values": [1]}, "action": "Ignore"},
         pod("a", "Failed", code=1), Verdict()),
        (DISRUPTED | {"action": "Ignore"},
         pod("a", "Failed", conditions=[{"type": "DisruptionTarget", "status": "True"}]), Verdict("Ignore")),
        (DISRUPTED | {"action": "FailJob"},
         pod("a", "Failed", conditions=[{"type": "DisruptionTarget", "status": "True"}]),
         Verdict("FailJob", "Pod n/a has condition DisruptionTarget matching FailJob rule at index 0")),
    ],
)  # fmt: skip
def test_what_a_failure_means(rule: Object, failed: Object, expected: Verdict) -> None:
    """The first rule that matches by exit code or condition says."""
    made = job(podFailurePolicy={"rules": [rule]}, podReplacementPolicy="Failed")
    assert verdict(made, failed) == expected
    found = look(made, failed)
    assert ("FailureTarget" in conditions(found)) is (expected.action == "FailJob")
    noted = found.status["uncountedTerminatedPods"].get("failed", [])
    assert noted == ([] if expected.action == "Ignore" else ["a"])


def test_an_indexed_pod_knows_its_index() -> None:
    """By label, annotation, host name and environment."""
    made = jobpods.pod_for(job(completionMode="Indexed"), 4)
    assert (meta.labels(made)[INDEX], meta.annotations(made)[INDEX]) == ("4", "4")
    assert made["spec"]["hostname"] == "j-4"
    assert made["metadata"]["generateName"] == "j-4-"
    (told,) = made["spec"]["containers"][0]["env"]
    assert told["valueFrom"]["fieldRef"]["fieldPath"] == f"metadata.labels['{INDEX}']"


@pytest.mark.parametrize(("failures", "pause"), [(0, 0), (1, 10), (2, 20), (3, 40), (20, 600)])
def test_pauses_double(failures: int, pause: float) -> None:
    """Ten seconds after the first failure, ten minutes at most."""
    assert jobpods.pause_s(failures, NOW, NOW) == pause
    assert jobpods.pause_s(failures, NOW - timedelta(seconds=700), NOW) == 0


@pytest.mark.parametrize("text", ["", "1", "1,2", "1-3", "0-2,5,7,9-12"])
def test_indexes_are_written_as_ranges(text: str) -> None:
    """What is written is read back."""
    assert indexes.text_of(indexes.parse(text)) == text
