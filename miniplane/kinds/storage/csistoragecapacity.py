"""CSIStorageCapacity: how much storage of a class is left in a part of the cluster.

Upstream: storage.k8s.io/v1.
"""

from collections.abc import Sequence

from miniplane.api.kind import Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_dns_subdomain
from miniplane.api.table import NAME
from miniplane.api.validation import FieldError, Path, invalid
from miniplane.kinds.fields import named_required, text, unchanged
from miniplane.kinds.podspec.resources import parse_amount
from miniplane.kinds.shared import selector_errors


def validate(capacity: Object, old: Object | None) -> Sequence[FieldError]:
    """The class is named, amounts are not negative; where it is and of which class never changes."""
    errors = [*named_required("storageClassName", text(capacity, "storageClassName"), is_dns_subdomain)]
    errors += selector_errors(Path(""), capacity, "nodeTopology")
    for key in ("capacity", "maximumVolumeSize"):
        amount = parse_amount(capacity.get(key))
        if amount is not None and amount.nano < 0:
            errors.append(invalid(key, str(amount), "must be greater than or equal to 0"))
    if old is not None:
        errors += unchanged("nodeTopology", capacity.get("nodeTopology"), old.get("nodeTopology"))
        errors += unchanged("storageClassName", text(capacity, "storageClassName"), text(old, "storageClassName"))
    return errors


CSI_STORAGE_CAPACITY = Kind(
    group="storage.k8s.io",
    version="v1",
    kind="CSIStorageCapacity",
    plural="csistoragecapacities",
    scope=Scope.NAMESPACED,
    definition="io.k8s.api.storage.v1.CSIStorageCapacity",
    columns=(
        NAME,
        Column("StorageClassName", ".storageClassName", description="The class of storage."),
        Column("Capacity", ".capacity", description="How much is left."),
    ),
    strategy=Strategy(validate=validate),
)
