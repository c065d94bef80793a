"""ClusterRoleBinding: gives subjects a ClusterRole everywhere.

Upstream: rbac.authorization.k8s.io/v1; page "Using RBAC Authorization".
"""

from collections.abc import Sequence

from miniplane.api.kind import Kind, Object, Scope, Strategy
from miniplane.api.validation import FieldError
from miniplane.kinds.rbac.policy import BINDING_COLUMNS, GROUP, binding_defaults, binding_errors


def validate(binding: Object, old: Object | None) -> Sequence[FieldError]:
    """The role is a ClusterRole, and stays."""
    return binding_errors(binding, old, ("ClusterRole",))


CLUSTER_ROLE_BINDING = Kind(
    group=GROUP,
    version="v1",
    kind="ClusterRoleBinding",
    plural="clusterrolebindings",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.rbac.v1.ClusterRoleBinding",
    columns=BINDING_COLUMNS,
    defaults=binding_defaults,
    strategy=Strategy(validate=validate, name_is="path_segment"),
)
