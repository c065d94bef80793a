"""A pod's status, computed from its spec and the states of its containers. Pure.

Counterpart upstream: kubelet's status manager and `getPhase`, and the pod lifecycle page of the documentation.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.wellknown import FAULT_UNREADY

RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_NEVER = "Always", "OnFailure", "Never"
OWN_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
"""The conditions that the kubelet writes; others belong to somebody else and are not touched."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not running, and why."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """Running since."""

    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminated:
    """Ended."""

    exit_code: int
    reason: str
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    container_id: str = ""


State = Waiting | Running | Terminated


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerView:
    """One container as its status shows it."""

    name: str
    image: str
    state: State
    last: Terminated | None = None
    restart_count: int = 0
    is_ready: bool = False
    is_started: bool = False
    container_id: str = ""
    is_ephemeral: bool = False
    """Such a container counts as ready for nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """One pod as the kubelet knows it."""

    pod: Object
    """As last seen: its spec, annotations, and the conditions that others have set."""
    init: Sequence[ContainerView]
    containers: Sequence[ContainerView]
    ephemeral: Sequence[ContainerView] = ()
    host_ip: str
    ips: Sequence[str] = ()
    has_network: bool = False
    started_at: datetime
    """When the kubelet took it."""
    now: datetime
    failure: tuple[str, str] | None = None
    """Reason and message of a pod that failed as a whole (a deadline)."""


def is_sidecar(container: Object) -> bool:
    """Whether an init container goes on running beside the others."""
    return container.get("restartPolicy") == RESTART_ALWAYS


def restart_policy(pod: Object) -> str:
    """Always where none is set."""
    return str(pod["spec"].get("restartPolicy") or RESTART_ALWAYS)


def is_initialized(view: PodView) -> bool:
    """Whether every init container is through: ended well, or started where it stays."""
    return not _incomplete(view)


def _incomplete(view: PodView) -> list[str]:
    if any(not isinstance(item.state, Waiting) or item.last for item in view.containers):
        return []  # once past, for good: the restart of a sidecar does not take it back
    specs = {spec["name"]: spec for spec in view.pod["spec"].get("initContainers") or ()}
    return [item.name for item in view.init if not _is_through(item, specs[item.name])]


def _is_through(item: ContainerView, spec: Object) -> bool:
    if is_sidecar(spec):
        return item.is_started
    return isinstance(item.state, Terminated) and item.state.exit_code == 0


def phase(view: PodView) -> str:
    """Pending, Running, Succeeded or Failed."""
    if view.failure is not None:
        return "Failed"
    policy = restart_policy(view.pod)
    if _incomplete(view):
        specs = {spec["name"]: spec for spec in view.pod["spec"].get("initContainers") or ()}
        failed = any(
            isinstance(item.state, Terminated) and item.state.exit_code and not is_sidecar(specs[item.name])
            for item in view.init
        )
        return "Failed" if failed and policy == RESTART_NEVER else "Pending"
    ended: list[Terminated] = []
    for item in view.containers:
        match item.state:
            case Running():
                return "Running"
            case Terminated() as state:
                ended.append(state)
            case Waiting() if item.last is not None:
                ended.append(item.last)
            case Waiting():
                return "Pending"
    if policy == RESTART_ALWAYS:
        return "Running"
    if all(state.exit_code == 0 for state in ended):
        return "Succeeded"
    return "Failed" if policy == RESTART_NEVER else "Running"


def pod_status(view: PodView) -> Object:
    """The whole status that the kubelet reports; conditions keep their transition time where their status stays."""
    current = phase(view)
    status: Object = {
        "phase": current,
        "conditions": _conditions(view, current),
        "hostIP": view.host_ip,
        "hostIPs": [{"ip": view.host_ip}],
        "startTime": meta.timestamp(view.started_at),
        "qosClass": qos_class(view.pod),
        "containerStatuses": [container_status(item, view.pod) for item in view.containers],
    }
    if view.ips:
        status["podIP"] = view.ips[0]
        status["podIPs"] = [{"ip": address} for address in view.ips]
    if view.init:
        status["initContainerStatuses"] = [container_status(item, view.pod) for item in view.init]
    if view.ephemeral:
        status["ephemeralContainerStatuses"] = [container_status(item, view.pod) for item in view.ephemeral]
    if view.failure is not None:
        status["reason"], status["message"] = view.failure
    return status


def container_status(item: ContainerView, pod: Object) -> Object:
    """One entry of `containerStatuses`, with every required field."""
    status: Object = {
        "name": item.name,
        "state": _state(item.state),
        "lastState": _state(item.last) if item.last else {},
        "ready": is_ready(item, pod) and not item.is_ephemeral,
        "restartCount": item.restart_count,
        "image": item.image,
        "imageID": image_id(item.image) if item.container_id else "",
        "started": item.is_started,
    }
    if item.container_id:
        status["containerID"] = item.container_id
    return status


def image_id(image: str) -> str:
    """A stable id for an image that was never pulled."""
    return f"miniplane://sha256:{hashlib.sha256(image.encode()).hexdigest()}"


def _state(state: State) -> Object:
    match state:
        case Waiting(reason, message):
            return {"waiting": {"reason": reason} | ({"message": message} if message else {})}
        case Running(started_at):
            return {"running": {"startedAt": meta.timestamp(started_at)}}
        case Terminated():
            whole: dict[str, Any] = {
                "exitCode": state.exit_code,
                "reason": state.reason,
                "message": state.message,
                "startedAt": meta.timestamp(state.started_at) if state.started_at else "",
                "finishedAt": meta.timestamp(state.finished_at) if state.finished_at else "",
                "containerID": state.container_id,
            }
            return {"terminated": {key: value for key, value in whole.items() if value != ""}}


def is_ready(item: ContainerView, pod: Object) -> bool:
    """Whether the container counts as ready; an annotation can take that from every container of the pod."""
    return item.is_ready and meta.annotations(pod).get(FAULT_UNREADY) != "true"


def _conditions(view: PodView, current: str) -> list[Object]:
    unready = [item.name for item in view.containers if not is_ready(item, view.pod)]
    specs = {spec["name"]: spec for spec in view.pod["spec"].get("initContainers") or ()}
    unready = [
        *(item.name for item in view.init if is_sidecar(specs[item.name]) and not is_ready(item, view.pod)),
        *unready,
    ]
    containers = _containers_ready(current, unready)
    wanted = [
        _condition("PodReadyToStartContainers", holds=view.has_network),
        _initialized(view, current),
        {"type": "Ready"} | _gated(view, containers),
        {"type": "ContainersReady"} | containers,
        _condition("PodScheduled", holds=True),
    ]
    before = {item["type"]: item for item in (view.pod.get("status") or {}).get("conditions") or ()}
    stamp = meta.timestamp(view.now)
    return [_with_times(item, before.get(item["type"]), stamp) for item in wanted]


def _condition(kind: str, *, holds: bool, reason: str = "", message: str = "") -> Object:
    made = {"type": kind, "status": "True" if holds else "False", "reason": reason, "message": message}
    return {key: value for key, value in made.items() if value}


def _with_times(new: Object, old: Mapping[str, Any] | None, stamp: str) -> Object:
    stays = old is not None and old.get("status") == new["status"] and old.get("lastTransitionTime")
    return new | {"lastProbeTime": None, "lastTransitionTime": stays or stamp}


def _initialized(view: PodView, current: str) -> Object:
    if current == "Succeeded":
        return _condition("Initialized", holds=True, reason="PodCompleted")
    if names := _incomplete(view):
        message = f"containers with incomplete status: [{' '.join(names)}]"
        return _condition("Initialized", holds=False, reason="ContainersNotInitialized", message=message)
    return _condition("Initialized", holds=True)


def _containers_ready(current: str, unready: Sequence[str]) -> Object:
    if current == "Succeeded":
        return {"status": "False", "reason": "PodCompleted"}
    if current == "Failed":
        return {"status": "False", "reason": "PodFailed"}
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        return {"status": "False", "reason": "ContainersNotReady", "message": message}
    return {"status": "True"}


def _gated(view: PodView, containers: Object) -> Object:
    """Ready = ContainersReady and every readiness gate."""
    if containers["status"] != "True":
        return containers
    present = {item["type"]: item.get("status") for item in (view.pod.get("status") or {}).get("conditions") or ()}
    problems = [
        _gate_problem(gate["conditionType"], present.get(gate["conditionType"]))
        for gate in view.pod["spec"].get("readinessGates") or ()
        if present.get(gate["conditionType"]) != "True"
    ]
    if problems:
        return {"status": "False", "reason": "ReadinessGatesNotReady", "message": ", ".join(problems)}
    return containers


def _gate_problem(kind: str, found: str | None) -> str:
    if found is None:
        return f'corresponding condition of pod readiness gate "{kind}" does not exist.'
    return f'the status of pod readiness gate "{kind}" is not "True", but {found}'


def qos_class(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort, by the containers' requests and limits of cpu and memory."""
    spec = pod["spec"]
    every = [*spec["containers"], *(spec.get("initContainers") or ())]
    if not any(_amounts(item, kind) for item in every for kind in ("requests", "limits")):
        return "BestEffort"
    return "Guaranteed" if _all_guaranteed(every) else "Burstable"


def _amounts(container: Object, kind: str) -> dict[str, Any]:
    amounts = (container.get("resources") or {}).get(kind) or {}
    return {name: value for name, value in amounts.items() if name in ("cpu", "memory") and str(value) != "0"}


def _all_guaranteed(containers: Iterable[Object]) -> bool:
    for container in containers:
        limits, requests = _amounts(container, "limits"), _amounts(container, "requests")
        if set(limits) != {"cpu", "memory"} or any(
            requests.get(name, limit) != limit for name, limit in limits.items()
        ):
            return False
    return True
