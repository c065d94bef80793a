"""Which kinds are served now: those that are built in, and those of the CustomResourceDefinitions in the store.

The registry of kinds is replaced as a whole whenever a definition changes, so whoever holds one sees no half. The
catalog follows the store: after a restart, and with several servers on one database, the kinds are there as soon as
their definitions are. It also does a definition's paper work: names, conditions, and the removal of all objects before
a definition goes. Upstream counterpart: k8s.io/apiextensions-apiserver, pkg/controller: status, establish, finalizer.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence

from miniplane.api import meta
from miniplane.api.custom.kinds import kinds_of
from miniplane.api.kind import Kind, Object, Registry
from miniplane.errors import ApiError
from miniplane.kinds.apiextensions.customresourcedefinition import CLEANUP
from miniplane.observe import logs

from ..auth.identity import SERVER
from ..store.base import (
    Compacted,
    Draft,
    Entry,
    KeyMissing,
    Put,
    Remove,
    RevisionConflict,
    SlowConsumer,
    Store,
    StoreUnavailable,
    Write,
)
from .decoding import copy_of
from .finalizers import DeleteOptions, Deleter
from .pipeline import is_finished
from .request import Target

_log = logs.get("apiserver.registry")
DEFINITIONS = "apiextensions.k8s.io/customresourcedefinitions"
LOOK_AGAIN_S = 0.5
"""While objects of a kind that goes are waiting for their finalizers."""
_LAST_VERBS = ("delete", "deletecollection", "get", "list", "patch", "update", "watch")
"""What can be done with objects of a kind that goes: all but making new ones."""
_WORDS = (("plural", "Plural"), ("singular", "Singular"), ("kind", "Kind"), ("listKind", "ListKind"))


class Catalog:
    """The kinds that are served. `registry` is replaced, never changed."""

    def __init__(self, store: Store, builtin: Registry) -> None:
        self._store = store
        self._builtin = builtin
        self._resources = {(kind.group, kind.plural) for kind in builtin}
        self._kinds: dict[str, tuple[int, str, list[Kind]]] = {}
        self.registry = builtin

    def get(self) -> Registry:
        """The kinds now."""
        return self.registry

    def is_builtin(self, crd: Object) -> bool:
        """Whether the server brings the kind itself; the definition is accepted and changes nothing."""
        return (crd["spec"]["group"], crd["spec"]["names"]["plural"]) in self._resources

    def update(self, crds: Iterable[Object]) -> None:
        """Serve the kinds of these definitions."""
        kinds: dict[str, tuple[int, str, list[Kind]]] = {}
        for crd in crds:
            if not meta.is_condition_true(crd, "Established") or self.is_builtin(crd):
                continue
            generation, state = meta.generation(crd), f"{meta.uid(crd)} {meta.is_deleted(crd)}"
            known = self._kinds.get(meta.name(crd))
            if known is None or known[:2] != (generation, state):
                known = (generation, state, _served(crd))
            kinds[meta.name(crd)] = known
        if kinds != self._kinds:
            self._kinds = kinds
            found = [kind for _, _, several in kinds.values() for kind in several]
            self.registry = Registry((*self._builtin, *found)) if found else self._builtin


def _served(crd: Object) -> list[Kind]:
    kinds = kinds_of(crd)
    if meta.is_deleted(crd):
        for kind in kinds:
            object.__setattr__(kind, "verbs", _LAST_VERBS)  # made a line above, seen by nobody yet
    return kinds


class Definitions:
    """Keeps the catalog and the definitions' status true. `run` it as long as the server serves."""

    def __init__(self, store: Store, catalog: Catalog, deleter: Deleter) -> None:
        self._store = store
        self._catalog = catalog
        self._deleter = deleter

    async def sync(self) -> int:
        """Bring status and catalog into line with what is stored; says up to which revision."""
        while True:
            listing = self._store.list(DEFINITIONS)
            told = [self._told(entry, listing.entries) for entry in listing.entries]
            self._catalog.update(told)  # before clients read that it is served
            changed = [(entry, crd) for entry, crd in zip(listing.entries, told, strict=True) if crd != entry.obj]
            if not changed:
                return listing.revision
            entry, crd = changed[0]
            with contextlib.suppress(RevisionConflict, KeyMissing):
                await self._store.commit([Put(entry.key, Draft(crd), entry.revision)])

    async def run(self) -> None:
        """Follow the definitions until cancelled."""
        while True:
            try:
                return await self._follow()
            except (SlowConsumer, Compacted):
                continue  # the list at its start tells everything
            except StoreUnavailable as error:
                return _log.warning("definitions could not be kept", error=str(error))

    async def _follow(self) -> None:
        subscription = self._store.watch(DEFINITIONS, since=await self.sync())
        try:
            while True:
                waits = await self._clean()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S if waits else None):
                        if await anext(subscription, None) is None:
                            return
                await self.sync()
        finally:
            subscription.close()

    def _told(self, entry: Entry, others: Sequence[Entry]) -> Object:
        """A definition with the status that is true of it now."""
        crd: Object = copy_of(entry.value)
        now = self._deleter.now()
        status = crd.setdefault("status", {})
        conditions = status.setdefault("conditions", [])
        earlier = [other.obj for other in others if other is not entry and _order(other.obj) < _order(entry.obj)]
        conflicts = [] if self._catalog.is_builtin(crd) else _conflicts(crd, [*earlier], self._catalog.registry)
        names = crd["spec"]["names"]
        if conflicts:
            reason = conflicts[0][0] if len(conflicts) == 1 else "MultipleConflicts"
            text = ", ".join(f'"{word}" is already in use' for _, word in conflicts)
            accepted = {"type": "NamesAccepted", "status": "False", "reason": reason, "message": text}
        else:
            status["acceptedNames"] = names
            text = "no conflicts found"
            accepted = {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": text}
        meta.set_condition(conditions, accepted, now)
        if not meta.is_condition_true(crd, "Established"):
            good = not conflicts
            reason = "InitialNamesAccepted" if good else "NotAccepted"
            text = "the initial names have been accepted" if good else "not all names are accepted"
            new = {"type": "Established", "status": str(good), "reason": reason, "message": text}
            meta.set_condition(conditions, new, now)
        if meta.is_deleted(crd) and meta.condition(crd, "Terminating") is None:
            text = "CustomResource deletion is in progress"
            new = {"type": "Terminating", "status": "True", "reason": "InstanceDeletionPending", "message": text}
            meta.set_condition(conditions, new, now)
        return crd

    async def _clean(self) -> bool:
        """Remove the objects of definitions that go; says whether some are still there."""
        waits = False
        for entry in self._store.list(DEFINITIONS).entries:
            if meta.is_deleted(entry.obj) and CLEANUP in meta.finalizers(entry.obj):
                if not self._catalog.is_builtin(entry.obj) and await self._remove_objects(entry.obj):
                    waits = True
                else:
                    await self._let_go(entry)
        return waits

    async def _remove_objects(self, crd: Object) -> int:
        """Delete the objects of a definition; says how many stay."""
        spec = crd["spec"]
        resource = f"{spec['group']}/{spec['names']['plural']}"
        kinds = kinds_of(crd)
        for entry in self._store.list(resource).entries:
            if kinds and meta.is_deleted(entry.obj):
                continue
            with contextlib.suppress(ApiError, KeyMissing, RevisionConflict):
                if kinds:
                    target = Target(kinds[0].stored, SERVER, entry.key.namespace, entry.key.name)
                    await self._deleter.delete(target, DeleteOptions())
                else:
                    await self._store.commit([Remove(entry.key, entry.revision)])
        return self._store.count(resource)

    async def _let_go(self, entry: Entry) -> None:
        crd: Object = copy_of(entry.value)
        crd["metadata"]["finalizers"] = [name for name in meta.finalizers(crd) if name != CLEANUP]
        if not crd["metadata"]["finalizers"]:
            del crd["metadata"]["finalizers"]
        draft = Draft(crd)
        write: Write = Put(entry.key, draft, entry.revision)
        if is_finished(crd):
            write = Remove(entry.key, entry.revision, draft)
        with contextlib.suppress(RevisionConflict, KeyMissing):
            await self._store.commit([write])


def _order(crd: Object) -> tuple[bool, str, str]:
    """Whose names come first: what is established keeps them, then the older one."""
    established = meta.is_condition_true(crd, "Established")
    return (not established, meta.metadata(crd).get("creationTimestamp") or "", meta.name(crd))


def _conflicts(crd: Object, earlier: Sequence[Object], registry: Registry) -> list[tuple[str, str]]:
    """The names that others of the group have: the reason for each, and the name."""
    group, names = crd["spec"]["group"], crd["spec"]["names"]
    resources: set[str] = set()
    kinds: set[str] = set()
    for kind in registry:
        if kind.group == group and kind.own_schema is None:
            resources |= {kind.plural, kind.singular, *kind.short_names}
            kinds |= {kind.kind, f"{kind.kind}List"}
    for other in earlier:
        taken = (other.get("status") or {}).get("acceptedNames") or {}
        if other["spec"]["group"] == group:
            resources |= {taken.get("plural") or "", taken.get("singular") or "", *(taken.get("shortNames") or ())}
            kinds |= {taken.get("kind") or "", taken.get("listKind") or ""}
    found = [
        (f"{word}Conflict", names[key])
        for key, word in _WORDS
        if names.get(key) and names[key] in (kinds if word.endswith("Kind") else resources)
    ]
    return found + [("ShortNamesConflict", name) for name in names.get("shortNames") or () if name in resources]
