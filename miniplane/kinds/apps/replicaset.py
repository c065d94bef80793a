"""ReplicaSet: keeps a number of equal pods.

Upstream: apps/v1.
"""

from miniplane.api.kind import SCALE, STATUS, Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

REPLICA_SET = Kind(
    group="apps",
    version="v1",
    kind="ReplicaSet",
    plural="replicasets",
    scope=Scope.NAMESPACED,
    short_names=("rs",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.ReplicaSet",
    columns=(NAME, AGE),
    subresources=(STATUS, SCALE),
    strategy=Strategy(),
)
