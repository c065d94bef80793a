"""Which pods stand behind a Service, on which ports, in which state: pure, for slices and Endpoints alike.

Upstream: staging/src/k8s.io/endpointslice (condition triples, port look-up), pkg/api/v1/pod.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object

TERMINAL_PHASES = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Port:
    """One port of a slice: a Service port's name and protocol with the number it has on these pods."""

    name: str
    protocol: str
    port: int
    app_protocol: str | None = None

    def to_json(self) -> Object:
        """As in `EndpointSlice.ports`."""
        whole = {"name": self.name, "protocol": self.protocol, "port": self.port, "appProtocol": self.app_protocol}
        return {key: value for key, value in whole.items() if value is not None}


def _container_port(pod: Object, name: str, protocol: str) -> int | None:
    for container in pod["spec"].get("containers", ()):
        for port in container.get("ports") or ():
            if port.get("name") == name and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def ports_on(service: Object, pod: Object) -> tuple[Port, ...]:
    """The Service's ports as this pod has them; a named target port that it lacks is left out."""
    found: list[Port] = []
    for port in service["spec"].get("ports") or ():
        target, protocol = port.get("targetPort", port["port"]), port.get("protocol", "TCP")
        number = _container_port(pod, target, protocol) if isinstance(target, str) else target
        if number:
            found.append(Port(port.get("name", ""), protocol, number, port.get("appProtocol")))
    return tuple(found)


def address_of(pod: Object, family: str) -> str | None:
    """The pod's address of a family (`IPv4` or `IPv6`)."""
    status = pod.get("status") or {}
    addresses = [item["ip"] for item in status.get("podIPs") or ()] or [status.get("podIP")]
    for address in addresses:
        if address and f"IPv{ip_address(address).version}" == family:
            return str(address)
    return None


def is_ready(pod: Object) -> bool:
    """Whether the pod's Ready condition is True."""
    condition = meta.condition(pod, "Ready")
    return condition is not None and condition.get("status") == "True"


def backs(pod: Object) -> bool:
    """Whether a selected pod is an endpoint at all: it has an address and has not ended."""
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and status.get("phase") not in TERMINAL_PHASES


def families_of(service: Object) -> Sequence[str]:
    """The address families that get slices of their own."""
    return service["spec"].get("ipFamilies") or ("IPv4",)


def endpoint_of(service: Object, pod: Object, address: str, nodes: Mapping[str, Object]) -> Object:
    """One entry of a slice. Its conditions: ready = serving and not terminating, or publishNotReadyAddresses."""
    serving, terminating = is_ready(pod), meta.is_deleted(pod)
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    endpoint: dict[str, Any] = {
        "addresses": [address],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": {
            "kind": "Pod",
            "namespace": meta.namespace(pod),
            "name": meta.name(pod),
            "uid": meta.uid(pod),
        },
    }
    spec = pod["spec"]
    if node := spec.get("nodeName"):
        endpoint["nodeName"] = node
        if zone := meta.labels(nodes.get(node, {})).get("topology.kubernetes.io/zone"):
            endpoint["zone"] = zone
    if ready and (hints := _hints(service["spec"].get("trafficDistribution") or "", endpoint)):
        endpoint["hints"] = hints
    if spec.get("hostname") and spec.get("subdomain") == meta.name(service):
        endpoint["hostname"] = spec["hostname"]
    return endpoint


def _hints(distribution: str, endpoint: Object) -> Object:
    """Whom a ready endpoint is meant for, by the Service's `trafficDistribution`: its own zone, and its own node.

    Proxies fall back from node to zone to everything, so PreferSameNode says both.
    """
    if distribution not in ("PreferClose", "PreferSameZone", "PreferSameNode"):
        return {}
    node = endpoint.get("nodeName", "") if distribution == "PreferSameNode" else ""
    whom = {"forZones": endpoint.get("zone", ""), "forNodes": node}
    return {kind: [{"name": name}] for kind, name in whom.items() if name}


def grouped(
    service: Object, pods: Iterable[Object], nodes: Mapping[str, Object], family: str
) -> dict[tuple[Port, ...], list[Object]]:
    """`{ports: endpoints}` of one family; a named target port may give pods different port lists."""
    groups: dict[tuple[Port, ...], list[Object]] = {}
    for pod in pods:
        if backs(pod) and (address := address_of(pod, family)):
            endpoint = endpoint_of(service, pod, address, nodes)
            groups.setdefault(ports_on(service, pod), []).append(endpoint)
    return groups
