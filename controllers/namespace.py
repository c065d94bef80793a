"""Namespace: deletes what is in a namespace that is being deleted, then lets it go.

Contents are deleted kind by kind; what stays for a grace period or a finalizer is told in the namespace's conditions
and waited for. Upstream: pkg/controller/namespace/deletion.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.client import Selection
from miniplane.errors import Conflict, NotFound
from miniplane.kinds import CUSTOM_RESOURCE_DEFINITION, KINDS, NAMESPACE, POD
from miniplane.runtime import DONE, Context, On, Result, again

from .custom_kinds import custom_kinds

FINALIZER = "kubernetes"
"""Our own, in `spec.finalizers`."""
LOOK_AGAIN_S = 1.0
"""While something is left. Pods that go wake us at once; of other kinds we hear nothing."""
CONTENTS = tuple(kind for kind in KINDS if kind.namespaced and kind.face is None and "deletecollection" in kind.verbs)
_REMAINING, _WAITING = "NamespaceContentRemaining", "NamespaceFinalizersRemaining"

on = On("namespace", reads=(CUSTOM_RESOURCE_DEFINITION,))


def is_going(namespace: Object | None) -> bool:
    """Whether there is work: deleted, and not yet let go by us."""
    return (
        namespace is not None
        and meta.is_deleted(namespace)
        and FINALIZER in (namespace.get("spec") or {}).get("finalizers", ())
    )


def conditions(namespace: Object, left: Mapping[Kind, int], waiting: Mapping[str, int], now: datetime) -> list[Object]:
    """The namespace's conditions, given the objects left by kind and by finalizer."""
    result = [*((namespace.get("status") or {}).get("conditions") or [])]
    kinds = ", ".join(f"{kind.resource} has {count} resource instances" for kind, count in left.items())
    finalizers = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(waiting.items()))
    told = (
        (_REMAINING, left, "SomeResourcesRemain", f"Some resources are remaining: {kinds}"),
        (
            _WAITING,
            waiting,
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {finalizers}",
        ),
    )
    for word, something, reason, text in told:
        if something:
            meta.set_condition(result, {"type": word, "status": "True", "reason": reason, "message": text}, now)
        elif any(item["type"] == word for item in result):
            new = {
                "type": word,
                "status": "False",
                "reason": "ContentRemoved",
                "message": "All content successfully removed",
            }
            meta.set_condition(result, new, now)
    return result


def namespace_of(pod: Object, ctx: Context) -> Iterable[Key]:
    """The namespace of a pod, if it is going."""
    key = Key("", meta.namespace(pod))
    if is_going(ctx.cache(NAMESPACE).get(key)):
        yield key


@on.reconcile(NAMESPACE, also=[on.mapped(POD, namespace_of)])
async def namespaces(key: Key, ctx: Context) -> Result:
    """Empty one namespace that is going, and finalize it once it is empty."""
    namespace = ctx.cache(NAMESPACE).get(key)
    if namespace is None or not is_going(namespace):
        return DONE
    left: dict[Kind, int] = {}
    waiting: dict[str, int] = {}
    for kind in (*CONTENTS, *(kind for kind in custom_kinds(ctx) if kind.namespaced)):
        items = (await ctx.client.page(kind, Selection(key.name))).items
        if any(not meta.is_deleted(item) for item in items):
            await ctx.client.delete_collection(kind, key.name)
            items = (await ctx.client.page(kind, Selection(key.name))).items
        if items:
            left[kind] = len(items)
        for name in (name for item in items for name in meta.finalizers(item)):
            waiting[name] = waiting.get(name, 0) + 1
    if left:
        return await _wait(namespace, left, waiting, ctx)
    kept = [name for name in namespace["spec"]["finalizers"] if name != FINALIZER]
    try:
        await ctx.client.update(NAMESPACE, namespace | {"spec": {"finalizers": kept}}, subresource="finalize")
    except (Conflict, NotFound):
        return again(LOOK_AGAIN_S)
    return DONE


async def _wait(namespace: Object, left: Mapping[Kind, int], waiting: Mapping[str, int], ctx: Context) -> Result:
    told = conditions(namespace, left, waiting, ctx.clock.now())
    status = namespace.get("status") or {}
    if told != (status.get("conditions") or []):
        await ctx.client.update(NAMESPACE, namespace | {"status": status | {"conditions": told}}, subresource="status")
    return again(LOOK_AGAIN_S)
