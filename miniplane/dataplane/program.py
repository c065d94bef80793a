"""What a node needs to move packets: rules and routes, compiled from one snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from miniplane.dataplane.routes import Routes
from miniplane.dataplane.ruleset import Origin, Ruleset

Datagrams = Mapping[int, Mapping[tuple[int, int], frozenset[tuple[int, int]]]]
"""`{IP version: {(address, port): {(address, port) …}}}`: for each UDP frontend the endpoints that serve it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that an object asks for and cannot have, such as an address and port that another Service has."""

    origin: Origin
    message: str


@dataclass(frozen=True, slots=True, order=True)
class HealthCheck:
    """What a balancer outside may ask this node: how many ready endpoints of a Service are here."""

    port: int
    """The Service's health-check node port."""
    namespace: str
    service: str
    endpoints: int
    """Ready ones only: those that terminate do not count, even while they serve."""

    @property
    def is_passed(self) -> bool:
        """Whether the balancer may send clients here."""
        return self.endpoints > 0


@dataclass(frozen=True, slots=True)
class Program:
    """One node's network. Equal snapshots give equal programs; unchanged parts are the same objects as before."""

    node: str
    ruleset: Ruleset
    routes: Routes
    problems: tuple[Problem, ...] = ()
    datagrams: Datagrams = field(default_factory=dict)
    """Which UDP connections may live on: those from a frontend to an endpoint of it, ready or terminating."""
    health_checks: tuple[HealthCheck, ...] = ()
    """In order of their ports."""
