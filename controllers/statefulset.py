"""StatefulSet: pods with names and claims that stay, in order; `stateful` says which.

Names make a second creation impossible, so own writes need no book-keeping. Upstream: pkg/controller/statefulset.
"""

import contextlib
from dataclasses import dataclass, field

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.errors import AlreadyExists, ApiError, NotFound
from miniplane.kinds import CONTROLLER_REVISION, PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from miniplane.runtime import DONE, Context, On, Result, again

from . import stateful
from .podkeeping import PodKeeper, available_in_s, controller_index, is_terminating, phase, slow_start
from .revisions import Histories
from .stateful import Members, Plan

_HASH = "controller.kubernetes.io/hash"
"""Label of a revision with its hash."""


@dataclass(slots=True)
class StatefulSets:
    """The reconciler."""

    keeper: PodKeeper = field(default_factory=lambda: PodKeeper(STATEFUL_SET, stateful.is_member))
    histories: Histories = field(default_factory=lambda: Histories(STATEFUL_SET, _HASH))

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Bring one StatefulSet's pods, claims, history and status in line."""
        stateful_set = ctx.cache(STATEFUL_SET).get(key)
        ctx.cache(PERSISTENT_VOLUME_CLAIM)  # in sync, or this is tried again
        if stateful_set is None:
            return DONE
        pods = await self.keeper.claimed(stateful_set, ctx)
        history = await self.histories.of(stateful_set, ctx)
        update = None if pods is None else await self.histories.current(stateful_set, history, ctx)
        if pods is None or update is None:
            return DONE  # what was changed wakes us
        current = stateful.current_of(stateful_set, history, update)
        members = Members(stateful_set, pods, current, update, ctx.clock.now())
        failure = await _do(members, members.plan(), ctx)
        await _tell(members, ctx)
        if failure is not None:
            raise failure
        if meta.is_deleted(stateful_set):
            return DONE
        await self.histories.trim(stateful_set, history, stateful.live_revisions(members), ctx)
        wait_s = available_in_s(pods, members.min_ready_s, members.now)
        return DONE if wait_s is None else again(wait_s)


async def _do(members: Members, plan: Plan, ctx: Context) -> ApiError | None:
    """Do a step; gives the first failure."""
    stateful_set, left = members.stateful_set, iter(plan.create.items())
    await _keep_claims(members, ctx)

    async def one() -> ApiError | None:
        ordinal, revision = next(left)
        return await _create(stateful_set, stateful.pod_for(stateful_set, revision, ordinal), ctx)

    failure = await slow_start(len(plan.create), one)
    for pod in plan.relabel:
        ordinal = stateful.ordinal_of(stateful_set, pod)
        assert ordinal is not None
        labels = stateful.identity(stateful_set, ordinal)
        await ctx.client.patch(POD, meta.key_of(pod), {"metadata": {"uid": meta.uid(pod), "labels": labels}})
    for pod in plan.delete:
        failure = await _delete(stateful_set, pod, ctx) or failure
    return failure


async def _create(stateful_set: Object, pod: Object, ctx: Context) -> ApiError | None:
    name = meta.name(pod)
    what = f"create Pod {name} in StatefulSet {meta.name(stateful_set)}"
    cache = ctx.cache(PERSISTENT_VOLUME_CLAIM)
    claims = stateful.claims_for(stateful_set, name)
    there = [claim for item in claims if (claim := cache.get(meta.key_of(item)))]
    if any(stateful.is_stale(claim, name, "") for claim in there):
        return None  # the claim goes with its pod, and that wakes us
    try:
        await _make_claims(stateful_set, name, ctx)
        await ctx.client.create(POD, pod)
    except AlreadyExists as error:
        live = await ctx.client.get(POD, name, meta.namespace(stateful_set))
        if meta.is_controlled_by(live, stateful_set):
            return None  # the cache does not show it yet
        ctx.event(stateful_set, "Warning", "FailedCreate", f"{what} failed error: {error.message}")
        return error
    except ApiError as error:
        if is_terminating(error):
            return None
        ctx.event(stateful_set, "Warning", "FailedCreate", f"{what} failed error: {error.message}")
        return error
    ctx.event(stateful_set, "Normal", "SuccessfulCreate", f"{what} successful")
    return None


