"""ServiceAccount: the identity of a pod.

Upstream: core/v1.
"""

from miniplane.api.kind import Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

SERVICE_ACCOUNT = Kind(
    group="",
    version="v1",
    kind="ServiceAccount",
    plural="serviceaccounts",
    scope=Scope.NAMESPACED,
    short_names=("sa",),
    definition="io.k8s.api.core.v1.ServiceAccount",
    columns=(NAME, AGE),
    strategy=Strategy(),
)
