"""Which nodes run a DaemonSet's pod, which pods go, and which nodes get a new one. Pure.

Upstream: pkg/controller/daemon (daemon_controller.go, update.go) and its util package.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.nodeselectors import selects
from miniplane.api.taints import (
    DISK_PRESSURE,
    DRIVES_AWAY,
    KEEPS_OFF,
    MEMORY_PRESSURE,
    NETWORK_UNAVAILABLE,
    NOT_READY,
    PID_PRESSURE,
    UNREACHABLE,
    UNSCHEDULABLE,
    untolerated,
)
from miniplane.kinds import DAEMON_SET

from .podkeeping import is_available, is_ended, new_pod, phase, ready_since
from .revisions import REVISION_HASH

GENERATION = "pod-template-generation"
"""Label of a pod: how often the template had changed when it was made."""
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
"""Annotation of a DaemonSet: how often its template has changed."""
_TOLERATED = (
    (NOT_READY, "NoExecute"),
    (UNREACHABLE, "NoExecute"),
    (DISK_PRESSURE, "NoSchedule"),
    (MEMORY_PRESSURE, "NoSchedule"),
    (PID_PRESSURE, "NoSchedule"),
    (UNSCHEDULABLE, "NoSchedule"),
)
_AGES = {"Pending": 0, "Unknown": 1, "Running": 2}

ByNode = Mapping[str, Sequence[Object]]
"""`{node: pods}`, the oldest pod first."""


def template_of(daemon_set: Object) -> Object:
    """The template with the tolerations that daemons have: their node's troubles are no reason to leave it."""
    template: Object = daemon_set["spec"]["template"]
    spec, wanted = template["spec"], [*_TOLERATED]
    if spec.get("hostNetwork"):
        wanted.append((NETWORK_UNAVAILABLE, "NoSchedule"))
    given = list(spec.get("tolerations") or ())
    added = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in wanted]
    return template | {"spec": spec | {"tolerations": [*given, *(item for item in added if item not in given)]}}


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a node should get a pod, and whether one that is there may stay."""

    runs: bool
    stays: bool


def fit(template: Object, node: Object) -> Fit:
    """What a node is to a template (nodeShouldRunDaemonPod). Room on the node is the scheduler's business."""
    spec, name = template["spec"], meta.name(node)
    if spec.get("nodeName") not in (None, "", name) or not selects(spec, name, meta.labels(node)):
        return Fit(runs=False, stays=False)
    if untolerated(template, node, KEEPS_OFF) is None:
        return Fit(runs=True, stays=True)
    return Fit(runs=False, stays=untolerated(template, node, DRIVES_AWAY) is None)


def node_of(pod: Object) -> str:
    """The node that a pod is on, or is made for."""
    if name := pod["spec"].get("nodeName"):
        return str(name)
    wanted = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = wanted.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for item in term.get("matchFields") or ():
            if item["key"] == "metadata.name" and item["operator"] == "In" and len(item["values"]) == 1:
                return str(item["values"][0])
    return ""


def by_node(pods: Iterable[Object], *, ending: bool) -> dict[str, list[Object]]:
    """The pods of each node; with `ending` also those that are deleted and have ended, whose names are still taken."""

    def age(pod: Object) -> tuple[Any, ...]:
        return (
            not pod["spec"].get("nodeName"),
            -_AGES.get(phase(pod), 0),
            ready_since(pod) is None,
            pod["metadata"].get("creationTimestamp", ""),
            meta.name(pod),
        )

    found: dict[str, list[Object]] = {}
    for pod in sorted(pods, key=age):
        if ending or not (meta.is_deleted(pod) and is_ended(pod)):
            found.setdefault(node_of(pod), []).append(pod)
    return found


