"""Deletion: preconditions, grace periods, finalizers and propagation policies.

The server only marks: an object with finalizers gets a deletionTimestamp and goes when the last of them is removed.
`foregroundDeletion` and `orphan` are finalizers that the garbage collector serves. Upstream counterpart:
k8s.io/apiserver, pkg/registry/rest/delete.go and pkg/registry/generic/registry/store.go.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from miniplane.api.kind import Kind, Object
from miniplane.api.meta import parse_timestamp, timestamp
from miniplane.errors import NotFound, bad_request, conflict, not_found

from ..admission.chain import Attributes, Operation
from ..store.base import Draft, Entry, KeyMissing, Put, Remove, RevisionConflict
from .bodies import DELETE_OPTIONS, read_lenient
from .decoding import Decoder, copy_of
from .pipeline import Pipeline, is_finished
from .reading import Selection, matching
from .request import Body, Target, Written

_FOREGROUND = "foregroundDeletion"
_ORPHAN = "orphan"
_DEFAULT_GRACE_S = 30
_RETRIES = 5
_AT_ONCE = 64
"""Deletions of a collection that are under way together, so that others' writes find room between them."""


class Propagation(StrEnum):
    """What becomes of dependents."""

    BACKGROUND = "Background"
    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"


_FINALIZER_OF = {Propagation.FOREGROUND: _FOREGROUND, Propagation.ORPHAN: _ORPHAN}


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How to delete. None and empty mean that the client does not say."""

    grace_s: int | None = None
    propagation: Propagation | None = None
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False


def parse_options(decoder: Decoder, body: Body, query: Mapping[str, str]) -> DeleteOptions:
    """DeleteOptions of a body, or of the query where there is no body.

    Raises:
        ApiError: BadRequest, Invalid, UnsupportedMediaType.
    """
    given: Object = read_lenient(decoder, body, DELETE_OPTIONS) if body.data.strip() else {}
    asked = {
        "gracePeriodSeconds": query.get("gracePeriodSeconds"),
        "propagationPolicy": query.get("propagationPolicy"),
        "orphanDependents": {"true": True, "false": False}.get(query.get("orphanDependents", "").lower()),
        "dryRun": [query["dryRun"]] if query.get("dryRun") else None,
    }
    return options_of({name: value for name, value in asked.items() if value is not None} | given)


def options_of(given: Object) -> DeleteOptions:
    """DeleteOptions of an object.

    Raises:
        ApiError: BadRequest.
    """
    preconditions, dry_run = given.get("preconditions") or {}, given.get("dryRun") or []
    if dry_run not in ([], ["All"]):
        raise bad_request(f"Invalid value: {dry_run}: dryRun must be All")
    return DeleteOptions(
        grace_s=_integer(given.get("gracePeriodSeconds")),
        propagation=_propagation(given),
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        dry_run=bool(dry_run),
    )


def _integer(value: Any) -> int | None:
    if value in (None, ""):
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        raise bad_request(f"gracePeriodSeconds: Invalid value: {value!r}: must be an integer") from None


def _propagation(given: Object) -> Propagation | None:
    policy, orphan = given.get("propagationPolicy"), given.get("orphanDependents")
    if policy and orphan is not None:
        raise bad_request("DeleteOptions is invalid: orphanDependents and deletionPropagation cannot be both set")
    if orphan is not None:
        return Propagation.ORPHAN if orphan else Propagation.BACKGROUND
    if not policy:
        return None
    if policy not in set(Propagation):
        raise bad_request(f'propagationPolicy: Unsupported value: "{policy}"')
    return Propagation(policy)


class Deleter:
    """The deleting side of the registry."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def now(self) -> datetime:
        """The present time."""
        return self._pipeline.clock.now()

    async def delete(self, target: Target, options: DeleteOptions) -> Written:
        """Delete an object, or mark it for deletion; `deleted` of the result says which.

        Raises:
            ApiError: NotFound, Conflict (a precondition), Forbidden.
        """
        pipeline = self._pipeline
        for _ in range(_RETRIES):
            entry = pipeline.require(target)
            _check_preconditions(target, entry, options)
            attributes = self._attributes(target, entry, dry_run=options.dry_run)
            await pipeline.admission.mutate(attributes)
            await pipeline.admission.validate(attributes)
            marked = self._mark(target.kind, entry, options)
            try:
                return await self._store(target, entry, marked, options)
            except RevisionConflict:
                continue
            except KeyMissing as error:
                raise not_found(target.kind.resource, target.name) from error
        raise conflict(target.kind.resource, target.name)

    async def delete_collection(self, target: Target, selection: Selection, options: DeleteOptions) -> list[Entry]:
        """Delete every object selected, some at once; what is gone meanwhile is left out.

        Those at once wait for the disk together, as the writes of several clients do.
        """

        async def delete(entry: Entry) -> Entry | None:
            one = replace(target, namespace=entry.key.namespace, name=entry.key.name)
            with contextlib.suppress(NotFound):
                return (await self.delete(one, options)).entry
            return None

        listing = self._pipeline.store.list(target.resource, target.namespace)
        chosen = list(matching(listing.entries, selection))
        gone: list[Entry] = []
        for start in range(0, len(chosen), _AT_ONCE):
            batch = (delete(entry) for entry in chosen[start : start + _AT_ONCE])
            for deleted in await asyncio.gather(*batch, return_exceptions=True):
                if isinstance(deleted, BaseException):
                    raise deleted  # once the others of the batch have ended
                if deleted is not None:
                    gone.append(deleted)
        return gone

    def _attributes(self, target: Target, entry: Entry, *, dry_run: bool) -> Attributes:
        return Attributes(
            Operation.DELETE,
            target.kind,
            target.namespace,
            target.name,
            target.user,
            self._pipeline.store,
            old=entry.obj,
            dry_run=dry_run,
        )

    def _mark(self, kind: Kind, entry: Entry, options: DeleteOptions) -> Object:
        """A copy of the object as deletion leaves it."""
        obj: Object = copy_of(entry.value)
        meta = obj["metadata"]
        grace_s = _grace(kind, obj, options)
        _set_finalizers(meta, options.propagation)
        now = self._pipeline.clock.now()
        if not meta.get("deletionTimestamp"):
            meta["deletionTimestamp"] = timestamp(now + timedelta(seconds=grace_s))
            meta["deletionGracePeriodSeconds"] = grace_s
            if kind.strategy.graceful and meta.get("generation"):
                meta["generation"] += 1
        elif options.grace_s is not None and grace_s < (meta.get("deletionGracePeriodSeconds") or 0):
            earlier = parse_timestamp(meta["deletionTimestamp"]) - timedelta(seconds=meta["deletionGracePeriodSeconds"])
            meta["deletionTimestamp"] = timestamp(max(earlier, now - timedelta(days=1)) + timedelta(seconds=grace_s))
            meta["deletionGracePeriodSeconds"] = grace_s
        if obj["kind"] == "Namespace":
            obj.setdefault("status", {})["phase"] = "Terminating"
        return obj

    async def _store(self, target: Target, entry: Entry, marked: Object, options: DeleteOptions) -> Written:
        gone = is_finished(marked)
        if marked == entry.obj and not gone:
            return Written(entry)
        draft = Draft(marked)
        if options.dry_run:
            return Written(draft.entry(entry.key, entry.revision, entry.created_revision), deleted=gone)
        if not gone:
            commit = await self._pipeline.store.commit([Put(entry.key, draft, entry.revision)])
            return Written(commit.entries[0])
        companions = self._pipeline.companions.plan(target.resource, None, entry.obj)
        commit = await self._pipeline.store.commit([Remove(entry.key, entry.revision, draft), *companions])
        return Written(commit.entries[0], deleted=True)


