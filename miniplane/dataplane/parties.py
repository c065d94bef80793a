"""Who talks to whom: words like `pod/web`, `svc/shop/api`, `external` turned into addresses and places."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.wellknown import ANNOUNCED_BY
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.packet import Address
from miniplane.dataplane.views import node_view, service_view, slice_view

DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Party:
    """One end of a conversation. `node` is where it is, empty outside of the cluster."""

    label: str
    """`Pod shop/web`, `Node node-1`, `Service shop/api` or `external`."""
    address: Address | None
    """None if it has none (yet); `problem` then says why."""
    node: str = ""
    is_host: bool = False
    """Whether it uses its node's own network."""
    problem: str = ""
    port: int = 0
    """The port that it must be asked at, if not the one that was named (a headless Service's)."""


class Parties:
    """Finds parties in one cluster, and the owners of addresses."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._pods = {
            address: pod
            for pod in cluster.objects["Pod"].values()
            if not _is_host(pod) and _phase(pod) not in ("Succeeded", "Failed")
            for address in [_pod_address(pod)]
            if address is not None
        }
        self._nodes = {
            address: name
            for node in cluster.objects["Node"].values()
            for name, address in [(meta.name(node), _node_address(node))]
            if address is not None
        }

    def find(self, word: str, port: int = 0) -> Party:
        """The party that a word means. Raises ValueError if there is none of that name."""
        kind, _, rest = word.partition("/")
        kind = kind.lower()
        if kind in ("external", "outside", "internet"):
            return Party("external", self._outside())
        if kind in ("pod", "pods", "po"):
            return self._pod(self._object("Pod", rest))
        if kind in ("svc", "service", "services"):
            return self._service(self._object("Service", rest), port)
        if kind in ("node", "nodes", "no"):
            node = self._object("Node", rest, namespaced=False)
            return self._node(meta.name(node))
        return self._by_address(word)

    def label(self, address: Address) -> str:
        """Whose address it is: a pod's or node's label, or nothing."""
        pod = self._pods.get(address)
        if pod is not None:
            return f"Pod {meta.key_of(pod)}"
        node = self._nodes.get(address)
        return f"Node {node}" if node else ""

    def pod_at(self, address: Address) -> Object | None:
        """The pod that has an address on the pod network."""
        return self._pods.get(address)

    def entrance(self, address: Address) -> str:
        """The node where traffic from outside to an address comes in.

        A node's own address and a pod's lead there; a balancer's leads to the node that announces it. For anything
        else, such as a ClusterIP that somebody outside has a route to, it is the first node.
        """
        if address in self._nodes:
            return self._nodes[address]
        pod = self._pods.get(address)
        if pod is not None:
            return str(pod["spec"].get("nodeName") or self._first_node())
        for service in self._cluster.objects["Service"].values():
            view = service_view(service)
            announcer = meta.annotations(service).get(ANNOUNCED_BY, "")
            if view is not None and address in view.balancer_ips and announcer in self._nodes.values():
                return announcer
        return self._first_node()

    def _first_node(self) -> str:
        return min(self._nodes.values(), default="")

    def _object(self, kind: str, name: str, *, namespaced: bool = True) -> Object:
        namespace, _, short = name.rpartition("/")
        key = meta.Key((namespace or DEFAULT_NAMESPACE) if namespaced else "", short)
        found = self._cluster.objects[kind].get(key)
        if found is None:
            raise ValueError(f"{kind.lower()} {key} not found")
        return found

    def _pod(self, pod: Object) -> Party:
        label, node = f"Pod {meta.key_of(pod)}", str((pod.get("spec") or {}).get("nodeName") or "")
        address = _pod_address(pod)
        if address is None or not node:
            return Party(label, None, node, problem="the pod has no address yet")
        if _phase(pod) in ("Succeeded", "Failed"):
            return Party(label, None, node, problem=f"the pod has completed ({_phase(pod)}) and gave its address back")
        return Party(label, address, node, is_host=_is_host(pod))

    def _node(self, name: str) -> Party:
        address = _node_address(self._cluster.objects["Node"][meta.Key("", name)])
        return Party(f"Node {name}", address, name, is_host=True, problem="" if address else "the node has no address")

    def _service(self, service: Object, port: int) -> Party:
        label, spec = f"Service {meta.key_of(service)}", service.get("spec") or {}
        view = service_view(service)
        if view is not None:
            return Party(label, view.cluster_ips[0])
        if spec.get("type") == "ExternalName":
            return Party(label, None, problem=f"the Service is another name of {spec.get('externalName', '')}")
        for item in self._cluster.objects["EndpointSlice"].values():
            part = slice_view(item)
            if part is None or (part.namespace, part.service) != meta.key_of(service):
                continue
            for endpoint in part.endpoints:
                if endpoint.ready:
                    return Party(label, endpoint.address, endpoint.node, port=_target(spec, part.ports, port))
        return Party(
            label, None, problem="the Service is headless and has no ready endpoint, so its name has no address"
        )

    def _by_address(self, word: str) -> Party:
        try:
            address = ip_address(word)
        except ValueError:
            raise ValueError(
                f"{word!r} is no address; say pod/NAME, svc/NAME, node/NAME (or pod/NAMESPACE/NAME) or external"
            ) from None
        pod = self._pods.get(address)
        if pod is not None:
            return self._pod(pod)
        if address in self._nodes:
            return self._node(self._nodes[address])
        return Party(f"address {address}", address)

    def _outside(self) -> Address:
        """The nodes' gateway: the user's own machine."""
        return ip_network(self._cluster.network.node_cidr)[1]


def _target(spec: Mapping[str, Any], ports: Any, port: int) -> int:
    """The number that a headless Service's port has at its endpoints."""
    name = next((item.get("name") or "" for item in spec.get("ports") or () if item.get("port") == port), None)
    return next((item.port for item in ports if item.name == name), port)


def _pod_address(pod: Object) -> Address | None:
    text = (pod.get("status") or {}).get("podIP")
    return ip_address(text) if text else None


def _node_address(node: Object) -> Address | None:
    return next(iter(node_view(node).addresses), None)


def _is_host(pod: Object) -> bool:
    return bool((pod.get("spec") or {}).get("hostNetwork"))


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "")
