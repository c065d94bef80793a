"""Nodes for pods and addresses for both, where manifests leave them to the cluster."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.wellknown import HOSTNAME
from miniplane.config import Network
from miniplane.dataplane.packet import Prefix

DEFAULT_NODE = "node-1"
COMPLETED = ("Succeeded", "Failed")
_FIRST_NODE, _FIRST_POD = 11, 2
"""The last numbers of the first node's and each node's first pod's address, as in a local cluster."""


def settle(nodes: list[Object], pods: list[Object], network: Network) -> tuple[list[Object], list[Object]]:
    """All nodes and all pods, complete and in order. Raises ValueError where two pods state the same address."""
    pods = sorted(pods, key=meta.key_of)
    for pod in pods:
        _open(pod)
    _refuse_twice(pods)
    known = {meta.name(node): node for node in nodes}
    names = sorted(known.keys() | {pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")})
    whole = [known.get(name) or _node(name) for name in names or [DEFAULT_NODE]]
    used = [cidr for node in whole for cidr in ranges_of(node)]
    _address_nodes(whole, pods, network, used)
    _place(pods, whole)
    for node in whole:
        mine = [pod for pod in pods if pod["spec"]["nodeName"] == meta.name(node)]
        _address_pods(mine, _internal(node)[0], _room(node, used, network))
    return whole, pods


def addresses_of(pod: Object) -> list[str]:
    """The addresses that a pod states."""
    status = pod.get("status") or {}
    return [item["ip"] for item in status.get("podIPs") or () if item.get("ip")] or list(
        filter(None, [status.get("podIP")])
    )


def ranges_of(node: Object) -> list[Prefix]:
    """A node's pod ranges."""
    spec = node.get("spec") or {}
    return [ip_network(text) for text in spec.get("podCIDRs") or [spec.get("podCIDR")] if text]


def _open(pod: Object) -> None:
    """The parts that everybody reads are there, and the pod runs and is ready unless it says otherwise."""
    spec = pod["spec"] = pod.get("spec") or {}
    spec["containers"] = spec.get("containers") or []
    status = pod["status"] = pod.get("status") or {}
    status.setdefault("phase", "Running")
    if not status.get("conditions") and status["phase"] == "Running":
        status["conditions"] = [{"type": "Ready", "status": "True"}]


def _is_on_pod_network(pod: Object) -> bool:
    return not pod["spec"].get("hostNetwork") and pod["status"]["phase"] not in COMPLETED


def _refuse_twice(pods: Iterable[Object]) -> None:
    owners: dict[str, Object] = {}
    for pod in filter(_is_on_pod_network, pods):
        for address in addresses_of(pod):
            other = owners.setdefault(address, pod)
            if other is not pod:
                raise ValueError(f"pods {meta.key_of(other)} and {meta.key_of(pod)} both state the address {address}")


def _node(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}


def _address_nodes(nodes: list[Object], pods: list[Object], network: Network, used: list[Prefix]) -> None:
    """Internal addresses and pod ranges: stated ones, those that the pods' addresses show, then the next free ones."""
    hosts = {text for node in nodes for text in _internal(node)} | {pod["status"].get("hostIP") or "" for pod in pods}
    free = (f"{text}" for text in _after(network.node_cidr, _FIRST_NODE) if text not in hosts)
    for node in nodes:
        mine = [pod for pod in pods if pod["spec"].get("nodeName") == meta.name(node)]
        labels = {HOSTNAME: meta.name(node), **meta.labels(node)}
        node["metadata"] = node["metadata"] | {"labels": labels}
        status = node["status"] = node.get("status") or {}
        if not _internal(node):
            address = _shown(mine) or next(free)
            status["addresses"] = [*(status.get("addresses") or ()), {"type": "InternalIP", "address": address}]
        _range(node, mine, used, network)


def _internal(node: Object) -> list[str]:
    items = (node.get("status") or {}).get("addresses") or ()
    return [item["address"] for item in items if item.get("type") == "InternalIP"]


def _shown(pods: Iterable[Object]) -> str:
    """The node's address as its pods have it."""
    for pod in pods:
        if address := pod["status"].get("hostIP"):
            return str(address)
        if pod["spec"].get("hostNetwork") and pod["status"].get("podIP"):
            return str(pod["status"]["podIP"])
    return ""


def _after(cidr: str, first: int) -> Iterator[str]:
    whole = ip_network(cidr)
    return (str(whole[number]) for number in range(first, whole.num_addresses - 1))


def _range(node: Object, pods: list[Object], used: list[Prefix], network: Network) -> None:
    spec: dict[str, Any] = node.get("spec") or {}
    node["spec"] = spec
    stated = [text for pod in pods if _is_on_pod_network(pod) for text in addresses_of(pod)]
    ranges = ranges_of(node)
    if not ranges:
        ranges = [_block(stated, used, network)]
        used += ranges
    loose = [
        text for text in stated if not any(ip_address(text) in cidr for cidr in ranges if _is_same_family(cidr, text))
    ]
    texts = [*map(str, ranges), *(str(ip_network(text)) for text in loose)]
    spec["podCIDR"], spec["podCIDRs"] = texts[0], texts


def _is_same_family(cidr: Prefix, text: str) -> bool:
    return cidr.version == ip_address(text).version


def _block(stated: list[str], used: list[Prefix], network: Network) -> Prefix:
    """A free block of the cluster's range: the one that the node's pods are in, else the next."""
    whole = ip_network(network.pod_cidrs[0])
    size = network.node_cidr_mask if whole.version == 4 else 64  # noqa: PLR2004  IPv4
    for text in stated:
        if ip_address(text) in whole:
            block = ip_network(f"{text}/{size}", strict=False)
            if not any(block.overlaps(other) for other in used if other.version == block.version):
                return block
    blocks = whole.subnets(new_prefix=size)
    next(blocks)  # the first stays free, so that node-1 has 10.244.1.0/24
    for block in blocks:
        if not any(block.overlaps(other) for other in used if other.version == block.version):
            return block
    raise ValueError(f"no free block for a node in {whole}")


def _place(pods: list[Object], nodes: list[Object]) -> None:
    """Pods without a node: where their address is, else round robin over the nodes."""
    turn = 0
    for pod in pods:
        if pod["spec"].get("nodeName"):
            continue
        addresses = [ip_address(text) for text in addresses_of(pod)]
        home = next((node for node in nodes if any(ip in cidr for ip in addresses for cidr in ranges_of(node))), None)
        if home is None:
            home = nodes[turn % len(nodes)]
            turn += 1
        pod["spec"]["nodeName"] = meta.name(home)
        if addresses and not pod["spec"].get("hostNetwork"):
            known = ranges_of(home)
            extra = [str(ip_network(str(ip))) for ip in addresses if not any(ip in cidr for cidr in known)]
            home["spec"]["podCIDRs"] += extra


def _room(node: Object, used: list[Prefix], network: Network) -> Iterator[str]:
    """A node's addresses for pods; where its range is full it gets another."""
    yield from _after(str(ranges_of(node)[0]), _FIRST_POD)
    while True:
        block = _block([], used, network)
        used.append(block)
        node["spec"]["podCIDRs"].append(str(block))
        yield from _after(str(block), _FIRST_POD)


def _address_pods(pods: list[Object], own: str, room: Iterator[str]) -> None:
    taken = {text for pod in pods for text in addresses_of(pod)}
    for pod in pods:
        status = pod["status"]
        status.setdefault("hostIP", own)
        if not addresses_of(pod) and status["phase"] not in COMPLETED:
            free = own if pod["spec"].get("hostNetwork") else next(text for text in room if text not in taken)
            status["podIP"] = free
        if not status.get("podIP") and status.get("podIPs"):
            status["podIP"] = status["podIPs"][0]["ip"]
        if status.get("podIP"):
            status["podIPs"] = status.get("podIPs") or [{"ip": status["podIP"]}]
