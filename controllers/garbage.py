"""Garbage collection by owner: what nobody owns any more goes, what waits for its dependents is let go when they have.

- Background: an object goes at once, then those whose owners are all gone.
- Foreground (`foregroundDeletion`): the dependents that block their owner go first, then the owner.
- Orphan (`orphan`): the dependents lose the reference, then the owner goes.

An owner that the cache does not show is looked up on the server before anything is deleted. Kinds that users bring come
and go, so there is no cache of their objects: a sweep every few seconds looks at them, and at what they own. Upstream:
pkg/controller/garbagecollector; instead of its graph there is an index by owner's uid over the caches.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.client import Selection
from miniplane.errors import Conflict, NotFound
from miniplane.kinds import CUSTOM_RESOURCE_DEFINITION, EVENT, KINDS, REGISTRY
from miniplane.runtime import DONE, Change, ChangeMapper, Context, On, Result, TemporaryError

from .custom_kinds import custom_kinds

SWEEP_S = 3.0
"""Between two looks at objects of custom kinds."""
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
COLLECTED = tuple(kind for kind in KINDS if kind.stored != EVENT and kind.face is None)
"""Events point at objects without being owned; upstream leaves them out too."""
_BY_WORD = {word: [kind for kind in COLLECTED if kind.kind == word] for word in {kind.kind for kind in COLLECTED}}


def owner_index(obj: Object) -> Iterable[str]:
    """Index values: the uids of the owners."""
    return [owner["uid"] for owner in meta.owner_references(obj)]


def waits_for_dependents(obj: Object | None) -> bool:
    """Whether an object is deleted and stays until its dependents have gone."""
    return obj is not None and meta.is_deleted(obj) and FOREGROUND in meta.finalizers(obj)


@dataclass(slots=True)
class Owners:
    """An object's owner references by the state of the owner."""

    solid: list[Object] = field(default_factory=list)
    gone: list[Object] = field(default_factory=list)
    waiting: list[Object] = field(default_factory=list)


def kind_of(reference: Object) -> Kind | None:
    """The kind that a reference names, whatever its version, in the version that is stored."""
    group = reference.get("apiVersion", "").rpartition("/")[0]
    exact = REGISTRY.by_kind(reference.get("apiVersion", ""), reference.get("kind", ""))
    found = exact or next((kind for kind in KINDS if (kind.group, kind.kind) == (group, reference.get("kind"))), None)
    return found and found.stored


def custom_kind_of(reference: Object, ctx: Context) -> Kind | None:
    """The kind brought by a user that a reference names."""
    named = reference.get("apiVersion", "").rpartition("/")[0], reference.get("kind")
    return next((kind for kind in custom_kinds(ctx) if (kind.group, kind.kind) == named), None)


def key_of_owner(reference: Object, dependent: Object, kind: Kind) -> Key:
    """Where the owner of `dependent` is."""
    return Key(meta.namespace(dependent) if kind.namespaced else "", reference["name"])


def dependents(uid: str, ctx: Context) -> list[tuple[Kind, Object]]:
    """Everything that names `uid` as an owner."""
    return [(kind, obj) for kind in COLLECTED for obj in ctx.cache(kind).by_index("owner", uid)]


async def owners(obj: Object, ctx: Context) -> Owners:
    """Sort the owners of an object."""
    result = Owners()
    for reference in meta.owner_references(obj):
        kind = kind_of(reference) or custom_kind_of(reference, ctx)
        if kind is None or (kind.namespaced and not meta.namespace(obj)):
            result.solid.append(reference)  # nothing that we can look up: never a reason to delete
            if kind is not None:
                _tell_invalid(obj, reference, ctx)
            continue
        owner = await _find(reference, key_of_owner(reference, obj, kind), kind, ctx)
        if owner is None:
            result.gone.append(reference)
            if kind in COLLECTED and any(meta.uid(other) == reference["uid"] for other in ctx.cache(kind)):
                _tell_invalid(obj, reference, ctx)
        else:
            (result.waiting if waits_for_dependents(owner) else result.solid).append(reference)
    return result


def _tell_invalid(obj: Object, reference: Object, ctx: Context) -> None:
    """An owner is in another namespace, which counts as gone; or has one where the dependent has none."""
    namespace = meta.namespace(obj)
    whom = f"[{reference['apiVersion']}/{reference['kind']}, namespace: {namespace}, name: {reference['name']}, "
    text = f'ownerRef {whom}uid: {reference["uid"]}] does not exist in namespace "{namespace}"'
    ctx.event(obj, "Warning", "OwnerRefInvalidNamespace", text)


async def _find(reference: Object, key: Key, kind: Kind, ctx: Context) -> Object | None:
    cached = ctx.cache(kind).get(key) if kind in COLLECTED else None
    if cached is not None and meta.uid(cached) == reference["uid"]:
        return cached
    try:
        live = await ctx.client.get(kind, key.name, key.namespace)
    except NotFound:
        return None
    return live if meta.uid(live) == reference["uid"] else None


