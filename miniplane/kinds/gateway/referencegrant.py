"""ReferenceGrant: lets objects of other namespaces refer to some of this one."""

from collections.abc import Sequence

from miniplane.api.kind import Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError
from miniplane.kinds.gateway.schemas import GROUP, V1, definition
from miniplane.kinds.schemalimits import within

_NAME = definition("v1", "ReferenceGrant")


def validate(new: Object, _old: Object | None) -> Sequence[FieldError]:
    """The limits of the schema."""
    return list(within(V1, _NAME, new, "spec"))


REFERENCE_GRANT = Kind(
    group=GROUP,
    version="v1",
    kind="ReferenceGrant",
    plural="referencegrants",
    scope=Scope.NAMESPACED,
    short_names=("refgrant",),
    categories=("gateway-api",),
    definition=_NAME,
    schemas=V1,
    columns=(NAME, AGE),
    strategy=Strategy(counts_generation=True, validate=validate),
)
