"""The pods of one owner: whose they are, how they do, and how they are made and removed without doing it twice.

A cache that lags behind own writes must not lead to a second creation. So for each owner the revision of its last
created pod and the uids of pods that it deleted are remembered; while the cache is older it waits. Upstream reaches
the same with counters of expected events (pkg/controller/controller_utils.go).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.api.selectors import LabelSelector
from miniplane.errors import ApiError, NotFound
from miniplane.kinds import POD, REPLICATION_CONTROLLER
from miniplane.runtime import Context
from miniplane.runtime.cache import Cache

EXPECT_S = 300.0
"""After this an own write that the cache never showed no longer counts (upstream's ExpectationsTimeout)."""


def controller_index(pod: Object) -> Iterable[str]:
    """Index value of a pod: its controller's uid, or where orphans of its namespace stand."""
    owner = meta.controller_of(pod)
    return (owner["uid"] if owner else orphans(meta.namespace(pod)),)


def orphans(namespace: str) -> str:
    """The index value of pods of a namespace that nobody controls."""
    return f"orphans of {namespace}"


def phase(pod: Object) -> str:
    """`status.phase`, Pending where it says nothing."""
    return (pod.get("status") or {}).get("phase") or "Pending"


def is_ended(pod: Object) -> bool:
    """Whether a pod's containers will not run any more."""
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    """Whether a pod counts: neither over nor on its way out."""
    return not is_ended(pod) and not meta.is_deleted(pod)


def ready_since(pod: Object) -> datetime | None:
    """Since when the pod has been ready; None if it is not."""
    condition = meta.condition(pod, "Ready")
    if condition is None or condition.get("status") != "True":
        return None
    text = condition.get("lastTransitionTime")
    return meta.parse_timestamp(text) if text else meta.created(pod)


def is_available(pod: Object, min_ready_s: int, now: datetime) -> bool:
    """Whether the pod has been ready for long enough."""
    since = ready_since(pod)
    return since is not None and (not min_ready_s or (now - since).total_seconds() >= min_ready_s)


def available_in_s(pods: Iterable[Object], min_ready_s: int, now: datetime) -> float | None:
    """When the next ready pod becomes available by time alone; None if none does."""
    waits = [
        min_ready_s - (now - since).total_seconds()
        for pod in pods
        if (since := ready_since(pod)) and not is_available(pod, min_ready_s, now)
    ]
    return min(waits, default=None)


def selector_of(kind: Kind, owner: Object) -> LabelSelector:
    """What selects an owner's pods; a ReplicationController has a plain map."""
    selector = owner["spec"].get("selector")
    return LabelSelector.from_map(selector) if kind == REPLICATION_CONTROLLER else LabelSelector.from_object(selector)


@dataclass(slots=True)
class Claim:
    """The pods of an owner, and those whose owner must change first."""

    own: list[Object] = field(default_factory=list)
    adopt: list[Object] = field(default_factory=list)
    release: list[Object] = field(default_factory=list)


def claim(
    owner: Object, belongs: Callable[[Object], bool], controlled: Iterable[Object], orphaned: Iterable[Object]
) -> Claim:
    """Sort pods: `controlled` by this owner, `orphaned` in its namespace; it wants those that `belongs` says."""
    claimed = Claim()
    for pod in controlled:
        (claimed.own if meta.is_deleted(owner) or belongs(pod) else claimed.release).append(pod)
    if not meta.is_deleted(owner):
        claimed.adopt = [pod for pod in orphaned if is_active(pod) and belongs(pod)]
    return claimed


def new_pod(owner: Object, kind: Kind, template: Object, **named: str) -> Object:
    """A pod from a template, with a name made from the owner's, or the one in `named`."""
    given = template.get("metadata") or {}
    metadata: dict[str, Any] = named or {"generateName": f"{meta.name(owner)}-"}
    metadata |= {"namespace": meta.namespace(owner), "ownerReferences": [meta.owner_reference(owner, kind=kind)]}
    metadata |= {name: given[name] for name in ("labels", "annotations", "finalizers") if given.get(name)}
    return {"apiVersion": POD.api_version, "kind": POD.kind, "metadata": metadata, "spec": template["spec"]}


@dataclass(slots=True)
class Expected:
    """Own writes that the pods' cache must show before pods are counted again."""

    revision: int = 0
    deleted: set[str] = field(default_factory=set)
    until: float = 0.0

    def is_met(self, cache: Cache, pods: Sequence[Object], now: float) -> bool:
        """Whether the cache shows them all, or they are too old to wait for."""
        if now >= self.until:
            return True
        self.deleted &= {meta.uid(pod) for pod in pods if not meta.is_deleted(pod)}
        return not self.deleted and cache.revision >= self.revision


class PodKeeper:
    """Finds, adopts, makes and removes the pods of the owners of one kind; remembers its writes by the owner's uid.

    `fits(owner, pod)` is what a pod needs beside the labels that the owner's selector asks for.
    """

    def __init__(self, kind: Kind, fits: Callable[[Object, Object], bool] = lambda _owner, _pod: True) -> None:
        self.kind, self._fits = kind, fits
        self._expected: dict[str, Expected] = {}
        self._uids: dict[Key, str] = {}

    def remember(self, key: Key, owner: Object | None) -> None:
        """Take note of which owner a key means now."""
        uid = "" if owner is None else meta.uid(owner)
        if (old := self._uids.get(key)) and old != uid:
            self._expected.pop(old, None)
            del self._uids[key]
        if uid:
            self._uids[key] = uid

    def wait_s(self, owner: Object, ctx: Context) -> float | None:
        """How long to wait at most for the cache to show own writes; None if it shows them.

        The cache's next event comes long before.
        """
        uid, cache, now = meta.uid(owner), ctx.cache(POD), ctx.clock.monotonic()
        expected = self._expected.get(uid)
        if expected is not None and not expected.is_met(cache, cache.by_index("controller", uid), now):
            return expected.until - now
        self._expected.pop(uid, None)
        return None

    def has_written(self, owner: Object) -> bool:
        """Whether pods were made or removed since the last `wait_s`; their events wake the owner."""
        return meta.uid(owner) in self._expected

    def expect(self, owner: Object, ctx: Context) -> Expected:
        """Where to note own writes; from now on they are waited for."""
        expected = self._expected.setdefault(meta.uid(owner), Expected())
        expected.until = ctx.clock.monotonic() + EXPECT_S
        return expected

    async def claimed(self, owner: Object, ctx: Context) -> list[Object] | None:
        """The pods of an owner; None if an owner had to be changed first, which wakes us."""
        cache = ctx.cache(POD)
        controlled = cache.by_index("controller", meta.uid(owner))
        selector = selector_of(self.kind, owner)
        orphaned = cache.by_index("controller", orphans(meta.namespace(owner)))

        def belongs(pod: Object) -> bool:
            return selector.matches(meta.labels(pod)) and self._fits(owner, pod)

        found = claim(owner, belongs, controlled, orphaned)
        if not found.adopt and not found.release:
            return found.own
        await self._settle_owners(owner, found, ctx)
        return None

    async def _settle_owners(self, owner: Object, claimed: Claim, ctx: Context) -> None:
        for pod in claimed.release:
            kept = [item for item in meta.owner_references(pod) if item["uid"] != meta.uid(owner)]
            await _set_owners(pod, kept, ctx)
        if claimed.adopt:
            # Ask the server: an owner that is being deleted must not adopt, and the cache may not know yet.
            live = await ctx.client.get(self.kind, meta.name(owner), meta.namespace(owner))
            if meta.uid(live) != meta.uid(owner) or meta.is_deleted(live):
                return
        for pod in claimed.adopt:
            mine = meta.owner_reference(owner, kind=self.kind)
            await _set_owners(pod, [*meta.owner_references(pod), mine], ctx)

    async def create(self, owner: Object, bodies: Sequence[Object], ctx: Context) -> ApiError | None:
        """Make pods, few at first; gives the first failure."""
        expected, left = self.expect(owner, ctx), iter(bodies)

        async def one() -> ApiError | None:
            try:
                pod = await ctx.client.create(POD, next(left))
            except ApiError as error:
                if is_terminating(error):
                    return None  # the namespace is on its way out, and so are we
                ctx.event(owner, "Warning", "FailedCreate", f"Error creating: {error.message}")
                return error
            expected.revision = max(expected.revision, meta.revision(pod))
            ctx.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {meta.name(pod)}")
            return None

        return await slow_start(len(bodies), one)

    async def delete(self, owner: Object, victims: Sequence[Object], ctx: Context) -> ApiError | None:
        """Remove pods; gives the first failure."""
        expected = self.expect(owner, ctx)

        async def one(pod: Object) -> ApiError | None:
            expected.deleted.add(meta.uid(pod))
            try:
                await ctx.client.delete(POD, meta.key_of(pod), uid=meta.uid(pod))
            except NotFound:
                return None
            except ApiError as error:
                expected.deleted.discard(meta.uid(pod))
                ctx.event(owner, "Warning", "FailedDelete", f"Error deleting: {error.message}")
                return error
            ctx.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {meta.name(pod)}")
            return None

        failures = await asyncio.gather(*(one(pod) for pod in victims))
        return next((error for error in failures if error is not None), None)

    def adopters(self, pod: Object, ctx: Context) -> Iterable[Key]:
        """The owners that may adopt an orphan."""
        if meta.controller_of(pod):
            return
        for owner in ctx.cache(self.kind).list(meta.namespace(pod)):
            if selector_of(self.kind, owner).matches(meta.labels(pod)):
                yield meta.key_of(owner)


async def slow_start(count: int, one: Callable[[], Awaitable[ApiError | None]]) -> ApiError | None:
    """Do `one` `count` times in batches of 1, 2, 4, …; stop after a batch with a failure and give it.

    If every creation fails (a quota, say), one request tells, not hundreds.
    """
    size = 1
    while count > 0:
        batch = min(size, count)
        failures = await asyncio.gather(*(one() for _ in range(batch)))
        if failure := next((error for error in failures if error is not None), None):
            return failure
        count -= batch
        size *= 2
    return None


def is_terminating(error: ApiError) -> bool:
    """Whether a creation failed because its namespace is being deleted."""
    return any(cause.reason == "NamespaceTerminating" for cause in error.causes)


async def _set_owners(pod: Object, owners: Sequence[Object], ctx: Context) -> None:
    metadata = {"uid": meta.uid(pod), "resourceVersion": pod["metadata"]["resourceVersion"]}
    body = {"metadata": metadata | {"ownerReferences": owners or None}}
    try:
        await ctx.client.patch(POD, meta.key_of(pod), body)
    except NotFound:
        ctx.log.debug("pod gone before its owner changed", pod=str(meta.key_of(pod)))
