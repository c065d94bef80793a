"""The kinds: one declarative file each, and the one ordered list of them.

Everything that serves, prints, validates or documents kinds iterates `KINDS`; nothing else names one to do so.
"""

from miniplane.api.kind import Registry
from miniplane.kinds.apps.deployment import DEPLOYMENT
from miniplane.kinds.apps.replicaset import REPLICA_SET
from miniplane.kinds.coordination.lease import LEASE
from miniplane.kinds.core.configmap import CONFIG_MAP
from miniplane.kinds.core.endpoints import ENDPOINTS
from miniplane.kinds.core.event import EVENT
from miniplane.kinds.core.namespace import NAMESPACE
from miniplane.kinds.core.node import NODE
from miniplane.kinds.core.pod import POD
from miniplane.kinds.core.secret import SECRET
from miniplane.kinds.core.service import SERVICE
from miniplane.kinds.core.serviceaccount import SERVICE_ACCOUNT
from miniplane.kinds.discovery.endpointslice import ENDPOINT_SLICE
from miniplane.kinds.networking.ingress import INGRESS
from miniplane.kinds.networking.ingressclass import INGRESS_CLASS
from miniplane.kinds.networking.ipaddress import IP_ADDRESS
from miniplane.kinds.networking.networkpolicy import NETWORK_POLICY
from miniplane.kinds.networking.servicecidr import SERVICE_CIDR
from miniplane.kinds.policy.adminnetworkpolicy import ADMIN_NETWORK_POLICY
from miniplane.kinds.policy.baselineadminnetworkpolicy import BASELINE_ADMIN_NETWORK_POLICY
from miniplane.kinds.policy.clusternetworkpolicy import CLUSTER_NETWORK_POLICY

__all__ = [
    "ADMIN_NETWORK_POLICY",
    "BASELINE_ADMIN_NETWORK_POLICY",
    "CLUSTER_NETWORK_POLICY",
    "CONFIG_MAP",
    "DEPLOYMENT",
    "ENDPOINTS",
    "ENDPOINT_SLICE",
    "EVENT",
    "INGRESS",
    "INGRESS_CLASS",
    "IP_ADDRESS",
    "KINDS",
    "LEASE",
    "NAMESPACE",
    "NETWORK_POLICY",
    "NODE",
    "POD",
    "REGISTRY",
    "REPLICA_SET",
    "SECRET",
    "SERVICE",
    "SERVICE_ACCOUNT",
    "SERVICE_CIDR",
]

KINDS = (
    NAMESPACE,
    NODE,
    POD,
    SERVICE,
    ENDPOINTS,
    CONFIG_MAP,
    SECRET,
    SERVICE_ACCOUNT,
    EVENT,
    DEPLOYMENT,
    REPLICA_SET,
    INGRESS,
    INGRESS_CLASS,
    NETWORK_POLICY,
    SERVICE_CIDR,
    IP_ADDRESS,
    CLUSTER_NETWORK_POLICY,
    ADMIN_NETWORK_POLICY,
    BASELINE_ADMIN_NETWORK_POLICY,
    ENDPOINT_SLICE,
    LEASE,
)
"""Every kind, in the order of discovery; the first of a group places the group."""

REGISTRY = Registry(KINDS)
"""The kinds by every name they have."""
