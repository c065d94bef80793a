"""AdminNetworkPolicy: rules of the whole cluster that come before the NetworkPolicies.

Upstream: policy.networking.k8s.io/v1alpha1, a custom resource there and built in here; ClusterNetworkPolicy in the tier
Admin is its successor.
"""

from collections.abc import Sequence

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError
from miniplane.kinds.policy.ports import default_protocols, old_errors
from miniplane.kinds.policy.schemas import GROUP, V1ALPHA1, definition
from miniplane.kinds.schemalimits import condition_errors, within

_NAME = definition("v1alpha1", "AdminNetworkPolicy")


def validate(policy: Object, _old: Object | None) -> Sequence[FieldError]:
    """The limits of the schema; ranges are such; no port's name at what has none."""
    return [*within(V1ALPHA1, _NAME, policy, "spec"), *old_errors(policy)]


def validate_status(policy: Object, _old: Object | None) -> Sequence[FieldError]:
    """Conditions are whole, one for each type."""
    return [*within(V1ALPHA1, _NAME, policy, "status"), *condition_errors(policy)]


ADMIN_NETWORK_POLICY = Kind(
    group=GROUP,
    version="v1alpha1",
    kind="AdminNetworkPolicy",
    plural="adminnetworkpolicies",
    scope=Scope.CLUSTER,
    short_names=("anp",),
    definition=_NAME,
    schemas=V1ALPHA1,
    columns=(
        NAME,
        Column("Priority", ".spec.priority", description="The order of these policies: the lowest comes first."),
        AGE,
    ),
    subresources=(STATUS,),
    defaults=default_protocols,
    strategy=Strategy(counts_generation=True, validate=validate, validate_status=validate_status),
)
