"""The snapshot: all that one node's network depends on, frozen at one moment.

It holds views, not objects. With a `Memo` an object is read again only when its revision changed, and an object that
changed in nothing that matters keeps its old view, so that the compiler sees at once what is the same.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Self, TypeVar

from miniplane.api.kind import Object
from miniplane.config import Network
from miniplane.dataplane.tierviews import ClusterPolicyView, cluster_policy_view
from miniplane.dataplane.views import (
    NamespaceView,
    NodeView,
    PodView,
    PolicyView,
    ServiceView,
    SliceView,
    namespace_view,
    node_view,
    pod_view,
    policy_view,
    service_view,
    slice_view,
)

V = TypeVar("V")
Key = tuple[str, str]


@dataclass(slots=True)
class Memo:
    """Views by object, kept from one snapshot to the next. Belongs to whoever builds snapshots of one cluster."""

    kinds: dict[str, dict[str, tuple[str, Any, Key]]] = field(default_factory=dict)
    """`{kind: {uid: (resourceVersion, view, namespace and name)}}`."""

    def views(self, kind: str, objects: Iterable[Object], extract: Callable[[Object], V | None]) -> tuple[V, ...]:
        """The views of `objects`, in order of namespace and name."""
        old, new = self.kinds.get(kind, {}), {}
        found: list[tuple[str, Any, Key]] = []
        for obj in objects:
            meta = obj["metadata"]
            uid, revision = meta.get("uid"), meta.get("resourceVersion") or ""
            if not uid:
                uid = f"{meta.get('namespace') or ''}/{meta['name']}"
            known = old.get(uid)
            if known is None or not revision or known[0] != revision:
                view = extract(obj)
                if known is not None and known[1] == view:
                    view = known[1]
                known = (revision, view, (meta.get("namespace") or "", meta["name"]))
            new[uid] = known
            found.append(known)
        self.kinds[kind] = new
        return tuple([view for _, view, _ in sorted(found, key=itemgetter(2)) if view is not None])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What `node` sees. Every tuple is in order of namespace and name."""

    node: str
    network: Network
    nodes: tuple[NodeView, ...]
    pods: tuple[PodView, ...]
    services: tuple[ServiceView, ...]
    slices: tuple[SliceView, ...]
    policies: tuple[PolicyView, ...]
    namespaces: tuple[NamespaceView, ...]
    cluster_policies: tuple[ClusterPolicyView, ...] = ()
    local_pods: tuple[PodView, ...] = field(init=False, compare=False, repr=False)
    """The pods of this node."""

    @classmethod
    def build(  # noqa: PLR0913  one keyword per kind, all of them needed
        cls,
        node: str,
        network: Network,
        *,
        nodes: Iterable[Object],
        pods: Iterable[Object],
        services: Iterable[Object],
        slices: Iterable[Object],
        policies: Iterable[Object],
        namespaces: Iterable[Object],
        cluster_policies: Iterable[Object] = (),
        memo: Memo | None = None,
    ) -> Self:
        """From API objects, in any order. They are read, never kept."""
        memo = Memo() if memo is None else memo
        return cls(
            node,
            network,
            memo.views("Node", nodes, node_view),
            memo.views("Pod", pods, pod_view),
            memo.views("Service", services, service_view),
            memo.views("EndpointSlice", slices, slice_view),
            memo.views("NetworkPolicy", policies, policy_view),
            memo.views("Namespace", namespaces, namespace_view),
            memo.views("ClusterNetworkPolicy", cluster_policies, cluster_policy_view),
        )

    def __post_init__(self) -> None:
        object.__setattr__(self, "local_pods", tuple([pod for pod in self.pods if pod.node == self.node]))

    @property
    def here(self) -> NodeView | None:
        """This node, None before it is registered."""
        return next((node for node in self.nodes if node.name == self.node), None)
