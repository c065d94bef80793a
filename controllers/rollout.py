"""The arithmetic of a Deployment's rollout: which ReplicaSet is the new one, and how many pods each may have now.

Pure functions of API objects; `deployment` reads caches and writes. Upstream: pkg/controller/deployment (rolling.go,
sync.go) and its util package, whose names are given where the rule is theirs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.wellknown import LAST_APPLIED, POD_TEMPLATE_HASH, REVISION
from miniplane.kinds import DEPLOYMENT, REPLICA_SET

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
_NOT_COPIED = frozenset((LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED, MAX_REPLICAS))
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels, so that no hash is a word (apimachinery's util/rand)."""


def wanted(obj: Object) -> int:
    """`spec.replicas`, one by default."""
    replicas = obj["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def count(objects: Sequence[Object], field: str) -> int:
    """The sum of a status count."""
    return sum((obj.get("status") or {}).get(field) or 0 for obj in objects)


def template_hash(template: Object, collisions: int = 0) -> str:
    """A short word that stands for a pod template (and how often the word was taken by another)."""
    value = 0x811C9DC5  # FNV-1a, 32 bits
    for byte in orjson.dumps(template, option=orjson.OPT_SORT_KEYS) + (b"%d" % collisions if collisions else b""):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return "".join(_LETTERS[ord(digit) % len(_LETTERS)] for digit in str(value))


def _without_hash(template: Object) -> Object:
    metadata = dict(template.get("metadata") or {})
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != POD_TEMPLATE_HASH}
    metadata.pop("creationTimestamp", None)
    return template | {"metadata": metadata | {"labels": labels}}


def _by_age(replica_sets: Sequence[Object]) -> list[Object]:
    return sorted(replica_sets, key=lambda item: (item["metadata"].get("creationTimestamp", ""), meta.name(item)))


def find_new(deployment: Object, replica_sets: Sequence[Object]) -> Object | None:
    """The ReplicaSet with the Deployment's template, the oldest if there are several (FindNewReplicaSet)."""
    template = _without_hash(deployment["spec"]["template"])
    same = [item for item in replica_sets if _without_hash(item["spec"]["template"]) == template]
    return _by_age(same)[0] if same else None


