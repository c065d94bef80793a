"""Gateway in version v1beta1: the same object under another name."""

from miniplane.api.kind import Face, Kind, Scope
from miniplane.kinds.gateway.gateway import GATEWAY
from miniplane.kinds.gateway.schemas import GROUP, V1BETA1, definition
from miniplane.kinds.gateway.v1beta1.faces import read, show

GATEWAY_V1BETA1 = Kind(
    group=GROUP,
    version="v1beta1",
    kind="Gateway",
    plural="gateways",
    scope=Scope.NAMESPACED,
    short_names=("gtw",),
    categories=("gateway-api",),
    definition=definition("v1beta1", "Gateway"),
    schemas=V1BETA1,
    columns=GATEWAY.columns,
    subresources=GATEWAY.subresources,
    face=Face(GATEWAY, show, read),
)
