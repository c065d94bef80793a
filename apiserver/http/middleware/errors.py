"""The one place where an error becomes a Status."""

import orjson
from aiohttp import web

from miniplane.errors import ApiError, Reason, Unavailable
from miniplane.observe import logs

from ...store.base import StoreUnavailable
from ..call import Call, Handler, Middleware, Response

_log = logs.get("apiserver.http")


def render(error: ApiError) -> web.Response:
    """The answer that tells an error."""
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
    if error.code == 401:  # noqa: PLR2004  RFC 9110: a 401 names its schemes
        headers["WWW-Authenticate"] = "Bearer"
    body = orjson.dumps(error.to_status()) + b"\n"
    return web.Response(body=body, status=error.code, content_type="application/json", headers=headers)


def internal_error(message: str) -> ApiError:
    """An InternalError in upstream's words."""
    return ApiError(f"Internal error occurred: {message}", reason=Reason.INTERNAL_ERROR)


def errors() -> Middleware:
    """The middleware: an ApiError as its Status, anything unexpected as InternalError with the request's id.

    The client learns nothing of the inside; the log has the traceback.
    """

    async def middleware(call: Call, handler: Handler) -> Response:
        try:
            return await handler(call)
        except ApiError as error:
            return render(error)
        except StoreUnavailable as error:
            _log.error("the store refuses", request=call.id, method=call.method, path=call.path, error=str(error))
            return render(Unavailable("the server is currently unable to handle the request: its store can't write"))
        except ConnectionError:
            raise  # the client went away: nobody to answer
        except Exception:  # noqa: BLE001  one of the three supervisors
            _log.exception("request failed", request=call.id, method=call.method, path=call.path)
            return render(internal_error(f"see the server's log for request {call.id}"))

    return middleware
