"""Service: one stable address in front of changing pods.

Upstream: core/v1.
"""

from miniplane.api.kind import STATUS, Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

SERVICE = Kind(
    group="",
    version="v1",
    kind="Service",
    plural="services",
    scope=Scope.NAMESPACED,
    short_names=("svc",),
    categories=("all",),
    definition="io.k8s.api.core.v1.Service",
    columns=(NAME, AGE),
    subresources=(STATUS,),
    strategy=Strategy(name_is="label_1035"),
)
