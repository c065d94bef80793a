"""Settings of the controllers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from miniplane.config import Network


@dataclass(frozen=True, slots=True)
class Settings:
    """The controllers: what turns wishes in the API into more objects in the API."""

    kubeconfig: Path | None = None
    """How to reach the API server, with the rights of `system:kube-controller-manager` (--kubeconfig). None reads
    `$KUBECONFIG`, then `~/.kube/config`."""
    leader_elect: bool = False
    """Work only while holding the lease `kube-system/miniplane-controllers` (--leader-elect). Off, because one cluster
    usually has one process of these; turn it on where several run against one API server."""
    identity: str = ""
    """The name in the lease; must differ between processes. Empty: the host's name and a random part."""
    metrics_port: int | None = None
    """Serve `/metrics`, `/healthz`, `/livez`, `/readyz` on this port of loopback (--metrics-port); 0 takes a free one
    and logs it. None serves nothing."""
    addons: tuple[str, ...] = ("dns", "ingress")
    """The cluster's own Deployments that are made where they are missing. Empty for a bare cluster."""
    service_account_key: Path | None = None
    """The API server's `pki/sa.key`, to sign tokens in Secrets (--service-account-private-key-file). None: Secrets of
    type kubernetes.io/service-account-token stay empty."""
    cluster_signing_cert: Path | None = None
    """The CA's certificate, `pki/ca.crt`, that certificate requests are signed with (--cluster-signing-cert-file)."""
    cluster_signing_key: Path | None = None
    """Its key, `pki/ca.key` (--cluster-signing-key-file). None: approved requests get no certificate here."""
    node_monitor_grace_s: float = 50.0
    """How long a node's kubelet may be silent before the node counts as not ready (upstream's
    --node-monitor-grace-period). Kubelets speak every ten seconds."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged."""
    log_format: Literal["text", "json"] = "text"
    """Text for people or JSON lines for machines."""
    network: Network = field(default_factory=Network)
    """The cluster's address plan."""
