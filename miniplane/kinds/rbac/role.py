"""Role: what may be done in one namespace.

Upstream: rbac.authorization.k8s.io/v1; page "Using RBAC Authorization".
"""

from collections.abc import Sequence

from miniplane.api.kind import Kind, Object, Scope, Strategy
from miniplane.api.table import CREATED_AT, NAME
from miniplane.api.validation import FieldError
from miniplane.kinds.rbac.policy import GROUP, rule_errors


def validate(role: Object, _old: Object | None) -> Sequence[FieldError]:
    """Every rule says what may be done to which resources."""
    return list(rule_errors(role, namespaced=True))


ROLE = Kind(
    group=GROUP,
    version="v1",
    kind="Role",
    plural="roles",
    scope=Scope.NAMESPACED,
    definition="io.k8s.api.rbac.v1.Role",
    columns=(NAME, CREATED_AT),
    strategy=Strategy(validate=validate, name_is="path_segment"),
)
