"""The pods of Jobs: how they are made, and what is read from them. Pure.

Upstream: pkg/controller/job (indexed_job_utils.go, backoff_utils.go).
"""

from collections.abc import Iterable
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.kinds import JOB

from .podkeeping import is_ended, new_pod, phase

TRACKING = "batch.kubernetes.io/job-tracking"
"""The finalizer that holds a pod until it is counted."""
INDEX = "batch.kubernetes.io/job-completion-index"
"""Annotation and label of a pod of an Indexed Job."""
FAILURES = "batch.kubernetes.io/job-index-failure-count"
"""Annotation of a pod: how often its index had failed when it was made."""
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
_ENVIRONMENT = {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}}
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 600.0
"""Before a failed pod is replaced; doubles with each failure since the last success."""


def is_indexed(job: Object) -> bool:
    """Whether each pod has an index of its own."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def is_tracked(pod: Object) -> bool:
    """Whether a pod is not counted yet."""
    return TRACKING in meta.finalizers(pod)


def index_of(pod: Object) -> int | None:
    """A pod's completion index."""
    text = meta.annotations(pod).get(INDEX, "")
    return int(text) if text.isascii() and text.isdigit() else None


def failures_of(pod: Object, name: str = FAILURES) -> int:
    """How often the pod's index had failed before it."""
    text = meta.annotations(pod).get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def pod_for(job: Object, index: int | None, replaces: Object | None = None, *, ignored: bool = False) -> Object:
    """A new pod, of an index in an Indexed Job; `replaces` failed before it, which with `ignored` does not count."""
    template = job["spec"]["template"]
    metadata, spec = dict(template.get("metadata") or {}), template["spec"]
    metadata["finalizers"] = [*(metadata.get("finalizers") or ()), TRACKING]
    if index is None:
        return new_pod(job, JOB, {"metadata": metadata, "spec": spec})
    name = f"{meta.name(job)}-{index}"
    annotations = {**(metadata.get("annotations") or {}), INDEX: str(index)}
    if job["spec"].get("backoffLimitPerIndex") is not None:
        annotations[FAILURES] = str(failures_of(replaces) + (not ignored) if replaces else 0)
        if replaces and (count := failures_of(replaces, IGNORED_FAILURES) + ignored):
            annotations[IGNORED_FAILURES] = str(count)
    metadata |= {"annotations": annotations, "labels": {**(metadata.get("labels") or {}), INDEX: str(index)}}
    for key in ("initContainers", "containers"):
        if spec.get(key):
            spec = spec | {key: [_told(container) for container in spec[key]]}
    spec = {"hostname": name} | spec
    return new_pod(job, JOB, {"metadata": metadata, "spec": spec}, generateName=f"{name}-")


def _told(container: Object) -> Object:
    """The container with its index in the environment, unless it has that."""
    given = container.get("env") or []
    has = any(item["name"] == _ENVIRONMENT["name"] for item in given)
    return container if has else container | {"env": [*given, _ENVIRONMENT]}


def ended_at(pod: Object, now: datetime) -> datetime:
    """When a pod's last container ended, or the best that is known of that."""
    status = pod.get("status") or {}
    ends = [((item.get("state") or {}).get("terminated") or {}) for item in status.get("containerStatuses") or ()]
    times = [item["finishedAt"] for item in ends if item.get("finishedAt")]
    if times:
        return max(map(meta.parse_timestamp, times))
    ready = (meta.condition(pod, "Ready") or {}).get("lastTransitionTime")
    text = ready or meta.metadata(pod).get("deletionTimestamp")
    return meta.parse_timestamp(text) if text else now


def pause_s(failures: int, last: datetime, now: datetime) -> float:
    """Seconds to wait after that many failures in a row, the last at `last`."""
    if failures <= 0:
        return 0.0
    pause: float = min(FIRST_PAUSE_S * 2 ** min(failures - 1, 10), LONGEST_PAUSE_S)
    return max(0.0, pause - (now - last).total_seconds())


def backoff_s(pods: Iterable[Object], now: datetime) -> float:
    """Seconds until pods may be made again: more the more have failed since one succeeded."""
    ended = sorted(((ended_at(pod, now), phase(pod)) for pod in pods if is_ended(pod)), reverse=True)
    count = 0
    for _, word in ended:
        if word == "Succeeded":
            break
        count += 1
    return pause_s(count, ended[0][0], now) if count else 0.0


def restarts(pods: Iterable[Object]) -> int:
    """How often containers of running and pending pods were restarted."""
    return sum(
        item.get("restartCount") or 0
        for pod in pods
        if not is_ended(pod)
        for key in ("initContainerStatuses", "containerStatuses")
        for item in (pod.get("status") or {}).get(key) or ()
    )
