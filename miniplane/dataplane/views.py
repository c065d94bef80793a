"""What the rules need to know of each object, taken out of its JSON: small, frozen, comparable.

A change of anything else (a heartbeat, a status, an annotation) gives an equal view, and so costs no compilation.
Values that can't be used (an address that is none) are left out: validation is the API server's business.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.selectors import LabelSelector
from miniplane.api.wellknown import NAMESPACE_NAME, SERVICE_NAME, ZONE
from miniplane.dataplane.packet import Address, Prefix, Protocol

Labels = tuple[tuple[str, str], ...]
"""Labels as sorted pairs."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node: its addresses (the first of each family, and every one), pod ranges, zone and labels."""

    name: str
    addresses: tuple[Address, ...]
    pod_cidrs: tuple[Prefix, ...]
    zone: str
    labels: Labels = ()
    all_addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class NamedPort:
    """A container's named port."""

    name: str
    protocol: Protocol
    port: int


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod on the pod network that has an address and is not completed."""

    namespace: str
    name: str
    uid: str
    node: str
    addresses: tuple[Address, ...]
    labels: Labels
    named_ports: tuple[NamedPort, ...]


@dataclass(frozen=True, slots=True)
class NamespaceView:
    """A namespace's labels, its own name among them."""

    name: str
    labels: Labels


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service; `index` is its place in `spec.ports`, `node_port` 0 without one."""

    index: int
    name: str
    protocol: Protocol
    port: int
    node_port: int


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A Service with at least one ClusterIP; headless and ExternalName ones make no rules and have no view."""

    namespace: str
    name: str
    cluster_ips: tuple[Address, ...]
    external_ips: tuple[Address, ...]
    balancer_ips: tuple[Address, ...]
    source_ranges: tuple[Prefix, ...]
    ports: tuple[ServicePort, ...]
    internal_local: bool
    external_local: bool
    affinity_s: int
    """Time-out of client affinity, 0 for none."""
    health_port: int = 0
    """The health-check node port, 0 for none."""


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One address of a slice; `index` is its place in `endpoints`. Hints: the zones and nodes it is meant for."""

    index: int
    address: Address
    node: str
    ready: bool
    serving: bool
    terminating: bool
    zones: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SliceView:
    """An EndpointSlice of a Service."""

    namespace: str
    name: str
    service: str
    ports: tuple[NamedPort, ...]
    endpoints: tuple[EndpointView, ...]


@dataclass(frozen=True, slots=True)
class PeerView:
    """One item of `from` or `to`: a block, or pods by selectors (a missing pod selector selects all)."""

    pods: LabelSelector | None = None
    namespaces: LabelSelector | None = None
    """None: the policy's own namespace."""
    block: Prefix | None = None
    excepts: tuple[Prefix, ...] = ()


@dataclass(frozen=True, slots=True)
class PortView:
    """One item of `ports`: a range, or the name of a port (`low` and `high` are then 0)."""

    protocol: Protocol
    low: int
    high: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class RuleView:
    """One rule. Peers None: everyone; ports None: everything."""

    peers: tuple[PeerView, ...] | None
    ports: tuple[PortView, ...] | None


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A NetworkPolicy; a direction that it does not apply to is None."""

    namespace: str
    name: str
    selector: LabelSelector
    ingress: tuple[RuleView, ...] | None
    egress: tuple[RuleView, ...] | None


def node_view(node: Object) -> NodeView:
    """A Node's view; its addresses are the first InternalIP of each family."""
    spec = node.get("spec") or {}
    found = (node.get("status") or {}).get("addresses") or ()
    texts = [item.get("address", "") for item in found if item.get("type") == "InternalIP"]
    firsts: dict[int, Address] = {}
    for address in _addresses(texts):
        firsts.setdefault(address.version, address)
    ranges = spec.get("podCIDRs") or [spec.get("podCIDR") or ""]
    return NodeView(
        meta.name(node),
        tuple(firsts.values()),
        _prefixes(ranges),
        meta.labels(node).get(ZONE, ""),
        _labels(node),
        tuple(dict.fromkeys(_addresses(item.get("address", "") for item in found))),
    )


def pod_view(pod: Object) -> PodView | None:
    """A Pod's view; None if it has no address of its own (yet, any more, or because it uses its node's)."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    if spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    texts = [item.get("ip", "") for item in status.get("podIPs") or ()] or [status.get("podIP") or ""]
    addresses = tuple(_addresses(texts))
    if not addresses:
        return None
    ports = tuple(
        NamedPort(port["name"], protocol, port.get("containerPort") or 0)
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
        for port in container.get("ports") or ()
        if port.get("name") and (protocol := _protocol(port))
    )
    return PodView(
        meta.namespace(pod),
        meta.name(pod),
        meta.uid(pod) or str(meta.key_of(pod)),
        spec.get("nodeName") or "",
        addresses,
        _labels(pod),
        ports,
    )


def namespace_view(namespace: Object) -> NamespaceView:
    """A Namespace's view; its name label is there whether stated or not."""
    name = meta.name(namespace)
    return NamespaceView(name, tuple(sorted({NAMESPACE_NAME: name, **meta.labels(namespace)}.items())))


