"""Field numbers of upstream's messages: what protobuf bodies need and no schema says.

One line per message: its name, then `number field`. A `?` marks what Go keeps as a pointer: there an explicit zero or
an empty message means something. A `*` marks a message whose fields JSON shows in its parent. The numbers are facts of
the wire format, fixed for ever by upstream's promise of compatibility.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_TEXT: Mapping[str, str] = {
    "meta.v1": """
ObjectMeta 1 name 2 generateName 3 namespace 4 selfLink 5 uid 6 resourceVersion 7 generation 8 creationTimestamp
  9 deletionTimestamp? 10 deletionGracePeriodSeconds? 11 labels 12 annotations 13 ownerReferences 14 finalizers
  17 managedFields
OwnerReference 1 kind 3 name 4 uid 5 apiVersion 6 controller? 7 blockOwnerDeletion?
ManagedFieldsEntry 1 manager 2 operation 3 apiVersion 4 time? 6 fieldsType 7 fieldsV1? 8 subresource
LabelSelector 1 matchLabels 2 matchExpressions
FieldSelectorRequirement 1 key 2 operator 3 values
LabelSelectorRequirement 1 key 2 operator 3 values
Condition 1 type 2 status 3 observedGeneration 4 lastTransitionTime 5 reason 6 message
DeleteOptions 1 gracePeriodSeconds? 2 preconditions? 3 orphanDependents? 4 propagationPolicy? 5 dryRun
  6 ignoreStoreReadErrorWithClusterBreakingPotential?
Preconditions 1 uid? 2 resourceVersion?
""",
    "core.v1": """
Namespace 1 metadata 2 spec 3 status
NamespaceSpec 1 finalizers
NamespaceStatus 1 phase 2 conditions
NamespaceCondition 1 type 2 status 4 lastTransitionTime 5 reason 6 message
ConfigMap 1 metadata 2 data 3 binaryData 4 immutable?
Secret 1 metadata 2 data 3 type 4 stringData 5 immutable?
ServiceAccount 1 metadata 2 secrets 3 imagePullSecrets 4 automountServiceAccountToken?
ObjectReference 1 kind 2 namespace 3 name 4 uid 5 apiVersion 6 resourceVersion 7 fieldPath
LocalObjectReference 1 name
TypedLocalObjectReference 1 apiGroup? 2 kind 3 name
Service 1 metadata 2 spec 3 status
ServiceSpec 1 ports 2 selector 3 clusterIP 4 type 5 externalIPs 7 sessionAffinity 8 loadBalancerIP
  9 loadBalancerSourceRanges 10 externalName 11 externalTrafficPolicy 12 healthCheckNodePort
  13 publishNotReadyAddresses 14 sessionAffinityConfig? 17 ipFamilyPolicy? 18 clusterIPs 19 ipFamilies
  20 allocateLoadBalancerNodePorts? 21 loadBalancerClass? 22 internalTrafficPolicy? 23 trafficDistribution?
ServicePort 1 name 2 protocol 3 port 4 targetPort 5 nodePort 6 appProtocol?
SessionAffinityConfig 1 clientIP?
ClientIPConfig 1 timeoutSeconds?
ServiceStatus 1 loadBalancer 2 conditions
LoadBalancerStatus 1 ingress
LoadBalancerIngress 1 ip 2 hostname 3 ipMode? 4 ports
PortStatus 1 port 2 protocol 3 error?
Endpoints 1 metadata 2 subsets
EndpointSubset 1 addresses 2 notReadyAddresses 3 ports
EndpointAddress 1 ip 2 targetRef? 3 hostname 4 nodeName?
EndpointPort 1 name 2 port 3 protocol 4 appProtocol?
Event 1 metadata 2 involvedObject 3 reason 4 message 5 source 6 firstTimestamp 7 lastTimestamp 8 count 9 type
  10 eventTime 11 series? 12 action 13 related? 14 reportingComponent 15 reportingInstance
