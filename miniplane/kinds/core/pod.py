"""Pod: containers that share an address, on one node.

Upstream: core/v1.
"""

from miniplane.api.kind import STATUS, Kind, Scope, Strategy, Subresource
from miniplane.api.table import AGE, NAME

POD = Kind(
    group="",
    version="v1",
    kind="Pod",
    plural="pods",
    scope=Scope.NAMESPACED,
    short_names=("po",),
    categories=("all",),
    definition="io.k8s.api.core.v1.Pod",
    columns=(NAME, AGE),
    subresources=(
        STATUS,
        Subresource("log", verbs=("get",)),
        Subresource("exec", verbs=("create", "get"), group_version_kind=("", "v1", "PodExecOptions")),
        Subresource("attach", verbs=("create", "get"), group_version_kind=("", "v1", "PodAttachOptions")),
        Subresource("portforward", verbs=("create", "get"), group_version_kind=("", "v1", "PodPortForwardOptions")),
        Subresource("binding", verbs=("create",), group_version_kind=("", "v1", "Binding")),
        Subresource("eviction", verbs=("create",), group_version_kind=("policy", "v1", "Eviction")),
    ),
    strategy=Strategy(graceful=True),
)
