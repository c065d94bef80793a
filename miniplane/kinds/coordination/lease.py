"""Lease: a small object that says "I am alive" (node heartbeats, leader election).

Upstream: coordination.k8s.io/v1; concept page "Leases".
"""

from collections.abc import Sequence

from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, invalid


def validate(lease: Object, _old: Object | None) -> Sequence[FieldError]:
    """Durations are positive, transitions are not negative."""
    spec, path = lease.get("spec") or {}, Path("spec")
    errors = []
    if (duration := spec.get("leaseDurationSeconds")) is not None and duration <= 0:
        errors.append(invalid(path / "leaseDurationSeconds", duration, "must be greater than 0"))
    if (transitions := spec.get("leaseTransitions")) is not None and transitions < 0:
        errors.append(invalid(path / "leaseTransitions", transitions, "must be greater than or equal to 0"))
    return errors


LEASE = Kind(
    group="coordination.k8s.io",
    version="v1",
    kind="Lease",
    plural="leases",
    scope=Scope.NAMESPACED,
    definition="io.k8s.api.coordination.v1.Lease",
    columns=(NAME, Column("Holder", ".spec.holderIdentity"), AGE),
    strategy=Strategy(validate=validate, unconditional_update=False),
)
