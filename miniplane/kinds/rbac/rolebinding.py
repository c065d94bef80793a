"""RoleBinding: gives subjects a role in one namespace.

Upstream: rbac.authorization.k8s.io/v1; page "Using RBAC Authorization".
"""

from collections.abc import Sequence

from miniplane.api.kind import Kind, Object, Scope, Strategy
from miniplane.api.validation import FieldError
from miniplane.kinds.rbac.policy import BINDING_COLUMNS, GROUP, binding_defaults, binding_errors


def validate(binding: Object, old: Object | None) -> Sequence[FieldError]:
    """The role is a Role of the namespace or a ClusterRole, and stays."""
    return binding_errors(binding, old, ("Role", "ClusterRole"))


ROLE_BINDING = Kind(
    group=GROUP,
    version="v1",
    kind="RoleBinding",
    plural="rolebindings",
    scope=Scope.NAMESPACED,
    definition="io.k8s.api.rbac.v1.RoleBinding",
    columns=BINDING_COLUMNS,
    defaults=binding_defaults,
    strategy=Strategy(validate=validate, name_is="path_segment"),
)
