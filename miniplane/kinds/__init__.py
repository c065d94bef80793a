"""The kinds: one declarative file each, and the one ordered list of them.

Everything that serves, prints, validates or documents kinds iterates `KINDS`; nothing else names one to do so.
"""

from miniplane.api.kind import Registry
from miniplane.kinds.apps.deployment import DEPLOYMENT
from miniplane.kinds.apps.replicaset import REPLICA_SET
from miniplane.kinds.authentication.selfsubjectreview import SELF_SUBJECT_REVIEW
from miniplane.kinds.authentication.tokenreview import TOKEN_REVIEW
from miniplane.kinds.authorization.localsubjectaccessreview import LOCAL_SUBJECT_ACCESS_REVIEW
from miniplane.kinds.authorization.selfsubjectaccessreview import SELF_SUBJECT_ACCESS_REVIEW
from miniplane.kinds.authorization.selfsubjectrulesreview import SELF_SUBJECT_RULES_REVIEW
from miniplane.kinds.authorization.subjectaccessreview import SUBJECT_ACCESS_REVIEW
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
from miniplane.kinds.rbac.clusterrole import CLUSTER_ROLE
from miniplane.kinds.rbac.clusterrolebinding import CLUSTER_ROLE_BINDING
from miniplane.kinds.rbac.role import ROLE
from miniplane.kinds.rbac.rolebinding import ROLE_BINDING

__all__ = [
    "ADMIN_NETWORK_POLICY",
    "BASELINE_ADMIN_NETWORK_POLICY",
    "CLUSTER_NETWORK_POLICY",
    "CLUSTER_ROLE",
    "CLUSTER_ROLE_BINDING",
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
    "LOCAL_SUBJECT_ACCESS_REVIEW",
    "NAMESPACE",
    "NETWORK_POLICY",
    "NODE",
    "POD",
    "REGISTRY",
    "REPLICA_SET",
    "REVIEWS",
    "ROLE",
    "ROLE_BINDING",
    "SECRET",
    "SELF_SUBJECT_ACCESS_REVIEW",
    "SELF_SUBJECT_REVIEW",
    "SELF_SUBJECT_RULES_REVIEW",
    "SERVICE",
    "SERVICE_ACCOUNT",
    "SERVICE_CIDR",
    "SUBJECT_ACCESS_REVIEW",
    "TOKEN_REVIEW",
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
    ROLE,
    CLUSTER_ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE_BINDING,
)
"""Every stored kind, in the order of discovery; the first of a group places the group."""

REVIEWS = (
    TOKEN_REVIEW,
    SELF_SUBJECT_REVIEW,
    SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_ACCESS_REVIEW,
    LOCAL_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
)
"""The kinds of questions: created, answered, and stored nowhere."""

REGISTRY = Registry((*KINDS, *REVIEWS))
"""The kinds by every name they have."""
