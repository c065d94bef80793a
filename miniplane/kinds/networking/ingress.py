"""Ingress: HTTP hosts and paths, and the Services that answer for them.

Upstream: networking.k8s.io/v1.
"""

from miniplane.api.kind import STATUS, Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

INGRESS = Kind(
    group="networking.k8s.io",
    version="v1",
    kind="Ingress",
    plural="ingresses",
    scope=Scope.NAMESPACED,
    short_names=("ing",),
    definition="io.k8s.api.networking.v1.Ingress",
    columns=(NAME, AGE),
    subresources=(STATUS,),
    strategy=Strategy(),
)
