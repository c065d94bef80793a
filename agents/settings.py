"""Settings of a node's agent."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from miniplane.config import Network


@dataclass(frozen=True, slots=True)
class Settings:
    """The agent of one node: kubelet, proxy and the way of bytes between pods."""

    name: str = "node-1"
    """The node's name; certificate and kubeconfig file are found by it (--hostname-override)."""
    kubeconfig: Path | None = None
    """How to reach the API server. None: `<name>.kubeconfig` in the data directory."""
    data_dir: Path = Path("miniplane-data")
    """Where `pki/<name>.crt`, its key and `pki/ca.crt` are; nothing is written there."""
    node_ip: str = "172.30.0.11"
    """The node's address in the nodes' network: its InternalIP, where node ports answer (--node-ip)."""
    host: str = "127.0.0.1"
    """Real address that the kubelet's server and the tunnel listen on (--address)."""
    advertise: str = ""
    """Real name or address under which the API server and other nodes reach this agent. Empty: the same as `host`."""
    port: int = 0
    """Real port of the kubelet's server; 0 takes a free one (--port, upstream 10250)."""
    tunnel_port: int = 0
    """Real port for other nodes' traffic; 0 takes a free one."""
    dataplane: Literal["userspace", "kernel"] = "userspace"
    """Who moves packets: this process, or the kernel in private network namespaces that the holder of
    `miniplane up --dataplane kernel` has made."""
    host_ports_bind: str = ""
    """Real address on which node ports and load-balancer addresses are offered. Empty: one loopback address for each,
    which keeps them apart and off the network; 0.0.0.0 in a container, where they are published under `advertise`."""
    resolv_conf: Path | None = Path("/etc/resolv.conf")
    """The node's nameservers and search list (--resolv-conf): for pods with `dnsPolicy: Default`, and for the cluster's
    DNS, which asks them for names that are not the cluster's. None: there are none."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged."""
    log_format: Literal["text", "json"] = "text"
    """Text for people or JSON lines for machines."""
    network: Network = field(default_factory=Network)
    """The cluster's address plan."""

    @property
    def access(self) -> Path:
        """The kubeconfig file in use."""
        return self.kubeconfig or self.data_dir / f"{self.name}.kubeconfig"

    @property
    def address(self) -> str:
        """Where others reach this agent."""
        return self.advertise or self.host