def _check_preconditions(target: Target, entry: Entry, options: DeleteOptions) -> None:
    uid = entry.obj["metadata"]["uid"]
    if options.uid and options.uid != uid:
        why = f"Precondition failed: UID in precondition: {options.uid}, UID in object meta: {uid}"
        raise conflict(target.kind.resource, target.name, why)
    if options.resource_version and options.resource_version != str(entry.revision):
        why = (
            f"Precondition failed: ResourceVersion in precondition: {options.resource_version}, "
            f"ResourceVersion in object meta: {entry.revision}"
        )
        raise conflict(target.kind.resource, target.name, why)


def _grace(kind: Kind, obj: Object, options: DeleteOptions) -> int:
    """Seconds for the object's owner; none where nobody runs it. Upstream: the pod strategy's CheckGracefulDelete."""
    if not kind.strategy.graceful:
        return 0
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    grace_s = options.grace_s
    if grace_s is None:
        grace_s = spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE_S)
    return int(grace_s) if grace_s >= 0 else 1


def _set_finalizers(meta: dict[str, Any], propagation: Propagation | None) -> None:
    if propagation is None:
        return  # what is there stays: an earlier request's, or set by a client on purpose
    wanted = _FINALIZER_OF.get(propagation)
    kept = [item for item in meta.get("finalizers") or () if item not in (_FOREGROUND, _ORPHAN)]
    if wanted:
        kept.append(wanted)
    if kept:
        meta["finalizers"] = kept
    else:
        meta.pop("finalizers", None)
