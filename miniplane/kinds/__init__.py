"""The kinds: one declarative file each, and the one ordered list of them.

Everything that serves, prints, validates or documents kinds iterates `KINDS`; nothing else names one to do so.
"""

from miniplane.api.kind import Registry
from miniplane.kinds.admissionregistration.mutatingwebhookconfiguration import MUTATING_WEBHOOK_CONFIGURATION
from miniplane.kinds.admissionregistration.validatingadmissionpolicy import VALIDATING_ADMISSION_POLICY
from miniplane.kinds.admissionregistration.validatingadmissionpolicybinding import VALIDATING_ADMISSION_POLICY_BINDING
from miniplane.kinds.admissionregistration.validatingwebhookconfiguration import VALIDATING_WEBHOOK_CONFIGURATION
from miniplane.kinds.apiextensions.customresourcedefinition import CUSTOM_RESOURCE_DEFINITION
from miniplane.kinds.apps.controllerrevision import CONTROLLER_REVISION
from miniplane.kinds.apps.daemonset import DAEMON_SET
from miniplane.kinds.apps.deployment import DEPLOYMENT
from miniplane.kinds.apps.replicaset import REPLICA_SET
from miniplane.kinds.apps.statefulset import STATEFUL_SET
from miniplane.kinds.authentication.selfsubjectreview import SELF_SUBJECT_REVIEW
from miniplane.kinds.authentication.tokenreview import TOKEN_REVIEW
from miniplane.kinds.authorization.localsubjectaccessreview import LOCAL_SUBJECT_ACCESS_REVIEW
from miniplane.kinds.authorization.selfsubjectaccessreview import SELF_SUBJECT_ACCESS_REVIEW
from miniplane.kinds.authorization.selfsubjectrulesreview import SELF_SUBJECT_RULES_REVIEW
from miniplane.kinds.authorization.subjectaccessreview import SUBJECT_ACCESS_REVIEW
from miniplane.kinds.autoscaling.horizontalpodautoscaler import HORIZONTAL_POD_AUTOSCALER
from miniplane.kinds.autoscaling.v1.horizontalpodautoscaler import HORIZONTAL_POD_AUTOSCALER_V1
from miniplane.kinds.batch.cronjob import CRON_JOB
from miniplane.kinds.batch.job import JOB
from miniplane.kinds.certificates.certificatesigningrequest import CERTIFICATE_SIGNING_REQUEST
from miniplane.kinds.coordination.lease import LEASE
from miniplane.kinds.core.configmap import CONFIG_MAP
from miniplane.kinds.core.endpoints import ENDPOINTS
from miniplane.kinds.core.event import EVENT
from miniplane.kinds.core.limitrange import LIMIT_RANGE
from miniplane.kinds.core.namespace import NAMESPACE
from miniplane.kinds.core.node import NODE
from miniplane.kinds.core.persistentvolume import PERSISTENT_VOLUME
from miniplane.kinds.core.persistentvolumeclaim import PERSISTENT_VOLUME_CLAIM
from miniplane.kinds.core.pod import POD
from miniplane.kinds.core.podtemplate import POD_TEMPLATE
from miniplane.kinds.core.replicationcontroller import REPLICATION_CONTROLLER
from miniplane.kinds.core.resourcequota import RESOURCE_QUOTA
from miniplane.kinds.core.secret import SECRET
from miniplane.kinds.core.service import SERVICE
from miniplane.kinds.core.serviceaccount import SERVICE_ACCOUNT
from miniplane.kinds.discovery.endpointslice import ENDPOINT_SLICE
from miniplane.kinds.events.event import EVENTS_EVENT
from miniplane.kinds.flowcontrol.flowschema import FLOW_SCHEMA
from miniplane.kinds.flowcontrol.prioritylevelconfiguration import PRIORITY_LEVEL_CONFIGURATION
from miniplane.kinds.gateway.gateway import GATEWAY
from miniplane.kinds.gateway.gatewayclass import GATEWAY_CLASS
from miniplane.kinds.gateway.httproute import HTTP_ROUTE
from miniplane.kinds.gateway.referencegrant import REFERENCE_GRANT
from miniplane.kinds.gateway.v1beta1.gateway import GATEWAY_V1BETA1
from miniplane.kinds.gateway.v1beta1.gatewayclass import GATEWAY_CLASS_V1BETA1
from miniplane.kinds.gateway.v1beta1.httproute import HTTP_ROUTE_V1BETA1
from miniplane.kinds.gateway.v1beta1.referencegrant import REFERENCE_GRANT_V1BETA1
from miniplane.kinds.networking.ingress import INGRESS
from miniplane.kinds.networking.ingressclass import INGRESS_CLASS
from miniplane.kinds.networking.ipaddress import IP_ADDRESS
from miniplane.kinds.networking.networkpolicy import NETWORK_POLICY
from miniplane.kinds.networking.servicecidr import SERVICE_CIDR
from miniplane.kinds.node.runtimeclass import RUNTIME_CLASS
from miniplane.kinds.policy.adminnetworkpolicy import ADMIN_NETWORK_POLICY
from miniplane.kinds.policy.baselineadminnetworkpolicy import BASELINE_ADMIN_NETWORK_POLICY
from miniplane.kinds.policy.clusternetworkpolicy import CLUSTER_NETWORK_POLICY
from miniplane.kinds.policy.poddisruptionbudget import POD_DISRUPTION_BUDGET
from miniplane.kinds.rbac.clusterrole import CLUSTER_ROLE
from miniplane.kinds.rbac.clusterrolebinding import CLUSTER_ROLE_BINDING
from miniplane.kinds.rbac.role import ROLE
from miniplane.kinds.rbac.rolebinding import ROLE_BINDING
from miniplane.kinds.scheduling.priorityclass import PRIORITY_CLASS
from miniplane.kinds.storage.csidriver import CSI_DRIVER
from miniplane.kinds.storage.csinode import CSI_NODE
from miniplane.kinds.storage.csistoragecapacity import CSI_STORAGE_CAPACITY
from miniplane.kinds.storage.storageclass import STORAGE_CLASS
from miniplane.kinds.storage.volumeattachment import VOLUME_ATTACHMENT

