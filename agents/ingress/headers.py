"""Which headers go on to the other side, and what a route changes in them."""

from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy

from miniplane.dataplane.http_routes import Backend, HeaderChange, Route
from miniplane.upgrade import HOP_BY_HOP

_REPLACED = (
    hdrs.EXPECT,
    hdrs.FORWARDED,
    hdrs.X_FORWARDED_FOR,
    hdrs.X_FORWARDED_HOST,
    hdrs.X_FORWARDED_PROTO,
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Scheme",
    "X-Forwarded-Ssl",
    "X-Real-IP",
)
"""What a client claims of itself: never passed on, so that a backend may trust what it gets."""


def peer(request: web.BaseRequest) -> str:
    """The client's address, as the proxy's pod sees it."""
    found = request.transport.get_extra_info("peername") if request.transport is not None else None
    return str(found[0]) if found else request.remote or "-"


def host(request: web.BaseRequest) -> str:
    """The Host header; empty without one."""
    return request.headers.get(hdrs.HOST, "")


def of_request(request: web.BaseRequest, port: int, route: Route, backend: Backend) -> CIMultiDict[str]:
    """What the backend gets."""
    headers = _kept(request.headers)
    for name in _REPLACED:
        headers.popall(name, None)
    headers[hdrs.X_FORWARDED_FOR] = headers["X-Real-IP"] = peer(request)
    headers[hdrs.X_FORWARDED_PROTO] = request.scheme
    headers[hdrs.X_FORWARDED_HOST] = host(request)
    headers["X-Forwarded-Port"] = str(port)
    if route.filters.host:
        headers[hdrs.HOST] = route.filters.host
    _apply(headers, route.filters.request)
    _apply(headers, backend.request)
    return headers


def of_answer(headers: CIMultiDictProxy[str], route: Route, backend: Backend) -> CIMultiDict[str]:
    """What the client gets."""
    kept = _kept(headers)
    _apply(kept, backend.response)
    _apply(kept, route.filters.response)
    return kept


def _kept(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """Headers without those that belong to one connection only."""
    named = {word.strip().lower() for value in headers.getall(hdrs.CONNECTION, ()) for word in value.split(",")}
    dropped = HOP_BY_HOP | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


def _apply(headers: CIMultiDict[str], change: HeaderChange) -> None:
    for name, value in change.set:
        headers[name] = value
    for name, value in change.add:
        headers.add(name, value)
    for name in change.remove:
        headers.popall(name, None)
