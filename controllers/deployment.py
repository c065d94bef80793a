"""Deployment: rolls ReplicaSets from one pod template to the next.

A reconcile does one step and returns; the ReplicaSets' changes bring it back for the next. `plan` says what the step
is: at most one direction of scaling at a time, as upstream, so that every count is decided on what is really there.
Writes carry the resourceVersion of the cached object: where the cache lags, the server refuses and the step is
decided anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.selectors import LabelSelector
from miniplane.api.wellknown import REVISION
from miniplane.errors import AlreadyExists, NotFound
from miniplane.kinds import DEPLOYMENT, POD, REPLICA_SET
from miniplane.runtime import DONE, Context, On, Result, TemporaryError, again

from . import progress, rollout

on = On("deployment")


@dataclass(slots=True)
class Plan:
    """One step. `scale` is `{uid: count}`; `create` and `new_metadata` concern the new ReplicaSet."""

    create: Object | None = None
    new_metadata: Object | None = None
    scale: Mapping[str, int] = field(default_factory=dict)
    delete: Sequence[Object] = ()


def plan(deployment: Object, replica_sets: Sequence[Object], *, old_pods: bool) -> Plan:
    """The next step; `old_pods` says whether pods of old templates are still there."""
    new = rollout.find_new(deployment, replica_sets)
    old = rollout.find_old(new, replica_sets)
    if deployment["spec"].get("paused") or rollout.is_scaling(deployment, replica_sets):
        return Plan(scale=rollout.scaled(deployment, new, old))
    if rollout.is_recreate(deployment):
        active = {meta.uid(item): 0 for item in old if rollout.wanted(item) > 0}
        if active or old_pods:
            return Plan(scale=active)
    if new is None:
        return Plan(create=rollout.new_replica_set(deployment, old))
    step = Plan(new_metadata=_new_metadata(deployment, new, old))
    target = rollout.new_target(deployment, new, old)
    if target != rollout.wanted(new):
        step.scale = {meta.uid(new): target}
    elif shrunk := rollout.old_targets(deployment, new, old):
        step.scale = shrunk
    elif progress.is_complete(deployment, progress.counts(deployment, new, old)):
        step.delete = rollout.to_clean_up(deployment, old)
    return step


def _new_metadata(deployment: Object, new: Object, old: Sequence[Object]) -> Object | None:
    """The new ReplicaSet with the annotations and minReadySeconds that it should have; None if it does."""
    annotations = rollout.new_annotations(deployment, new, old)
    min_ready_s = deployment["spec"].get("minReadySeconds") or 0
    if annotations == meta.annotations(new) and min_ready_s == (new["spec"].get("minReadySeconds") or 0):
        return None
    metadata = new["metadata"] | {"annotations": annotations}
    return new | {"metadata": metadata, "spec": new["spec"] | {"minReadySeconds": min_ready_s}}


def of_pod(pod: Object, ctx: Context) -> Iterable[Key]:
    """The Deployment that waits for a pod to go before it makes new ones."""
    owner = meta.controller_of(pod)
    if not owner or owner["kind"] != REPLICA_SET.kind:
        return
    replica_set = ctx.cache(REPLICA_SET).get(Key(meta.namespace(pod), owner["name"]))
    found = meta.controller_of(replica_set) if replica_set else None
    if found and found["kind"] == DEPLOYMENT.kind:
        key = Key(meta.namespace(pod), found["name"])
        deployment = ctx.cache(DEPLOYMENT).get(key)
        if deployment is not None and rollout.is_recreate(deployment):
            yield key


@on.reconcile(DEPLOYMENT, also=[on.owned(REPLICA_SET), on.mapped(POD, of_pod)], rest=3)
async def deployments(key: Key, ctx: Context) -> Result:
    """Do the next step of one Deployment and tell its status."""
    deployment = ctx.cache(DEPLOYMENT).get(key)
    if deployment is None:
        return DONE
    replica_sets = await _claimed(deployment, ctx)
    if replica_sets is None:
        return DONE  # the changed ReplicaSets wake us
    if not meta.is_deleted(deployment):
        step = plan(deployment, replica_sets, old_pods=_old_pods(deployment, replica_sets, ctx))
        if await _apply(deployment, replica_sets, step, ctx):
            return DONE  # what was written wakes us
    new = rollout.find_new(deployment, replica_sets)
    return await _tell(deployment, new, rollout.find_old(new, replica_sets), ctx)


async def _claimed(deployment: Object, ctx: Context) -> list[Object] | None:
    """The ReplicaSets of a Deployment; None if an owner had to be changed first."""
    selector = LabelSelector.from_object(deployment["spec"]["selector"])
    own, changed = [], False
    for item in ctx.cache(REPLICA_SET).list(meta.namespace(deployment)):
        owner, matches = meta.controller_of(item), selector.matches(meta.labels(item))
        if owner and owner["uid"] == meta.uid(deployment):
            if matches or meta.is_deleted(deployment):
                own.append(item)
                continue
            owners = [other for other in meta.owner_references(item) if other is not owner]
        elif owner or not matches or meta.is_deleted(item) or meta.is_deleted(deployment):
            continue
        else:
            owners = [*meta.owner_references(item), meta.owner_reference(deployment, kind=DEPLOYMENT)]
        changed = True
        await ctx.client.update(REPLICA_SET, item | {"metadata": item["metadata"] | {"ownerReferences": owners}})
    return None if changed else own


def _old_pods(deployment: Object, replica_sets: Sequence[Object], ctx: Context) -> bool:
    """Whether pods of old ReplicaSets have not ended; asked only where they must before new ones come."""
    if not rollout.is_recreate(deployment):
        return False
    old = {meta.uid(item) for item in rollout.find_old(rollout.find_new(deployment, replica_sets), replica_sets)}
    for pod in ctx.cache(POD).list(meta.namespace(deployment)):
        owner = meta.controller_of(pod)
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if owner and owner["uid"] in old and not ended:
            return True
    return False


async def _apply(deployment: Object, replica_sets: Sequence[Object], step: Plan, ctx: Context) -> bool:
    """Do a step; says whether anything that counts was written."""
    if step.create is not None:
        await _create(deployment, step.create, ctx)
        return True
    if step.new_metadata is not None:
        new = await ctx.client.update(REPLICA_SET, step.new_metadata)
        replica_sets = [new if meta.uid(item) == meta.uid(new) else item for item in replica_sets]
    for item in replica_sets:
        target = step.scale.get(meta.uid(item))
        if target is not None:
            await _scale(deployment, item, target, ctx)
    for item in step.delete:
        await ctx.client.delete(REPLICA_SET, meta.key_of(item), uid=meta.uid(item))
    return bool(step.scale or step.delete or step.new_metadata is not None)


async def _create(deployment: Object, body: Object, ctx: Context) -> None:
    try:
        made = await ctx.client.create(REPLICA_SET, body)
    except AlreadyExists:
        await _collide(deployment, body, ctx)
        return
    replicas = rollout.wanted(body)
    if replicas:
        text = f"Scaled up replica set {meta.name(made)} from 0 to {replicas}"
        ctx.event(deployment, "Normal", "ScalingReplicaSet", text)
    status = (deployment.get("status") or {}) | {
        "observedGeneration": meta.generation(deployment),
        "conditions": progress.announce(deployment, made, ctx.clock.now()),
    }
    await ctx.client.update(DEPLOYMENT, deployment | {"status": status}, subresource="status")


async def _collide(deployment: Object, body: Object, ctx: Context) -> None:
    """The name is taken: by the same ReplicaSet, that the cache does not show yet, or by another one's hash."""
    there = await ctx.client.get(REPLICA_SET, meta.name(body), meta.namespace(body))
    if meta.is_controlled_by(there, deployment) and rollout.find_new(deployment, [there]):
        raise TemporaryError("the cache does not show the new ReplicaSet yet")
    status = dict(deployment.get("status") or {})
    status["collisionCount"] = (status.get("collisionCount") or 0) + 1
    await ctx.client.update(DEPLOYMENT, deployment | {"status": status}, subresource="status")


