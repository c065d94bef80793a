"""Create, update and patch, for any kind: upstream's order in one place.

    decode → default → mutating admission → prepare → validate → canonicalise → validating admission → store

What is read in order to write may be old by the time of the commit: the store refuses such a write, and it is made
again from what stands there, or refused where the client said what it expects. Upstream counterpart:
k8s.io/apiserver, pkg/registry/generic/registry and pkg/registry/rest.
"""

import copy
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import orjson

from miniplane.aio import Clock
from miniplane.api import names
from miniplane.api.kind import Kind, Object
from miniplane.api.managed import Writer
from miniplane.api.meta import timestamp
from miniplane.api.validation import FieldError
from miniplane.errors import AlreadyExists, ApiError, already_exists, bad_request, conflict, invalid, not_found

from ..admission.chain import Attributes, Chain, Operation
from ..store.base import Draft, Entry, KeyExists, KeyMissing, Put, Remove, ResourceKey, RevisionConflict, Store, Write
from .companions import ATTEMPTS, Companions
from .decoding import Decoder, copy_of
from .generation import count
from .ownership import Application, own_created, own_updated
from .parts import keep_all_but_part, parts_of_others
from .request import Body, Target, WriteOptions, Written

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels, nothing that looks like another: upstream's letters for generated names."""
SUFFIX_LENGTH = 5
_GENERATED = 8
"""Suffixes tried before a generated name is given up."""
_RETRIES = 5
"""How often a write without precondition is made again after another writer was quicker."""
PARTS_OF_STATUS = frozenset(("status", "approval"))
"""Subresources whose writes leave all but the status, or a part of it, as it is."""
_STATUS_KEEPS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
_SERVER_FIELDS = (*_STATUS_KEEPS, "selfLink", "managedFields")

Change = Callable[[Entry, list[str]], Object]
"""Makes the wanted object of the stored one; the result is the caller's own. May append warnings."""


@dataclass(frozen=True, slots=True)
class Update:
    """An update: how the new object comes about, and what part of it counts.

    `subresource` is empty for the object itself (its status stays) or `status` (all but status and metadata stay).
    `via` is the subresource that the client wrote to, for its managedFields; `applied` says that `change` sets those.
    `conditional` says that a resourceVersion in the new object is the client's own precondition; a patch's result has
    the stored one unless the patch sets it.
    """

    change: Change
    subresource: str = ""
    conditional: bool = True
    via: str = ""
    applied: bool = False
    check: Callable[[Entry], None] = field(default=lambda _: None)
    """Raises for a stored object that the update may not touch; runs on every attempt."""


