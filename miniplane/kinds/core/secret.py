"""Secret: small confidential data.

Upstream: core/v1.
"""

from miniplane.api.kind import Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

SECRET = Kind(
    group="",
    version="v1",
    kind="Secret",
    plural="secrets",
    scope=Scope.NAMESPACED,
    definition="io.k8s.api.core.v1.Secret",
    columns=(NAME, AGE),
    strategy=Strategy(),
)
