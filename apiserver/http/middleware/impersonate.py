"""Impersonation: a request made in somebody else's name, by whoever may `impersonate` every part of that identity.

Upstream: k8s.io/apiserver, pkg/endpoints/filters/impersonation.go.
"""

from collections.abc import Iterator
from urllib.parse import unquote

from multidict import CIMultiDictProxy, istr

from miniplane.errors import bad_request

from ...auth.accounts import user_of
from ...auth.authorizer import Authorizer
from ...auth.identity import ACCOUNT_PREFIX, ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, Action, User
from ..call import Call

_USER, _GROUP, _UID = istr("Impersonate-User"), istr("Impersonate-Group"), istr("Impersonate-Uid")
_EXTRA = "impersonate-extra-"
_AUTHENTICATION = "authentication.k8s.io"


def is_asked(headers: CIMultiDictProxy[str]) -> bool:
    """Whether a request is made in somebody else's name."""
    return _USER in headers or _GROUP in headers or _UID in headers


def impersonate(call: Call, authorizer: Authorizer) -> None:
    """Make the caller who the headers name.

    Raises:
        ApiError: Forbidden for a part of that identity, BadRequest for one without a user.
    """
    headers = call.request.headers
    if not headers.get(_USER):
        raise bad_request("an identity is impersonated without impersonating a user")
    wanted = identity(headers)
    for action in actions(headers):
        authorizer.check(call.user, action)
    call.impersonator, call.user = call.user, wanted


def identity(headers: CIMultiDictProxy[str]) -> User:
    """Whom the headers name. A user is in `system:authenticated`, a service account in its groups, unless they say."""
    name, groups = headers[_USER], set(headers.getall(_GROUP, []))
    account = _account(name)
    if account and not groups:
        groups |= user_of(*account).groups
    if name == ANONYMOUS.name:
        groups.add(UNAUTHENTICATED)
    elif UNAUTHENTICATED not in groups:
        groups.add(AUTHENTICATED)
    extra: dict[str, list[str]] = {}
    for key, value in _extra(headers):
        extra.setdefault(key, []).append(value)
    pairs = tuple((key, tuple(values)) for key, values in extra.items())
    return User(name, frozenset(groups), headers.get(_UID, ""), pairs)


def actions(headers: CIMultiDictProxy[str]) -> Iterator[Action]:
    """What must be allowed for it."""
    name = headers[_USER]
    if account := _account(name):
        yield Action("impersonate", "", "serviceaccounts", namespace=account[0], name=account[1])
    else:
        yield Action("impersonate", "", "users", name=name)
    for group in headers.getall(_GROUP, []):
        yield Action("impersonate", "", "groups", name=group)
    if uid := headers.get(_UID):
        yield Action("impersonate", _AUTHENTICATION, "uids", name=uid)
    for key, value in _extra(headers):
        yield Action("impersonate", _AUTHENTICATION, "userextras", key, name=value)


def _extra(headers: CIMultiDictProxy[str]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        if name.lower().startswith(_EXTRA):
            yield unquote(name[len(_EXTRA) :].lower()), value


def _account(name: str) -> tuple[str, str] | None:
    namespace, colon, account = name.removeprefix(ACCOUNT_PREFIX).partition(":")
    return (namespace, account) if name.startswith(ACCOUNT_PREFIX) and colon and namespace and account else None
