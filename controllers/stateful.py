"""The pods of a StatefulSet, each with a number, a name and claims of its own, and what happens to them next. Pure.

Upstream: pkg/controller/statefulset (stateful_set_control.go, stateful_set_utils.go).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.kinds import PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET

from .podkeeping import is_available, is_ended, new_pod, phase, ready_since
from .revisions import REVISION_HASH, restored
from .rollout import wanted

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-([0-9]+)", re.ASCII)


def ordinal_of(stateful_set: Object, pod: Object) -> int | None:
    """A pod's number by its name; None if the name is not of the set."""
    found = _NAME.fullmatch(meta.name(pod))
    return int(found[2]) if found and found[1] == meta.name(stateful_set) else None


def is_member(stateful_set: Object, pod: Object) -> bool:
    """Whether a pod has a name of the set."""
    return ordinal_of(stateful_set, pod) is not None


def is_running(pod: Object) -> bool:
    """Whether it is Running and ready."""
    return phase(pod) == "Running" and ready_since(pod) is not None


def is_healthy(pod: Object) -> bool:
    """Whether it serves and will."""
    return is_running(pod) and not meta.is_deleted(pod)


def identity(stateful_set: Object, ordinal: int) -> dict[str, str]:
    """The labels by which a pod is known."""
    return {POD_NAME: f"{meta.name(stateful_set)}-{ordinal}", POD_INDEX: str(ordinal)}


def claim_names(stateful_set: Object, pod_name: str) -> dict[str, str]:
    """`{volume: claim}` of a pod."""
    templates = stateful_set["spec"].get("volumeClaimTemplates") or ()
    return {meta.name(item): f"{meta.name(item)}-{pod_name}" for item in templates}


def pod_for(stateful_set: Object, revision: Object, ordinal: int) -> Object:
    """The pod of that number, of the template of a revision."""
    template = restored(stateful_set, revision)["spec"]["template"]
    metadata, spec = template.get("metadata") or {}, template["spec"]
    labels = {**(metadata.get("labels") or {}), **identity(stateful_set, ordinal), REVISION_HASH: meta.name(revision)}
    name = labels[POD_NAME]
    claims = claim_names(stateful_set, name)
    volumes = [{"name": key, "persistentVolumeClaim": {"claimName": claim}} for key, claim in claims.items()]
    volumes += [item for item in spec.get("volumes") or () if item["name"] not in claims]
    spec = spec | {"hostname": name} | ({"volumes": volumes} if volumes else {})
    if service := stateful_set["spec"].get("serviceName"):
        spec["subdomain"] = service
    return new_pod(stateful_set, STATEFUL_SET, {"metadata": metadata | {"labels": labels}, "spec": spec}, name=name)


def claims_for(stateful_set: Object, pod_name: str) -> list[Object]:
    """The claims that a pod needs."""
    made, selected = [], stateful_set["spec"]["selector"].get("matchLabels") or {}
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        given = meta.metadata(template)
        metadata: Object = {
            "name": f"{given['name']}-{pod_name}",
            "namespace": meta.namespace(stateful_set),
            "labels": {**(given.get("labels") or {}), **selected},
        }
        if given.get("annotations"):
            metadata["annotations"] = given["annotations"]
        head = {"apiVersion": PERSISTENT_VOLUME_CLAIM.api_version, "kind": PERSISTENT_VOLUME_CLAIM.kind}
        made.append({**head, "metadata": metadata, "spec": template["spec"]})
    return made


def claim_owners(stateful_set: Object, pod: Object, claim: Object, *, condemned: bool) -> list[Object]:
    """The owners that a claim should have by persistentVolumeClaimRetentionPolicy; garbage collection does the rest."""
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    ours = {meta.uid(stateful_set), meta.uid(pod)}
    owners = [item for item in meta.owner_references(claim) if item["uid"] not in ours]
    if condemned and policy.get("whenScaled") == "Delete":
        owners.append(meta.owner_reference(pod, kind=POD))
    elif policy.get("whenDeleted") == "Delete":
        owners.append(meta.owner_reference(stateful_set, kind=STATEFUL_SET))
    return owners


def is_stale(claim: Object, pod_name: str, pod_uid: str) -> bool:
    """Whether a claim goes with an earlier pod of that name, so that its successor must wait."""
    return any(
        item["kind"] == POD.kind and item["name"] == pod_name and item["uid"] != pod_uid
        for item in meta.owner_references(claim)
    )