class Pipeline:
    """The write side of the registry."""

    def __init__(
        self,
        store: Store,
        *,
        decoder: Decoder,
        admission: Chain,
        companions: Companions,
        clock: Clock,
        random: Random,
    ) -> None:
        self.store = store
        self.clock = clock
        self.decoder = decoder
        self.admission = admission
        self.companions = companions
        self._random = random

    def now(self) -> str:
        """The present time, as metadata writes it."""
        return timestamp(self.clock.now())

    def require(self, target: Target) -> Entry:
        """The stored entry.

        Raises:
            NotFound: There is none.
        """
        entry = self.store.get(target.key)
        if entry is None:
            raise not_found(target.kind.resource, target.name)
        return entry

    async def create(self, target: Target, body: Body, options: WriteOptions) -> Written:
        """Create an object of a body.

        Raises:
            ApiError: BadRequest, Invalid, AlreadyExists, Forbidden, NotFound (the namespace).
        """
        warnings: list[str] = []
        obj = self.decoder.decode(target.served, body, options.field_validation, warnings)
        return await self.create_object(target, obj, options, warnings)

    async def create_object(
        self,
        target: Target,
        obj: Object,
        options: WriteOptions,
        warnings: list[str] | None = None,
        *,
        applied: bool = False,
    ) -> Written:
        """Create `obj`, which becomes the registry's own; if `applied`, its managedFields are right already."""
        warnings = [] if warnings is None else warnings
        kind, strategy = target.kind, target.kind.strategy
        owners = obj["metadata"].get("managedFields")
        target = self._fill_metadata(target, obj)
        attributes = Attributes(
            Operation.CREATE, kind, target.namespace, target.name, target.user, self.store, obj=obj, warnings=warnings
        )
        attributes.dry_run = options.dry_run
        kind.defaults(obj)
        await self.admission.mutate(attributes)
        if kind.subresource("status"):
            obj.pop("status", None)
            if strategy.initial_status is not None:
                obj["status"] = copy.deepcopy(dict(strategy.initial_status))
        strategy.prepare(obj, None)
        count(kind, obj, None)
        refuse(kind, target.name, [*names.validate_meta(obj, kind), *strategy.validate(obj, None)])
        warnings += strategy.warnings(obj, None)
        strategy.canonicalize(obj, None)
        try:
            await self.admission.validate(attributes)
            if applied:
                obj["metadata"]["managedFields"] = owners
            else:
                own_created(obj, self.decoder.schema.node(kind), options, self.now())
            entry = await self._store_new(target, obj, dry_run=options.dry_run)
        finally:
            attributes.finish()
        return Written(entry, warnings, created=True)

    def _fill_metadata(self, target: Target, obj: Object) -> Target:
        """Metadata that the server sets, and the name; returns the target that names the new object."""
        meta = obj["metadata"]
        match_namespace(target, meta)
        if meta.get("resourceVersion") not in (None, "", "0"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        for name in (*_SERVER_FIELDS, "resourceVersion"):
            meta.pop(name, None)
        name, prefix = meta.get("name"), meta.get("generateName")
        if not name and isinstance(prefix, str) and prefix:
            name = meta["name"] = self._generate(target, prefix)
        if target.name and name != target.name:
            raise _name_mismatch(name, target.name)
        meta["uid"] = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        meta["creationTimestamp"] = self.now()
        return replace(target, name=name or "")

    def _generate(self, target: Target, prefix: str) -> str:
        name = ""
        for _ in range(_GENERATED):
            name = names.generate(prefix, "".join(self._random.choices(SUFFIX_ALPHABET, k=SUFFIX_LENGTH)))
            if self.store.get(ResourceKey(target.resource, target.namespace, name)) is None:
                break
        return name

    async def _store_new(self, target: Target, obj: Object, *, dry_run: bool) -> Entry:
        key = target.key
        asked = orjson.dumps(obj) if self.companions.has(target.resource) else b""
        for attempt in range(ATTEMPTS):
            new = orjson.loads(asked) if attempt else obj
            companions = self.companions.plan(target.resource, new, None, dry_run=dry_run)
            draft = Draft(new)
            if dry_run:
                if self.store.get(key) is not None:
                    raise already_exists(target.kind.resource, target.name)
                return unstored(key, new)
            try:
                return (await self.store.commit([Put(key, draft, 0), *companions])).entries[0]
            except KeyExists as error:
                if error.key == key:
                    raise already_exists(target.kind.resource, target.name) from error
        raise _busy(target)

    async def replace(self, target: Target, body: Body, options: WriteOptions, *, subresource: str = "") -> Written:
        """PUT: the body takes the object's place."""
        warnings: list[str] = []
        obj = self.decoder.decode(target.served, body, options.field_validation, warnings)
        first = iter((obj,))

        def change(_entry: Entry, _warnings: list[str]) -> Object:
            again = next(first, None)
            return (
                again if again is not None else self.decoder.decode(target.served, body, options.field_validation, [])
            )

        return await self.update(target, Update(change, subresource), options, warnings)

    async def update(
        self, target: Target, update: Update, options: WriteOptions, warnings: Sequence[str] = ()
    ) -> Written:
        """Bring a stored object into the state that `update` makes of it. A change of nothing takes no revision.

        Raises:
            ApiError: NotFound, Conflict (a stale precondition, or too many others at once), Invalid, Forbidden.
        """
        for _ in range(_RETRIES):
            entry = self.require(target)
            update.check(entry)
            messages = list(warnings)
            new = update.change(entry, messages)
            given = new.setdefault("metadata", {}).get("resourceVersion")
            self._check_precondition(target, entry, given)
            owners = new["metadata"].get("managedFields")
            attributes = await self._prepare(target, update.subresource, new, entry, messages, dry_run=options.dry_run)
            self._own(target, update, new, entry, owners, options)
            is_conditional = update.conditional and given not in (None, "", "0")
            try:
                return await self._store_update(target, new, entry, messages, dry_run=options.dry_run)
            except (RevisionConflict, KeyExists) as error:
                if is_conditional and error.key == target.key:
                    raise conflict(target.kind.resource, target.name) from error
            except KeyMissing as error:
                raise not_found(target.kind.resource, target.name) from error
            finally:
                attributes.finish()
        raise conflict(target.kind.resource, target.name)

    def _own(
        self, target: Target, update: Update, new: Object, entry: Entry, owners: Any, options: WriteOptions
    ) -> None:
        """Set the managedFields; those that the client sent count unless it writes to a subresource."""
        if update.applied:
            new["metadata"]["managedFields"] = owners
            return
        through = update.subresource or update.via
        writer = Writer(options.field_manager, target.kind.api_version, self.now(), through)
        own_updated(new, entry.obj, None if through else owners, self.decoder.schema.node(target.kind), writer)

    async def apply(self, application: Application, warnings: Sequence[str] = ()) -> Written:
        """Server-side apply: create what is not there, merge into what is.

        Raises:
            ApiError: Conflict with another manager, NotFound (below an object that is not there), and as `update`.
        """
        target, options = application.target, application.options
        for _ in range(_RETRIES):
            if self.store.get(target.key) is None and not application.subresource:
                application.permit_creation()
                try:
                    new = application.new(self.now())
                    return await self.create_object(target, new, options, list(warnings), applied=True)
                except AlreadyExists:
                    continue
            update = Update(
                lambda entry, _: application(copy_of(entry.value), self.now()),
                "" if application.subresource == "scale" else application.subresource,
                conditional=application.is_conditional,
                applied=True,
            )
            return await self.update(target, update, options, warnings)
        raise _busy(target)

    @staticmethod
    def _check_precondition(target: Target, entry: Entry, given: object) -> None:
        if given in (None, "", "0"):
            if not target.kind.strategy.unconditional_update:
                path = "metadata.resourceVersion"
                error = FieldError("FieldValueInvalid", path, "Invalid value: 0x0: must be specified for an update")
                raise invalid(target.kind.resource, target.name, [error.to_cause()])
        elif given != str(entry.revision):
            raise conflict(target.kind.resource, target.name)

    async def _prepare(
        self, target: Target, subresource: str, new: Object, entry: Entry, warnings: list[str], *, dry_run: bool
    ) -> Attributes:
        """All stages between decoding and the store, in place; gives what admission was asked."""
        kind, strategy, old = target.kind, target.kind.strategy, entry.obj
        if part := strategy.parts.get(subresource):
            keep_all_but_part(new, entry, part)
        carry_metadata(target, new, old)
        if subresource in PARTS_OF_STATUS:
            keep_all_but_status(new, entry)
        elif kind.subresource("status"):
            new.pop("status", None)
            if "status" in old:
                new["status"] = copy_of(entry.value)["status"]
        attributes = Attributes(
            Operation.UPDATE,
            kind,
            target.namespace,
            target.name,
            target.user,
            self.store,
            subresource,
            new,
            old,
            warnings,
        )
        attributes.dry_run = dry_run
        kind.defaults(new)
        await self.admission.mutate(attributes)
        if subresource in PARTS_OF_STATUS:
            errors = [*names.validate_meta_update(new, old), *strategy.validate_status(new, old)]
        else:
            strategy.prepare(new, old)
            errors = [*names.validate_meta(new, kind), *names.validate_meta_update(new, old)]
            errors += [*strategy.validate(new, old), *parts_of_others(strategy, subresource, new, old)]
        refuse(kind, target.name, errors)
        if subresource not in PARTS_OF_STATUS:
            warnings += strategy.warnings(new, old)
            strategy.canonicalize(new, old)
            count(kind, new, old)
        await self.admission.validate(attributes)
        return attributes

    async def _store_update(
        self, target: Target, new: Object, entry: Entry, warnings: list[str], *, dry_run: bool
    ) -> Written:
        key, gone = target.key, is_finished(new)
        companions = self.companions.plan(target.resource, None if gone else new, entry.obj, dry_run=dry_run)
        if new == entry.obj and not gone and not companions:
            return Written(entry, warnings)
        draft = Draft(new)
        if dry_run:
            return Written(draft.entry(key, entry.revision, entry.created_revision), warnings, deleted=gone)
        write: Write = Remove(key, entry.revision, draft) if gone else Put(key, draft, entry.revision)
        commit = await self.store.commit([write, *companions])
        return Written(commit.entries[0], warnings, deleted=gone)


def carry_metadata(target: Target, new: Object, old: Object) -> None:
    """What a client can't change in metadata comes from the stored object; a name or uid of another is refused."""
    meta, old_meta = new["metadata"], old["metadata"]
    match_namespace(target, meta)
    name = meta.setdefault("name", target.name)
    if name != target.name:
        raise _name_mismatch(name, target.name)
    uid = meta.get("uid")
    if uid and uid != old_meta["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old_meta['uid']}"
        raise conflict(target.kind.resource, target.name, why)
    for field_name in _SERVER_FIELDS:
        meta.pop(field_name, None)
        if field_name in old_meta:
            meta[field_name] = old_meta[field_name]
    meta["resourceVersion"] = old_meta["resourceVersion"]


def keep_all_but_status(new: Object, entry: Entry) -> None:
    """A write to `/status`: only status, labels, annotations and finalizers are the client's."""
    stored = copy_of(entry.value)
    metadata = new["metadata"]
    stored["metadata"]["resourceVersion"] = metadata["resourceVersion"]
    for name in ("labels", "annotations", "finalizers"):
        stored["metadata"].pop(name, None)
        if name in metadata:
            stored["metadata"][name] = metadata[name]
    status = new.get("status")
    new.clear()
    new |= stored
    new.pop("status", None)
    if status is not None:
        new["status"] = status


def match_namespace(target: Target, meta: Object) -> None:
    """The body's namespace is that of the path, and is filled in."""
    if not target.kind.namespaced:
        meta.pop("namespace", None)
        return
    given = meta.get("namespace")
    if given and given != target.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    meta["namespace"] = target.namespace


def is_finished(obj: Object) -> bool:
    """Whether an object that is being deleted has nothing left to wait for: no finalizer, no grace period."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"):
        return False
    return obj["kind"] != "Namespace" or not (obj.get("spec") or {}).get("finalizers")


def refuse(kind: Kind, name: str, errors: Sequence[FieldError]) -> None:
    """Raise Invalid if there are errors."""
    if errors:
        raise invalid(kind.resource, name, [error.to_cause() for error in errors])


def unstored(key: ResourceKey, obj: Object) -> Entry:
    """The entry of an object that is not stored: a dry run's answer has no resourceVersion."""
    return Entry(key, 0, 0, orjson.dumps(obj), obj)


def _name_mismatch(name: object, wanted: str) -> ApiError:
    return bad_request(f"the name of the object ({name}) does not match the name on the URL ({wanted})")


def _busy(target: Target) -> ApiError:
    return conflict(target.kind.resource, target.name, "too many others allocate at once; please try again")
