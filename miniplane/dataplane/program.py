"""What a node needs to move packets: rules and routes, compiled from one snapshot."""

from dataclasses import dataclass

from miniplane.dataplane.routes import Routes
from miniplane.dataplane.ruleset import Origin, Ruleset


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that an object asks for and cannot have, such as an address and port that another Service has."""

    origin: Origin
    message: str


@dataclass(frozen=True, slots=True)
class Program:
    """One node's network. Equal snapshots give equal programs; unchanged parts are the same objects as before."""

    node: str
    ruleset: Ruleset
    routes: Routes
    problems: tuple[Problem, ...] = ()