class Collector:
    """The reconciler of one kind."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Decide about one object."""
        obj = ctx.cache(self._kind).get(key)
        if obj is not None:
            await self.decide(obj, ctx)
        return DONE

    async def decide(self, obj: Object, ctx: Context) -> None:
        """The same for an object at hand."""
        if meta.is_deleted(obj):
            if ORPHAN in meta.finalizers(obj):
                await self._orphan(obj, ctx)
            elif FOREGROUND in meta.finalizers(obj):
                await self._foreground(obj, ctx)
        elif meta.owner_references(obj):
            await self._owned(obj, ctx)

    async def _owned(self, obj: Object, ctx: Context) -> None:
        found = await owners(obj, ctx)
        if found.solid:
            if found.gone or found.waiting:
                await _set_owners(self._kind, obj, found.solid, ctx)
            return
        await self._delete(obj, ctx, blocking=bool(found.waiting))

    async def _delete(self, obj: Object, ctx: Context, *, blocking: bool) -> None:
        """Delete what nobody owns. One that an owner waits for takes its own dependents first, too."""
        propagation = "Background"
        if ORPHAN in meta.finalizers(obj):
            propagation = "Orphan"
        elif FOREGROUND in meta.finalizers(obj) or (blocking and dependents(meta.uid(obj), ctx)):
            propagation = "Foreground"
        try:
            await ctx.client.delete(self._kind, meta.key_of(obj), propagation=propagation, uid=meta.uid(obj))
        except (NotFound, Conflict):
            return  # gone, or another one of that name: the next event tells
        ctx.log.info("garbage deleted", kind=self._kind.kind, object=str(meta.key_of(obj)), propagation=propagation)

    async def _foreground(self, obj: Object, ctx: Context) -> None:
        """Delete the dependents; let the object go when none of them blocks it."""
        blocking = False
        for kind, dependent in dependents(meta.uid(obj), ctx):
            reference = next(item for item in meta.owner_references(dependent) if item["uid"] == meta.uid(obj))
            blocking |= bool(reference.get("blockOwnerDeletion"))
            if not meta.is_deleted(dependent):
                await Collector(kind)._owned(dependent, ctx)  # noqa: SLF001  another one of us
        if not blocking:
            await _drop_finalizer(self._kind, obj, FOREGROUND, ctx)

    async def _orphan(self, obj: Object, ctx: Context) -> None:
        """Take the reference from the dependents; then let the object go."""
        for kind, dependent in dependents(meta.uid(obj), ctx):
            kept = [item for item in meta.owner_references(dependent) if item["uid"] != meta.uid(obj)]
            await _set_owners(kind, dependent, kept, ctx)
        await _drop_finalizer(self._kind, obj, ORPHAN, ctx)


async def _set_owners(kind: Kind, obj: Object, kept: Sequence[Object], ctx: Context) -> None:
    """Replace the owner references, if the object is still the one that we saw."""
    metadata = {"uid": meta.uid(obj), "resourceVersion": obj["metadata"]["resourceVersion"]}
    try:
        await ctx.client.patch(kind, meta.key_of(obj), {"metadata": metadata | {"ownerReferences": kept or None}})
    except NotFound:
        return
    except Conflict as error:
        raise TemporaryError(error.message) from error


async def _drop_finalizer(kind: Kind, obj: Object, finalizer: str, ctx: Context) -> None:
    """Remove a finalizer; a stale cache makes the server refuse, and us come back."""
    kept = [item for item in meta.finalizers(obj) if item != finalizer]
    metadata = {"resourceVersion": obj["metadata"]["resourceVersion"], "finalizers": kept or None}
    try:
        await ctx.client.patch(kind, meta.key_of(obj), {"metadata": metadata})
    except NotFound:
        return


class Related:
    """Which objects a change of one of `kind` concerns: its dependents when it goes, its owners.

    The controller of every kind asks about every change, so what was found is kept until the next one.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._change: Change | None = None
        self._found: dict[Kind, set[Key]] = {}

    def of(self, wanted: Kind) -> ChangeMapper:
        """The mapper to objects of `wanted`."""

        def keys(change: Change, ctx: Context) -> Iterable[Key]:
            if change is not self._change:
                self._found = self._find(change, ctx)
                self._change = change
            return self._found.get(wanted, ())

        return keys

    def _find(self, change: Change, ctx: Context) -> dict[Kind, set[Key]]:
        found: dict[Kind, set[Key]] = {}
        for obj in change.states:
            present = ctx.cache(self._kind).get(meta.key_of(obj))
            if present is None or meta.uid(present) != meta.uid(obj) or waits_for_dependents(obj):
                for kind, dependent in dependents(meta.uid(obj), ctx):
                    found.setdefault(kind, set()).add(meta.key_of(dependent))
            for reference in meta.owner_references(obj):
                for kind in _BY_WORD.get(reference.get("kind", ""), ()):
                    key = key_of_owner(reference, obj, kind)
                    if waits_for_dependents(ctx.cache(kind).get(key)):
                        found.setdefault(kind, set()).add(key)
        return found


async def sweep(ctx: Context) -> None:
    """Decide about every object of a custom kind, and about what such objects own."""
    kinds = custom_kinds(ctx)
    names = {(kind.group, kind.kind) for kind in kinds}
    for kind in kinds:
        for obj in (await ctx.client.page(kind, Selection())).items:
            await _decided(kind, obj, ctx)
    for kind in COLLECTED if kinds else ():
        for obj in [*ctx.cache(kind)]:
            groups = {(owner["apiVersion"].rpartition("/")[0], owner["kind"]) for owner in meta.owner_references(obj)}
            if not groups.isdisjoint(names):
                await _decided(kind, obj, ctx)


async def _decided(kind: Kind, obj: Object, ctx: Context) -> None:
    try:
        await Collector(kind).decide(obj, ctx)
    except (Conflict, NotFound, TemporaryError):
        return  # the next sweep sees what it has become


def controller() -> On:
    """The controller: a queue for each kind, and the sweep."""
    on = On("garbage", workers=2, component="garbage-collector-controller", reads=(CUSTOM_RESOURCE_DEFINITION,))
    on.every(SWEEP_S)(sweep)
    related = {kind: Related(kind) for kind in COLLECTED}
    for kind in COLLECTED:
        on.index(kind, "owner", owner_index)
    for kind in COLLECTED:
        also = [on.changed(other, related[other].of(kind)) for other in COLLECTED]
        on.reconcile(kind, also=also)(Collector(kind).reconcile)
    return on