async def _scale(deployment: Object, item: Object, target: int, ctx: Context) -> None:
    before = rollout.wanted(item)
    annotations = {**meta.annotations(item), **rollout.replica_annotations(deployment)}
    metadata = item["metadata"] | {"annotations": annotations}
    await ctx.client.update(REPLICA_SET, item | {"metadata": metadata, "spec": item["spec"] | {"replicas": target}})
    if target == before:
        return
    word = "up" if target > before else "down"
    text = f"Scaled {word} replica set {meta.name(item)} from {before} to {target}"
    ctx.event(deployment, "Normal", "ScalingReplicaSet", text)


async def _tell(deployment: Object, new: Object | None, old: Sequence[Object], ctx: Context) -> Result:
    """Store what has changed of the revision annotation and the status."""
    number = rollout.revision(new) if new is not None else 0
    if number and number != rollout.revision(deployment):
        body = {"metadata": {"annotations": {REVISION: str(number)}}}
        await ctx.client.patch(DEPLOYMENT, meta.key_of(deployment), body)
        return DONE  # and back at once, with the newer object
    told = progress.progress(deployment, new, old, ctx.clock.now())
    if told.status != (deployment.get("status") or {}):
        try:
            await ctx.client.update(DEPLOYMENT, deployment | {"status": told.status}, subresource="status")
        except NotFound:
            return DONE
    return again(told.look_after_s) if told.look_after_s is not None else DONE
