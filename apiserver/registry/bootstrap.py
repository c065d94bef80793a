"""What every cluster has from the start: roles, system namespaces, the first ServiceCIDR, the `kubernetes` Service.

Made at each start where missing, so a database of any age ends up complete; the endpoints of `kubernetes` follow the
port that the server really has.
"""

import ipaddress
from typing import Any

from miniplane.api.kind import Object, Registry
from miniplane.api.wellknown import ENDPOINTSLICE_MANAGED_BY, SERVICE_NAME, SYSTEM_NAMESPACES
from miniplane.config import Network
from miniplane.errors import AlreadyExists, ApiError
from miniplane.kinds.scheduling.priorityclass import SYSTEM

from ..auth.identity import SERVER
from ..store.base import Entry
from . import policy
from .pipeline import Pipeline, Update
from .request import Target, WriteOptions

_OPTIONS = WriteOptions()
_NAME = "kubernetes"
_MUST = {
    "system-cluster-critical": "run in the cluster, but can be moved to another node if necessary",
    "system-node-critical": "not be moved from their current node",
}


async def bootstrap(pipeline: Pipeline, registry: Registry, network: Network, port: int) -> None:
    """Make what is missing."""
    make = _Maker(pipeline, registry)
    await policy.reconcile(pipeline, registry)
    for name, value in SYSTEM.items():
        about = f"Used for system critical pods that must {_MUST[name]}."
        await make.create(
            "scheduling.k8s.io/v1", "PriorityClass", {"metadata": {"name": name}, "value": value, "description": about}
        )
    for name in SYSTEM_NAMESPACES:
        await make.create("v1", "Namespace", {"metadata": {"name": name}})
    cidrs = list(network.service_cidrs)
    await make.create("networking.k8s.io/v1", "ServiceCIDR", {"metadata": {"name": _NAME}, "spec": {"cidrs": cidrs}})
    await make.status("networking.k8s.io/v1", "ServiceCIDR", _ready(pipeline))
    first = str(ipaddress.ip_network(cidrs[0])[1])
    outside = str(next(ipaddress.ip_network(network.node_cidr).hosts()))
    await make.create("v1", "Service", _service(first))
    await make.endpoints(outside, port)


def _ready(pipeline: Pipeline) -> Object:
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "",
        "message": "Kubernetes Service CIDR is ready",
        "lastTransitionTime": pipeline.now(),
    }
    return {"conditions": [condition]}


def _service(ip: str) -> Object:
    return {
        "metadata": {
            "name": _NAME,
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": _NAME},
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": ip,
            "clusterIPs": [ip],
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": 6443}],
        },
    }


class _Maker:
    """Creates and corrects objects in the server's own name."""

    def __init__(self, pipeline: Pipeline, registry: Registry) -> None:
        self._pipeline = pipeline
        self._registry = registry

    def _target(self, api_version: str, kind: str, name: str, namespace: str = "") -> Target:
        found = self._registry.by_kind(api_version, kind)
        if found is None:
            raise LookupError(f"no kind {kind} in {api_version}")
        return Target(found, SERVER, namespace, name)

    async def create(self, api_version: str, kind: str, obj: Object) -> None:
        """Create an object unless there is one of its name."""
        meta = obj["metadata"]
        target = self._target(api_version, kind, meta["name"], meta.get("namespace", ""))
        if self._pipeline.store.get(target.key) is None:
            try:
                await self._pipeline.create_object(target, {"kind": kind, "apiVersion": api_version, **obj}, _OPTIONS)
            except AlreadyExists:
                return  # another server was quicker

    async def status(self, api_version: str, kind: str, status: Object) -> None:
        """Set the status of a cluster-wide object that has none."""
        target = self._target(api_version, kind, _NAME)
        if not (self._pipeline.require(target).obj.get("status") or {}).get("conditions"):
            await self._replace(target, {"status": status}, "status")

    async def endpoints(self, address: str, port: int) -> None:
        """Point the `kubernetes` Service at the server."""
        ports = [{"name": "https", "protocol": "TCP", "port": port}]
        meta: dict[str, Any] = {"name": _NAME, "namespace": "default"}
        subsets = [{"addresses": [{"ip": address}], "ports": ports}]
        skip = {"endpointslice.kubernetes.io/skip-mirror": "true"}
        await self._ensure("v1", "Endpoints", {"metadata": {**meta, "labels": skip}, "subsets": subsets})
        labels = {SERVICE_NAME: _NAME, ENDPOINTSLICE_MANAGED_BY: "apiserver"}
        endpoint = {"addresses": [address], "conditions": {"ready": True}}
        body = {"addressType": "IPv4", "endpoints": [endpoint], "ports": ports}
        await self._ensure("discovery.k8s.io/v1", "EndpointSlice", {"metadata": {**meta, "labels": labels}, **body})

    async def _ensure(self, api_version: str, kind: str, obj: Object) -> None:
        await self.create(api_version, kind, obj)
        target = self._target(api_version, kind, _NAME, "default")
        content = {name: value for name, value in obj.items() if name != "metadata"}
        await self._replace(target, content)

    async def _replace(self, target: Target, content: Object, subresource: str = "") -> None:
        def change(entry: Entry, _warnings: list[str]) -> Object:
            return {**entry.obj, "metadata": dict(entry.obj["metadata"]), **content}

        await self._pipeline.update(target, Update(change, subresource, conditional=False), _OPTIONS)


def check_network(network: Network) -> None:
    """Refuse an address plan whose ranges overlap.

    Raises:
        ApiError: Invalid, naming the two.
    """
    named = [("pod", text) for text in network.pod_cidrs]
    named += [("service", text) for text in network.service_cidrs]
    named += [("node", network.node_cidr)]
    ranges = [(what, ipaddress.ip_network(text)) for what, text in named]
    for index, (what, one) in enumerate(ranges):
        for other, two in ranges[index + 1 :]:
            if one.version == two.version and one.overlaps(two):
                raise ApiError(f"the {what} range {one} and the {other} range {two} overlap")
