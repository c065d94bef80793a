"""Quota status: what a namespace uses of each ResourceQuota. Upstream: pkg/controller/resourcequota.

Admission counts for itself; this is for people to read. Any kind may be counted, so what changes is found by a look at
intervals, and at once for the kinds that most quotas are about.
"""

from collections.abc import Iterable

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.kinds import (
    CONFIG_MAP,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    REGISTRY,
    REPLICATION_CONTROLLER,
    RESOURCE_QUOTA,
    SECRET,
    SERVICE,
)
from miniplane.kinds.usage import hard, total
from miniplane.runtime import Context, On, Result, again

RESYNC_S = 60.0
"""Quotas on other kinds are counted again after this. Upstream's full resync takes five minutes."""
_PROMPT = (POD, SERVICE, CONFIG_MAP, SECRET, PERSISTENT_VOLUME_CLAIM, REPLICATION_CONTROLLER)

on = On("resourcequota", component="resource-quota-controller")


def quotas_of(obj: Object, ctx: Context) -> Iterable[Key]:
    """The quotas of an object's namespace."""
    return [meta.key_of(quota) for quota in ctx.cache(RESOURCE_QUOTA).list(meta.namespace(obj))]


def kinds_of(quota: Object) -> dict[str, Kind]:
    """The kinds that a quota counts, by `pods` or `deployments.apps`. Those that the server lacks are left out."""
    found: dict[str, Kind] = {}
    for name in hard(quota):
        word = name.removeprefix("count/") if name.startswith("count/") else name.partition(".")[0]
        if "storage" in name and not name.startswith("count/"):
            word = "persistentvolumeclaims"
        kind = REGISTRY.find(word) or POD
        found[str(kind.resource)] = kind
    return found


@on.reconcile(RESOURCE_QUOTA, also=[on.mapped(kind, quotas_of) for kind in _PROMPT])
async def count(key: Key, ctx: Context) -> Result | None:
    """Write one quota's status if it has changed."""
    quota = ctx.cache(RESOURCE_QUOTA).get(key)
    if quota is None or meta.is_deleted(quota):
        return None
    objects = {word: await _objects(kind, key.namespace, ctx) for word, kind in kinds_of(quota).items()}
    used = {name: str(amount) for name, amount in total(quota, objects).items()}
    status = {"hard": quota["spec"].get("hard") or {}, "used": used}
    if (quota.get("status") or {}) != status:
        await ctx.client.patch(RESOURCE_QUOTA, key, {"status": _replacing(quota, status)}, subresource="status")
    return again(RESYNC_S)


async def _objects(kind: Kind, namespace: str, ctx: Context) -> list[Object]:
    """A namespace's objects of a kind: from a cache where one is kept anyway."""
    if kind in _PROMPT:
        return ctx.cache(kind).list(namespace)
    return (await ctx.client.list(kind, namespace)).items


def _replacing(quota: Object, status: Object) -> Object:
    """A merge patch that leaves no name which is counted no more."""
    old = quota.get("status") or {}
    return {
        part: {name: None for name in old.get(part) or {} if name not in values} | values
        for part, values in status.items()
    }
