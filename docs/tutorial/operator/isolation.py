"""Isolates the namespaces that ask for it: `isolation: strict` lets nothing in, `namespace` lets in one's own pods."""

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.errors import AlreadyExists, NotFound
from miniplane.kinds import NAMESPACE, NETWORK_POLICY, POD
from miniplane.runtime import ABSENT, PRESENT, Cause, Context, On, PermanentError, adopt

on = On("isolation")
ALLOWED = {"strict": [], "namespace": [{"from": [{"podSelector": {}}]}]}
POLICY = "isolation"


def policy(namespace: Object, level: str) -> Object:
    """The NetworkPolicy of a level, owned by its Namespace."""
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": ALLOWED[level]}
    metadata = {"name": POLICY, "namespace": meta.name(namespace)}
    return adopt({"metadata": metadata, "spec": spec}, namespace, NAMESPACE)


@on.field(NAMESPACE, "metadata.labels.isolation", labels={"isolation": PRESENT})
async def isolate(cause: Cause, ctx: Context) -> None:
    """Make or change the policy when the label comes or changes."""
    if cause.new not in ALLOWED:
        raise PermanentError(f"isolation is strict or namespace, not {cause.new}")
    wanted = policy(cause.obj, cause.new)
    try:
        await ctx.client.create(NETWORK_POLICY, wanted)
    except AlreadyExists:
        await ctx.client.patch(NETWORK_POLICY, meta.key_of(wanted), {"spec": wanted["spec"]})
    ctx.event(cause.obj, "Normal", "Isolated", f"Namespace is isolated: {cause.new}")


@on.field(NAMESPACE, "metadata.labels.isolation", labels={"isolation": ABSENT})
async def release(cause: Cause, ctx: Context) -> None:
    """Take the policy away when the label goes."""
    try:
        await ctx.client.delete(NETWORK_POLICY, Key(meta.name(cause.obj), POLICY))
    except NotFound:
        return


@on.timer(NAMESPACE, 60, labels={"isolation": PRESENT})
async def report(namespace: Object, ctx: Context) -> None:
    """Say once a minute how many pods are behind the policy."""
    pods = ctx.cache(POD).list(meta.name(namespace))
    ctx.log.info("isolated", namespace=meta.name(namespace), pods=len(pods))
