"""The roles and bindings that every cluster has from the start, as upstream names them.

One line of a rule is `group, group: resource, resource: verbs`; `core` is the group without a name, `read` stands for
get, list and watch, `write` for every verb that changes something, and a line `path, path: verbs` is about paths that
are no resources. Upstream: plugin/pkg/auth/authorizer/rbac/bootstrappolicy.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from miniplane.api.kind import Object

from .controllers import CONTROLLERS
from .index import GROUP

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
"""The annotation of what is brought up to date at each start, unless its value is false."""
LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_VERBS: Mapping[str, tuple[str, ...]] = {
    "read": ("get", "list", "watch"),
    "write": ("create", "delete", "deletecollection", "patch", "update"),
}
EVENTS = "core, events.k8s.io: events: create patch update"

ROLES: Mapping[str, str] = {
    "cluster-admin": """
*: *: *
*: *""",
    "system:discovery": """
/api, /api/*, /apis, /apis/*, /healthz, /livez, /openapi, /openapi/*, /readyz, /version, /version/: get""",
    "system:public-info-viewer": """
/healthz, /livez, /readyz, /version, /version/: get""",
    "system:monitoring": """
/healthz, /healthz/*, /livez, /livez/*, /metrics, /metrics/slis, /readyz, /readyz/*: get""",
    "system:basic-user": """
authorization.k8s.io: selfsubjectaccessreviews, selfsubjectrulesreviews: create
authentication.k8s.io: selfsubjectreviews: create""",
    "system:service-account-issuer-discovery": """
/.well-known/openid-configuration, /.well-known/openid-configuration/, /openid/v1/jwks, /openid/v1/jwks/: get""",
    "system:auth-delegator": """
authentication.k8s.io: tokenreviews: create
authorization.k8s.io: subjectaccessreviews: create""",
    "system:node-bootstrapper": """
certificates.k8s.io: certificatesigningrequests: create read""",
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": """
certificates.k8s.io: certificatesigningrequests/nodeclient: create""",
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": """
certificates.k8s.io: certificatesigningrequests/selfnodeclient: create""",
    "system:node-proxier": f"""
core: services, endpoints, nodes: read
discovery.k8s.io: endpointslices: read
networking.k8s.io: servicecidrs: read
{EVENTS}""",
    "system:kube-dns": """
core: services, endpoints: list watch
discovery.k8s.io: endpointslices: list watch""",
    "system:kube-scheduler": f"""
coordination.k8s.io: leases: create get list update watch
{EVENTS}
core: nodes: read
core: pods: delete read
core: bindings, pods/binding: create
core: pods/status: patch update
core: namespaces, replicationcontrollers, services, persistentvolumeclaims, persistentvolumes: read
apps: replicasets, statefulsets: read
policy: poddisruptionbudgets: read
storage.k8s.io: csinodes, csidrivers, csistoragecapacities, storageclasses: read
authentication.k8s.io: tokenreviews: create
authorization.k8s.io: subjectaccessreviews: create""",
    "system:kube-controller-manager": f"""
{EVENTS}
coordination.k8s.io: leases: create get update
core: secrets, serviceaccounts: create delete get update
core: serviceaccounts/token: create
core: namespaces, configmaps: get
authentication.k8s.io: tokenreviews: create
authorization.k8s.io: subjectaccessreviews: create
*: *: list watch""",
    "system:node": f"""
authentication.k8s.io: tokenreviews: create
authorization.k8s.io: localsubjectaccessreviews, subjectaccessreviews: create
core: services: read
core: nodes: create read update patch
core: nodes/status: get patch update
{EVENTS}
core: pods: create delete read
core: pods/status: get patch update
core: pods/eviction: create
core: configmaps, secrets: read
core: persistentvolumeclaims, persistentvolumes: get
core: persistentvolumeclaims/status: get patch update
core: endpoints: get
core: serviceaccounts: get
core: serviceaccounts/token: create
certificates.k8s.io: certificatesigningrequests: create read
coordination.k8s.io: leases: create delete get patch update
storage.k8s.io: volumeattachments: get
storage.k8s.io: csidrivers: read
storage.k8s.io: csinodes: create delete get patch update
node.k8s.io: runtimeclasses: read""",
    "miniplane:node-network": """
core: namespaces, nodes, pods, serviceaccounts: read
networking.k8s.io: ingresses, ingressclasses, ipaddresses, networkpolicies, servicecidrs: read
gateway.networking.k8s.io: gatewayclasses, gateways, httproutes, referencegrants: read
policy.networking.k8s.io: *: read""",
    "miniplane:ingress": """
core: secrets: read""",
    "miniplane:addons": """
core: namespaces, configmaps, serviceaccounts, services: create get
apps: daemonsets, deployments: create get
networking.k8s.io: ingressclasses: create get
gateway.networking.k8s.io: gatewayclasses: create get
rbac.authorization.k8s.io: clusterroles, clusterrolebindings: create get""",
    "system:aggregate-to-view": """
core: configmaps, endpoints, persistentvolumeclaims, persistentvolumeclaims/status, pods: read
core: replicationcontrollers, replicationcontrollers/scale, serviceaccounts, services, services/status: read
core: bindings, events, limitranges, namespaces/status, pods/log, pods/status: read
core: replicationcontrollers/status, resourcequotas, resourcequotas/status: read
core: namespaces: read
discovery.k8s.io: endpointslices: read
apps: controllerrevisions, daemonsets, daemonsets/status, deployments, deployments/scale, deployments/status: read
apps: replicasets, replicasets/scale, replicasets/status, statefulsets, statefulsets/scale, statefulsets/status: read
autoscaling: horizontalpodautoscalers, horizontalpodautoscalers/status: read
batch: cronjobs, cronjobs/status, jobs, jobs/status: read
policy: poddisruptionbudgets, poddisruptionbudgets/status: read
networking.k8s.io: ingresses, ingresses/status, networkpolicies: read""",
    "system:aggregate-to-edit": """
core: pods/attach, pods/exec, pods/portforward, pods/proxy, secrets, services/proxy: read
core: serviceaccounts: impersonate
core: pods, pods/attach, pods/exec, pods/portforward, pods/proxy: write
core: pods/eviction: create
core: configmaps, events, persistentvolumeclaims, replicationcontrollers, replicationcontrollers/scale: write
core: secrets, serviceaccounts, services, services/proxy: write
core: serviceaccounts/token: create
apps: daemonsets, deployments, deployments/rollback, deployments/scale, replicasets, replicasets/scale: write
apps: statefulsets, statefulsets/scale: write
autoscaling: horizontalpodautoscalers: write
batch: cronjobs, jobs: write
policy: poddisruptionbudgets: write
networking.k8s.io: ingresses, networkpolicies: write
coordination.k8s.io: leases: read write""",
    "system:aggregate-to-admin": """
authorization.k8s.io: localsubjectaccessreviews: create
rbac.authorization.k8s.io: rolebindings, roles: read write""",
    **{f"system:controller:{name}": text for name, text in CONTROLLERS.items()},
}
"""The rules of each ClusterRole."""

_SIGNERS = ("kube-apiserver-client", "kube-apiserver-client-kubelet", "kubelet-serving", "legacy-unknown")
AGGREGATED = {"admin": ("edit", "system:aggregate-to-admin"), "edit": ("view", "system:aggregate-to-edit"), "view": ()}
"""Roles that gather others by label, and which bear the label."""

MANAGER, SCHEDULER, PROXY = "system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy"
BINDINGS: Mapping[str, tuple[str, ...]] = {
    "cluster-admin": ("Group system:masters",),
    "system:monitoring": ("Group system:monitoring",),
    "system:discovery": ("Group system:authenticated",),
    "system:basic-user": ("Group system:authenticated",),
    "system:public-info-viewer": ("Group system:authenticated", "Group system:unauthenticated"),
    "system:service-account-issuer-discovery": ("Group system:serviceaccounts",),
    "system:node": (),
    "system:node-proxier": (f"User {PROXY}", "Group system:nodes"),
    "system:kube-dns": ("ServiceAccount kube-system/kube-dns", "Group system:nodes"),
    "system:kube-scheduler": (f"User {SCHEDULER}", f"User {MANAGER}"),
    "system:kube-controller-manager": (f"User {MANAGER}",),
    "miniplane:node-network": ("Group system:nodes",),
    "miniplane:ingress": ("ServiceAccount kube-system/ingress",),
    "miniplane:addons": (f"User {MANAGER}",),
    **{f"system:controller:{name}": (f"ServiceAccount kube-system/{name}", f"User {MANAGER}") for name in CONTROLLERS},
}
"""Who has which ClusterRole: one process runs all controllers, so it has the roles of each."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The objects to have, each without its type: ClusterRoles and ClusterRoleBindings."""

    roles: tuple[Object, ...] = field(default_factory=lambda: tuple(_roles()))
    bindings: tuple[Object, ...] = field(default_factory=lambda: tuple(_bindings()))


def _metadata(name: str, labels: Mapping[str, str]) -> Object:
    return {"name": name, "labels": {**LABELS, **labels}, "annotations": {AUTOUPDATE: "true"}}


def _roles() -> Iterator[Object]:
    gathered: dict[str, dict[str, str]] = {"system:aggregate-to-view": {_label("view"): "true"}}
    for name, members in AGGREGATED.items():
        for member in members:
            gathered[member] = {_label(name): "true"}
    for name, text in ROLES.items():
        yield {"metadata": _metadata(name, gathered.get(name, {})), "rules": rules(text)}
    for signer in _SIGNERS:
        rule = {
            "verbs": ["approve"],
            "apiGroups": ["certificates.k8s.io"],
            "resources": ["signers"],
            "resourceNames": [f"kubernetes.io/{signer}"],
        }
        yield {"metadata": _metadata(f"system:certificates.k8s.io:{signer}-approver", {}), "rules": [rule]}
    for name in AGGREGATED:
        selector = {"matchLabels": {_label(name): "true"}}
        yield {
            "metadata": _metadata(name, gathered.get(name, {})),
            "aggregationRule": {"clusterRoleSelectors": [selector]},
        }


def _label(name: str) -> str:
    return f"{GROUP}/aggregate-to-{name}"


def _bindings() -> Iterator[Object]:
    for name, subjects in BINDINGS.items():
        yield {
            "metadata": _metadata(name, {}),
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
            "subjects": [_subject(text) for text in subjects],
        }


def _subject(text: str) -> Object:
    kind, _, name = text.partition(" ")
    if kind == "ServiceAccount":
        namespace, _, name = name.partition("/")
        return {"kind": kind, "name": name, "namespace": namespace}
    return {"kind": kind, "apiGroup": GROUP, "name": name}


def rules(text: str) -> list[Object]:
    """The rules that lines in the form above say."""
    return [_rule(line) for line in text.strip().splitlines()]


def _rule(line: str) -> Object:
    *what, words = line.split(": ")
    verbs = [verb for word in words.split() for verb in _VERBS.get(word, (word,))]
    names = [part.split(", ") for part in what]
    if len(names) == 1:
        return {"verbs": verbs, "nonResourceURLs": names[0]}
    groups = ["" if name == "core" else name for name in names[0]]
    return {"verbs": verbs, "apiGroups": groups, "resources": names[1]}
