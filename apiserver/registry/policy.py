"""Brings the bootstrap roles and bindings up to date at each start.

What is missing is made, what is there gets what it lacks and keeps what was added, unless its annotation
`rbac.authorization.kubernetes.io/autoupdate` says false. Upstream: k8s.io/component-helpers, auth/rbac/reconciliation.
"""

import asyncio
import copy
from collections.abc import Sequence

from miniplane.api.kind import Kind, Object, Registry
from miniplane.errors import AlreadyExists

from ..auth.identity import SERVER
from ..auth.rbac.index import GROUP
from ..auth.rbac.policy import AUTOUPDATE, Bootstrap
from ..auth.rbac.rules import compact, missing, parse
from ..store.base import Entry
from .pipeline import Pipeline, Update
from .request import Target, WriteOptions

_OPTIONS = WriteOptions()


async def reconcile(pipeline: Pipeline, registry: Registry) -> None:
    """Make and complete all of them; side by side, for the store writes them as one."""
    bootstrap = Bootstrap()
    for plural, objects in (("clusterroles", bootstrap.roles), ("clusterrolebindings", bootstrap.bindings)):
        kind = registry.by_resource(GROUP, "v1", plural)
        if kind is not None:
            await asyncio.gather(*(_ensure(pipeline, kind, obj) for obj in objects))


async def _ensure(pipeline: Pipeline, kind: Kind, wanted: Object) -> None:
    target = Target(kind, SERVER, "", wanted["metadata"]["name"])
    entry = pipeline.store.get(target.key)
    if entry is None:
        whole = {"kind": kind.kind, "apiVersion": kind.api_version, **copy.deepcopy(wanted)}
        try:
            await pipeline.create_object(target, whole, _OPTIONS)
        except AlreadyExists:
            return  # another server was quicker
    elif completed(entry.obj, wanted) != entry.obj:

        def change(stored: Entry, _warnings: list[str]) -> Object:
            return completed(stored.obj, wanted)

        await pipeline.update(target, Update(change, conditional=False), _OPTIONS)


def completed(stored: Object, wanted: Object) -> Object:
    """A stored role or binding with whatever it lacks of what is wanted."""
    meta, wish = stored["metadata"], wanted["metadata"]
    if (meta.get("annotations") or {}).get(AUTOUPDATE) == "false":
        return stored
    result = {**stored, "metadata": {**meta}}
    for key in ("labels", "annotations"):
        result["metadata"][key] = {**(meta.get(key) or {}), **wish[key]}
    if "aggregationRule" in wanted:
        result["aggregationRule"] = stored.get("aggregationRule") or wanted["aggregationRule"]
    elif "rules" in wanted:
        result["rules"] = [*(stored.get("rules") or ()), *_lacking(stored, wanted)] or None
    elif "subjects" in wanted:
        subjects = stored.get("subjects") or []
        result["subjects"] = [*subjects, *(item for item in wanted["subjects"] if item not in subjects)] or None
    return {key: value for key, value in result.items() if value is not None}


def _lacking(stored: Object, wanted: Object) -> Sequence[Object]:
    lacking = missing(parse(stored.get("rules")), parse(wanted["rules"]))
    return [rule.to_json() for rule in compact(lacking)]
