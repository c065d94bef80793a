"""ReferenceGrant in version v1beta1: the same object under another name."""

from miniplane.api.kind import Face, Kind, Scope
from miniplane.kinds.gateway.referencegrant import REFERENCE_GRANT
from miniplane.kinds.gateway.schemas import GROUP, V1BETA1, definition
from miniplane.kinds.gateway.v1beta1.faces import read, show

REFERENCE_GRANT_V1BETA1 = Kind(
    group=GROUP,
    version="v1beta1",
    kind="ReferenceGrant",
    plural="referencegrants",
    scope=Scope.NAMESPACED,
    short_names=("refgrant",),
    categories=("gateway-api",),
    definition=definition("v1beta1", "ReferenceGrant"),
    schemas=V1BETA1,
    columns=REFERENCE_GRANT.columns,
    subresources=REFERENCE_GRANT.subresources,
    face=Face(REFERENCE_GRANT, show, read),
)
