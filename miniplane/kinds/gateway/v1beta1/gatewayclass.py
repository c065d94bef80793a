"""GatewayClass in version v1beta1: the same object under another name."""

from miniplane.api.kind import Face, Kind, Scope
from miniplane.kinds.gateway.gatewayclass import GATEWAY_CLASS
from miniplane.kinds.gateway.schemas import GROUP, V1BETA1, definition
from miniplane.kinds.gateway.v1beta1.faces import read, show

GATEWAY_CLASS_V1BETA1 = Kind(
    group=GROUP,
    version="v1beta1",
    kind="GatewayClass",
    plural="gatewayclasses",
    scope=Scope.CLUSTER,
    short_names=("gc",),
    categories=("gateway-api",),
    definition=definition("v1beta1", "GatewayClass"),
    schemas=V1BETA1,
    columns=GATEWAY_CLASS.columns,
    subresources=GATEWAY_CLASS.subresources,
    face=Face(GATEWAY_CLASS, show, read),
)
