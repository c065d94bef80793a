"""IPAddress: one address in use, named by it; the store makes it unique.

Upstream: networking.k8s.io/v1.
"""

from miniplane.api.kind import Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

IP_ADDRESS = Kind(
    group="networking.k8s.io",
    version="v1",
    kind="IPAddress",
    plural="ipaddresses",
    scope=Scope.CLUSTER,
    short_names=("ip",),
    definition="io.k8s.api.networking.v1.IPAddress",
    columns=(NAME, AGE),
    strategy=Strategy(name_is="ip"),
)
