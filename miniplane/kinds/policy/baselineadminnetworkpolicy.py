"""BaselineAdminNetworkPolicy: what holds for pods that no NetworkPolicy isolates. There is one, called default.

Upstream: policy.networking.k8s.io/v1alpha1, a custom resource there and built in here; ClusterNetworkPolicy in the tier
Baseline is its successor.
"""

from collections.abc import Iterator, Sequence

from miniplane.api.kind import STATUS, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, invalid
from miniplane.kinds.fields import section, text
from miniplane.kinds.policy.ports import default_protocols, old_errors
from miniplane.kinds.policy.schemas import GROUP, V1ALPHA1, definition
from miniplane.kinds.schemalimits import condition_errors, within

_NAME = definition("v1alpha1", "BaselineAdminNetworkPolicy")
_ONE = 'Only one baseline admin network policy with metadata.name="default" can be created in the cluster'


def validate(policy: Object, _old: Object | None) -> Sequence[FieldError]:
    """The one name; the limits of the schema; ranges are such; no port's name at what has none."""
    return [*_name(policy), *within(V1ALPHA1, _NAME, policy, "spec"), *old_errors(policy)]


def validate_status(policy: Object, _old: Object | None) -> Sequence[FieldError]:
    """Conditions are whole, one for each type."""
    return [*within(V1ALPHA1, _NAME, policy, "status"), *condition_errors(policy)]


def _name(policy: Object) -> Iterator[FieldError]:
    """A rule about the whole object has no path; upstream shows that so."""
    if text(section(policy, "metadata"), "name") != "default":
        yield invalid("<nil>", "object", _ONE)


BASELINE_ADMIN_NETWORK_POLICY = Kind(
    group=GROUP,
    version="v1alpha1",
    kind="BaselineAdminNetworkPolicy",
    plural="baselineadminnetworkpolicies",
    scope=Scope.CLUSTER,
    short_names=("banp",),
    definition=_NAME,
    schemas=V1ALPHA1,
    columns=(NAME, AGE),
    subresources=(STATUS,),
    defaults=default_protocols,
    strategy=Strategy(counts_generation=True, validate=validate, validate_status=validate_status),
)