EventSource 1 component 2 host
EventSeries 1 count 2 lastObservedTime
Binding 1 metadata 2 target
Pod 1 metadata 2 spec 3 status
PodTemplateSpec 1 metadata 2 spec
PodSpec 1 volumes 2 containers 3 restartPolicy 4 terminationGracePeriodSeconds? 5 activeDeadlineSeconds? 6 dnsPolicy
  7 nodeSelector 8 serviceAccountName 9 serviceAccount 10 nodeName 11 hostNetwork 12 hostPID 13 hostIPC
  14 securityContext? 15 imagePullSecrets 16 hostname 17 subdomain 18 affinity? 19 schedulerName 20 initContainers
  21 automountServiceAccountToken? 22 tolerations 23 hostAliases 24 priorityClassName 25 priority? 26 dnsConfig?
  27 shareProcessNamespace? 28 readinessGates 29 runtimeClassName? 30 enableServiceLinks? 31 preemptionPolicy?
  32 overhead 33 topologySpreadConstraints 34 ephemeralContainers 35 setHostnameAsFQDN? 36 os? 37 hostUsers?
  38 schedulingGates 39 resourceClaims 40 resources?
Container 1 name 2 image 3 command 4 args 5 workingDir 6 ports 7 env 8 resources 9 volumeMounts 10 livenessProbe?
  11 readinessProbe? 12 lifecycle? 13 terminationMessagePath 14 imagePullPolicy 15 securityContext? 16 stdin
  17 stdinOnce 18 tty 19 envFrom 20 terminationMessagePolicy 21 volumeDevices 22 startupProbe? 23 resizePolicy
  24 restartPolicy?
ContainerPort 1 name 2 hostPort 3 containerPort 4 protocol 5 hostIP
ContainerResizePolicy 1 resourceName 2 restartPolicy
EnvVar 1 name 2 value 3 valueFrom?
EnvVarSource 1 fieldRef? 2 resourceFieldRef? 3 configMapKeyRef? 4 secretKeyRef?
ObjectFieldSelector 1 apiVersion 2 fieldPath
ResourceFieldSelector 1 containerName 2 resource 3 divisor
ConfigMapKeySelector 1 *LocalObjectReference 2 key 3 optional?
SecretKeySelector 1 *LocalObjectReference 2 key 3 optional?
EnvFromSource 1 prefix 2 configMapRef? 3 secretRef?
ConfigMapEnvSource 1 *LocalObjectReference 2 optional?
SecretEnvSource 1 *LocalObjectReference 2 optional?
ResourceRequirements 1 limits 2 requests 3 claims
ResourceClaim 1 name 2 request
VolumeMount 1 name 2 readOnly 3 mountPath 4 subPath 5 mountPropagation? 6 subPathExpr 7 recursiveReadOnly?
VolumeDevice 1 name 2 devicePath
Probe 1 *ProbeHandler 2 initialDelaySeconds 3 timeoutSeconds 4 periodSeconds 5 successThreshold 6 failureThreshold
  7 terminationGracePeriodSeconds?
ProbeHandler 1 exec? 2 httpGet? 3 tcpSocket? 4 grpc?
ExecAction 1 command
HTTPGetAction 1 path 2 port 3 host 4 scheme 5 httpHeaders
HTTPHeader 1 name 2 value
TCPSocketAction 1 port 2 host
GRPCAction 1 port 2 service?
Lifecycle 1 postStart? 2 preStop? 3 stopSignal?
LifecycleHandler 1 exec? 2 httpGet? 3 tcpSocket? 4 sleep?
SleepAction 1 seconds
SecurityContext 1 capabilities? 2 privileged? 3 seLinuxOptions? 4 runAsUser? 5 runAsNonRoot? 6 readOnlyRootFilesystem?
  7 allowPrivilegeEscalation? 8 runAsGroup? 9 procMount? 10 windowsOptions? 11 seccompProfile? 12 appArmorProfile?
