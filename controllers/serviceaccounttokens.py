"""Tokens in Secrets: a Secret of type `kubernetes.io/service-account-token` is filled in, and goes with its account.

Such a token does not expire; `kubectl create token` gives better ones. Upstream: pkg/controller/serviceaccount, the
tokens controller.
"""

import base64
from collections.abc import Iterable
from pathlib import Path

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.errors import NotFound
from miniplane.kinds import SECRET, SERVICE_ACCOUNT
from miniplane.runtime import DONE, Context, On, Result
from miniplane.tokens import Key as TokenKey
from miniplane.tokens import legacy_claims

TYPE = "kubernetes.io/service-account-token"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
_BY_ACCOUNT = "token-of-account"


def filled(secret: Object, account: Object, key: TokenKey, ca: bytes) -> Object:
    """The Secret as it shall be; a token that it has stays."""
    namespace, name, uid = meta.namespace(secret), meta.name(account), meta.uid(account)
    data = dict(secret.get("data") or {})
    if not data.get("token"):
        token = key.sign(legacy_claims(namespace, name, uid, meta.name(secret)))
        data["token"] = base64.b64encode(token.encode()).decode()
    data["namespace"] = base64.b64encode(namespace.encode()).decode()
    if ca:
        data["ca.crt"] = base64.b64encode(ca).decode()
    annotations = {**meta.annotations(secret), UID: uid}
    return {**secret, "metadata": {**secret["metadata"], "annotations": annotations}, "data": data}


def _account(secret: Object) -> Iterable[str]:
    if secret.get("type") == TYPE:
        yield f"{meta.namespace(secret)}/{meta.annotations(secret).get(NAME, '')}"


def _secrets(account: Object, ctx: Context) -> Iterable[Key]:
    found = ctx.cache(SECRET).by_index(_BY_ACCOUNT, f"{meta.namespace(account)}/{meta.name(account)}")
    return [meta.key_of(secret) for secret in found]


class AccountTokens:
    """The reconciler."""

    def __init__(self, key: TokenKey) -> None:
        self._key = key

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Fill in one Secret, or remove it with its account."""
        secret = ctx.cache(SECRET).get(key)
        if secret is None or meta.is_deleted(secret) or secret.get("type") != TYPE:
            return DONE
        account = await _find(Key(key.namespace, meta.annotations(secret).get(NAME, "")), ctx)
        if account is None or meta.annotations(secret).get(UID, meta.uid(account)) != meta.uid(account):
            try:
                await ctx.client.delete(SECRET, key, uid=meta.uid(secret))
            except NotFound:
                return DONE
            ctx.log.info("token removed with its account", secret=str(key))
            return DONE
        wanted = filled(secret, account, self._key, ctx.client.access.ca)
        if wanted != secret:
            await ctx.client.update(SECRET, wanted)
        return DONE


async def _find(key: Key, ctx: Context) -> Object | None:
    """The account; asked of the server before it is taken for gone, since caches are not of one moment."""
    if (found := ctx.cache(SERVICE_ACCOUNT).get(key)) is not None:
        return found
    try:
        return await ctx.client.get(SERVICE_ACCOUNT, key.name, key.namespace)
    except NotFound:
        return None


def controller(key: Path | None) -> On:
    """The controller; without a key it does nothing."""
    on = On("serviceaccount-token", component="serviceaccount-token-controller")
    if key is not None:
        on.index(SECRET, _BY_ACCOUNT, _account)
        on.reconcile(SECRET, also=[on.mapped(SERVICE_ACCOUNT, _secrets)])(AccountTokens(TokenKey.load(key)).reconcile)
    return on
