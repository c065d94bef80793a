"""Settings of the API server."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from miniplane.config import Network


@dataclass(frozen=True, slots=True)
class Settings:
    """The API server: the REST API over the revision log."""

    data_dir: Path = Path("miniplane-data")
    """Where certificates, kubeconfig files, the schema cache and the embedded database live."""
    database: str = ""
    """Database URL in SQLAlchemy's form. Empty: an SQLite file in the data directory (--etcd-servers upstream)."""
    host: str = "127.0.0.1"
    """Address to listen on (--bind-address)."""
    port: int = 6443
    """TCP port to listen on (--secure-port). 0 takes a free one; the kubeconfig files name the one taken."""
    server_url: str = ""
    """URL put into the kubeconfig files. Empty: made from host and port; compose names its service here."""
    unix_socket: str = ""
    """Path of a Unix socket that serves plain HTTP as well. Who may open it acts as the administrator, because only
    the owner of the process can; empty for none."""
    insecure_http: bool = False
    """Serve plain HTTP instead of HTTPS and take every caller for the administrator. For experiments on one machine."""
    hosts: tuple[str, ...] = ()
    """More names and addresses that the server's certificate is valid for (--tls-san-cert-key's purpose)."""
    nodes: tuple[str, ...] = ()
    """Nodes that a certificate and a kubeconfig file are made for at start."""
    token_file: str = ""
    """CSV file of bearer tokens: token,user,uid,"group1,group2" (--token-auth-file). Empty for none."""
    anonymous_auth: bool = False
    """Whether requests without a credential are those of `system:anonymous`, whom RBAC may allow something
    (--anonymous-auth). Off: they are refused but for health and version."""
    service_account_issuer: str = "https://kubernetes.default.svc.cluster.local"
    """Who service accounts' tokens say has made them (--service-account-issuer)."""
    api_audiences: tuple[str, ...] = ()
    """Audiences of tokens that this API takes, and of tokens that are asked for without any (--api-audiences). Empty:
    the issuer."""
    max_body_bytes: int = 3 * 1024 * 1024
    """Largest request body; above it 413. Upstream's own limit."""
    body_timeout_s: float = 60.0
    """Seconds that a client may take to send its body (--request-timeout)."""
    max_in_flight: int = 800
    """Requests worked on at once, watches and streams aside; above it 429. Upstream's 400 reads + 200 writes, doubled
    because ours queue at one writer."""
    watch_timeout_s: int = 1800
    """Seconds after which a watch without timeoutSeconds ends (--min-request-timeout)."""
    bookmark_interval_s: float = 60.0
    """Seconds between bookmarks of a quiet watch that asked for them."""
    event_ttl_s: float = 3600.0
    """Seconds after which an event that did not happen again goes (--event-ttl)."""
    audit: Literal["none", "writes", "all"] = "none"
    """Which requests get a line in the server's own log: every line costs about as much as a GET. For audit events in
    upstream's form see `audit_log`."""
    audit_log: str = ""
    """File that audit events are appended to, one JSON object of audit.k8s.io/v1 a line; `-` is standard output
    (--audit-log-path). Empty for none."""
    audit_policy_file: str = ""
    """Audit policy that says how much is written down of which request (--audit-policy-file). Empty: level Metadata for
    every request."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged."""
    log_format: Literal["text", "json"] = "text"
    """Text for people or JSON lines for machines."""
    network: Network = field(default_factory=Network)
    """The cluster's address plan."""
