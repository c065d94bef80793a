"""Namespace: a scope for names, and what is deleted together.

Upstream: core/v1.
"""

from miniplane.api.kind import ALL_VERBS, STATUS, Kind, Scope, Strategy, Subresource
from miniplane.api.table import AGE, NAME

NAMESPACE = Kind(
    group="",
    version="v1",
    kind="Namespace",
    plural="namespaces",
    scope=Scope.CLUSTER,
    short_names=("ns",),
    definition="io.k8s.api.core.v1.Namespace",
    columns=(NAME, AGE),
    subresources=(STATUS, Subresource("finalize", verbs=("update",))),
    strategy=Strategy(name_is="label"),
    verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
)
