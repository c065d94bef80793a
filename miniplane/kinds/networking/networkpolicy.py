"""NetworkPolicy: who may talk to and be talked to by the pods that it selects.

Upstream: networking.k8s.io/v1.
"""

from miniplane.api.kind import Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

NETWORK_POLICY = Kind(
    group="networking.k8s.io",
    version="v1",
    kind="NetworkPolicy",
    plural="networkpolicies",
    scope=Scope.NAMESPACED,
    short_names=("netpol",),
    definition="io.k8s.api.networking.v1.NetworkPolicy",
    columns=(NAME, AGE),
    strategy=Strategy(),
)
