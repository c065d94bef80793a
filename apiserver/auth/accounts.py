"""Service accounts as users: their tokens are made and believed here.

A token is believed while its signature, times and audience are right *and* the account and the object that it is bound
to are still there with the same uid; that is looked up on every use, in memory. Upstream: pkg/serviceaccount.
"""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from miniplane.aio import Clock
from miniplane.api.meta import parse_timestamp
from miniplane.tokens import LEGACY, LEGACY_ISSUER, Claims, InvalidToken, Key

from ..store.base import Entry, ResourceKey, Store
from .identity import ACCOUNT_PREFIX, AUTHENTICATED, SERVICE_ACCOUNTS, User

ACCOUNTS, PODS, SECRETS, NODES = "/serviceaccounts", "/pods", "/secrets", "/nodes"
_KEPT = 4096
"""Tokens whose signatures need not be verified again."""
_GRACE_S = 60.0
"""How long a token outlives the beginning of its account's or object's deletion, so that an end can be orderly."""
_EXTRA = "authentication.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a new token is to say. `bound` is the entry that it is bound to, `node` that of the bound pod's node."""

    account: Entry
    audiences: Sequence[str]
    lifetime_s: int
    bound: Entry | None = None
    node: Entry | None = None


@dataclass(frozen=True, slots=True)
class Identified:
    """Whose token it is, and for which of the audiences asked for."""

    user: User
    audiences: tuple[str, ...]


class Accounts:
    """Issues and judges tokens."""

    def __init__(self, store: Store, key: Key, clock: Clock, issuer: str, audiences: Sequence[str]) -> None:
        self._store = store
        self._clock = clock
        self.key = key
        self.issuer = issuer
        self.audiences = tuple(audiences) or (issuer,)
        self._read: dict[bytes, Claims] = {}

    def issue(self, grant: Grant) -> tuple[str, float]:
        """A new token, and when it expires (seconds since 1970)."""
        now = int(self._clock.now().timestamp())
        account = grant.account
        claims: dict[str, Any] = {"namespace": account.key.namespace, "serviceaccount": _named(account)}
        if grant.bound is not None:
            claims[_word(grant.bound)] = _named(grant.bound)
        if grant.node is not None:
            claims["node"] = _named(grant.node)
        expires = now + grant.lifetime_s
        token = self.key.sign(
            {
                "aud": list(grant.audiences),
                "exp": expires,
                "iat": now,
                "iss": self.issuer,
                "jti": str(uuid.uuid4()),
                "kubernetes.io": claims,
                "nbf": now,
                "sub": f"{ACCOUNT_PREFIX}{account.key.namespace}:{account.key.name}",
            }
        )
        return token, float(expires)

    def identify(self, token: str, audiences: Sequence[str] = ()) -> Identified:
        """Whose token it is; without `audiences`, of those that the API itself takes.

        Raises:
            InvalidToken: Nobody's now; the text says why.
        """
        claims = self._claims(token)
        wanted = tuple(audiences) or self.audiences
        if claims.get("iss") == LEGACY_ISSUER:
            return Identified(self._legacy(claims, token), _meet(wanted, self.audiences))
        if claims.get("iss") != self.issuer:
            raise InvalidToken("the token is of another issuer")
        now = self._clock.now().timestamp()
        if now >= claims.get("exp", 0):
            raise InvalidToken("service account token has expired")
        if now < claims.get("nbf", 0):
            raise InvalidToken("service account token is not valid yet")
        met = _meet(wanted, claims.get("aud") or ())
        return Identified(self._bound(claims), met)

    def _claims(self, token: str) -> Claims:
        digest = hashlib.sha256(token.encode()).digest()
        claims = self._read.get(digest)
        if claims is None:
            claims = self.key.read(token)
            if len(self._read) >= _KEPT:
                self._read.clear()
            self._read[digest] = claims
        return claims

    def _bound(self, claims: Claims) -> User:
        private = claims["kubernetes.io"]
        namespace = private["namespace"]
        self._require(ACCOUNTS, namespace, private["serviceaccount"])
        extra = [("credential-id", f"JTI={claims['jti']}")]
        for word, resource in (("secret", SECRETS), ("pod", PODS), ("node", NODES)):
            if word not in private:
                continue
            if word != "node" or "pod" not in private:  # a pod's node is said, not required
                self._require(resource, "" if word == "node" else namespace, private[word])
            if word != "secret":
                extra += [(f"{word}-name", private[word]["name"]), (f"{word}-uid", private[word].get("uid", ""))]
        return user_of(namespace, private["serviceaccount"]["name"], private["serviceaccount"]["uid"], extra)

    def _require(self, resource: str, namespace: str, named: dict[str, str]) -> Entry:
        entry = self._store.get(ResourceKey(resource, namespace, named["name"]))
        if entry is None or entry.obj["metadata"]["uid"] != named.get("uid") or self._is_gone(entry):
            raise InvalidToken("service account token has been invalidated")
        return entry

    def _is_gone(self, entry: Entry) -> bool:
        since = entry.obj["metadata"].get("deletionTimestamp")
        return bool(since) and (self._clock.now() - parse_timestamp(since)).total_seconds() > _GRACE_S

    def _legacy(self, claims: Claims, token: str) -> User:
        namespace, name = claims[f"{LEGACY}namespace"], claims[f"{LEGACY}service-account.name"]
        uid = claims[f"{LEGACY}service-account.uid"]
        secret = self._store.get(ResourceKey(SECRETS, namespace, claims[f"{LEGACY}secret.name"]))
        held = ((secret.obj.get("data") or {}).get("token") or "") if secret is not None else ""
        if secret is None or not hmac.compare_digest(base64.b64decode(held), token.encode()):
            raise InvalidToken("service account token has been invalidated")
        self._require(ACCOUNTS, namespace, {"name": name, "uid": uid})
        return user_of(namespace, name, uid)


def user_of(namespace: str, name: str, uid: str = "", extra: Sequence[tuple[str, str]] = ()) -> User:
    """The user that a service account is."""
    return User(
        f"{ACCOUNT_PREFIX}{namespace}:{name}",
        frozenset((SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}", AUTHENTICATED)),
        uid,
        tuple((_EXTRA + key, (value,)) for key, value in extra),
    )


def _meet(wanted: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    met = tuple(audience for audience in wanted if audience in given)
    if not met:
        raise InvalidToken(f"token audiences {list(given)} is invalid for the target audiences {list(wanted)}")
    return met


def _word(entry: Entry) -> str:
    return entry.key.resource.removeprefix("/").removesuffix("s")


def _named(entry: Entry) -> dict[str, str]:
    return {"name": entry.key.name, "uid": entry.obj["metadata"]["uid"]}
