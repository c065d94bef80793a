"""What the pods of a node share: the node, its network, the API server and the catalogue."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from miniplane import config
from miniplane.aio import Clock
from miniplane.api.kind import Object
from miniplane.dataplane.dns_resolv import NO_RESOLVER, ResolvConf

from ..network.base import Network
from ..network.ipam import Ipam
from .environment import Reference
from .images.catalogue import Catalogue


class PodApi(Protocol):
    """The requests that a pod's worker makes. All raise ApiError."""

    async def report(self, pod: Object, status: Object) -> int:
        """Write the pod's status, leaving what others own in it, and give the revision that the pod has then.

        Nothing happens to another pod of that name.
        """

    async def finish(self, pod: Object) -> None:
        """Take the pod away: its grace period is over."""

    async def fetch(self, namespace: str, reference: Reference) -> Object | None:
        """A ConfigMap or Secret; None if it is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One node, as its pods' workers see it."""

    node: str
    ip: str
    network: Network
    api: PodApi
    catalogue: Catalogue
    clock: Clock
    cluster: config.Network
    event: Callable[[Object, str, str, str], None]
    """Records an event (type, reason, message) on a pod."""
    addresses: Callable[[], Ipam | None]
    """The node's pod addresses; None as long as it has no podCIDR."""
    services: Callable[[str], Sequence[Object]] = lambda _: ()
    """The Services that a namespace's pods get variables of."""
    resolv_conf: ResolvConf = NO_RESOLVER
    """The node's own, for pods with `dnsPolicy: Default`."""
    allocatable: Mapping[str, str] = field(default_factory=dict)
