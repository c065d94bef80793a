"""A world from manifests: what a cluster would make of them, without a cluster. Pure and deterministic.

Whatever a manifest states stays: `status.podIP`, `spec.nodeName`, `spec.clusterIP`, labels. What it leaves to the
cluster is filled in as the cluster does it: workloads become pods, pods get a node and an address, Services get
ClusterIPs, node ports and slices, Namespaces and Nodes that are only mentioned exist. Reading files is not done here.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.wellknown import ANNOUNCED_BY, ENDPOINTSLICE_MANAGED_BY, NAMESPACE_NAME, SERVICE_NAME
from miniplane.config import Network
from miniplane.dataplane import offline_nodes, offline_workloads
from miniplane.dataplane.cluster import KINDS
from miniplane.dataplane.endpoints import families_of, grouped
from miniplane.dataplane.offline_addons import DNS, INGRESS, ingress_classes

CLUSTER_KINDS = frozenset(
    {
        "Namespace",
        "Node",
        "IngressClass",
        "AdminNetworkPolicy",
        "BaselineAdminNetworkPolicy",
        "ClusterNetworkPolicy",
        "PersistentVolume",
        "StorageClass",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "PriorityClass",
        "RuntimeClass",
        "ServiceCIDR",
        "IPAddress",
    }
)
"""Kinds without a namespace; an object of any other kind that names none is in `default`."""
SLICE_MANAGER = "endpointslice-controller.k8s.io"
_DNS_KEY = meta.Key("kube-system", "kube-dns")


@dataclass(frozen=True, slots=True)
class World:
    """The objects as the cluster would have them, and the address plan that they fit in."""

    objects: tuple[Object, ...]
    network: Network


def build(objects: Iterable[Object], network: Network | None = None, *, addons: bool = False) -> World:
    """The world of some manifests; the objects given stay as they are.

    With `addons`, the cluster's DNS is there if no manifest brings one, and so is the ingress proxy if there are
    Ingresses: names and URLs can then be followed. Raises ValueError where two pods state the same address, and for a
    part of the network without a name.
    """
    network = network or Network()
    stated = [_placed(obj) for obj in objects if _is_named(obj)]
    made = [*stated, *(_addons(stated, network) if addons else ())]
    made += list(offline_workloads.pods(made))
    nodes, pods = offline_nodes.settle(_of(made, "Node"), _of(made, "Pod"), network)
    services = _services(_of(made, "Service"), nodes, network)
    kept = [obj for obj in made if obj["kind"] not in ("Namespace", "Node", "Pod", "Service", "EndpointSlice")]
    whole = [
        *_namespaces(made),
        *nodes,
        *pods,
        *services,
        *_slices(services, pods, nodes, _of(made, "EndpointSlice")),
        *kept,
    ]
    return World(tuple(whole), plan_of(whole, network))


def _of(objects: Iterable[Object], kind: str) -> list[Object]:
    return [obj for obj in objects if obj["kind"] == kind]


def _is_named(obj: Object) -> bool:
    """Whether it is an object of the API rather than a file of a tool. A part of the network must have a name."""
    if meta.name(obj):
        return True
    if obj.get("kind") in (*KINDS, *offline_workloads.WORKLOADS, "Ingress"):
        raise ValueError(f"a {obj['kind']} without metadata.name")
    return False


def _placed(obj: Object) -> Object:
    """A copy with a namespace."""
    obj = meta.clone(obj)
    if obj["kind"] not in CLUSTER_KINDS and not meta.namespace(obj):
        obj["metadata"]["namespace"] = "default"
    return obj


def _addons(objects: list[Object], network: Network) -> Iterator[Object]:
    services = {meta.key_of(obj) for obj in _of(objects, "Service")}
    if _DNS_KEY not in services:
        for obj in DNS:
            yield _with_address(obj, network.dns_ip)
    if _of(objects, "Ingress"):
        yield from ingress_classes(objects)
        if not any(meta.labels(obj) == meta.labels(INGRESS[0]) for obj in _of(objects, "Service")):
            yield from (meta.clone(obj) for obj in INGRESS)


def _with_address(obj: Object, address: str) -> Object:
    obj = meta.clone(obj)
    if obj["kind"] == "Service":
        obj["spec"]["clusterIP"] = address
    return obj


def _namespaces(objects: list[Object]) -> Iterator[Object]:
    stated = {meta.name(obj): obj for obj in _of(objects, "Namespace")}
    names = sorted(stated.keys() | {meta.namespace(obj) for obj in objects if meta.namespace(obj)})
    for name in names:
        obj = stated.get(name) or {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        labels = {NAMESPACE_NAME: name, **meta.labels(obj)}
        yield obj | {"metadata": obj["metadata"] | {"labels": labels}}


def _services(services: list[Object], nodes: list[Object], network: Network) -> list[Object]:
    """With addresses and node ports, in order of namespace and name."""
    ordered = sorted(services, key=meta.key_of)
    for service in ordered:
        service["spec"] = service.get("spec") or {}
    specs = [service["spec"] for service in ordered]
    taken = {text for spec in specs for text in _stated_ips(spec)}
    balanced = {item.get("ip", "") for service in ordered for item in _balancers(service)}
    ports = {port.get("nodePort") for spec in specs for port in spec.get("ports") or ()}
    reserved = {network.dns_ip} if _DNS_KEY not in {meta.key_of(service) for service in ordered} else set()
    ips = _free(network.service_cidrs, taken | reserved, first=2)
    pool = _free((network.load_balancer_pool,), balanced)
    free_ports = iter(number for number in range(network.node_ports[0], network.node_ports[1] + 1))
    for service in ordered:
        spec, kind = service["spec"], service["spec"].get("type") or "ClusterIP"
        if kind != "ExternalName" and not _stated_ips(spec) and spec.get("clusterIP") != "None":
            spec["clusterIP"] = network.dns_ip if meta.key_of(service) == _DNS_KEY else next(ips)
            spec["clusterIPs"] = [spec["clusterIP"]]
        if kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False):
            for port in spec.get("ports") or ():
                if not port.get("nodePort"):
                    port["nodePort"] = next(number for number in free_ports if number not in ports)
        if kind == "LoadBalancer" and not _balancers(service):
            service["status"] = {"loadBalancer": {"ingress": [{"ip": next(pool), "ipMode": "VIP"}]}}
            announced = {ANNOUNCED_BY: meta.name(nodes[0])} if nodes else {}
            service["metadata"]["annotations"] = {**announced, **meta.annotations(service)}
    return ordered


def _stated_ips(spec: Mapping[str, Any]) -> list[str]:
    texts = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    return [text for text in texts if text and text != "None"]


def _balancers(service: Object) -> list[Object]:
    return list(((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ())


def _free(cidrs: Iterable[str], taken: set[str], first: int = 0) -> Iterator[str]:
    """The addresses of the first range that nobody has, in order. Those before `first` are never given."""
    whole = ip_network(next(iter(cidrs)))
    for number in range(first, whole.num_addresses - 1):
        text = str(whole[number])
        if text not in taken:
            yield text
    raise ValueError(f"no free address in {whole}")


def _slices(services: list[Object], pods: list[Object], nodes: list[Object], stated: list[Object]) -> Iterator[Object]:
    """The slices that the controller would write; those that are not its own stay."""
    selecting = {meta.key_of(service) for service in services if (service["spec"].get("selector"))}
    for item in stated:
        labels = meta.labels(item)
        owner = meta.Key(meta.namespace(item), labels.get(SERVICE_NAME, ""))
        if owner not in selecting or labels.get(ENDPOINTSLICE_MANAGED_BY) != SLICE_MANAGER:
            yield item
    by_name = {meta.name(node): node for node in nodes}
    labelled: dict[tuple[str, str, str], list[Object]] = {}
    for pod in pods:
        for label in meta.labels(pod).items():
            labelled.setdefault((meta.namespace(pod), *label), []).append(pod)
    for service in services:
        spec = service["spec"]
        if not spec.get("selector") or spec.get("type") == "ExternalName":
            continue
        first = next(iter(spec["selector"].items()))
        chosen = [pod for pod in labelled.get((meta.namespace(service), *first), ()) if _selects(service, pod)]
        for family in families_of(service):
            for number, (ports, endpoints) in enumerate(grouped(service, chosen, by_name, family).items()):
                suffix = f"-{number}" if number else ""
                yield {
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "metadata": {
                        "name": f"{meta.name(service)}-{family.lower()}{suffix}",
                        "namespace": meta.namespace(service),
                        "labels": {SERVICE_NAME: meta.name(service), ENDPOINTSLICE_MANAGED_BY: SLICE_MANAGER},
                    },
                    "addressType": family,
                    "ports": [port.to_json() for port in ports],
                    "endpoints": endpoints,
                }


def _selects(service: Object, pod: Object) -> bool:
    selector = service["spec"]["selector"]
    return meta.namespace(pod) == meta.namespace(service) and selector.items() <= meta.labels(pod).items()


def plan_of(objects: Iterable[Object], network: Network | None = None) -> Network:
    """The address plan that complete objects fit in: the nodes' and pods' ranges a part of it, the DNS where it is."""
    whole, network = list(objects), network or Network()
    ranges = {ip_network(text): None for text in network.pod_cidrs}
    pods = [pod for pod in _of(whole, "Pod") if not (pod.get("spec") or {}).get("hostNetwork")]
    wanted = [cidr for node in _of(whole, "Node") for cidr in offline_nodes.ranges_of(node)]
    wanted += [ip_network(text) for pod in pods for text in offline_nodes.addresses_of(pod)]
    for cidr in wanted:
        if not any(cidr.version == known.version and cidr.subnet_of(known) for known in ranges):  # type: ignore[arg-type]  # one version
            ranges[cidr] = None
    dns = next(
        (_stated_ips(item.get("spec") or {}) for item in _of(whole, "Service") if meta.key_of(item) == _DNS_KEY), []
    )
    return replace(network, pod_cidrs=tuple(map(str, ranges)), dns_ip=dns[0] if dns else network.dns_ip)
