"""EndpointSlice: a part of the addresses behind a Service.

Upstream: discovery.k8s.io/v1.
"""

from miniplane.api.kind import Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

ENDPOINT_SLICE = Kind(
    group="discovery.k8s.io",
    version="v1",
    kind="EndpointSlice",
    plural="endpointslices",
    scope=Scope.NAMESPACED,
    definition="io.k8s.api.discovery.v1.EndpointSlice",
    columns=(NAME, AGE),
    strategy=Strategy(),
)