Capabilities 1 add 2 drop
SELinuxOptions 1 user 2 role 3 type 4 level
SeccompProfile 1 type 2 localhostProfile?
AppArmorProfile 1 type 2 localhostProfile?
PodSecurityContext 1 seLinuxOptions? 2 runAsUser? 3 runAsNonRoot? 4 supplementalGroups 5 fsGroup? 6 runAsGroup?
  7 sysctls 8 windowsOptions? 9 fsGroupChangePolicy? 10 seccompProfile? 11 appArmorProfile? 12 supplementalGroupsPolicy?
  13 seLinuxChangePolicy?
Sysctl 1 name 2 value
Toleration 1 key 2 operator 3 value 4 effect 5 tolerationSeconds?
HostAlias 1 ip 2 hostnames
PodDNSConfig 1 nameservers 2 searches 3 options
PodDNSConfigOption 1 name 2 value?
PodReadinessGate 1 conditionType
PodOS 1 name
PodSchedulingGate 1 name
TopologySpreadConstraint 1 maxSkew 2 topologyKey 3 whenUnsatisfiable 4 labelSelector? 5 minDomains?
  6 nodeAffinityPolicy? 7 nodeTaintsPolicy? 8 matchLabelKeys
Affinity 1 nodeAffinity? 2 podAffinity? 3 podAntiAffinity?
NodeAffinity 1 requiredDuringSchedulingIgnoredDuringExecution? 2 preferredDuringSchedulingIgnoredDuringExecution
NodeSelector 1 nodeSelectorTerms
NodeSelectorTerm 1 matchExpressions 2 matchFields
NodeSelectorRequirement 1 key 2 operator 3 values
PreferredSchedulingTerm 1 weight 2 preference
PodAffinity 1 requiredDuringSchedulingIgnoredDuringExecution 2 preferredDuringSchedulingIgnoredDuringExecution
PodAntiAffinity 1 requiredDuringSchedulingIgnoredDuringExecution 2 preferredDuringSchedulingIgnoredDuringExecution
PodAffinityTerm 1 labelSelector? 2 namespaces 3 topologyKey 4 namespaceSelector? 5 matchLabelKeys 6 mismatchLabelKeys
WeightedPodAffinityTerm 1 weight 2 podAffinityTerm
Volume 1 name 2 *VolumeSource
VolumeSource 1 hostPath? 2 emptyDir? 6 secret? 7 nfs? 8 iscsi? 10 persistentVolumeClaim? 16 downwardAPI? 19 configMap?
  26 projected? 28 csi? 29 ephemeral? 30 image?
HostPathVolumeSource 1 path 2 type?
EmptyDirVolumeSource 1 medium 2 sizeLimit?
SecretVolumeSource 1 secretName 2 items 3 defaultMode? 4 optional?
KeyToPath 1 key 2 path 3 mode?
ConfigMapVolumeSource 1 *LocalObjectReference 2 items 3 defaultMode? 4 optional?
NFSVolumeSource 1 server 2 path 3 readOnly
PersistentVolumeClaimVolumeSource 1 claimName 2 readOnly
DownwardAPIVolumeSource 1 items 2 defaultMode?
DownwardAPIVolumeFile 1 path 2 fieldRef? 3 resourceFieldRef? 4 mode?
ProjectedVolumeSource 1 sources 2 defaultMode?
VolumeProjection 1 secret? 2 downwardAPI? 3 configMap? 4 serviceAccountToken? 5 clusterTrustBundle?
SecretProjection 1 *LocalObjectReference 2 items 4 optional?
ConfigMapProjection 1 *LocalObjectReference 2 items 4 optional?
DownwardAPIProjection 1 items
ServiceAccountTokenProjection 1 audience 2 expirationSeconds? 3 path
""",
    "apps.v1": """
