"""ServiceAccount `default` and the CA's certificate: every namespace has both, again if somebody deletes them.

Upstream: pkg/controller/serviceaccount and pkg/controller/certificates/rootcacertpublisher.
"""

from collections.abc import Iterable

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.errors import AlreadyExists, ApiError, NotFound
from miniplane.kinds import CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT
from miniplane.runtime import DONE, Context, On, Result

NAME = "default"
ROOT_CA = "kube-root-ca.crt"
DESCRIPTION = "kubernetes.io/description"

on = On("serviceaccount")


def namespace_of(obj: Object, _ctx: Context) -> Iterable[Key]:
    """The namespace of one of the two."""
    if meta.name(obj) in (NAME, ROOT_CA):
        yield Key("", meta.namespace(obj))


def account(namespace: str) -> Object:
    """The default ServiceAccount."""
    metadata = {"name": NAME, "namespace": namespace}
    return {"apiVersion": SERVICE_ACCOUNT.api_version, "kind": SERVICE_ACCOUNT.kind, "metadata": metadata}


def root_ca(namespace: str, certificate: str) -> Object:
    """The ConfigMap that tells pods whom to trust."""
    text = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints."
    metadata = {"name": ROOT_CA, "namespace": namespace, "annotations": {DESCRIPTION: text}}
    kind = CONFIG_MAP
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "data": {"ca.crt": certificate}}


@on.reconcile(NAMESPACE, also=[on.mapped(SERVICE_ACCOUNT, namespace_of), on.mapped(CONFIG_MAP, namespace_of)])
async def defaults(key: Key, ctx: Context) -> Result:
    """Make what one namespace lacks."""
    namespace = ctx.cache(NAMESPACE).get(key)
    if namespace is None or meta.is_deleted(namespace):
        return DONE
    if Key(key.name, NAME) not in ctx.cache(SERVICE_ACCOUNT):
        await _create(SERVICE_ACCOUNT, account(key.name), ctx)
    if not (certificate := ctx.client.access.ca.decode()):
        return DONE
    wanted, published = root_ca(key.name, certificate), ctx.cache(CONFIG_MAP).get(Key(key.name, ROOT_CA))
    if published is None:
        await _create(CONFIG_MAP, wanted, ctx)
    elif published.get("data") != wanted["data"]:
        await ctx.client.update(CONFIG_MAP, published | {"data": wanted["data"]})
    return DONE


async def _create(kind: Kind, obj: Object, ctx: Context) -> None:
    try:
        await ctx.client.create(kind, obj)
    except (AlreadyExists, NotFound):
        return  # the cache lags, or the namespace is gone
    except ApiError as error:
        if not any(cause.reason == "NamespaceTerminating" for cause in error.causes):
            raise