@dataclass(slots=True)
class Plan:
    """What to do next. `create` is `{ordinal: revision}`."""

    create: dict[int, Object] = field(default_factory=dict)
    delete: list[Object] = field(default_factory=list)
    relabel: list[Object] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether pods stay as they are."""
        return not self.create and not self.delete


@dataclass(frozen=True, slots=True)
class Members:
    """A StatefulSet with its pods and the two revisions between which it is."""

    stateful_set: Object
    pods: Sequence[Object]
    current: Object
    update: Object
    now: datetime

    @property
    def start(self) -> int:
        """The first number."""
        return int((self.stateful_set["spec"].get("ordinals") or {}).get("start") or 0)

    @property
    def ordinals(self) -> range:
        """The numbers that there should be."""
        return range(self.start, self.start + wanted(self.stateful_set))

    @property
    def by_ordinal(self) -> dict[int, Object]:
        """The pods by number."""
        numbered = ((ordinal_of(self.stateful_set, pod), pod) for pod in self.pods)
        return {ordinal: pod for ordinal, pod in numbered if ordinal is not None}

    @property
    def condemned(self) -> list[tuple[int, Object]]:
        """The pods beyond the numbers, highest first."""
        return sorted(((n, pod) for n, pod in self.by_ordinal.items() if n not in self.ordinals), reverse=True)

    @property
    def min_ready_s(self) -> int:
        """For how long a pod must be ready to count as available."""
        return self.stateful_set["spec"].get("minReadySeconds") or 0

    @property
    def in_order(self) -> bool:
        """Whether one pod waits for the other."""
        return bool(self.stateful_set["spec"].get("podManagementPolicy") != "Parallel")

    @property
    def rolling(self) -> Object | None:
        """The parameters of a rolling update; None where the user deletes old pods."""
        strategy = self.stateful_set["spec"].get("updateStrategy") or {}
        return (strategy.get("rollingUpdate") or {}) if strategy.get("type") == "RollingUpdate" else None

    def is_available(self, pod: Object) -> bool:
        """Whether a pod has been healthy for long enough."""
        return is_healthy(pod) and is_available(pod, self.min_ready_s, self.now)

    def revision_for(self, ordinal: int) -> Object:
        """The revision that a new pod of that number gets: below the partition the old one."""
        if self.rolling is None:
            return self.update
        return self.current if ordinal - self.start < (self.rolling.get("partition") or 0) else self.update

    def plan(self) -> Plan:
        """First the pods that there should be, then those that are too many, then those of old templates."""
        plan = Plan()
        if meta.is_deleted(self.stateful_set):
            return plan
        if self._grow(plan) and self._shrink(plan) and plan.is_empty and self.rolling is not None:
            self._roll(plan, self.rolling)
        return plan

    def _grow(self, plan: Plan) -> bool:
        """Make what is missing; says whether to go on."""
        goes_on, pods = True, self.by_ordinal
        for ordinal in self.ordinals:
            pod = pods.get(ordinal)
            if pod is None:
                plan.create[ordinal] = self.revision_for(ordinal)
            elif is_ended(pod):
                plan.delete += [] if meta.is_deleted(pod) else [pod]
                goes_on = False
            elif not identity(self.stateful_set, ordinal).items() <= meta.labels(pod).items():
                plan.relabel.append(pod)
            if self.in_order and (pod is None or not self.is_available(pod)):
                return False
        return goes_on

    def _shrink(self, plan: Plan) -> bool:
        """Remove what is too many, from the top; in order, an unhealthy pod stops that unless it is the lowest."""
        condemned = self.condemned
        unhealthy = [ordinal for ordinal, pod in condemned if not is_healthy(pod)]
        for ordinal, pod in condemned:
            if not meta.is_deleted(pod):
                if self.in_order and not self.is_available(pod) and ordinal != min(unhealthy, default=ordinal):
                    return False
                plan.delete.append(pod)
            if self.in_order:
                return False
        return True

    def _roll(self, plan: Plan, rolling: Object) -> None:
        """Replace pods of other revisions, from the top down to the partition, while all others are healthy."""
        pods, lowest = self.by_ordinal, self.start + (rolling.get("partition") or 0)
        most = self._unavailable(rolling)
        if most is not None:
            most -= sum(not is_healthy(pods[ordinal]) for ordinal in self.ordinals)
        for ordinal in reversed(self.ordinals):
            if ordinal < lowest or (most is not None and len(plan.delete) >= most):
                return
            pod = pods[ordinal]
            if meta.labels(pod).get(REVISION_HASH) != meta.name(self.update) and not meta.is_deleted(pod):
                plan.delete.append(pod)
                if most is None:
                    return
            elif most is None and not is_healthy(pod):
                return

    def _unavailable(self, rolling: Object) -> int | None:
        """`maxUnavailable`, at least one; None where it is not said."""
        value: Any = rolling.get("maxUnavailable")
        if value is None:
            return None
        if isinstance(value, str) and value.endswith("%"):
            value = int(value[:-1]) * wanted(self.stateful_set) // 100
        return max(1, int(value))

    def status(self) -> Object:
        """The status that the set should have."""
        old, live = self.stateful_set.get("status") or {}, [pod for pod in self.pods if not meta.is_deleted(pod)]
        of = [meta.labels(pod).get(REVISION_HASH) for pod in live]
        ready = [pod for pod in self.pods if is_running(pod)]
        updated, current, replicas = (
            of.count(meta.name(self.update)),
            meta.name(self.current),
            wanted(self.stateful_set),
        )
        told = {
            "readyReplicas": len(ready),
            "currentReplicas": of.count(current),
            "updatedReplicas": updated,
            "observedGeneration": meta.generation(self.stateful_set),
        }
        if self.rolling is not None and [updated, len(ready), len(self.pods)] == [replicas] * 3:
            current, told["currentReplicas"] = meta.name(self.update), updated  # the update is complete
        available = sum(is_available(pod, self.min_ready_s, self.now) for pod in ready)
        return {
            "replicas": len(self.pods),
            "availableReplicas": available,
            "currentRevision": current,
            "updateRevision": meta.name(self.update),
            **{name: count for name, count in told.items() if count},
            # A count from 0 on, as upstream always sends it.
            "collisionCount": old.get("collisionCount") or 0,
        }


def live_revisions(members: Members) -> set[str]:
    """The names of the revisions that are in use."""
    used: Iterable[str | None] = (meta.labels(pod).get(REVISION_HASH) for pod in members.pods)
    return {name for name in used if name} | {meta.name(members.current), meta.name(members.update)}


def current_of(stateful_set: Object, history: Sequence[Object], update: Object) -> Object:
    """The revision that the status names as current; at first it is the newest."""
    name = (stateful_set.get("status") or {}).get("currentRevision")
    by_name: Mapping[str, Object] = {meta.name(item): item for item in history}
    return by_name.get(name or "", update)