def find_old(new: Object | None, replica_sets: Sequence[Object]) -> list[Object]:
    """All others, oldest first."""
    return _by_age([item for item in replica_sets if new is None or meta.uid(item) != meta.uid(new)])


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a rollout may go over and under the wanted count."""

    surge: int
    unavailable: int


def limits(deployment: Object) -> Limits:
    """Percentages of the wanted count: the surge rounds up, what may be missing down; never both zero."""
    strategy, replicas = deployment["spec"].get("strategy") or {}, wanted(deployment)
    if strategy.get("type", "RollingUpdate") != "RollingUpdate" or replicas == 0:
        return Limits(0, 0)
    rolling = strategy.get("rollingUpdate") or {}
    surge = _amount(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    unavailable = _amount(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Limits(surge, min(unavailable, replicas))


def _amount(value: Any, whole: int, rounded: Any) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return int(rounded(int(value[:-1]) * whole / 100))
    return int(value)


def is_recreate(deployment: Object) -> bool:
    """Whether old pods go before new ones come."""
    return bool((deployment["spec"].get("strategy") or {}).get("type") == "Recreate")


def new_target(deployment: Object, new: Object | None, old: Sequence[Object]) -> int:
    """How many pods the new ReplicaSet may have now (NewRSNewReplicas); `new` is None before it is made."""
    replicas, present = wanted(deployment), 0 if new is None else wanted(new)
    if is_recreate(deployment) or present > replicas:
        return replicas
    total = present + sum(wanted(item) for item in old)
    room = replicas + limits(deployment).surge - total
    return present if room <= 0 else present + min(room, replicas - present)


def old_targets(deployment: Object, new: Object, old: Sequence[Object]) -> dict[str, int]:
    """`{uid: count}` of old ReplicaSets that shrink now: unhealthy pods first, then what availability can spare."""
    replicas = {meta.uid(item): wanted(item) for item in old}
    before = dict(replicas)
    least = wanted(deployment) - limits(deployment).unavailable
    new_missing = wanted(new) - count([new], "availableReplicas")
    room = sum(replicas.values()) + wanted(new) - least - new_missing
    if room <= 0 or not any(replicas.values()):
        return {}
    for item in old:  # pods that serve nobody cost no availability (cleanupUnhealthyReplicas)
        uid = meta.uid(item)
        unhealthy = replicas[uid] - count([item], "availableReplicas")
        cut = max(0, min(room, unhealthy))
        replicas[uid] -= cut
        room -= cut
    spare = count([*old, new], "availableReplicas") - least
    for item in old:  # scaleDownOldReplicaSetsForRollingUpdate
        uid = meta.uid(item)
        cut = max(0, min(spare, replicas[uid]))
        replicas[uid] -= cut
        spare -= cut
    return {uid: after for uid, after in replicas.items() if after != before[uid]}


def is_scaling(deployment: Object, replica_sets: Sequence[Object]) -> bool:
    """Whether the wanted count has changed since the ReplicaSets were scaled last (isScalingEvent)."""
    for item in replica_sets:
        told = _number(meta.annotations(item).get(DESIRED))
        if wanted(item) > 0 and told is not None and told != wanted(deployment):
            return True
    return False


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def scaled(deployment: Object, new: Object | None, old: Sequence[Object]) -> dict[str, int]:
    """`{uid: count}` of ReplicaSets to scale when only the wanted count has changed, in proportion (scale).

    One whose count is right but that has been told another wanted count is among them, to be told.
    """
    targets = _scaled(deployment, new, old)
    told = str(wanted(deployment))
    for item in [*old, *([new] if new is not None else [])]:
        if wanted(item) > 0 and meta.annotations(item).get(DESIRED, told) != told:
            targets.setdefault(meta.uid(item), wanted(item))
    return targets


def _scaled(deployment: Object, new: Object | None, old: Sequence[Object]) -> dict[str, int]:
    everything = [*old, *([new] if new is not None else [])]
    active = [item for item in everything if wanted(item) > 0]
    replicas = wanted(deployment)
    if len(active) <= 1:
        only = active[0] if active else new or (_by_age(everything)[-1] if everything else None)
        return {meta.uid(only): replicas} if only is not None and wanted(only) != replicas else {}
    if new is not None and _is_saturated(deployment, new):
        return {meta.uid(item): 0 for item in old if wanted(item) > 0}
    if is_recreate(deployment):
        return {}
    allowed = replicas + limits(deployment).surge if replicas else 0
    return _in_proportion(deployment, active, allowed - sum(wanted(item) for item in active))


def _is_saturated(deployment: Object, new: Object) -> bool:
    replicas = wanted(deployment)
    told = _number(meta.annotations(new).get(DESIRED))
    return wanted(new) == replicas == told and count([new], "availableReplicas") == replicas


def _in_proportion(deployment: Object, active: Sequence[Object], change: int) -> dict[str, int]:
    """Spread `change` by size; the newest (growing) or oldest (shrinking) of the largest takes the remainder."""
    by_age = _by_age(active)
    ordered = sorted(by_age if change < 0 else by_age[::-1], key=wanted, reverse=True)
    targets, done = {}, 0
    for item in ordered:
        share = _share(deployment, item, change, done)
        targets[meta.uid(item)] = wanted(item) + share
        done += share
    first = meta.uid(ordered[0])
    targets[first] = max(0, targets[first] + change - done)
    return {uid: target for uid, target in targets.items() if target != wanted(_find(active, uid))}


def _find(replica_sets: Sequence[Object], uid: str) -> Object:
    return next(item for item in replica_sets if meta.uid(item) == uid)


def _share(deployment: Object, item: Object, change: int, done: int) -> int:
    if change in (0, done):
        return 0
    if wanted(deployment) == 0:
        fraction = -wanted(item)
    else:
        now_allowed = wanted(deployment) + limits(deployment).surge
        before = _number(meta.annotations(item).get(MAX_REPLICAS)) or count([deployment], "replicas") or now_allowed
        fraction = math.floor(wanted(item) * now_allowed / before + 0.5) - wanted(item)
    left = change - done
    return min(fraction, left) if change > 0 else max(fraction, left)


def revision(obj: Object) -> int:
    """The rollout's number on a ReplicaSet or Deployment, 0 where there is none."""
    return _number(meta.annotations(obj).get(REVISION)) or 0


