"""What each controller needs, as ClusterRoles `system:controller:<name>`; the form is that of `policy`.

Upstream: controller_policy.go of the bootstrap policy.
"""

from collections.abc import Mapping

_EVENTS = "core, events.k8s.io: events: create patch update"

CONTROLLERS: Mapping[str, str] = {
    "attachdetach-controller": f"""
core: persistentvolumeclaims, persistentvolumes, pods, nodes: list watch
storage.k8s.io: volumeattachments: create delete read
{_EVENTS}""",
    "certificate-controller": f"""
certificates.k8s.io: certificatesigningrequests: delete read
certificates.k8s.io: certificatesigningrequests/approval, certificatesigningrequests/status: update patch
certificates.k8s.io: signers: approve sign
authorization.k8s.io: subjectaccessreviews: create
{_EVENTS}""",
    "clusterrole-aggregation-controller": """
rbac.authorization.k8s.io: clusterroles: escalate get list patch update watch""",
    "cronjob-controller": f"""
batch: cronjobs: read update
batch: jobs: create delete patch update read
batch: cronjobs/finalizers, cronjobs/status: update
core: pods: delete list
{_EVENTS}""",
    "daemon-set-controller": f"""
apps: daemonsets: read
apps: daemonsets/finalizers, daemonsets/status: update
core: nodes: list watch
core: pods: create delete list patch watch
core: pods/binding: create
apps: controllerrevisions: create delete patch update read
{_EVENTS}""",
    "deployment-controller": f"""
apps: deployments: read update
apps: deployments/finalizers, deployments/status: update
apps: replicasets: create delete patch update read
core: pods: read update
{_EVENTS}""",
    "disruption-controller": f"""
apps: deployments, replicasets, statefulsets: read
core: replicationcontrollers: read
policy: poddisruptionbudgets: read
policy: poddisruptionbudgets/status: update
core: pods/status: patch update
*: */scale: get
{_EVENTS}""",
    "gateway-controller": f"""
gateway.networking.k8s.io: gatewayclasses, gateways, httproutes, referencegrants: read
gateway.networking.k8s.io: gatewayclasses/status, gateways/status, httproutes/status: patch update
core: namespaces, secrets, services: read
core: services: create delete patch
discovery.k8s.io: endpointslices: read
apps: deployments: create delete patch read
{_EVENTS}""",
    "endpoint-controller": f"""
core: pods, services: read
core: endpoints: create delete read update
core: endpoints/restricted: create
{_EVENTS}""",
    "endpointslice-controller": f"""
core: nodes, pods, services: read
discovery.k8s.io: endpointslices: create delete read update
discovery.k8s.io: endpointslices/restricted: create
{_EVENTS}""",
    "endpointslicemirroring-controller": f"""
core: endpoints, services: read
discovery.k8s.io: endpointslices: create delete read update
discovery.k8s.io: endpointslices/restricted: create
{_EVENTS}""",
    "ephemeral-volume-controller": f"""
core: persistentvolumeclaims: create read
core: pods: read
core: pods/finalizers: update
{_EVENTS}""",
    "expand-controller": f"""
core: persistentvolumeclaims, persistentvolumes: read patch update
core: persistentvolumeclaims/status: patch update
{_EVENTS}""",
    "generic-garbage-collector": f"""
*: *: delete read patch update
{_EVENTS}""",
    "horizontal-pod-autoscaler": f"""
autoscaling: horizontalpodautoscalers: read
autoscaling: horizontalpodautoscalers/status: update
*: */scale: get update
core: pods: list
metrics.k8s.io: pods: list
{_EVENTS}""",
    "job-controller": f"""
batch: jobs: patch read update
batch: jobs/finalizers, jobs/status: update
core: pods: create delete list patch watch
{_EVENTS}""",
    "legacy-service-account-token-cleaner": """
core: configmaps: get
core: secrets: delete patch""",
    "namespace-controller": """
core: namespaces: delete read
core: namespaces/finalize, namespaces/status: update
*: *: delete deletecollection read""",
    "node-controller": f"""
core: nodes: delete read patch update
core: nodes/status: patch update
core: pods: delete read
core: pods/status: patch update
networking.k8s.io: clustercidrs: create read update
{_EVENTS}""",
    "persistent-volume-binder": f"""
core: persistentvolumes: create delete read update
core: persistentvolumeclaims: read update
core: persistentvolumeclaims/status, persistentvolumes/status: update
storage.k8s.io: storageclasses: read
core: endpoints, services: create delete get update
core: nodes, pods: read
{_EVENTS}""",
    "pod-garbage-collector": """
core: pods: delete list watch
core: nodes: get list
core: pods/status: patch""",
    "pv-protection-controller": f"""
core: persistentvolumes: read update
{_EVENTS}""",
    "pvc-protection-controller": f"""
core: persistentvolumeclaims: read update
core: pods: read
{_EVENTS}""",
    "replicaset-controller": f"""
apps: replicasets: read update
apps: replicasets/finalizers, replicasets/status: update
core: pods: create delete list patch watch
{_EVENTS}""",
    "replication-controller": f"""
core: replicationcontrollers: read update
core: replicationcontrollers/finalizers, replicationcontrollers/status: update
core: pods: create delete list patch watch
{_EVENTS}""",
    "resourcequota-controller": f"""
*: *: list watch
core: resourcequotas/status: update
{_EVENTS}""",
    "root-ca-cert-publisher": f"""
core: configmaps: create update
{_EVENTS}""",
    "route-controller": f"""
core: nodes: list watch
core: nodes/status: patch
{_EVENTS}""",
    "service-account-controller": f"""
core: serviceaccounts: create
{_EVENTS}""",
    "service-cidrs-controller": f"""
networking.k8s.io: servicecidrs: read patch update
networking.k8s.io: servicecidrs/finalizers, servicecidrs/status: patch update
networking.k8s.io: ipaddresses: read
{_EVENTS}""",
    "service-controller": f"""
core: services: read
core: services/status: patch update
core: nodes: list watch
networking.k8s.io: ingresses: read
networking.k8s.io: ingresses/status: patch update
{_EVENTS}""",
    "statefulset-controller": f"""
core: pods: list watch
apps: statefulsets: read
apps: statefulsets/finalizers, statefulsets/status: update
core: pods: create delete get patch update
apps: controllerrevisions: create delete patch update read
core: persistentvolumeclaims: create delete get list patch update watch
{_EVENTS}""",
    "ttl-after-finished-controller": f"""
batch: jobs: delete read
{_EVENTS}""",
    "ttl-controller": f"""
core: nodes: list patch update watch
{_EVENTS}""",
    "validatingadmissionpolicy-status-controller": f"""
admissionregistration.k8s.io: validatingadmissionpolicies: read
admissionregistration.k8s.io: validatingadmissionpolicies/status: patch update
{_EVENTS}""",
}
"""Rules by the controller's name."""
