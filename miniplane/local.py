"""A cluster on one machine: which programs it has and the settings of each.

Only the plan: `miniplane up` runs it as processes, the pytest plugin on one loop.
"""

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from miniplane import components, config, pki
from miniplane.components import Program
from miniplane.config import Network

FIRST_NODE = 10
"""The first node has the eleventh address of the nodes' network; those below are for the outside."""
MAX_NODES = 128


@dataclass(frozen=True, slots=True)
class Launch:
    """One program of a cluster, ready to be run: `run(ready=…)`."""

    name: str
    run: Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCluster:
    """A plan. `port` is the API server's, on loopback; it is in the kubeconfig files, so it must be known."""

    data_dir: Path
    port: int
    nodes: int = 3
    network: Network = field(default_factory=Network)
    log_level: str = "info"
    dataplane: str = "userspace"
    """`userspace` or `kernel`."""

    def __post_init__(self) -> None:
        if not 1 <= self.nodes <= MAX_NODES:
            raise ValueError(f"a local cluster has 1 to {MAX_NODES} nodes, not {self.nodes}")

    @property
    def url(self) -> str:
        """The API server's URL."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig file."""
        return self.data_dir / "kubeconfig"

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes' names."""
        return tuple(f"node-{number}" for number in range(1, self.nodes + 1))

    def prepare(self) -> None:
        """Make the data directory, certificates and kubeconfig files where they are missing."""
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        pki.ensure(self.data_dir, server=self.url, nodes=self.names)

    def apiserver(self) -> Launch:
        """The API server: first up, last down."""
        program = components.load("apiserver")
        settings = self._settings(program, "apiserver", data_dir=self.data_dir, port=self.port)
        return Launch("apiserver", partial(program.run, settings))

    def first(self) -> list[Launch]:
        """What everything else needs: the API server, and for the kernel's data path the nodes' network."""
        if self.dataplane != "kernel":
            return [self.apiserver()]
        hold = components.agents().hold
        return [self.apiserver(), Launch("network", partial(hold, self.data_dir, self.network))]

    def others(self) -> list[Launch]:
        """Controllers and agents; they start side by side."""
        controllers, agents = components.load("controllers"), components.load("agents")
        settings = self._settings(
            controllers,
            "controllers",
            kubeconfig=self.data_dir / "controllers.kubeconfig",
            service_account_key=self.data_dir / "pki" / "sa.key",
            cluster_signing_cert=self.data_dir / "pki" / "ca.crt",
            cluster_signing_key=self.data_dir / "pki" / "ca.key",
        )
        launches = [Launch("controllers", partial(controllers.run, settings))]
        base = int(ip_network(self.network.node_cidr).network_address) + FIRST_NODE
        for number, name in enumerate(self.names, 1):
            settings = self._settings(
                agents,
                "agent",
                name=name,
                kubeconfig=self.data_dir / f"{name}.kubeconfig",
                data_dir=self.data_dir,
                dataplane=self.dataplane,
                node_ip=str(ip_network((base + number, 32)).network_address),
            )
            launches.append(Launch(name, partial(agents.run, settings)))
        return launches

    def _settings(self, program: Program, called: str, /, **planned: Any) -> Any:
        """A program's settings: the environment's (`MINIPLANE_<PROGRAM>_…`), and over them what is planned."""
        given = config.load(program.Settings, program=called)
        return replace(given, log_level=self.log_level, network=self.network, **planned)


def pick_port(wanted: int) -> int:
    """The port if it is free on loopback, else any free one."""
    for port in (wanted, 0):
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")
