"""The node's heartbeat: a Lease in kube-node-lease, renewed every ten seconds.

Counterpart upstream: kubelet's lease controller; the node lifecycle controller reads it.
"""

from miniplane.aio import Clock
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import NODE_LEASE_NAMESPACE
from miniplane.client import Client
from miniplane.errors import ApiError, NotFound
from miniplane.kinds import LEASE, NODE
from miniplane.observe import logs

log = logs.get("agents.kubelet.lease")

PERIOD_S = 10.0
DURATION_S = 40
"""Upstream's default; renewed four times in it."""


class Heartbeat:
    """Renews the Lease of one node."""

    def __init__(self, client: Client, node: str, clock: Clock) -> None:
        self._client = client
        self._node = node
        self._clock = clock

    async def run(self) -> None:
        """Renew until cancelled; what fails is tried again at the next beat."""
        while True:
            try:
                await self.beat()
            except ApiError as error:
                log.warning("lease not renewed", node=self._node, error=error.message)
            await self._clock.sleep(PERIOD_S)

    async def beat(self) -> None:
        """Renew once; makes the Lease if it is not there."""
        now = meta.micro_timestamp(self._clock.now())
        spec = {"holderIdentity": self._node, "leaseDurationSeconds": DURATION_S, "renewTime": now}
        try:
            await self._client.patch(LEASE, Key(NODE_LEASE_NAMESPACE, self._node), {"spec": spec})
        except NotFound:
            await self._client.create(LEASE, await self._new(spec))

    async def _new(self, spec: Object) -> Object:
        data: Object = {"name": self._node, "namespace": NODE_LEASE_NAMESPACE}
        try:
            node = await self._client.get(NODE, self._node)
        except NotFound:
            node = None
        if node is not None:
            owner = {"apiVersion": "v1", "kind": "Node", "name": self._node, "uid": meta.uid(node)}
            data["ownerReferences"] = [owner]
        return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": data, "spec": spec}
