"""ServiceAccount: the identity of a pod.

Upstream: core/v1; concept page "Service Accounts".
"""

from miniplane.api.kind import Column, Kind, Scope, Strategy, Subresource
from miniplane.api.table import AGE, NAME
from miniplane.kinds.shared import count_cell

SERVICE_ACCOUNT = Kind(
    group="",
    version="v1",
    kind="ServiceAccount",
    plural="serviceaccounts",
    scope=Scope.NAMESPACED,
    short_names=("sa",),
    definition="io.k8s.api.core.v1.ServiceAccount",
    columns=(NAME, Column("Secrets", count_cell("secrets"), description="How many Secrets it may use."), AGE),
    subresources=(Subresource("token", ("create",), ("authentication.k8s.io", "v1", "TokenRequest")),),
    strategy=Strategy(returns_deleted=True),
)
