"""TokenRequest: `create` on `serviceaccounts/token` gives a token that expires and may be bound to an object.

Upstream: pkg/registry/core/serviceaccount/storage/token.go.
"""

from datetime import UTC, datetime
from typing import Any

from miniplane.api.kind import Object
from miniplane.api.meta import timestamp
from miniplane.api.validation import FieldError, Path
from miniplane.api.validation import invalid as invalid_field
from miniplane.errors import Resource, bad_request, conflict, invalid, not_found

from ..admission.chain import Attributes, Operation
from ..auth.accounts import NODES, PODS, SECRETS, Accounts, Grant
from ..store.base import Entry, ResourceKey
from .bodies import TOKEN_REQUEST
from .pipeline import Pipeline
from .request import Body, Target, WriteOptions

RESOURCE = Resource("tokenrequests", "authentication.k8s.io", "TokenRequest")
DEFAULT_S, LEAST_S, MOST_S = 3600, 600, 1 << 32
_BINDABLE = {"Pod": PODS, "Secret": SECRETS, "Node": NODES}


class TokenRequests:
    """Answers them."""

    def __init__(self, pipeline: Pipeline, accounts: Accounts) -> None:
        self._pipeline = pipeline
        self._accounts = accounts

    async def create(self, target: Target, body: Body, options: WriteOptions) -> Object:
        """The request with a token in its status.

        Raises:
            ApiError: NotFound (the account, the bound object), Conflict (its uid), Invalid, BadRequest, Forbidden.
        """
        account = self._pipeline.require(target)
        request = self._pipeline.decoder.decode(TOKEN_REQUEST, body, options.field_validation, [])
        spec = request.get("spec") or {}
        for key, wanted in (("name", target.name), ("namespace", target.namespace)):
            if request["metadata"].get(key) not in (None, "", wanted):
                raise bad_request(f"the {key} of the object does not match the {key} on the URL ({wanted})")
        lifetime_s = spec.get("expirationSeconds") or DEFAULT_S
        _check(lifetime_s)
        attributes = Attributes(
            Operation.CREATE, target.kind, target.namespace, target.name, target.user, self._pipeline.store, "token"
        )
        attributes.obj = request
        attributes.dry_run = options.dry_run
        await self._pipeline.admission.validate(attributes)
        bound, node = self._bound(account, spec.get("boundObjectRef"))
        audiences = spec.get("audiences") or list(self._accounts.audiences)
        token, expires = self._accounts.issue(Grant(account, audiences, lifetime_s, bound, node))
        return {
            "kind": "TokenRequest",
            "apiVersion": TOKEN_REQUEST.api_version,
            "metadata": {
                "name": target.name,
                "namespace": target.namespace,
                "creationTimestamp": self._pipeline.now(),
            },
            "spec": {
                "audiences": audiences,
                "expirationSeconds": lifetime_s,
                "boundObjectRef": spec.get("boundObjectRef"),
            },
            "status": {"token": token, "expirationTimestamp": timestamp(datetime.fromtimestamp(expires, UTC))},
        }

    def _bound(self, account: Entry, reference: Any) -> tuple[Entry | None, Entry | None]:
        """The object that the token is to be bound to, and the node of a pod."""
        if not reference:
            return None, None
        kind, name = reference.get("kind", ""), reference.get("name", "")
        resource = _BINDABLE.get(kind)
        if resource is None or reference.get("apiVersion") not in (None, "", "v1"):
            version = reference.get("apiVersion") or "v1"
            raise bad_request(f"cannot bind token to object of type {version}, Kind={kind}")
        namespace = "" if kind == "Node" else account.key.namespace
        named = Resource(resource.removeprefix("/"))
        entry = self._pipeline.store.get(ResourceKey(resource, namespace, name))
        if entry is None:
            raise not_found(named, name)
        uid, wanted = entry.obj["metadata"]["uid"], reference.get("uid")
        if wanted and wanted != uid:
            raise conflict(
                named,
                name,
                f"the UID in the bound object reference ({wanted}) does not match the UID in record. "
                "The object might have been deleted and then recreated",
            )
        spec = entry.obj.get("spec") or {}
        if kind != "Pod":
            return entry, None
        if spec.get("serviceAccountName") != account.key.name:
            raise bad_request(
                f'cannot bind token for serviceaccount "{account.key.name}" to pod running with different '
                "serviceaccount name."
            )
        return entry, self._pipeline.store.get(ResourceKey(NODES, "", spec.get("nodeName") or ""))


def _check(lifetime_s: int) -> None:
    path = Path("spec") / "expirationSeconds"
    error: FieldError | None = None
    if lifetime_s < LEAST_S:
        error = invalid_field(path, lifetime_s, "may not specify a duration less than 10 minutes")
    elif lifetime_s > MOST_S:
        error = invalid_field(path, lifetime_s, "may not specify a duration larger than 2^32 seconds")
    if error is not None:
        raise invalid(RESOURCE, "", [error.to_cause()])
