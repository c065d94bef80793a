"""Deployment: rolls ReplicaSets from one pod template to the next.

Upstream: apps/v1.
"""

from miniplane.api.kind import SCALE, STATUS, Kind, Scope, Strategy
from miniplane.api.table import AGE, NAME

DEPLOYMENT = Kind(
    group="apps",
    version="v1",
    kind="Deployment",
    plural="deployments",
    scope=Scope.NAMESPACED,
    short_names=("deploy",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.Deployment",
    columns=(NAME, AGE),
    subresources=(STATUS, SCALE),
    strategy=Strategy(),
)
