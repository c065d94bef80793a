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
EphemeralContainer 1 *EphemeralContainerCommon 2 targetContainerName
ResourceQuota 1 metadata 2 spec 3 status
ResourceQuotaSpec 1 hard 2 scopes 3 scopeSelector?
ResourceQuotaStatus 1 hard 2 used
ScopeSelector 1 matchExpressions
ScopedResourceSelectorRequirement 1 scopeName 2 operator 3 values
LimitRange 1 metadata 2 spec
LimitRangeSpec 1 limits
LimitRangeItem 1 type 2 max 3 min 4 default 5 defaultRequest 6 maxLimitRequestRatio
PodTemplate 1 metadata 2 template
ReplicationController 1 metadata 2 spec 3 status
ReplicationControllerSpec 1 replicas? 2 selector 3 template? 4 minReadySeconds
ReplicationControllerStatus 1 replicas 2 fullyLabeledReplicas 3 observedGeneration 4 readyReplicas 5 availableReplicas
  6 conditions
ReplicationControllerCondition 1 type 2 status 3 lastTransitionTime 4 reason 5 message
PersistentVolumeClaim 1 metadata 2 spec 3 status
PersistentVolumeClaimSpec 1 accessModes 2 resources 3 volumeName 4 selector? 5 storageClassName? 6 volumeMode?
  7 dataSource? 8 dataSourceRef? 9 volumeAttributesClassName?
PersistentVolumeClaimStatus 1 phase 2 accessModes 3 capacity 4 conditions 5 allocatedResources
  7 allocatedResourceStatuses 8 currentVolumeAttributesClassName? 9 modifyVolumeStatus?
PersistentVolumeClaimCondition 1 type 2 status 3 lastProbeTime 4 lastTransitionTime 5 reason 6 message
ModifyVolumeStatus 1 targetVolumeAttributesClassName 2 status
PersistentVolumeClaimTemplate 1 metadata 2 spec
VolumeResourceRequirements 1 limits 2 requests
TypedObjectReference 1 apiGroup? 2 kind 3 name 4 namespace?
PersistentVolume 1 metadata 2 spec 3 status
PersistentVolumeSpec 1 capacity 2 *PersistentVolumeSource 3 accessModes 4 claimRef? 5 persistentVolumeReclaimPolicy
  6 storageClassName 7 mountOptions 8 volumeMode? 9 nodeAffinity? 10 volumeAttributesClassName?
PersistentVolumeSource 1 gcePersistentDisk? 2 awsElasticBlockStore? 3 hostPath? 4 glusterfs? 5 nfs? 6 rbd? 7 iscsi?
  8 cinder? 9 cephfs? 10 fc? 11 flocker? 12 flexVolume? 13 azureFile? 14 vsphereVolume? 15 quobyte? 16 azureDisk?
  17 photonPersistentDisk? 18 portworxVolume? 19 scaleIO? 20 local? 21 storageos? 22 csi?
PersistentVolumeStatus 1 phase 2 message 3 reason 4 lastPhaseTransitionTime?
VolumeNodeAffinity 1 required?
LocalVolumeSource 1 path 2 fsType?
CSIPersistentVolumeSource 1 driver 2 volumeHandle 3 readOnly 4 fsType 5 volumeAttributes 6 controllerPublishSecretRef?
  7 nodeStageSecretRef? 8 nodePublishSecretRef? 9 controllerExpandSecretRef? 10 nodeExpandSecretRef?
SecretReference 1 name 2 namespace
CSIVolumeSource 1 driver 2 readOnly? 3 fsType? 4 volumeAttributes 5 nodePublishSecretRef?
EphemeralVolumeSource 1 volumeClaimTemplate?
ImageVolumeSource 1 reference 2 pullPolicy
ClusterTrustBundleProjection 1 name? 2 signerName? 3 labelSelector? 4 path 5 optional?
WindowsSecurityContextOptions 1 gmsaCredentialSpecName? 2 gmsaCredentialSpec? 3 runAsUserName? 4 hostProcess?
PodResourceClaim 1 name 3 resourceClaimName? 4 resourceClaimTemplateName?
PodStatus 1 phase 2 conditions 3 message 4 reason 5 hostIP 6 podIP 7 startTime? 8 containerStatuses 9 qosClass
  10 initContainerStatuses 11 nominatedNodeName 12 podIPs 13 ephemeralContainerStatuses 14 resize
  15 resourceClaimStatuses 16 hostIPs 17 observedGeneration