def pod_for(daemon_set: Object, node: str, word: str) -> Object:
    """A new pod for a node, of the revision with the hash `word`; the scheduler may put it nowhere else."""
    template = template_of(daemon_set)
    metadata, spec = template.get("metadata") or {}, template["spec"]
    labels = {**(metadata.get("labels") or {}), REVISION_HASH: word}
    if told := meta.annotations(daemon_set).get(TEMPLATE_GENERATION):
        labels[GENERATION] = told
    affinity = spec.get("affinity") or {}
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    on_node = affinity | {"nodeAffinity": (affinity.get("nodeAffinity") or {}) | required}
    made = template | {"metadata": metadata | {"labels": labels}, "spec": spec | {"affinity": on_node}}
    return new_pod(daemon_set, DAEMON_SET, made)


def is_updated(daemon_set: Object, pod: Object, word: str) -> bool:
    """Whether a pod is of the newest template."""
    told = meta.annotations(daemon_set).get(TEMPLATE_GENERATION)
    labels = meta.labels(pod)
    return labels.get(REVISION_HASH) == word or (told is not None and labels.get(GENERATION) == told)


@dataclass(slots=True)
class Plan:
    """What to do next: nodes that get a pod, pods that go, and of these the ones that ended by themselves."""

    create: list[str] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    ended: list[Object] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Daemons:
    """A DaemonSet with what there is: its nodes by name, its pods, the hash of its newest revision."""

    daemon_set: Object
    nodes: Mapping[str, Object]
    pods: Sequence[Object]
    word: str
    now: datetime

    @property
    def fits(self) -> dict[str, Fit]:
        """What each node is to the template."""
        template = template_of(self.daemon_set)
        return {name: fit(template, node) for name, node in self.nodes.items()}

    @property
    def min_ready_s(self) -> int:
        """For how long a pod must be ready to count as available."""
        return self.daemon_set["spec"].get("minReadySeconds") or 0

    def limits(self) -> tuple[int, int]:
        """How many nodes may have two pods, and how many none that is available, while pods are replaced."""
        rolling = (self.daemon_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        desired = sum(one.runs for one in self.fits.values())
        surge = _amount(rolling.get("maxSurge", 0), desired)
        unavailable = _amount(rolling.get("maxUnavailable", 1), desired)
        return surge, unavailable if unavailable or surge else 1

    @property
    def surges(self) -> bool:
        """Whether a new pod may come before the old one has gone."""
        strategy = self.daemon_set["spec"].get("updateStrategy") or {}
        rolling = (strategy.get("rollingUpdate") or {}) if strategy.get("type") == "RollingUpdate" else {}
        return rolling.get("maxSurge", 0) not in (0, "0%")

    def manage(self) -> Plan:
        """Make the pods that are missing, remove those that should not be there (manage)."""
        plan, pods = Plan(), by_node(self.pods, ending=True)
        for name, one in self.fits.items():
            there = pods.get(name, [])
            if one.runs and not there:
                plan.create.append(name)
            elif one.stays:
                self._tend(name, there, plan, runs=one.runs)
            else:
                plan.delete += [pod for pod in there if not meta.is_deleted(pod)]
        for name, there in pods.items():  # made for a node that is gone, and so never started
            if name not in self.nodes:
                plan.delete += [pod for pod in there if not pod["spec"].get("nodeName") and not meta.is_deleted(pod)]
        return plan

    def _tend(self, node: str, there: Sequence[Object], plan: Plan, *, runs: bool) -> None:
        staying = [pod for pod in there if not meta.is_deleted(pod)]
        plan.ended += [pod for pod in staying if is_ended(pod)]
        running = [pod for pod in staying if not is_ended(pod)]
        if not self.surges:
            plan.delete += running[1:]
        elif not running and runs and not any(is_ended(pod) for pod in staying):
            plan.create.append(node)
        elif len(running) > 1:
            plan.delete += self._too_many(running)

    def _too_many(self, running: Sequence[Object]) -> list[Object]:
        """With surge, two pods may be there while the new one is not available and the old one is ready."""
        new = [pod for pod in running if meta.labels(pod).get(REVISION_HASH) == self.word]
        old = [pod for pod in running if meta.labels(pod).get(REVISION_HASH) != self.word]
        extra = [*new[1:], *old[1:]]
        if new and old and (ready_since(old[0]) is None or is_available(new[0], self.min_ready_s, self.now)):
            extra.append(old[0])
        return extra

    def update(self) -> Plan:
        """Replace pods of old templates, as many at once as the strategy allows (rollingUpdate)."""
        surge, unavailable = self.limits()
        pods = by_node(self.pods, ending=False)
        return self._surge(pods, surge) if surge else self._replace(pods, unavailable)

    def _pair(self, pods: Sequence[Object]) -> tuple[Object | None, Object | None] | None:
        """The new and the old pod of a node; None if there are several of one sort."""
        here = [pod for pod in pods if not meta.is_deleted(pod)]
        new = [pod for pod in here if is_updated(self.daemon_set, pod, self.word)]
        old = [pod for pod in here if not is_updated(self.daemon_set, pod, self.word)]
        if len(new) > 1 or len(old) > 1:
            return None
        return (new[0] if new else None), (old[0] if old else None)

    def _replace(self, by: ByNode, most: int) -> Plan:
        missing, broken, candidates = 0, list[Object](), list[Object]()
        for pods in by.values():
            pair = self._pair(pods)
            if pair is None or (pair[0] is None) == (pair[1] is None):
                missing += 1
            elif pair[0] is not None:
                missing += not is_available(pair[0], self.min_ready_s, self.now)
            elif pair[1] is not None and is_available(pair[1], self.min_ready_s, self.now):
                candidates.append(pair[1])
            elif pair[1] is not None:
                broken.append(pair[1])
                missing += 1
        return Plan(delete=[*broken, *candidates[: max(0, most - missing)]])

    def _surge(self, by: ByNode, most: int) -> Plan:
        plan, surging, candidates = Plan(), 0, list[str]()
        for node, pods in by.items():
            pair = self._pair(pods)
            if pair is None:
                surging += 1
                continue
            new, old = pair
            if old is None:
                continue  # managing makes what is missing
            if new is None:
                is_broken = not is_available(old, self.min_ready_s, self.now)
                (plan.create if is_broken else candidates).append(node)
            elif is_available(new, self.min_ready_s, self.now):
                plan.delete.append(old)
            else:
                surging += 1
        plan.create += candidates[: max(0, most - surging)]
        return plan

    def status(self) -> Object:
        """The counts that the status should have."""
        names = ("desired", "current", "misscheduled", "ready", "updated", "available")
        counts, pods = dict.fromkeys(names, 0), by_node(self.pods, ending=False)
        for name, one in self.fits.items():
            there = pods.get(name)
            if not one.runs:
                counts["misscheduled"] += bool(there)
                continue
            counts["desired"] += 1
            if there:
                counts["current"] += 1
                counts["ready"] += ready_since(there[0]) is not None
                counts["available"] += is_available(there[0], self.min_ready_s, self.now)
                counts["updated"] += is_updated(self.daemon_set, there[0], self.word)
        old = self.daemon_set.get("status") or {}
        kept = {key: old[key] for key in ("collisionCount", "conditions") if old.get(key)}
        optional = {
            "updatedNumberScheduled": counts["updated"],
            "numberAvailable": counts["available"],
            "numberUnavailable": counts["desired"] - counts["available"],
            "observedGeneration": meta.generation(self.daemon_set),
        }
        return {
            "currentNumberScheduled": counts["current"],
            "numberMisscheduled": counts["misscheduled"],
            "desiredNumberScheduled": counts["desired"],
            "numberReady": counts["ready"],
            **{key: value for key, value in optional.items() if value},
            **kept,
        }


def _amount(value: Any, whole: int) -> int:
    """A number, or a percentage of the whole, rounded up."""
    if isinstance(value, str) and value.endswith("%"):
        return math.ceil(int(value[:-1]) * whole / 100)
    return int(value)
