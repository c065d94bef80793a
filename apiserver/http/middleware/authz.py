"""Authorisation: asks the authoriser before anything else looks at the request."""

from ...auth.authorizer import Authorizer
from ..call import Call, Handler, Middleware, Response
from ..routes import action


def authz(authorizer: Authorizer) -> Middleware:
    """The middleware. An administrator needs no look at the action."""

    async def middleware(call: Call, handler: Handler) -> Response:
        if not call.user.is_admin:
            call.action = action(call.route, call.method, call.path, call.query)
            authorizer.check(call.user, call.action)
        call.is_allowed = True
        return await handler(call)

    return middleware