PodCondition 1 type 2 status 3 lastProbeTime 4 lastTransitionTime 5 reason 6 message 7 observedGeneration
PodIP 1 ip
HostIP 1 ip
PodResourceClaimStatus 1 name 2 resourceClaimName?
ContainerStatus 1 name 2 state 3 lastState 4 ready 5 restartCount 6 image 7 imageID 8 containerID 9 started?
  10 allocatedResources 11 resources? 12 volumeMounts 13 user? 14 allocatedResourcesStatus 15 stopSignal?
ContainerState 1 waiting? 2 running? 3 terminated?
ContainerStateWaiting 1 reason 2 message
ContainerStateRunning 1 startedAt
ContainerStateTerminated 1 exitCode 2 signal 3 reason 4 message 5 startedAt 6 finishedAt 7 containerID
VolumeMountStatus 1 name 2 mountPath 3 readOnly 4 recursiveReadOnly?
ContainerUser 1 linux?
LinuxContainerUser 1 uid 2 gid 3 supplementalGroups
ResourceStatus 1 name 2 resources
ResourceHealth 1 resourceID 2 health
Node 1 metadata 2 spec 3 status
NodeSpec 1 podCIDR 2 externalID 3 providerID 4 unschedulable 5 taints 6 configSource? 7 podCIDRs
NodeConfigSource 2 configMap?
ConfigMapNodeConfigSource 1 namespace 2 name 3 uid 4 resourceVersion 5 kubeletConfigKey
Taint 1 key 2 value 3 effect 4 timeAdded?
NodeStatus 1 capacity 2 allocatable 3 phase 4 conditions 5 addresses 6 daemonEndpoints 7 nodeInfo 8 images
  9 volumesInUse 10 volumesAttached 11 config? 12 runtimeHandlers 13 features?
NodeCondition 1 type 2 status 3 lastHeartbeatTime 4 lastTransitionTime 5 reason 6 message
NodeAddress 1 type 2 address
NodeDaemonEndpoints 1 kubeletEndpoint
DaemonEndpoint 1 Port
NodeSystemInfo 1 machineID 2 systemUUID 3 bootID 4 kernelVersion 5 osImage 6 containerRuntimeVersion 7 kubeletVersion
  8 kubeProxyVersion 9 operatingSystem 10 architecture 11 swap?
NodeSwapStatus 1 capacity?
ContainerImage 1 names 2 sizeBytes
AttachedVolume 1 name 2 devicePath
NodeConfigStatus 1 assigned? 2 active? 3 lastKnownGood? 4 error
NodeRuntimeHandler 1 name 2 features?
NodeRuntimeHandlerFeatures 1 recursiveReadOnlyMounts? 2 userNamespaces?
NodeFeatures 1 supplementalGroupsPolicy?
TopologySelectorTerm 1 matchLabelExpressions
TopologySelectorLabelRequirement 1 key 2 values
EphemeralContainerCommon 1 name 2 image 3 command 4 args 5 workingDir 6 ports 7 env 8 resources 9 volumeMounts
  10 livenessProbe? 11 readinessProbe? 12 lifecycle? 13 terminationMessagePath 14 imagePullPolicy 15 securityContext?
  16 stdin 17 stdinOnce 18 tty 19 envFrom 20 terminationMessagePolicy 21 volumeDevices 22 startupProbe?
  23 resizePolicy 24 restartPolicy?
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
StatefulSet 1 metadata 2 spec 3 status
StatefulSetSpec 1 replicas? 2 selector? 3 template 4 volumeClaimTemplates 5 serviceName 6 podManagementPolicy
  7 updateStrategy 8 revisionHistoryLimit? 9 minReadySeconds 10 persistentVolumeClaimRetentionPolicy? 11 ordinals?