def service_view(service: Object) -> ServiceView | None:
    """A Service's view; None if it makes no rules."""
    spec = service.get("spec") or {}
    kind = spec.get("type") or "ClusterIP"
    cluster_ips = tuple(_addresses(spec.get("clusterIPs") or [spec.get("clusterIP") or ""]))
    if kind == "ExternalName" or not cluster_ips:
        return None
    balanced = kind == "LoadBalancer"
    exposed = kind in ("NodePort", "LoadBalancer")
    ports = tuple(
        ServicePort(index, port.get("name") or "", protocol, port.get("port") or 0, port.get("nodePort") or 0)
        for index, port in enumerate(spec.get("ports") or ())
        if (protocol := _protocol(port))
    )
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    virtual = [item.get("ip") or "" for item in ingress if item.get("ipMode", "VIP") == "VIP"]
    affinity = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    external_local = spec.get("externalTrafficPolicy") == "Local"
    return ServiceView(
        namespace=meta.namespace(service),
        name=meta.name(service),
        cluster_ips=cluster_ips,
        external_ips=tuple(_addresses(spec.get("externalIPs") or ())),
        balancer_ips=tuple(_addresses(virtual)) if balanced else (),
        source_ranges=_prefixes(spec.get("loadBalancerSourceRanges") or ()) if balanced else (),
        ports=ports if exposed else tuple(_without_node_port(port) for port in ports),
        internal_local=spec.get("internalTrafficPolicy") == "Local",
        external_local=external_local,
        affinity_s=(affinity.get("timeoutSeconds") or 10800) if spec.get("sessionAffinity") == "ClientIP" else 0,
        health_port=(spec.get("healthCheckNodePort") or 0) if balanced and external_local else 0,
    )


def slice_view(item: Object) -> SliceView | None:
    """An EndpointSlice's view; None if it belongs to no Service or holds names."""
    service = meta.labels(item).get(SERVICE_NAME, "")
    if not service or item.get("addressType") == "FQDN":
        return None
    ports = tuple(
        NamedPort(port.get("name") or "", protocol, port["port"])
        for port in item.get("ports") or ()
        if port.get("port") and (protocol := _protocol(port))
    )
    endpoints = tuple(
        view
        for index, endpoint in enumerate(item.get("endpoints") or ())
        if (view := _endpoint(index, endpoint)) is not None
    )
    return SliceView(meta.namespace(item), meta.name(item), service, ports, endpoints)


def policy_view(policy: Object) -> PolicyView:
    """A NetworkPolicy's view, with its directions settled: Ingress unless stated, Egress if there are such rules."""
    spec = policy.get("spec") or {}
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return PolicyView(
        meta.namespace(policy),
        meta.name(policy),
        LabelSelector.from_object(spec.get("podSelector") or {}),
        _rules(spec.get("ingress"), "from") if "Ingress" in types else None,
        _rules(spec.get("egress"), "to") if "Egress" in types else None,
    )


def _endpoint(index: int, endpoint: Mapping[str, Any]) -> EndpointView | None:
    address = next(iter(_addresses(endpoint.get("addresses") or ())), None)
    if address is None:
        return None
    conditions, hints = endpoint.get("conditions") or {}, endpoint.get("hints") or {}
    return EndpointView(
        index,
        address,
        endpoint.get("nodeName") or "",
        conditions.get("ready") is not False,
        conditions.get("serving") is not False,
        conditions.get("terminating") is True,
        tuple(item.get("name", "") for item in hints.get("forZones") or ()),
        tuple(item.get("name", "") for item in hints.get("forNodes") or ()),
    )


def _rules(rules: Sequence[Mapping[str, Any]] | None, side: str) -> tuple[RuleView, ...]:
    return tuple(
        RuleView(
            tuple(_peer(peer) for peer in rule[side]) if rule.get(side) else None,
            tuple(port for item in rule["ports"] if (port := _port(item))) if rule.get("ports") else None,
        )
        for rule in rules or ()
    )


def _peer(peer: Mapping[str, Any]) -> PeerView:
    if block := peer.get("ipBlock"):
        cidrs = _prefixes([block.get("cidr") or ""])
        return PeerView(block=cidrs[0], excepts=_prefixes(block.get("except") or ())) if cidrs else PeerView()
    pods, namespaces = peer.get("podSelector"), peer.get("namespaceSelector")
    if pods is None and namespaces is None:
        return PeerView()
    return PeerView(
        LabelSelector.from_object(pods or {}),
        None if namespaces is None else LabelSelector.from_object(namespaces),
    )


def _port(item: Mapping[str, Any]) -> PortView | None:
    protocol, port = _protocol(item), item.get("port")
    if protocol is None:
        return None
    if port is None:
        return PortView(protocol, 0, 65535)
    if isinstance(port, str):
        return PortView(protocol, 0, 0, port)
    return PortView(protocol, port, item.get("endPort") or port)


def _without_node_port(port: ServicePort) -> ServicePort:
    return ServicePort(port.index, port.name, port.protocol, port.port, 0)


def _protocol(item: Mapping[str, Any]) -> Protocol | None:
    return _PROTOCOLS.get(item.get("protocol") or "TCP")


_PROTOCOLS = {protocol.name: protocol for protocol in Protocol if protocol.has_ports}


def _labels(obj: Object) -> Labels:
    return tuple(sorted(meta.labels(obj).items()))


def _addresses(texts: Iterable[str]) -> Iterable[Address]:
    for text in texts:
        if text and text != "None":
            try:
                yield ip_address(text)
            except ValueError:
                continue


def _prefixes(texts: Iterable[str]) -> tuple[Prefix, ...]:
    prefixes: list[Prefix] = []
    for text in texts:
        if text:
            try:
                prefixes.append(ip_network(text.strip(), strict=False))
            except ValueError:
                continue
    return tuple(prefixes)
