"""Authorisation: administrators may do all, controllers nearly all, a node what a node needs, others nothing.

The node rules follow upstream's node authoriser (plugin/pkg/auth/authorizer/node): which objects of a kind a node may
write is left to the NodeRestriction admission plugin, which sees the object.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from miniplane.api.kind import Object
from miniplane.api.wellknown import NODE_LEASE_NAMESPACE
from miniplane.errors import ApiError, Reason, Resource, forbidden

from .identity import ANONYMOUS, CONTROLLERS, Action, User

DISCOVERY = ("/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz")
"""Paths, with what is below them, that every known user may read."""
_READ = frozenset(("get", "list", "watch"))
_WRITE = frozenset(("create", "update", "patch"))
_NODE_ONLY = frozenset(
    (("pods", "exec"), ("pods", "attach"), ("pods", "portforward"), ("pods", "log"), ("nodes", "proxy"))
)
"""What reaches into a node: no controller does."""

_NODE_RULES: Mapping[tuple[str, str, str], frozenset[str]] = {
    ("", "nodes", ""): _READ | _WRITE,
    ("", "nodes", "status"): _READ | _WRITE,
    ("", "pods", ""): _READ | {"delete"},
    ("", "pods", "status"): _READ | _WRITE,
    ("", "pods", "eviction"): frozenset(("create",)),
    ("", "services", ""): _READ,
    ("", "endpoints", ""): _READ,
    ("", "namespaces", ""): _READ,
    ("", "serviceaccounts", ""): _READ,
    ("", "events", ""): frozenset(("create", "update", "patch")),
    ("events.k8s.io", "events", ""): frozenset(("create", "update", "patch")),
    ("discovery.k8s.io", "endpointslices", ""): _READ,
    ("networking.k8s.io", "networkpolicies", ""): _READ,
    ("policy.networking.k8s.io", "clusternetworkpolicies", ""): _READ,
    ("policy.networking.k8s.io", "adminnetworkpolicies", ""): _READ,
    ("policy.networking.k8s.io", "baselineadminnetworkpolicies", ""): _READ,
    ("networking.k8s.io", "ingresses", ""): _READ,
    ("networking.k8s.io", "ingressclasses", ""): _READ,
    ("networking.k8s.io", "servicecidrs", ""): _READ,
    ("networking.k8s.io", "ipaddresses", ""): _READ,
    ("coordination.k8s.io", "leases", ""): _READ | _WRITE | {"delete"},
}

PodsOf = Callable[[str], Iterable[Object]]
"""The pods bound to a node."""


class Authorizer:
    """Decides by user and action alone; `pods_of` tells which secrets and config maps a node has a reason to read."""

    def __init__(self, pods_of: PodsOf) -> None:
        self._pods_of = pods_of

    def check(self, user: User, action: Action) -> None:
        """Nothing if the user may.

        Raises:
            ApiError: Forbidden, in upstream's words.
        """
        if user.is_admin:
            return
        if not action.resource:
            allowed, why = self._path(user, action), ""
        elif user.name == CONTROLLERS:
            allowed, why = (action.resource, action.subresource) not in _NODE_ONLY, ""
        elif user.node:
            allowed, why = self._node(user.node, action)
        else:
            allowed, why = False, ""
        if not allowed:
            raise _refusal(user, action, why)

    @staticmethod
    def _path(user: User, action: Action) -> bool:
        if action.verb not in ("get", "head"):
            return False
        if user is ANONYMOUS:
            return True  # authentication has let only public paths through
        return any(action.path == path or action.path.startswith(path + "/") for path in DISCOVERY)

    def _node(self, node: str, action: Action) -> tuple[bool, str]:
        if not action.group and action.resource in ("secrets", "configmaps") and not action.subresource:
            return self._referenced(node, action)
        allowed = action.verb in _NODE_RULES.get((action.group, action.resource, action.subresource), ())
        if allowed and action.resource == "leases":
            if action.namespace != NODE_LEASE_NAMESPACE:
                return False, f'can only access leases in the "{NODE_LEASE_NAMESPACE}" system namespace'
            if action.name and action.name != node:
                return False, "can only access node lease with the same name as the requesting node"
        return allowed, ""

    def _referenced(self, node: str, action: Action) -> tuple[bool, str]:
        if action.verb not in _READ:
            return False, ""
        if not action.name:
            return False, "can only read resources of this type by name"
        for pod in self._pods_of(node):
            if (pod.get("metadata") or {}).get("namespace") != action.namespace:
                continue
            if (action.resource, action.name) in references(pod):
                return True, ""
        return False, f"no relationship found between node '{node}' and this object"


def references(pod: Object) -> Iterator[tuple[str, str]]:
    """The secrets and config maps that a pod's spec names, as (resource, name)."""
    spec = pod.get("spec") or {}
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", secret.get("name", "")
    for volume in spec.get("volumes") or ():
        yield from _of_volume(volume)
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _of_source(source, "name")
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for source in container.get("envFrom") or ():
            yield from _of_references(source, ("configMapRef", "secretRef"))
        for variable in container.get("env") or ():
            yield from _of_references(variable.get("valueFrom") or {}, ("configMapKeyRef", "secretKeyRef"))


def _of_volume(volume: Object) -> Iterator[tuple[str, str]]:
    if source := volume.get("secret"):
        yield "secrets", source.get("secretName", "")
    if source := volume.get("configMap"):
        yield "configmaps", source.get("name", "")


def _of_source(source: Object, key: str) -> Iterator[tuple[str, str]]:
    for field, resource in (("secret", "secrets"), ("configMap", "configmaps")):
        if reference := source.get(field):
            yield resource, reference.get(key, "")


def _of_references(source: Mapping[str, Any], fields: tuple[str, str]) -> Iterator[tuple[str, str]]:
    for field, resource in zip(fields, ("configmaps", "secrets"), strict=True):
        if reference := source.get(field):
            yield resource, reference.get("name", "")


def _refusal(user: User, action: Action, why: str) -> Exception:
    reason = f": {why}" if why else ""
    if not action.resource:
        text = f'forbidden: User "{user.name}" cannot {action.verb} path "{action.path}"{reason}'
        return ApiError(text, reason=Reason.FORBIDDEN)
    resource = f"{action.resource}/{action.subresource}" if action.subresource else action.resource
    scope = f'in the namespace "{action.namespace}"' if action.namespace else "at the cluster scope"
    text = (
        f'User "{user.name}" cannot {action.verb} resource "{resource}" in API group "{action.group}" {scope}{reason}'
    )
    return forbidden(Resource(action.resource, action.group), action.name, text)
