"""IngressClass: which controller serves an Ingress.

Upstream: networking.k8s.io/v1.
"""

from miniplane.api.kind import Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

INGRESS_CLASS = Kind(
    group="networking.k8s.io",
    version="v1",
    kind="IngressClass",
    plural="ingressclasses",
    scope=Scope.CLUSTER,
    definition="io.k8s.api.networking.v1.IngressClass",
    columns=(NAME, AGE),
    strategy=Strategy(),
)
