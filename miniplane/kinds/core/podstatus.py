"""What a pod's state looks like in a table: STATUS, READY, RESTARTS.

Counterpart upstream: printPod in pkg/printers/internalversion.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.table import age
from miniplane.kinds.fields import entries, flag, number, section, text
from miniplane.kinds.shared import parse_moment

_TERMINAL = ("Failed", "Succeeded")


@dataclass(slots=True)
class _Restarts:
    """How often containers were restarted, and when one ended last."""

    count: int = 0
    last: datetime | None = None

    def add(self, status: Object) -> None:
        self.count += number(status, "restartCount")
        ended = parse_moment(text(section(section(status, "lastState"), "terminated"), "finishedAt"))
        if ended and (self.last is None or ended > self.last):
            self.last = ended


@dataclass(frozen=True, slots=True)
class Summary:
    """A pod in short."""

    status: str
    ready: int
    total: int
    restarts: int
    last_restart: datetime | None

    def restarts_cell(self, now: datetime) -> str:
        """`5` or `5 (2m ago)`."""
        if self.restarts and self.last_restart:
            return f"{self.restarts} ({age(self.last_restart, now)} ago)"
        return str(self.restarts)


@dataclass(frozen=True, slots=True)
class _Init:
    """Where the init containers stand; `reason` is empty when they are through."""

    reason: str
    ready: int
    restarts: _Restarts
    sidecar_restarts: _Restarts


def summarize(pod: Object) -> Summary:
    """How kubectl would describe the pod in one line."""
    spec, status = section(pod, "spec"), section(pod, "status")
    sidecars = {
        text(container, "name")
        for container in entries(spec, "initContainers")
        if text(container, "restartPolicy") == "Always"
    }
    reason = text(status, "reason") or text(status, "phase")
    for condition in entries(status, "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    init = _init(spec, status, sidecars)
    ready, restarts, reason = init.ready, init.restarts, init.reason or reason
    if not init.reason or meta.is_condition_true(pod, "Initialized"):
        restarts = init.sidecar_restarts
        running, reason = _regular(status, restarts, reason)
        ready += running
        if reason == "Completed" and running:
            reason = "Running" if meta.is_condition_true(pod, "Ready") else "NotReady"
    if meta.is_deleted(pod):
        if text(status, "reason") == "NodeLost":
            reason = "Unknown"
        elif text(status, "phase") not in _TERMINAL:
            reason = "Terminating"
    total = len(entries(spec, "containers")) + len(sidecars)
    return Summary(reason, ready, total, restarts.count, restarts.last)


def _init(spec: Object, status: Object, sidecars: set[str]) -> _Init:
    restarts, sidecar_restarts = _Restarts(), _Restarts()
    ready = 0
    for index, container in enumerate(entries(status, "initContainerStatuses")):
        is_sidecar = text(container, "name") in sidecars
        restarts.add(container)
        if is_sidecar:
            sidecar_restarts.add(container)
        state = section(container, "state")
        if state.get("terminated") is not None and not number(section(state, "terminated"), "exitCode"):
            continue
        if is_sidecar and flag(container, "started"):
            ready += flag(container, "ready")
            continue
        waiting = text(section(state, "waiting"), "reason")
        if state.get("terminated") is not None:
            reason = f"Init:{_ending(section(state, 'terminated'))}"
        elif waiting not in ("", "PodInitializing"):
            reason = f"Init:{waiting}"
        else:
            reason = f"Init:{index}/{len(entries(spec, 'initContainers'))}"
        return _Init(reason, ready, restarts, sidecar_restarts)
    return _Init("", ready, restarts, sidecar_restarts)


def _regular(status: Object, restarts: _Restarts, reason: str) -> tuple[int, str]:
    """How many regular containers run and are ready, and the reason of the first that does not."""
    ready = 0
    for container in reversed(entries(status, "containerStatuses")):
        restarts.add(container)
        state = section(container, "state")
        if waiting := text(section(state, "waiting"), "reason"):
            reason = waiting
        elif state.get("terminated") is not None:
            reason = _ending(section(state, "terminated"))
        elif flag(container, "ready") and state.get("running") is not None:
            ready += 1
    return ready, reason


def _ending(terminated: Mapping[str, object]) -> str:
    """Why a container ended."""
    if reason := text(terminated, "reason"):
        return reason
    if signal := number(terminated, "signal"):
        return f"Signal:{signal}"
    return f"ExitCode:{number(terminated, 'exitCode')}"
