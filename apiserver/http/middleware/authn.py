"""Authentication: client certificate, then bearer token, then nobody."""

import base64
from collections.abc import Mapping
from typing import Any

from miniplane.errors import unauthorized

from ...auth import certificates
from ...auth.authenticator import Authenticator
from ...auth.identity import ANONYMOUS, LOCAL_ADMIN, User
from ..call import Call, Handler, Middleware, Response

_SUBPROTOCOL = "base64url.bearer.authorization.k8s.io."
PUBLIC = frozenset(("/healthz", "/livez", "/readyz", "/version"))
"""Paths that nobody in particular may ask for."""


def socket_token(headers: Mapping[str, str]) -> str | None:
    """The token in a WebSocket's subprotocols, where a browser puts it for want of headers; None without one."""
    for item in headers["Sec-WebSocket-Protocol"].split(","):
        text = item.strip()
        if text.startswith(_SUBPROTOCOL):
            data = text.removeprefix(_SUBPROTOCOL)
            try:
                return base64.b64decode(data + "=" * (-len(data) % 4), altchars=b"-_", validate=True).decode()
            except ValueError:
                return ""
    return None


def authn(authenticator: Authenticator, *, anonymous: bool = False) -> Middleware:
    """The middleware. Without TLS the transport itself is the credential: a Unix socket, or HTTP that was asked for.

    A wrong token is refused even on a public path; so is no credential at all on any other,
    unless `anonymous` hands all such requests to the authoriser.
    """

    def identify(call: Call) -> User | None:
        request = call.request
        header = request.headers.get("Authorization", "")
        transport = request.transport
        certificate: Any = transport.get_extra_info("peercert") if transport is not None else None
        if certificate and (user := certificates.user_of(certificate)):
            return user
        if header:
            scheme, _, token = header.partition(" ")
            return authenticator.find(token.strip()) if scheme.lower() == "bearer" else None
        if "Sec-WebSocket-Protocol" in request.headers and (given := socket_token(request.headers)) is not None:
            return authenticator.find(given)
        if transport is not None and transport.get_extra_info("sslcontext") is None:
            return LOCAL_ADMIN
        return ANONYMOUS

    async def middleware(call: Call, handler: Handler) -> Response:
        user = identify(call)
        if user is None or (user is ANONYMOUS and not anonymous and call.path.rstrip("/") not in PUBLIC):
            raise unauthorized()
        call.user = user
        return await handler(call)

    return middleware