def next_revision(old: Sequence[Object]) -> int:
    """The number of the newest rollout, given what came before."""
    return max((revision(item) for item in old), default=0) + 1


def replica_annotations(deployment: Object) -> dict[str, str]:
    """What a ReplicaSet is told when it is scaled (SetReplicasAnnotations)."""
    replicas = wanted(deployment)
    return {DESIRED: str(replicas), MAX_REPLICAS: str(replicas + limits(deployment).surge)}


def new_annotations(deployment: Object, new: Object, old: Sequence[Object]) -> dict[str, str]:
    """The annotations that the new ReplicaSet should have: the Deployment's own, its number and former numbers."""
    present = dict(meta.annotations(new))
    present |= {name: value for name, value in meta.annotations(deployment).items() if name not in _NOT_COPIED}
    number, before = max(next_revision(old), revision(new)), revision(new)
    if before and before < number:
        history = [item for item in present.get(REVISION_HISTORY, "").split(",") if item]
        present[REVISION_HISTORY] = ",".join([*history, str(before)])
    return present | {REVISION: str(number)}


def new_replica_set(deployment: Object, old: Sequence[Object]) -> Object:
    """The ReplicaSet of the Deployment's template, as it is to be created."""
    spec, template = deployment["spec"], deployment["spec"]["template"]
    word = template_hash(template, (deployment.get("status") or {}).get("collisionCount") or 0)
    metadata = dict(template.get("metadata") or {})
    labels = {**(metadata.get("labels") or {}), POD_TEMPLATE_HASH: word}
    selector: Mapping[str, Any] = spec["selector"]
    body: Object = {
        "apiVersion": REPLICA_SET.api_version,
        "kind": REPLICA_SET.kind,
        "metadata": {
            "name": f"{meta.name(deployment)}-{word}",
            "namespace": meta.namespace(deployment),
            "labels": labels,
            "ownerReferences": [meta.owner_reference(deployment, kind=DEPLOYMENT)],
        },
        "spec": {
            "replicas": new_target(deployment, None, old),
            "minReadySeconds": spec.get("minReadySeconds") or 0,
            "selector": {
                **selector,
                "matchLabels": {**(selector.get("matchLabels") or {}), POD_TEMPLATE_HASH: word},
            },
            "template": template | {"metadata": metadata | {"labels": labels}},
        },
    }
    body["metadata"]["annotations"] = new_annotations(deployment, body, old) | replica_annotations(deployment)
    return body


def to_clean_up(deployment: Object, old: Sequence[Object]) -> list[Object]:
    """Old ReplicaSets beyond the history limit, oldest rollout first (cleanupDeployment)."""
    limit = deployment["spec"].get("revisionHistoryLimit")
    keep = 10 if limit is None else int(limit)
    idle = [item for item in old if not meta.is_deleted(item)]
    surplus = sorted(idle, key=lambda item: (revision(item), item["metadata"].get("creationTimestamp", "")))
    return [item for item in surplus[: max(0, len(idle) - keep)] if _is_idle(item)]


def _is_idle(item: Object) -> bool:
    observed = (item.get("status") or {}).get("observedGeneration") or 0
    return wanted(item) == 0 and count([item], "replicas") == 0 and meta.generation(item) <= observed