StatefulSetUpdateStrategy 1 type 2 rollingUpdate?
RollingUpdateStatefulSetStrategy 1 partition? 2 maxUnavailable?
StatefulSetPersistentVolumeClaimRetentionPolicy 1 whenDeleted 2 whenScaled
StatefulSetOrdinals 1 start
StatefulSetStatus 1 observedGeneration 2 replicas 3 readyReplicas 4 currentReplicas 5 updatedReplicas 6 currentRevision
  7 updateRevision 9 collisionCount? 10 conditions 11 availableReplicas
StatefulSetCondition 1 type 2 status 3 lastTransitionTime 4 reason 5 message
DaemonSet 1 metadata 2 spec 3 status
DaemonSetSpec 1 selector? 2 template 3 updateStrategy 4 minReadySeconds 6 revisionHistoryLimit?
DaemonSetUpdateStrategy 1 type 2 rollingUpdate?
RollingUpdateDaemonSet 1 maxUnavailable? 2 maxSurge?
DaemonSetStatus 1 currentNumberScheduled 2 numberMisscheduled 3 desiredNumberScheduled 4 numberReady
  5 observedGeneration 6 updatedNumberScheduled 7 numberAvailable 8 numberUnavailable 9 collisionCount? 10 conditions
DaemonSetCondition 1 type 2 status 3 lastTransitionTime 4 reason 5 message
ControllerRevision 1 metadata 2 data 3 revision
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
HorizontalPodAutoscaler 1 metadata 2 spec 3 status
HorizontalPodAutoscalerSpec 1 scaleTargetRef 2 minReplicas? 3 maxReplicas 4 targetCPUUtilizationPercentage?
HorizontalPodAutoscalerStatus 1 observedGeneration? 2 lastScaleTime? 3 currentReplicas 4 desiredReplicas
  5 currentCPUUtilizationPercentage?
CrossVersionObjectReference 1 kind 2 name 3 apiVersion
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
PodDisruptionBudget 1 metadata 2 spec 3 status
PodDisruptionBudgetSpec 1 minAvailable? 2 selector? 3 maxUnavailable? 4 unhealthyPodEvictionPolicy?
PodDisruptionBudgetStatus 1 observedGeneration 2 disruptedPods 3 disruptionsAllowed 4 currentHealthy 5 desiredHealthy
  6 expectedPods 7 conditions
""",
    "batch.v1": """
Job 1 metadata 2 spec 3 status
JobSpec 1 parallelism? 2 completions? 3 activeDeadlineSeconds? 4 selector? 5 manualSelector? 6 template 7 backoffLimit?
  8 ttlSecondsAfterFinished? 9 completionMode? 10 suspend? 11 podFailurePolicy? 12 backoffLimitPerIndex?
  13 maxFailedIndexes? 14 podReplacementPolicy? 15 managedBy? 16 successPolicy?
JobStatus 1 conditions 2 startTime? 3 completionTime? 4 active 5 succeeded 6 failed 7 completedIndexes
  8 uncountedTerminatedPods? 9 ready? 10 failedIndexes? 11 terminating?
JobCondition 1 type 2 status 3 lastProbeTime 4 lastTransitionTime 5 reason 6 message
UncountedTerminatedPods 1 succeeded 2 failed
JobTemplateSpec 1 metadata 2 spec
PodFailurePolicy 1 rules
PodFailurePolicyRule 1 action 2 onExitCodes? 3 onPodConditions
PodFailurePolicyOnExitCodesRequirement 1 containerName? 2 operator 3 values
PodFailurePolicyOnPodConditionsPattern 1 type 2 status
SuccessPolicy 1 rules
SuccessPolicyRule 1 succeededIndexes? 2 succeededCount?
CronJob 1 metadata 2 spec 3 status
CronJobSpec 1 schedule 2 startingDeadlineSeconds? 3 concurrencyPolicy 4 suspend? 5 jobTemplate
  6 successfulJobsHistoryLimit? 7 failedJobsHistoryLimit? 8 timeZone?
