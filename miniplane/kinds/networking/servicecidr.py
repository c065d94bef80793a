"""ServiceCIDR: a range that Services take their addresses from.

Upstream: networking.k8s.io/v1.
"""

from miniplane.api.kind import STATUS, Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

SERVICE_CIDR = Kind(
    group="networking.k8s.io",
    version="v1",
    kind="ServiceCIDR",
    plural="servicecidrs",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.networking.v1.ServiceCIDR",
    columns=(NAME, AGE),
    subresources=(STATUS,),
    strategy=Strategy(),
)