Deployment 1 metadata 2 spec 3 status
DeploymentSpec 1 replicas? 2 selector? 3 template 4 strategy 5 minReadySeconds 6 revisionHistoryLimit? 7 paused
  9 progressDeadlineSeconds?
DeploymentStrategy 1 type 2 rollingUpdate?
RollingUpdateDeployment 1 maxUnavailable? 2 maxSurge?
DeploymentStatus 1 observedGeneration 2 replicas 3 updatedReplicas 4 availableReplicas 5 unavailableReplicas
  6 conditions 7 readyReplicas 8 collisionCount? 9 terminatingReplicas?
DeploymentCondition 1 type 2 status 4 reason 5 message 6 lastUpdateTime 7 lastTransitionTime
ReplicaSet 1 metadata 2 spec 3 status
ReplicaSetSpec 1 replicas? 2 selector? 3 template 4 minReadySeconds
ReplicaSetStatus 1 replicas 2 fullyLabeledReplicas 3 observedGeneration 4 readyReplicas 5 availableReplicas 6 conditions
  7 terminatingReplicas?
ReplicaSetCondition 1 type 2 status 3 lastTransitionTime 4 reason 5 message
""",
    "authentication.v1": """
TokenReview 1 metadata 2 spec 3 status
TokenReviewSpec 1 token 2 audiences
TokenReviewStatus 1 authenticated 2 user 3 error 4 audiences
UserInfo 1 username 2 uid 3 groups 4 extra
SelfSubjectReview 1 metadata 2 status
SelfSubjectReviewStatus 1 userInfo
TokenRequest 1 metadata 2 spec 3 status
TokenRequestSpec 1 audiences 3 boundObjectRef? 4 expirationSeconds?
TokenRequestStatus 1 token 2 expirationTimestamp
BoundObjectReference 1 kind 2 apiVersion 3 name 4 uid
""",
    "authorization.v1": """
SubjectAccessReview 1 metadata 2 spec 3 status
LocalSubjectAccessReview 1 metadata 2 spec 3 status
SubjectAccessReviewSpec 1 resourceAttributes? 2 nonResourceAttributes? 3 user 4 groups 5 extra 6 uid
SelfSubjectAccessReview 1 metadata 2 spec 3 status
SelfSubjectAccessReviewSpec 1 resourceAttributes? 2 nonResourceAttributes?
SubjectAccessReviewStatus 1 allowed 2 reason 3 evaluationError 4 denied
ResourceAttributes 1 namespace 2 verb 3 group 4 version 5 resource 6 subresource 7 name 8 fieldSelector?
  9 labelSelector?
FieldSelectorAttributes 1 rawSelector 2 requirements
LabelSelectorAttributes 1 rawSelector 2 requirements
NonResourceAttributes 1 path 2 verb
SelfSubjectRulesReview 1 metadata 2 spec 3 status
SelfSubjectRulesReviewSpec 1 namespace
SubjectRulesReviewStatus 1 resourceRules 2 nonResourceRules 3 incomplete 4 evaluationError
ResourceRule 1 verbs 2 apiGroups 3 resources 4 resourceNames
NonResourceRule 1 verbs 2 nonResourceURLs
""",
    "autoscaling.v1": """
Scale 1 metadata 2 spec 3 status
ScaleSpec 1 replicas
ScaleStatus 1 replicas 2 selector
""",
    "certificates.v1": """
CertificateSigningRequest 1 metadata 2 spec 3 status
CertificateSigningRequestSpec 1 request 2 username 3 uid 4 groups 5 usages 6 extra 7 signerName 8 expirationSeconds?
CertificateSigningRequestStatus 1 conditions 2 certificate
CertificateSigningRequestCondition 1 type 2 reason 3 message 4 lastUpdateTime 5 lastTransitionTime 6 status
""",
    "coordination.v1": """
Lease 1 metadata 2 spec
LeaseSpec 1 holderIdentity? 2 leaseDurationSeconds? 3 acquireTime? 4 renewTime? 5 leaseTransitions? 6 strategy?
  7 preferredHolder?