CronJobStatus 1 active 4 lastScheduleTime? 5 lastSuccessfulTime?
""",
    "autoscaling.v2": """
HorizontalPodAutoscaler 1 metadata 2 spec 3 status
HorizontalPodAutoscalerSpec 1 scaleTargetRef 2 minReplicas? 3 maxReplicas 4 metrics 5 behavior?
HorizontalPodAutoscalerStatus 1 observedGeneration? 2 lastScaleTime? 3 currentReplicas 4 desiredReplicas
  5 currentMetrics 6 conditions
HorizontalPodAutoscalerCondition 1 type 2 status 3 lastTransitionTime 4 reason 5 message
HorizontalPodAutoscalerBehavior 1 scaleUp? 2 scaleDown?
HPAScalingRules 1 selectPolicy? 2 policies 3 stabilizationWindowSeconds? 4 tolerance?
HPAScalingPolicy 1 type 2 value 3 periodSeconds
CrossVersionObjectReference 1 kind 2 name 3 apiVersion
MetricSpec 1 type 2 object? 3 pods? 4 resource? 5 external? 7 containerResource?
MetricStatus 1 type 2 object? 3 pods? 4 resource? 5 external? 7 containerResource?
MetricIdentifier 1 name 2 selector?
MetricTarget 1 type 2 value? 3 averageValue? 4 averageUtilization?
MetricValueStatus 1 value? 2 averageValue? 3 averageUtilization?
ObjectMetricSource 1 describedObject 2 target 3 metric
ObjectMetricStatus 1 metric 2 current 3 describedObject
PodsMetricSource 1 metric 2 target
PodsMetricStatus 1 metric 2 current
ResourceMetricSource 1 name 2 target
ResourceMetricStatus 1 name 2 current
ContainerResourceMetricSource 1 name 2 target 3 container
ContainerResourceMetricStatus 1 name 2 current 3 container
ExternalMetricSource 1 metric 2 target
ExternalMetricStatus 1 metric 2 current
""",
    "scheduling.v1": """
PriorityClass 1 metadata 2 value 3 globalDefault 4 description 5 preemptionPolicy?
""",
    "events.v1": """
Event 1 metadata 2 eventTime 3 series? 4 reportingController 5 reportingInstance 6 action 7 reason 8 regarding
  9 related? 10 note 11 type 12 deprecatedSource 13 deprecatedFirstTimestamp 14 deprecatedLastTimestamp
  15 deprecatedCount
EventSeries 1 count 2 lastObservedTime
""",
    "storage.v1": """
StorageClass 1 metadata 2 provisioner 3 parameters 4 reclaimPolicy? 5 mountOptions 6 allowVolumeExpansion?
  7 volumeBindingMode? 8 allowedTopologies
VolumeAttachment 1 metadata 2 spec 3 status
VolumeAttachmentSpec 1 attacher 2 source 3 nodeName
VolumeAttachmentSource 1 persistentVolumeName? 2 inlineVolumeSpec?
VolumeAttachmentStatus 1 attached 2 attachmentMetadata 3 attachError? 4 detachError?
VolumeError 1 time 2 message 3 errorCode?
CSIDriver 1 metadata 2 spec
CSIDriverSpec 1 attachRequired? 2 podInfoOnMount? 3 volumeLifecycleModes 4 storageCapacity? 5 fsGroupPolicy?
  6 tokenRequests 7 requiresRepublish? 8 seLinuxMount? 9 nodeAllocatableUpdatePeriodSeconds?
TokenRequest 1 audience 2 expirationSeconds?
CSINode 1 metadata 2 spec
CSINodeSpec 1 drivers
CSINodeDriver 1 name 2 nodeID 3 topologyKeys 4 allocatable?
VolumeNodeResources 1 count?
CSIStorageCapacity 1 metadata 2 nodeTopology? 3 storageClassName 4 capacity? 5 maximumVolumeSize?
""",
    "node.v1": """