async def _make_claims(stateful_set: Object, pod_name: str, ctx: Context) -> None:
    """Create the claims of a pod that are missing."""
    for claim in stateful.claims_for(stateful_set, pod_name):
        if meta.key_of(claim) in ctx.cache(PERSISTENT_VOLUME_CLAIM):
            continue
        owners = stateful.claim_owners(stateful_set, {}, claim, condemned=False)
        body = claim | {"metadata": claim["metadata"] | {"ownerReferences": owners}}
        with contextlib.suppress(AlreadyExists):
            await ctx.client.create(PERSISTENT_VOLUME_CLAIM, body)
            text = f"create Claim {meta.name(claim)} Pod {pod_name} in StatefulSet {meta.name(stateful_set)} success"
            ctx.event(stateful_set, "Normal", "SuccessfulCreate", text)


async def _keep_claims(members: Members, ctx: Context) -> None:
    """Give the claims of the pods that are there their owners; make those that a waiting pod lacks."""
    if meta.is_deleted(members.stateful_set):
        return
    for ordinal, pod in members.by_ordinal.items():
        for claim in stateful.claims_for(members.stateful_set, meta.name(pod)):
            there = ctx.cache(PERSISTENT_VOLUME_CLAIM).get(meta.key_of(claim))
            if there is None:
                if phase(pod) == "Pending" and not meta.is_deleted(pod) and ordinal in members.ordinals:
                    await _make_claims(members.stateful_set, meta.name(pod), ctx)
                continue
            condemned = ordinal not in members.ordinals
            owners = stateful.claim_owners(members.stateful_set, pod, there, condemned=condemned)
            if owners != [*meta.owner_references(there)]:
                metadata = {"uid": meta.uid(there), "ownerReferences": owners or None}
                metadata["resourceVersion"] = there["metadata"]["resourceVersion"]
                await ctx.client.patch(PERSISTENT_VOLUME_CLAIM, meta.key_of(there), {"metadata": metadata})


async def _delete(stateful_set: Object, pod: Object, ctx: Context) -> ApiError | None:
    what = f"delete Pod {meta.name(pod)} in StatefulSet {meta.name(stateful_set)}"
    try:
        await ctx.client.delete(POD, meta.key_of(pod), uid=meta.uid(pod))
    except NotFound:
        return None
    except ApiError as error:
        ctx.event(stateful_set, "Warning", "FailedDelete", f"{what} failed error: {error.message}")
        return error
    ctx.event(stateful_set, "Normal", "SuccessfulDelete", f"{what} successful")
    return None


async def _tell(members: Members, ctx: Context) -> None:
    stateful_set, status = members.stateful_set, members.status()
    if status != (stateful_set.get("status") or {}):
        with contextlib.suppress(NotFound):  # gone meanwhile
            await ctx.client.update(STATEFUL_SET, stateful_set | {"status": status}, subresource="status")


def controller() -> On:
    """The controller."""
    on, sets = On("statefulset"), StatefulSets()
    on.index(POD, "controller", controller_index)
    also = [
        on.owned(POD),
        on.mapped(POD, sets.keeper.adopters),
        on.owned(CONTROLLER_REVISION),
        on.mapped(PERSISTENT_VOLUME_CLAIM, sets_of_claim),
    ]
    on.reconcile(STATEFUL_SET, also=also)(sets.reconcile)
    return on


def sets_of_claim(claim: Object, ctx: Context) -> list[Key]:
    """The sets whose pods' claim it may be, by its name."""
    return [
        meta.key_of(item)
        for item in ctx.cache(STATEFUL_SET).list(meta.namespace(claim))
        if any(
            meta.name(claim).startswith(f"{meta.name(template)}-{meta.name(item)}-")
            for template in item["spec"].get("volumeClaimTemplates") or ()
        )
    ]
