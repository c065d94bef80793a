"""Authorisation: asks the authoriser before anything else looks at the request."""

from ...auth.authorizer import Authorizer
from ..call import Call, Handler, Middleware, Response
from ..routes import action
from .impersonate import impersonate, is_asked


def authz(authorizer: Authorizer) -> Middleware:
    """The middleware, after putting whoever is impersonated in the place of the caller.

    An administrator needs no look at the action.
    """

    async def middleware(call: Call, handler: Handler) -> Response:
        if is_asked(call.request.headers):
            impersonate(call, authorizer)
        if not call.user.is_admin:
            call.action = action(call.route, call.method, call.path, call.query)
            authorizer.check(call.user, call.action)
        call.is_allowed = True
        return await handler(call)

    return middleware
