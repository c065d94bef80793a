"""metadata.generation: how often what an object asks for has changed.

Upstream's strategies count one by one; the rule is the same for all that do, so it stands here once.
"""

from miniplane.api.kind import Object

COUNTED = frozenset(
    (
        "/pods",
        "apps/deployments",
        "apps/replicasets",
        "discovery.k8s.io/endpointslices",
        "networking.k8s.io/ingresses",
        "networking.k8s.io/ingressclasses",
        "networking.k8s.io/networkpolicies",
        "policy.networking.k8s.io/adminnetworkpolicies",
        "policy.networking.k8s.io/baselineadminnetworkpolicies",
        "policy.networking.k8s.io/clusternetworkpolicies",
    )
)
"""The resources whose objects count; the others have no generation, as upstream."""
_ASIDE = frozenset(("metadata", "status"))


def count(resource: str, new: Object, old: Object | None) -> None:
    """Set `metadata.generation` of a new or changed object."""
    if resource not in COUNTED:
        return
    if old is None:
        new["metadata"]["generation"] = 1
        return
    before = old["metadata"].get("generation") or 1
    changed = any(new.get(name) != old.get(name) for name in (new.keys() | old.keys()) - _ASIDE)
    new["metadata"]["generation"] = before + 1 if changed else before
