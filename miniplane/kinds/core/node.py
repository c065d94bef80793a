"""Node: a machine that runs pods.

Upstream: core/v1.
"""

from miniplane.api.kind import STATUS, Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

NODE = Kind(
    group="",
    version="v1",
    kind="Node",
    plural="nodes",
    scope=Scope.CLUSTER,
    short_names=("no",),
    definition="io.k8s.api.core.v1.Node",
    columns=(NAME, AGE),
    subresources=(STATUS,),
    strategy=Strategy(),
)
