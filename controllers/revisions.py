"""The history of a template as ControllerRevisions, that StatefulSets and DaemonSets go forth and back in.

A revision holds a patch that brings the template back; equal templates have one revision, whose number rises when it
becomes the newest again. Upstream: pkg/controller/history.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.selectors import LabelSelector
from miniplane.errors import AlreadyExists, NotFound
from miniplane.kinds import CONTROLLER_REVISION
from miniplane.runtime import Context

from .rollout import template_hash

REVISION_HASH = "controller-revision-hash"
"""Label of a pod: which revision it is of."""


def number(revision: Object) -> int:
    """Its place in the order."""
    return int(revision.get("revision") or 0)


def data_of(owner: Object) -> Object:
    """The patch that makes the template of an owner what it is now."""
    return {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}


def restored(owner: Object, revision: Object) -> Object:
    """The owner with the template of a revision."""
    template = {key: value for key, value in revision["data"]["spec"]["template"].items() if key != "$patch"}
    return owner | {"spec": owner["spec"] | {"template": template}}


def ordered(revisions: Iterable[Object]) -> list[Object]:
    """From the oldest to the newest."""
    return sorted(
        revisions, key=lambda item: (number(item), item["metadata"].get("creationTimestamp", ""), meta.name(item))
    )


@dataclass(frozen=True, slots=True)
class Step:
    """The revision of the template as it is, and whether it must be made or gets another number first."""

    revision: Object
    is_new: bool = False
    is_moved: bool = False


def step(owner: Object, kind: Kind, history: Sequence[Object], label: str) -> Step:
    """What the history needs. `label` is the name of the label that bears the hash of a revision."""
    data = data_of(owner)
    newest = number(history[-1]) if history else 0
    same = next((item for item in reversed(history) if item.get("data") == data), None)
    if same is None:
        return Step(_new(owner, kind, newest + 1, label), is_new=True)
    if number(same) < newest:
        return Step(same | {"revision": newest + 1}, is_moved=True)
    return Step(same)


def _new(owner: Object, kind: Kind, count: int, label: str) -> Object:
    template = owner["spec"]["template"]
    word = template_hash(template, (owner.get("status") or {}).get("collisionCount") or 0)
    labels = {**((template.get("metadata") or {}).get("labels") or {}), label: word}
    metadata = {
        "name": f"{meta.name(owner)}-{word}",
        "namespace": meta.namespace(owner),
        "labels": labels,
        "annotations": dict(meta.annotations(owner)),
        "ownerReferences": [meta.owner_reference(owner, kind=kind)],
    }
    head = {"apiVersion": CONTROLLER_REVISION.api_version, "kind": CONTROLLER_REVISION.kind}
    return {**head, "metadata": metadata, "data": data_of(owner), "revision": count}


def surplus(history: Sequence[Object], live: Collection[str], limit: int) -> list[Object]:
    """The oldest revisions beyond the limit, not counting those whose names are `live`."""
    idle = [item for item in history if meta.name(item) not in live]
    return idle[: max(0, len(idle) - limit)]


class Histories:
    """The revisions of the owners of one kind, in the API."""

    def __init__(self, kind: Kind, label: str) -> None:
        self._kind, self._label = kind, label

    async def of(self, owner: Object, ctx: Context) -> list[Object]:
        """The history of an owner in order; orphans that its selector matches are adopted."""
        selector, found = LabelSelector.from_object(owner["spec"]["selector"]), []
        for item in ctx.cache(CONTROLLER_REVISION).list(meta.namespace(owner)):
            above = meta.controller_of(item)
            if above is not None:
                if above["uid"] == meta.uid(owner):
                    found.append(item)
            elif selector.matches(meta.labels(item)) and not (meta.is_deleted(item) or meta.is_deleted(owner)):
                owners = [*meta.owner_references(item), meta.owner_reference(owner, kind=self._kind)]
                changed = item | {"metadata": item["metadata"] | {"ownerReferences": owners}}
                found.append(await ctx.client.update(CONTROLLER_REVISION, changed))
        return ordered(found)

    async def current(self, owner: Object, history: Sequence[Object], ctx: Context) -> Object | None:
        """The revision of the template as it is now, made where it is missing.

        None if another template has the name: the status counts that, which wakes us.
        """
        needed = step(owner, self._kind, history, self._label)
        if needed.is_moved:
            return await ctx.client.update(CONTROLLER_REVISION, needed.revision)
        if not needed.is_new:
            return needed.revision
        try:
            return await ctx.client.create(CONTROLLER_REVISION, needed.revision)
        except AlreadyExists:
            name = meta.name(needed.revision)
            there = await ctx.client.get(CONTROLLER_REVISION, name, meta.namespace(owner))
            if there.get("data") == needed.revision["data"] and meta.is_controlled_by(there, owner):
                return there  # the cache does not show it yet
        status = dict(owner.get("status") or {})
        status["collisionCount"] = (status.get("collisionCount") or 0) + 1
        await ctx.client.update(self._kind, owner | {"status": status}, subresource="status")
        return None

    @staticmethod
    async def trim(owner: Object, history: Sequence[Object], live: Collection[str], ctx: Context) -> None:
        """Delete what the owner's limit does not keep."""
        limit = owner["spec"].get("revisionHistoryLimit")
        for item in surplus(history, live, 10 if limit is None else int(limit)):
            try:
                await ctx.client.delete(CONTROLLER_REVISION, meta.key_of(item), uid=meta.uid(item))
            except NotFound:
                ctx.log.debug("revision gone before", revision=str(meta.key_of(item)))
