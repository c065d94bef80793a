"""The explainer: a packet's way through the whole cluster, every hop with the object and field that decided it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from miniplane.api.kind import Object
from miniplane.config import Network
from miniplane.dataplane.packet import Protocol


@dataclass(frozen=True, slots=True)
class TraceHop:
    """One line of a trace. `object` is `Kind namespace/name`, `field` a path in it; both empty for the rules' own."""

    stage: str
    """source, service, backend, policy, nat, route, destination."""
    node: str
    object: str
    field: str
    verdict: str
    text: str
    packet: str


@dataclass(frozen=True, slots=True)
class Backend:
    """One possible target of a Service, with the chance that a new connection takes it and how it ends there."""

    pod: str
    ip: str
    port: int
    probability: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the packet ends; `pod` is empty if no pod has the address."""

    pod: str
    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class Trace:
    """The answer.

    `verdict` is delivered, dropped, rejected or unresolved; with several backends it is delivered only if all deliver,
    and `hops` follow the first that does not.
    """

    verdict: str
    destination: Destination
    backends: tuple[Backend, ...]
    hops: tuple[TraceHop, ...]

    def to_json(self) -> dict[str, Any]:
        """`{"verdict", "destination": {"pod", "ip", "port"}, "backends": […], "hops": […]}`, as programs rely on it."""
        raise NotImplementedError

    def lines(self) -> list[str]:
        """For people: one line a hop, the verdict last."""
        raise NotImplementedError


class Cluster:
    """A whole cluster's network, compiled node by node as needed."""

    @classmethod
    def from_objects(cls, objects: Iterable[Object], network: Network) -> Self:
        """From API objects of any kinds (others are ignored), live or from manifests with status."""
        raise NotImplementedError


def trace(cluster: Cluster, src: str, dst: str, port: int, protocol: Protocol = Protocol.TCP) -> Trace:
    """Follow the first packet of a new connection from `src` to `dst`.

    `src`: `pod/[namespace/]name`, `node/name`, `external` or an address. `dst`: the same, or `svc/[namespace/]name`.
    Without a namespace it is `default`. Raises ValueError for a name that is not there.
    """
    raise NotImplementedError
