"""What a Job does next: which pods are counted, made and removed, and what its status says. Pure.

A pod is counted once: its uid goes into the status, then its finalizer is removed, then the count rises and the uid
leaves the status. Upstream: pkg/controller/job/job_controller.go; conditions and words are those of v1.33.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from miniplane.api import meta
from miniplane.api.kind import Object

from . import indexes
from .jobpods import backoff_s, ended_at, failures_of, index_of, is_indexed, is_tracked, pause_s, restarts
from .podfailure import FAIL_INDEX, FAIL_JOB, IGNORE, Verdict, verdict
from .podkeeping import is_active, is_ended, phase, ready_since
from .replicas import to_delete

COMPLETE, FAILED, SUSPENDED = "Complete", "Failed", "Suspended"
CRITERIA_MET, FAILURE_TARGET = "SuccessCriteriaMet", "FailureTarget"
BURST = 500
"""Pods created or deleted in one go at most."""


@dataclass(frozen=True, slots=True)
class Finish:
    """How a Job ends."""

    type: str
    reason: str
    message: str

    @property
    def announced_by(self) -> str:
        """The condition that says so before all pods have gone."""
        return CRITERIA_MET if self.type == COMPLETE else FAILURE_TARGET


@dataclass(slots=True)
class Outcome:
    """What to do, in this order: write the status, let go of pods that are counted, remove and make pods."""

    status: Object
    free: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    """Their end counts as a failure."""
    withdraw: list[Object] = field(default_factory=list)
    """Their end does not count."""
    create: list[tuple[int | None, Object | None]] = field(default_factory=list)
    """`(index, failed pod that is replaced)`."""
    events: list[tuple[str, str, str]] = field(default_factory=list)
    """`(type, reason, message)`."""
    wait_s: float | None = None

    def look_after(self, seconds: float) -> None:
        """Look again after that time at the latest."""
        self.wait_s = seconds if self.wait_s is None else min(self.wait_s, seconds)


def is_finished(job: Object) -> bool:
    """Whether nothing will happen to it any more."""
    return meta.is_condition_true(job, COMPLETE) or meta.is_condition_true(job, FAILED)


def finished_at(job: Object) -> datetime | None:
    """When it completed or failed."""
    for word in (COMPLETE, FAILED):
        found = meta.condition(job, word)
        if found and found.get("status") == "True" and found.get("lastTransitionTime"):
            return meta.parse_timestamp(found["lastTransitionTime"])
    return None


class Tally:
    """The pods of a Job counted, those of before and those that have ended since."""

    def __init__(self, job: Object, pods: Sequence[Object]) -> None:
        spec, status = job["spec"], job.get("status") or {}
        self.job, self.pods = job, pods
        self.completions: int | None = spec.get("completions")
        self.replaces_failed_only = spec.get("podReplacementPolicy") == "Failed"
        self.active = [pod for pod in pods if is_active(pod)]
        self.terminating = [pod for pod in pods if meta.is_deleted(pod) and not is_ended(pod)]
        self.completed, self.failed_indexes = self._indexes(status)
        self.uncounted = {word: [*((status.get("uncountedTerminatedPods") or {}).get(word) or ())] for word in _WORDS}
        self.counts: dict[str, int] = {word: status.get(word) or 0 for word in _WORDS}
        self.free: list[Object] = []
        self.verdicts: dict[str, Verdict] = {}
        self.failing = ""
        """What FailJob tells."""
        self._count()

    def _indexes(self, status: Object) -> tuple[set[int], set[int]]:
        most = self.completions or 0
        found = (indexes.parse(status.get(key)) for key in ("completedIndexes", "failedIndexes"))
        completed, failed = ({index for index in part if index < most} for part in found)
        return completed, failed

    @property
    def per_index(self) -> bool:
        """Whether failures are counted by index."""
        return self.job["spec"].get("backoffLimitPerIndex") is not None

    def is_failed(self, pod: Object) -> bool:
        """Whether a pod counts as failed; one that is being deleted may, as nobody ends one without a node."""
        if phase(pod) == "Failed":
            return True
        lost = not pod["spec"].get("nodeName") or not self.replaces_failed_only
        return meta.is_deleted(pod) and phase(pod) != "Succeeded" and lost

    def _count(self) -> None:
        tracked = {meta.uid(pod): pod for pod in self.pods if is_tracked(pod)}
        for word in _WORDS:
            waiting = [uid for uid in self.uncounted[word] if uid in tracked]
            self.counts[word] += len(self.uncounted[word]) - len(waiting)
            self.free += [tracked.pop(uid) for uid in waiting]
            self.uncounted[word] = waiting
        held = {meta.uid(pod) for pod in self._held()}
        for uid, pod in tracked.items():
            if phase(pod) == "Succeeded":
                self._succeeded(uid, pod)
            elif self.is_failed(pod):
                self._failed(uid, pod, held=uid in held)
        if is_indexed(self.job):
            self.counts["succeeded"] = len(self.completed)

    def _succeeded(self, uid: str, pod: Object) -> None:
        self.free.append(pod)
        if not is_indexed(self.job):
            self.uncounted["succeeded"].append(uid)
        elif (index := index_of(pod)) is not None and index < (self.completions or 0):
            self.completed.add(index)

    def _failed(self, uid: str, pod: Object, *, held: bool) -> None:
        found = verdict(self.job, pod) if phase(pod) == "Failed" else Verdict()
        self.verdicts[uid], index = found, index_of(pod)
        if found.action == FAIL_JOB:
            self.failing = self.failing or found.message
        if self.per_index and index is not None and found.action != IGNORE and index < (self.completions or 0):
            spent = failures_of(pod) >= int(self.job["spec"]["backoffLimitPerIndex"])
            if index not in self.completed and (found.action == FAIL_INDEX or spent):
                self.failed_indexes.add(index)
        if held and index not in self.failed_indexes:
            return  # it tells how often its index has failed, until another pod of that index does
        self.free.append(pod)
        if found.action != IGNORE:
            self.uncounted["failed"].append(uid)

    def last_failures(self) -> dict[int, Object]:
        """By index, the pod with the most failures before it, of those that failed and are not counted yet."""
        found: dict[int, Object] = {}
        for pod in self.pods:
            index = index_of(pod)
            if index is None or not is_tracked(pod) or not self.is_failed(pod):
                continue
            if index not in found or _weight(found[index]) < _weight(pod):
                found[index] = pod
        return found

    def _held(self) -> list[Object]:
        """Failed pods that have no successor yet and so are not let go."""
        if not self.per_index or meta.is_deleted(self.job):
            return []
        busy = {index: pod for pod in self.active if (index := index_of(pod)) is not None}
        return [
            pod
            for index, pod in self.last_failures().items()
            if index not in self.completed
            and index not in self.failed_indexes
            and not (index in busy and _weight(busy[index]) > _weight(pod))
        ]

    @property
    def total(self) -> dict[str, int]:
        """`{succeeded, failed: count}` with those that are only noted yet."""
        sums = {word: self.counts[word] + len(self.uncounted[word]) for word in _WORDS}
        if is_indexed(self.job):
            sums["succeeded"] = len(self.completed)
        return sums


_WORDS = ("succeeded", "failed")


def _weight(pod: Object) -> tuple[int, int]:
    return failures_of(pod), failures_of(pod, "batch.kubernetes.io/job-index-ignored-failure-count")


def finish(tally: Tally, now: datetime) -> Finish | None:
    """How the Job ends, if it does; what was announced before stays."""
    job, spec = tally.job, tally.job["spec"]
    for word, end in ((FAILURE_TARGET, FAILED), (CRITERIA_MET, COMPLETE)):
        found = meta.condition(job, word)
        if found and found.get("status") == "True":
            return Finish(end, found.get("reason", ""), found.get("message", ""))
    if tally.failing:
        return Finish(FAILED, "PodFailurePolicy", tally.failing)
    limit = spec.get("backoffLimit")
    if limit is not None and (tally.total["failed"] > limit or _restarts_too_often(tally, limit)):
        return Finish(FAILED, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if (left := deadline_s(job, now)) is not None and left <= 0:
        return Finish(FAILED, "DeadlineExceeded", "Job was active longer than specified deadline")
    if is_indexed(job):
        return _of_indexes(tally)
    return _of_count(tally)


def _of_indexes(tally: Tally) -> Finish | None:
    spec, failed = tally.job["spec"], len(tally.failed_indexes)
    if tally.per_index:
        most = spec.get("maxFailedIndexes")
        if most is not None and failed > most:
            words = "Job has exceeded the specified maximal number of failed indexes"
            return Finish(FAILED, "MaxFailedIndexesExceeded", words)
        if failed and failed + len(tally.completed) >= (tally.completions or 0):
            return Finish(FAILED, "FailedIndexes", "Job has failed indexes")
    for number, rule in enumerate((spec.get("successPolicy") or {}).get("rules") or ()):
        wanted = rule.get("succeededIndexes")
        met = tally.completed & indexes.parse(wanted) if wanted is not None else tally.completed
        enough = rule.get("succeededCount")
        needed = len(indexes.parse(wanted)) if enough is None else enough
        if len(met) >= needed:
            return Finish(COMPLETE, "SuccessPolicy", f"Matched rules at index {number}")
    return _of_count(tally)


def _of_count(tally: Tally) -> Finish | None:
    succeeded, idle = tally.total["succeeded"], not tally.active
    done = (succeeded > 0 if tally.completions is None else succeeded >= tally.completions) and idle
    # A suspended Job may have all of its successes, too; one without any to reach is complete at once.
    if not done:
        return None
    return Finish(COMPLETE, "CompletionsReached", "Reached expected number of succeeded pods")


def _restarts_too_often(tally: Tally, limit: int) -> bool:
    if tally.job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    count = restarts(tally.active)
    return count > 0 if limit == 0 else count >= limit


def is_suspended(job: Object) -> bool:
    """Whether it should have no pods for now."""
    return bool(job["spec"].get("suspend"))


def deadline_s(job: Object, now: datetime) -> float | None:
    """Seconds until activeDeadlineSeconds are over; None where nothing is limited or running."""
    limit, start = job["spec"].get("activeDeadlineSeconds"), (job.get("status") or {}).get("startTime")
    if limit is None or not start or is_suspended(job):
        return None
    return (meta.parse_timestamp(start) + timedelta(seconds=limit) - now).total_seconds()


def outcome(job: Object, pods: Sequence[Object], now: datetime) -> Outcome:
    """Look at a Job and all of its pods."""
    tally = Tally(job, pods)
    result = Outcome(_status(tally), tally.free)
    conditions = [*((job.get("status") or {}).get("conditions") or ())]
    end = finish(tally, now)
    if end is not None:
        _end(tally, end, conditions, result, now)
    elif not meta.is_deleted(job):
        if (left := deadline_s(job, now)) is not None:
            result.look_after(left)
        _run(tally, result, now)
        _suspension(job, conditions, result, now)
    if conditions:
        result.status["conditions"] = conditions
    return result


def _status(tally: Tally) -> Object:
    job = tally.job
    old = job.get("status") or {}
    status = {key: old[key] for key in ("startTime", "completionTime") if old.get(key)}
    status |= {
        "ready": sum(ready_since(pod) is not None for pod in tally.active),
        "terminating": len(tally.terminating),
        "uncountedTerminatedPods": {word: uids for word, uids in tally.uncounted.items() if uids},
    }
    status |= {word: count for word, count in tally.counts.items() if count}
    if tally.active:
        status["active"] = len(tally.active)
    if is_indexed(job):
        if tally.completed:
            status["completedIndexes"] = indexes.text_of(tally.completed)
        if tally.per_index:
            status["failedIndexes"] = indexes.text_of(tally.failed_indexes)
    return status


def _set(
    conditions: list[Object], word: str, end: Finish | tuple[str, str], now: datetime, value: str = "True"
) -> bool:
    """Put a condition in; says whether it was not so before."""
    reason, message = (end.reason, end.message) if isinstance(end, Finish) else end
    new = {"type": word, "status": value, "reason": reason, "message": message}
    if any(all(item.get(key) == wanted for key, wanted in new.items()) for item in conditions):
        return False
    return meta.set_condition(conditions, new | {"lastProbeTime": meta.timestamp(now)}, now)


def _end(tally: Tally, end: Finish, conditions: list[Object], result: Outcome, now: datetime) -> None:
    """Announce the end, remove what still runs, and finish when all of it has gone and is counted."""
    if not any(item["type"] == end.type and item["status"] == "True" for item in conditions):
        _set(conditions, end.announced_by, end, now)
    result.delete = tally.active
    freed = set(map(meta.uid, result.free))
    held = [pod for pod in tally.pods if is_tracked(pod) and tally.is_failed(pod) and meta.uid(pod) not in freed]
    result.free += held  # nobody comes after them any more
    noted = result.status["uncountedTerminatedPods"]
    for pod in held:
        if tally.verdicts.get(meta.uid(pod), Verdict()).action != IGNORE:
            noted.setdefault("failed", []).append(meta.uid(pod))
    if tally.active or tally.terminating or result.free or any(noted.values()):
        return
    if _set(conditions, end.type, end, now):
        if end.type == COMPLETE:
            result.status["completionTime"] = meta.timestamp(now)
            result.events.append(("Normal", "Completed", "Job completed"))
        else:
            result.events.append(("Warning", end.reason, end.message))


def _suspension(job: Object, conditions: list[Object], result: Outcome, now: datetime) -> None:
    """Tell of a suspension or its end; the time of a start is that of the last one."""
    was = any(item["type"] == SUSPENDED and item["status"] == "True" for item in conditions)
    if is_suspended(job):
        if _set(conditions, SUSPENDED, ("JobSuspended", "Job suspended"), now):
            result.events.append(("Normal", "Suspended", "Job suspended"))
        return
    if was:
        _set(conditions, SUSPENDED, ("JobResumed", "Job resumed"), now, "False")
        result.events.append(("Normal", "Resumed", "Job resumed"))
    if was or not result.status.get("startTime"):
        result.status["startTime"] = meta.timestamp(now)


def _run(tally: Tally, result: Outcome, now: datetime) -> None:
    """Make or remove pods so that as many run as should; one of both at a time."""
    if is_suspended(tally.job):
        result.withdraw = tally.active
        return
    parallelism = tally.job["spec"].get("parallelism")
    most = 1 if parallelism is None else int(parallelism)
    active, succeeded = len(tally.active), tally.total["succeeded"]
    if tally.completions is None:
        wanted = active if succeeded else most
    else:
        wanted = max(0, min(most, tally.completions - succeeded - len(tally.failed_indexes)))
    surplus = [*_duplicates(tally)]
    spare = set(map(meta.uid, surplus))
    rest = [pod for pod in tally.active if meta.uid(pod) not in spare]
    surplus += to_delete(rest, max(0, len(rest) - wanted), (), now)
    if surplus:
        result.withdraw = surplus[:BURST]
        return
    going = len(tally.terminating) if tally.replaces_failed_only else 0
    room = min(wanted - active - going, BURST)
    if room > 0 and not tally.per_index and (wait_s := backoff_s(tally.pods, now)):
        result.look_after(wait_s)
    elif room > 0:
        result.create = _new_pods(tally, room, result, now)


def _duplicates(tally: Tally) -> Iterator[Object]:
    """Pods of an Indexed Job whose index another one has, or nobody needs."""
    if not is_indexed(tally.job):
        return
    taken: set[int] = set()
    for pod in sorted(tally.active, key=lambda item: (ready_since(item) is None, meta.name(item))):
        index = index_of(pod)
        if index is None or index >= (tally.completions or 0) or index in taken:
            yield pod
        else:
            taken.add(index)


def _new_pods(tally: Tally, room: int, result: Outcome, now: datetime) -> list[tuple[int | None, Object | None]]:
    if not is_indexed(tally.job):
        return [(None, None)] * room
    busy = {index_of(pod) for pod in tally.active}
    if tally.replaces_failed_only:
        busy |= {index_of(pod) for pod in tally.terminating}
    last: Mapping[int, Object] = tally.last_failures() if tally.per_index else {}
    made: list[tuple[int | None, Object | None]] = []
    for index in range(tally.completions or 0):
        if len(made) >= room:
            break
        if index in busy or index in tally.completed or index in tally.failed_indexes:
            continue
        failed = last.get(index)
        wait_s = pause_s(sum(_weight(failed)) + 1, ended_at(failed, now), now) if failed else 0.0
        if wait_s:
            result.look_after(wait_s)
        else:
            made.append((index, failed))
    return made
