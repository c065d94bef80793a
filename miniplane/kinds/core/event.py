"""Event: something that happened to an object, for people to read.

Upstream: core/v1.
"""

from miniplane.api.kind import Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

EVENT = Kind(
    group="",
    version="v1",
    kind="Event",
    plural="events",
    scope=Scope.NAMESPACED,
    short_names=("ev",),
    definition="io.k8s.api.core.v1.Event",
    columns=(NAME, AGE),
    strategy=Strategy(),
)