""",
    "discovery.v1": """
EndpointSlice 1 metadata 2 endpoints 3 ports 4 addressType
Endpoint 1 addresses 2 conditions 3 hostname? 4 targetRef? 5 deprecatedTopology 6 nodeName? 7 zone? 8 hints?
EndpointConditions 1 ready? 2 serving? 3 terminating?
EndpointHints 1 forZones 2 forNodes
ForZone 1 name
ForNode 1 name
EndpointPort 1 name? 2 protocol? 3 port? 4 appProtocol?
""",
    "networking.v1": """
Ingress 1 metadata 2 spec 3 status
IngressSpec 1 defaultBackend? 2 tls 3 rules 4 ingressClassName?
IngressTLS 1 hosts 2 secretName
IngressRule 1 host 2 *IngressRuleValue
IngressRuleValue 1 http?
HTTPIngressRuleValue 1 paths
HTTPIngressPath 1 path 2 backend 3 pathType?
IngressBackend 3 resource? 4 service?
IngressServiceBackend 1 name 2 port
ServiceBackendPort 1 name 2 number
IngressStatus 1 loadBalancer
IngressLoadBalancerStatus 1 ingress
IngressLoadBalancerIngress 1 ip 2 hostname 4 ports
IngressPortStatus 1 port 2 protocol 3 error?
IngressClass 1 metadata 2 spec
IngressClassSpec 1 controller 2 parameters?
IngressClassParametersReference 1 apiGroup? 2 kind 3 name 4 scope? 5 namespace?
NetworkPolicy 1 metadata 2 spec
NetworkPolicySpec 1 podSelector 2 ingress 3 egress 4 policyTypes
NetworkPolicyIngressRule 1 ports 2 from
NetworkPolicyEgressRule 1 ports 2 to
NetworkPolicyPort 1 protocol? 2 port? 3 endPort?
NetworkPolicyPeer 1 podSelector? 2 namespaceSelector? 3 ipBlock?
IPBlock 1 cidr 2 except
IPAddress 1 metadata 2 spec
IPAddressSpec 1 parentRef?
ParentReference 1 group 2 resource 3 namespace 4 name
ServiceCIDR 1 metadata 2 spec 3 status
ServiceCIDRSpec 1 cidrs
ServiceCIDRStatus 1 conditions
""",
    "rbac.v1": """
Role 1 metadata 2 rules
ClusterRole 1 metadata 2 rules 3 aggregationRule?
PolicyRule 1 verbs 2 apiGroups 3 resources 4 resourceNames 5 nonResourceURLs
AggregationRule 1 clusterRoleSelectors
RoleBinding 1 metadata 2 subjects 3 roleRef
ClusterRoleBinding 1 metadata 2 subjects 3 roleRef
Subject 1 kind 2 apiGroup 3 name 4 namespace
RoleRef 1 apiGroup 2 kind 3 name
""",
    "policy.v1": """
Eviction 1 metadata 2 deleteOptions?
""",
}


@dataclass(frozen=True, slots=True)
class WireField:
    """One field of a message; `inline` is the message whose fields stand in the parent, if it is such."""

    name: str
    pointer: bool = False
    inline: str = ""


def _parse() -> dict[str, dict[int, WireField]]:
    messages: dict[str, dict[int, WireField]] = {}
    for group, text in _TEXT.items():
        for line in text.strip().replace("\n  ", " ").split("\n"):
            message, *words = line.split()
            fields = messages[f"{group}.{message}"] = {}
            for number, name in zip(words[::2], words[1::2], strict=True):
                inline = f"{group}.{name[1:]}" if name.startswith("*") else ""
                fields[int(number)] = WireField(name.strip("*?"), name.endswith("?"), inline)
    return messages


MESSAGES: Mapping[str, Mapping[int, WireField]] = _parse()
"""`{"core.v1.Pod": {1: field, …}}`."""