RuntimeClass 1 metadata 2 handler 3 overhead? 4 scheduling?
Overhead 1 podFixed
Scheduling 1 nodeSelector 2 tolerations
""",
    "admissionregistration.v1": """
ValidatingWebhookConfiguration 1 metadata 2 webhooks
ValidatingWebhook 1 name 2 clientConfig 3 rules 4 failurePolicy? 5 namespaceSelector? 6 sideEffects? 7 timeoutSeconds?
  8 admissionReviewVersions 9 matchPolicy? 10 objectSelector? 11 matchConditions
MutatingWebhookConfiguration 1 metadata 2 webhooks
MutatingWebhook 1 name 2 clientConfig 3 rules 4 failurePolicy? 5 namespaceSelector? 6 sideEffects? 7 timeoutSeconds?
  8 admissionReviewVersions 9 matchPolicy? 10 reinvocationPolicy? 11 objectSelector? 12 matchConditions
WebhookClientConfig 1 service? 2 caBundle 3 url?
ServiceReference 1 namespace 2 name 3 path? 4 port?
RuleWithOperations 1 operations 2 *Rule
Rule 1 apiGroups 2 apiVersions 3 resources 4 scope?
MatchCondition 1 name 2 expression
ValidatingAdmissionPolicy 1 metadata 2 spec 3 status
ValidatingAdmissionPolicySpec 1 paramKind? 2 matchConstraints? 3 validations 4 failurePolicy? 5 auditAnnotations
  6 matchConditions 7 variables
ValidatingAdmissionPolicyStatus 1 observedGeneration 2 typeChecking? 3 conditions
TypeChecking 1 expressionWarnings
ExpressionWarning 2 fieldRef 3 warning
ParamKind 1 apiVersion 2 kind
MatchResources 1 namespaceSelector? 2 objectSelector? 3 resourceRules 4 excludeResourceRules 7 matchPolicy?
NamedRuleWithOperations 1 resourceNames 2 *RuleWithOperations
Validation 1 expression 2 message 3 reason? 4 messageExpression
AuditAnnotation 1 key 2 valueExpression
Variable 1 name 2 expression
ValidatingAdmissionPolicyBinding 1 metadata 2 spec
ValidatingAdmissionPolicyBindingSpec 1 policyName 2 paramRef? 3 matchResources? 4 validationActions
ParamRef 1 name 2 namespace 3 selector? 4 parameterNotFoundAction?
""",
    "flowcontrol.v1": """
FlowSchema 1 metadata 2 spec 3 status
FlowSchemaSpec 1 priorityLevelConfiguration 2 matchingPrecedence 3 distinguisherMethod? 4 rules
FlowSchemaStatus 1 conditions
FlowSchemaCondition 1 type 2 status 3 lastTransitionTime 4 reason 5 message
FlowDistinguisherMethod 1 type
PriorityLevelConfigurationReference 1 name
PolicyRulesWithSubjects 1 subjects 2 resourceRules 3 nonResourceRules
Subject 1 kind 2 user? 3 group? 4 serviceAccount?
UserSubject 1 name
GroupSubject 1 name
ServiceAccountSubject 1 namespace 2 name
ResourcePolicyRule 1 verbs 2 apiGroups 3 resources 4 clusterScope 5 namespaces
NonResourcePolicyRule 1 verbs 6 nonResourceURLs
PriorityLevelConfiguration 1 metadata 2 spec 3 status
PriorityLevelConfigurationSpec 1 type 2 limited? 3 exempt?
LimitedPriorityLevelConfiguration 1 nominalConcurrencyShares? 2 limitResponse 3 lendablePercent?
  4 borrowingLimitPercent?
ExemptPriorityLevelConfiguration 1 nominalConcurrencyShares? 2 lendablePercent?
LimitResponse 1 type 2 queuing?
QueuingConfiguration 1 queues 2 handSize 3 queueLengthLimit
PriorityLevelConfigurationStatus 1 conditions
PriorityLevelConfigurationCondition 1 type 2 status 3 lastTransitionTime 4 reason 5 message
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
