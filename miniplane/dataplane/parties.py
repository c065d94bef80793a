"""Who talks to whom: words like `pod/web`, `svc/shop/api`, `external` turned into addresses and places."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.wellknown import ANNOUNCED_BY
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.packet import Address
from miniplane.dataplane.views import node_view, service_view, slice_view

DEFAULT_NAMESPACE = "default"
_OUTSIDE_V6 = ip_address("2001:db8::1")
"""Who is outside in IPv6: the nodes' own network has IPv4 only, so an address of nobody stands for everybody."""


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
    others: tuple[Address, ...] = ()
    """Its addresses of the other family."""

    def of_family(self, version: int) -> "Party":
        """The same by its address of an IP version, or itself if it has none."""
        found = next((item for item in self.others if item.version == version), None)
        return self if found is None else replace(self, address=found)


def in_one_family(source: Party, target: Party) -> tuple[Party, Party]:
    """Both ends as they would talk: in the source's first family if the target has it, else in the target's."""
    if source.address is None or target.address is None:
        return source, target
    target = target.of_family(source.address.version)
    assert target.address is not None
    source = source.of_family(target.address.version)
    assert source.address is not None
    if source.address.version != target.address.version:
        problem = f"it has no IPv{source.address.version} address, and {source.label} has no other"
        return source, replace(target, address=None, problem=problem)
    return source, target


class Parties:
    """Finds parties in one cluster, and the owners of addresses."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._pods = cluster.pods_at
        self._nodes = cluster.nodes_at

    def find(self, word: str, port: int = 0, *, from_outside: bool = False) -> Party:
        """The party that a word means. Raises ValueError if there is none of that name.

        Somebody outside of the cluster knows a Service by its load balancer's address, if it has one.
        """
        kind, _, rest = word.partition("/")
        kind = kind.lower()
        if kind in ("external", "outside", "internet"):
            return Party("external", self._outside(), others=(_OUTSIDE_V6,))
        if kind in ("pod", "pods", "po"):
            return self._pod(self._object("Pod", rest))
        if kind in ("svc", "service", "services"):
            return self._service(self._object("Service", rest), port, from_outside=from_outside)
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

    def service_at(self, address: Address) -> Object | None:
        """The Service whose load balancer's or external address it is."""
        for service in self._cluster.objects["Service"].values():
            view = service_view(service)
            if view is not None and address in (*view.balancer_ips, *view.external_ips):
                return service
        return None

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
        addresses = _pod_addresses(pod)
        if not addresses or not node:
            return Party(label, None, node, problem="the pod has no address yet")
        if _phase(pod) in ("Succeeded", "Failed"):
            return Party(label, None, node, problem=f"the pod has completed ({_phase(pod)}) and gave its address back")
        return Party(label, addresses[0], node, is_host=_is_host(pod), others=tuple(addresses[1:]))

    def _node(self, name: str) -> Party:
        addresses = node_view(self._cluster.objects["Node"][meta.Key("", name)]).addresses
        if not addresses:
            return Party(f"Node {name}", None, name, is_host=True, problem="the node has no address")
        return Party(f"Node {name}", addresses[0], name, is_host=True, others=addresses[1:])

    def _service(self, service: Object, port: int, *, from_outside: bool) -> Party:
        label, spec = f"Service {meta.key_of(service)}", service.get("spec") or {}
        view = service_view(service)
        if view is not None:
            addresses = (from_outside and view.balancer_ips) or view.cluster_ips
            return Party(label, addresses[0], others=addresses[1:])
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
            return _named(self._pod(pod), address)
        if address in self._nodes:
            return _named(self._node(self._nodes[address]), address)
        return Party(str(address), address)

    def _outside(self) -> Address:
        """The nodes' gateway: the user's own machine."""
        return ip_network(self._cluster.network.node_cidr)[1]


def _named(party: Party, address: Address) -> Party:
    """Whoever names an address means no other."""
    return replace(party, address=address, others=()) if party.address is not None else party


def _target(spec: Mapping[str, Any], ports: Any, port: int) -> int:
    """The number that a headless Service's port has at its endpoints."""
    name = next((item.get("name") or "" for item in spec.get("ports") or () if item.get("port") == port), None)
    return next((item.port for item in ports if item.name == name), port)


def _pod_addresses(pod: Object) -> list[Address]:
    status = pod.get("status") or {}
    texts = [item.get("ip") for item in status.get("podIPs") or ()] or [status.get("podIP")]
    return [ip_address(text) for text in texts if text]


def _is_host(pod: Object) -> bool:
    return bool((pod.get("spec") or {}).get("hostNetwork"))


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "")