__all__ = [
    "ADMIN_NETWORK_POLICY",
    "BASELINE_ADMIN_NETWORK_POLICY",
    "CERTIFICATE_SIGNING_REQUEST",
    "CLUSTER_NETWORK_POLICY",
    "CLUSTER_ROLE",
    "CLUSTER_ROLE_BINDING",
    "CONFIG_MAP",
    "CONTROLLER_REVISION",
    "CRON_JOB",
    "CSI_DRIVER",
    "CSI_NODE",
    "CSI_STORAGE_CAPACITY",
    "CUSTOM_RESOURCE_DEFINITION",
    "DAEMON_SET",
    "DEPLOYMENT",
    "ENDPOINTS",
    "ENDPOINT_SLICE",
    "EVENT",
    "EVENTS_EVENT",
    "FLOW_SCHEMA",
    "GATEWAY",
    "GATEWAY_CLASS",
    "GATEWAY_CLASS_V1BETA1",
    "GATEWAY_V1BETA1",
    "HORIZONTAL_POD_AUTOSCALER",
    "HORIZONTAL_POD_AUTOSCALER_V1",
    "HTTP_ROUTE",
    "HTTP_ROUTE_V1BETA1",
    "INGRESS",
    "INGRESS_CLASS",
    "IP_ADDRESS",
    "JOB",
    "KINDS",
    "LEASE",
    "LIMIT_RANGE",
    "LOCAL_SUBJECT_ACCESS_REVIEW",
    "MUTATING_WEBHOOK_CONFIGURATION",
    "NAMESPACE",
    "NETWORK_POLICY",
    "NODE",
    "PERSISTENT_VOLUME",
    "PERSISTENT_VOLUME_CLAIM",
    "POD",
    "POD_DISRUPTION_BUDGET",
    "POD_TEMPLATE",
    "PRIORITY_CLASS",
    "PRIORITY_LEVEL_CONFIGURATION",
    "REFERENCE_GRANT",
    "REFERENCE_GRANT_V1BETA1",
    "REGISTRY",
    "REPLICATION_CONTROLLER",
    "REPLICA_SET",
    "RESOURCE_QUOTA",
    "REVIEWS",
    "ROLE",
    "ROLE_BINDING",
    "RUNTIME_CLASS",
    "SECRET",
    "SELF_SUBJECT_ACCESS_REVIEW",
    "SELF_SUBJECT_REVIEW",
    "SELF_SUBJECT_RULES_REVIEW",
    "SERVICE",
    "SERVICE_ACCOUNT",
    "SERVICE_CIDR",
    "STATEFUL_SET",
    "STORAGE_CLASS",
    "SUBJECT_ACCESS_REVIEW",
    "TOKEN_REVIEW",
    "VALIDATING_ADMISSION_POLICY",
    "VALIDATING_ADMISSION_POLICY_BINDING",
    "VALIDATING_WEBHOOK_CONFIGURATION",
    "VOLUME_ATTACHMENT",
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
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    LIMIT_RANGE,
    RESOURCE_QUOTA,
    REPLICATION_CONTROLLER,
    POD_TEMPLATE,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
    DAEMON_SET,
    CONTROLLER_REVISION,
    EVENTS_EVENT,
    HORIZONTAL_POD_AUTOSCALER,
    HORIZONTAL_POD_AUTOSCALER_V1,
    JOB,
    CRON_JOB,
    CERTIFICATE_SIGNING_REQUEST,
    INGRESS,
    INGRESS_CLASS,
    NETWORK_POLICY,
    SERVICE_CIDR,
    IP_ADDRESS,
    CLUSTER_NETWORK_POLICY,
    ADMIN_NETWORK_POLICY,
    BASELINE_ADMIN_NETWORK_POLICY,
    POD_DISRUPTION_BUDGET,
    STORAGE_CLASS,
    VOLUME_ATTACHMENT,
    CSI_DRIVER,
    CSI_NODE,
    CSI_STORAGE_CAPACITY,
    MUTATING_WEBHOOK_CONFIGURATION,
    VALIDATING_WEBHOOK_CONFIGURATION,
    VALIDATING_ADMISSION_POLICY,
    VALIDATING_ADMISSION_POLICY_BINDING,
    PRIORITY_CLASS,
    GATEWAY_CLASS,
    GATEWAY,
    HTTP_ROUTE,
    REFERENCE_GRANT,
    GATEWAY_CLASS_V1BETA1,
    GATEWAY_V1BETA1,
    HTTP_ROUTE_V1BETA1,
    REFERENCE_GRANT_V1BETA1,
    ENDPOINT_SLICE,
    LEASE,
    ROLE,
    CLUSTER_ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE_BINDING,
    RUNTIME_CLASS,
    FLOW_SCHEMA,
    PRIORITY_LEVEL_CONFIGURATION,
    CUSTOM_RESOURCE_DEFINITION,
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
