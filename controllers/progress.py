"""The status of a Deployment: counts, and the conditions that `kubectl rollout status` waits on.

Pure. Upstream: pkg/controller/deployment/progress.go and sync.go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object

from .rollout import count, limits, wanted

AVAILABLE, PROGRESSING, REPLICA_FAILURE = "Available", "Progressing", "ReplicaFailure"
NEW_AVAILABLE, TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"
NO_DEADLINE = 2**31 - 1
"""Upstream's word for a Deployment whose progress nobody times."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The status that should be stored, and when to look again because a deadline may pass."""

    status: Object
    look_after_s: float | None = None


def deadline_s(deployment: Object) -> int | None:
    """Seconds without progress after which a rollout counts as failed; None if nobody times it."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds in (None, NO_DEADLINE) else int(seconds)


def _with(conditions: Sequence[Object], new: Object, now: datetime, *, touch: bool = False) -> list[Object]:
    """The conditions with one set. `lastUpdateTime` moves when something else in it does, or if `touch`."""
    changed = [*conditions]
    old = next((item for item in conditions if item["type"] == new["type"]), None)
    same = old is not None and all(old.get(name) == value for name, value in new.items())
    if same and not touch:
        return changed
    meta.set_condition(changed, new | {"lastUpdateTime": meta.timestamp(now)}, now)
    return changed


def _of_type(conditions: Sequence[Object], word: str) -> Object:
    return next((item for item in conditions if item["type"] == word), {})


def counts(deployment: Object, new: Object | None, old: Sequence[Object]) -> dict[str, int]:
    """The counts of the status, zeros left out, and the generation that they are for."""
    everything = [*old, *([new] if new is not None else [])]
    available = count(everything, "availableReplicas")
    told = {
        "replicas": count(everything, "replicas"),
        "updatedReplicas": count([new] if new is not None else [], "replicas"),
        "readyReplicas": count(everything, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(wanted(item) for item in everything) - available),
    }
    told_of = {"observedGeneration": meta.generation(deployment)}
    return told_of | {name: value for name, value in told.items() if value}


def is_complete(deployment: Object, status: Mapping[str, Any]) -> bool:
    """Whether every wanted pod is of the newest template and available, and no other is left (DeploymentComplete)."""
    replicas = wanted(deployment)
    told = [status.get(name) or 0 for name in ("updatedReplicas", "replicas", "availableReplicas")]
    return told == [replicas] * 3 and (status.get("observedGeneration") or 0) >= meta.generation(deployment)


def _has_moved(status: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether the rollout has come further (DeploymentProgressing)."""

    def number(of: Mapping[str, Any], name: str) -> int:
        return int(of.get(name) or 0)

    old_now = number(status, "replicas") - number(status, "updatedReplicas")
    old_before = number(before, "replicas") - number(before, "updatedReplicas")
    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old_now < old_before or any(number(status, name) > number(before, name) for name in grown)


def progress(deployment: Object, new: Object | None, old: Sequence[Object], now: datetime) -> Progress:
    """The status of a Deployment from its ReplicaSets."""
    before: Object = deployment.get("status") or {}
    status: Object = dict(counts(deployment, new, old))
    if collisions := before.get("collisionCount"):
        status["collisionCount"] = collisions
    conditions = _availability(deployment, before.get("conditions") or [], status, now)
    conditions = _failure(conditions, [*old, *([new] if new is not None else [])], now)
    conditions, look_after_s = _progressing(deployment, new, conditions, status, now)
    if conditions:
        status["conditions"] = conditions
    return Progress(status, look_after_s)


def _availability(deployment: Object, conditions: Sequence[Object], status: Object, now: datetime) -> list[Object]:
    enough = (status.get("availableReplicas") or 0) >= wanted(deployment) - limits(deployment).unavailable
    new = {
        "type": AVAILABLE,
        "status": "True" if enough else "False",
        "reason": "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        "message": f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    }
    return _with(conditions, new, now)


def _failure(conditions: Sequence[Object], replica_sets: Sequence[Object], now: datetime) -> list[Object]:
    """A ReplicaSet that can't create its pods makes its Deployment say so, in its words."""
    for item in replica_sets[::-1]:
        found = meta.condition(item, REPLICA_FAILURE)
        if found and found.get("status") == "True":
            return _with(
                conditions, {name: found.get(name, "") for name in ("type", "status", "reason", "message")}, now
            )
    return [item for item in conditions if item["type"] != REPLICA_FAILURE]


def _progressing(
    deployment: Object, new: Object | None, conditions: Sequence[Object], status: Object, now: datetime
) -> tuple[list[Object], float | None]:
    """The condition Progressing, and the seconds until its deadline may have passed."""
    present, limit_s = _of_type(conditions, PROGRESSING), deadline_s(deployment)
    if limit_s is None:
        return [item for item in conditions if item["type"] != PROGRESSING], None
    if deployment["spec"].get("paused"):
        return _say(conditions, "Unknown", PAUSED, "Deployment is paused", now), None
    if present.get("reason") == PAUSED:
        conditions = _say(conditions, "Unknown", RESUMED, "Deployment is resumed", now)
        present = _of_type(conditions, PROGRESSING)
    subject = f'ReplicaSet "{meta.name(new)}"' if new is not None else f'Deployment "{meta.name(deployment)}"'
    settled = present.get("reason") == NEW_AVAILABLE and status.get("replicas") == status.get("updatedReplicas")
    if is_complete(deployment, status):
        return _say(conditions, "True", NEW_AVAILABLE, f"{subject} has successfully progressed.", now), None
    if settled:  # a pod that fails later does not make the rollout unfinished again
        return [*conditions], None
    if not present or _has_moved(status, deployment.get("status") or {}):
        text = f"{subject} is progressing."
        return _say(conditions, "True", "ReplicaSetUpdated", text, now, touch=True), float(limit_s)
    if present.get("reason") in (TIMED_OUT, NEW_AVAILABLE):  # over, or not begun yet
        return [*conditions], None
    left_s = _left(present, limit_s, now)
    if left_s > 0:
        return [*conditions], left_s
    return _say(conditions, "False", TIMED_OUT, f"{subject} has timed out progressing.", now), None


def _left(condition: Object, limit_s: int, now: datetime) -> float:
    since = meta.parse_timestamp(condition["lastUpdateTime"]) if condition.get("lastUpdateTime") else now
    return (since + timedelta(seconds=limit_s) - now).total_seconds()


def _say(
    conditions: Sequence[Object], status: str, reason: str, message: str, now: datetime, *, touch: bool = False
) -> list[Object]:
    new = {"type": PROGRESSING, "status": status, "reason": reason, "message": message}
    return _with(conditions, new, now, touch=touch)


def announce(deployment: Object, new: Object, now: datetime) -> list[Object]:
    """The conditions once a new ReplicaSet was created: the rollout's clock starts."""
    conditions = (deployment.get("status") or {}).get("conditions") or []
    if deadline_s(deployment) is None:
        return [*conditions]
    text = f'Created new replica set "{meta.name(new)}"'
    return _say(conditions, "True", "NewReplicaSetCreated", text, now, touch=True)
