"""HTTPRoute in version v1beta1: the same object under another name."""

from miniplane.api.kind import Face, Kind, Scope
from miniplane.kinds.gateway.httproute import HTTP_ROUTE
from miniplane.kinds.gateway.schemas import GROUP, V1BETA1, definition
from miniplane.kinds.gateway.v1beta1.faces import read, show

HTTP_ROUTE_V1BETA1 = Kind(
    group=GROUP,
    version="v1beta1",
    kind="HTTPRoute",
    plural="httproutes",
    scope=Scope.NAMESPACED,
    short_names=(),
    categories=("gateway-api",),
    definition=definition("v1beta1", "HTTPRoute"),
    schemas=V1BETA1,
    columns=HTTP_ROUTE.columns,
    subresources=HTTP_ROUTE.subresources,
    face=Face(HTTP_ROUTE, show, read),
)
