"""ConfigMap: settings for pods, as text or bytes.

Upstream: core/v1.
"""

from miniplane.api.kind import Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

CONFIG_MAP = Kind(
    group="",
    version="v1",
    kind="ConfigMap",
    plural="configmaps",
    scope=Scope.NAMESPACED,
    short_names=("cm",),
    definition="io.k8s.api.core.v1.ConfigMap",
    columns=(NAME, AGE),
    strategy=Strategy(),
)
