"""ClusterNetworkPolicy: rules of the whole cluster, in a tier before the NetworkPolicies or one after them.

Upstream: policy.networking.k8s.io/v1alpha2, a custom resource there and built in here.
"""

from collections.abc import Iterator, Sequence

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError
from miniplane.kinds.fields import entries, is_set, section
from miniplane.kinds.policy.limits import (
    block_errors,
    named_port_errors,
    network_errors,
    range_errors,
    rules_of,
)
from miniplane.kinds.policy.schemas import GROUP, V1ALPHA2, definition
from miniplane.kinds.schemalimits import condition_errors, within

_NAME = definition("v1alpha2", "ClusterNetworkPolicy")
_UNRESOLVED = "domain names are not resolved: as a rule to accept it matches nothing, as any other it denies everything"


def validate(policy: Object, _old: Object | None) -> Sequence[FieldError]:
    """The limits of the schema; ranges are such; no port's name at what has none."""
    return [
        *within(V1ALPHA2, _NAME, policy, "spec"),
        *network_errors(policy, block_errors),
        *_range_errors(policy),
        *named_port_errors(policy, "protocols", "destinationNamedPort", ("networks", "nodes", "domainNames")),
    ]


def validate_status(policy: Object, _old: Object | None) -> Sequence[FieldError]:
    """Conditions are whole, one for each type."""
    return [*within(V1ALPHA2, _NAME, policy, "status"), *condition_errors(policy)]


def warnings(policy: Object, _old: Object | None) -> Sequence[str]:
    """What is taken and can't be held."""
    return [
        f"{path / side @ index / 'domainNames'}: {_UNRESOLVED}"
        for path, rule, side in rules_of(policy)
        for index, peer in enumerate(entries(rule, side))
        if is_set(peer, "domainNames")
    ]


def _range_errors(policy: Object) -> Iterator[FieldError]:
    for path, rule, _ in rules_of(policy):
        for index, item in enumerate(entries(rule, "protocols")):
            for protocol in ("tcp", "udp", "sctp"):
                here = path / "protocols" @ index / protocol / "destinationPort" / "range"
                yield from range_errors(here, section(section(section(item, protocol), "destinationPort"), "range"))


CLUSTER_NETWORK_POLICY = Kind(
    group=GROUP,
    version="v1alpha2",
    kind="ClusterNetworkPolicy",
    plural="clusternetworkpolicies",
    scope=Scope.CLUSTER,
    short_names=("cnp",),
    definition=_NAME,
    schemas=V1ALPHA2,
    columns=(
        NAME,
        Column("Tier", ".spec.tier", description="Before the NetworkPolicies or after them."),
        Column("Priority", ".spec.priority", description="The order in the tier: the lowest comes first."),
        AGE,
    ),
    subresources=(STATUS,),
    strategy=Strategy(counts_generation=True, validate=validate, validate_status=validate_status, warnings=warnings),
)
