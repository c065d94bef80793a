"""What the scheduler knows of the nodes: room, taints, pods; assumed pods count until the cache shows them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.quantity import Quantity

DEFAULT_MILLI_CPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024
"""What a container without requests counts as when nodes are scored, as upstream; it never keeps a pod off a node."""


@dataclass(frozen=True, slots=True)
class Resources:
    """CPU in thousandths, memory in bytes, number of pods."""

    milli_cpu: int = 0
    memory: int = 0
    pods: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(self.milli_cpu + other.milli_cpu, self.memory + other.memory, self.pods + other.pods)


def milli(text: str | float | None) -> int:
    """A CPU quantity in thousandths, rounded up."""
    return Quantity.parse(text).milli if text is not None else 0


def whole(text: str | float | None) -> int:
    """A quantity as a whole number, rounded up."""
    return Quantity.parse(text).value if text is not None else 0


def _of_container(container: Object) -> Resources:
    requests = (container.get("resources") or {}).get("requests") or {}
    return Resources(milli(requests.get("cpu")), whole(requests.get("memory")))


def requests_of(pod: Object) -> Resources:
    """What a pod asks for: the sum of its containers or its largest init container, whichever is more."""
    spec = pod["spec"]
    total = Resources(pods=1)
    for container in spec.get("containers", ()):
        total += _of_container(container)
    for container in spec.get("initContainers") or ():
        one = _of_container(container)
        total = Resources(max(total.milli_cpu, one.milli_cpu), max(total.memory, one.memory), 1)
    return total


def host_ports_of(pod: Object) -> frozenset[tuple[str, str, int]]:
    """The host ports that a pod takes: `(host address, protocol, port)`."""
    ports = (port for container in pod["spec"].get("containers", ()) for port in container.get("ports") or ())
    return frozenset(
        (port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), port["hostPort"])  # noqa: S104  # upstream's wildcard
        for port in ports
        if port.get("hostPort")
    )


@dataclass(slots=True)
class NodeInfo:
    """A Node with what runs on it."""

    node: Object
    allocatable: Resources
    used: Resources = field(default_factory=Resources)
    ports: set[tuple[str, str, int]] = field(default_factory=set)
    pods: list[Object] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The Node's name."""
        return meta.name(self.node)

    def add(self, pod: Object) -> None:
        """Count a pod that is or will be on this node."""
        self.used += requests_of(pod)
        self.ports |= host_ports_of(pod)
        self.pods.append(pod)


def _allocatable(node: Object) -> Resources:
    status = node.get("status") or {}
    amounts = status.get("allocatable") or status.get("capacity") or {}
    return Resources(milli(amounts.get("cpu")), whole(amounts.get("memory")), whole(amounts.get("pods")))


def node_infos(nodes: Iterable[Object], pods: Iterable[Object], assumed: Mapping[str, str]) -> list[NodeInfo]:
    """The nodes by name with their pods; `assumed` is `{pod uid: node}` for bindings that the cache does not show."""
    infos = {meta.name(node): NodeInfo(node, _allocatable(node)) for node in nodes}
    for pod in pods:
        where = pod["spec"].get("nodeName") or assumed.get(meta.uid(pod))
        if where in infos and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            infos[where].add(pod)
    return [infos[name] for name in sorted(infos)]
