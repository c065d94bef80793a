"""Endpoints: the addresses behind a Service, in the old form.

Upstream: core/v1.
"""

from miniplane.api.kind import Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

ENDPOINTS = Kind(
    group="",
    version="v1",
    kind="Endpoints",
    plural="endpoints",
    scope=Scope.NAMESPACED,
    short_names=("ep",),
    definition="io.k8s.api.core.v1.Endpoints",
    columns=(NAME, AGE),
    strategy=Strategy(),
)
