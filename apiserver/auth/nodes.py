"""The node authoriser: a node reaches the secrets, config maps and tokens of the pods on it, and its own objects.

Which pods are on a node is kept in an index that follows the store, so no request scans. Upstream:
plugin/pkg/auth/authorizer/node. Which objects of a kind a node may *write* is left to the NodeRestriction admission
plugin, which sees the object.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from miniplane.api.kind import Object
from miniplane.api.wellknown import NODE_LEASE_NAMESPACE

from ..store.base import Entry, EventType, ResourceKey, SlowConsumer, Store, Subscription
from .identity import Action
from .rbac import policy
from .rbac.rules import Rule, parse

_READ = frozenset(("get", "list", "watch"))
_RULES: tuple[Rule, ...] = parse(policy.rules(policy.ROLES["system:node"]))
_OF_PODS = frozenset(("secrets", "configmaps", "persistentvolumeclaims"))


class Used(NamedTuple):
    """An object that a pod's spec names."""

    resource: str
    namespace: str
    name: str


class PodIndex:
    """What the pods on each node use."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watch: Subscription | None = None
        self._pods: dict[ResourceKey, tuple[str, frozenset[Used]]] = {}
        self._used: dict[str, Counter[Used]] = {}

    def uses(self, node: str, used: Used) -> bool:
        """Whether a pod on the node uses the object."""
        self._follow()
        counter = self._used.get(node)
        return counter is not None and counter[used] > 0

    def _follow(self) -> None:
        try:
            while self._watch is not None and (events := self._watch.take()):
                for event in events:
                    self._set(event.entry.key, None if event.type is EventType.DELETED else event.entry)
        except SlowConsumer:
            self._watch = None
        if self._watch is None:
            self._pods.clear()
            self._used.clear()
            for entry in self._store.list("/pods").entries:
                self._set(entry.key, entry)
            self._watch = self._store.watch("/pods", since=self._store.revision)

    def _set(self, key: ResourceKey, entry: Entry | None) -> None:
        known = self._pods.get(key)
        node = ((entry.obj.get("spec") or {}).get("nodeName") or "") if entry else ""
        if known is not None and entry is not None and known[0] == node and known[1] == _all(key, entry.obj):
            return
        if known is not None:
            del self._pods[key]
            counter = self._used[known[0]]
            counter.subtract(known[1])
            if not +counter:
                del self._used[known[0]]
        if entry is not None and node:
            used = _all(key, entry.obj)
            self._pods[key] = (node, used)
            self._used.setdefault(node, Counter()).update(used)


def _all(key: ResourceKey, pod: Object) -> frozenset[Used]:
    return frozenset(Used(resource, key.namespace, name) for resource, name in references(pod) if name)


class Nodes:
    """Decides for nodes."""

    def __init__(self, store: Store) -> None:
        self._pods = PodIndex(store)

    def check(self, node: str, action: Action) -> tuple[bool, str]:
        """Whether a node may, and if not, why where that can be said."""
        if not action.resource:
            return False, ""
        if not action.group and action.resource in _OF_PODS and action.subresource != "status":
            return self._referenced(node, action)
        if not action.group and (action.resource, action.subresource) == ("serviceaccounts", "token"):
            if action.verb != "create":
                return False, "can only create tokens for individual service accounts"
            return self._related(node, action, "serviceaccounts")
        if action.group == "coordination.k8s.io" and action.resource == "leases":
            return self._lease(node, action)
        return any(rule.allows(action) for rule in _RULES), ""

    def _referenced(self, node: str, action: Action) -> tuple[bool, str]:
        if action.verb not in _READ or action.subresource:
            return False, "can only read resources of this type"
        if not action.name:
            return False, "can only read resources of this type by name"
        return self._related(node, action, action.resource)

    def _related(self, node: str, action: Action, resource: str) -> tuple[bool, str]:
        if self._pods.uses(node, Used(resource, action.namespace, action.name)):
            return True, ""
        return False, f"no relationship found between node '{node}' and this object"

    @staticmethod
    def _lease(node: str, action: Action) -> tuple[bool, str]:
        if action.verb not in ("get", "create", "update", "patch", "delete"):
            return False, "can only get, create, update, patch, or delete a node lease"
        if action.namespace != NODE_LEASE_NAMESPACE:
            return False, f'can only access leases in the "{NODE_LEASE_NAMESPACE}" system namespace'
        if action.verb != "create" and action.name != node:
            return False, "can only access node lease with the same name as the requesting node"
        return True, ""


def references(pod: Object) -> Iterator[tuple[str, str]]:
    """What a pod's spec names, as (resource, name): secrets, config maps, volume claims, its service account."""
    spec = pod.get("spec") or {}
    yield "serviceaccounts", spec.get("serviceAccountName") or ""
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", secret.get("name", "")
    for volume in spec.get("volumes") or ():
        yield from _of_volume(volume)
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _of_source(source, "name")
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            for source in container.get("envFrom") or ():
                yield from _of_references(source, ("configMapRef", "secretRef"))
            for variable in container.get("env") or ():
                yield from _of_references(variable.get("valueFrom") or {}, ("configMapKeyRef", "secretKeyRef"))


def _of_volume(volume: Object) -> Iterator[tuple[str, str]]:
    if source := volume.get("secret"):
        yield "secrets", source.get("secretName", "")
    if source := volume.get("configMap"):
        yield "configmaps", source.get("name", "")
    if source := volume.get("persistentVolumeClaim"):
        yield "persistentvolumeclaims", source.get("claimName", "")


def _of_source(source: Object, key: str) -> Iterator[tuple[str, str]]:
    for field, resource in (("secret", "secrets"), ("configMap", "configmaps")):
        if reference := source.get(field):
            yield resource, reference.get(key, "")


def _of_references(source: Mapping[str, Any], fields: tuple[str, str]) -> Iterator[tuple[str, str]]:
    for field, resource in zip(fields, ("configmaps", "secrets"), strict=True):
        if reference := source.get(field):
            yield resource, reference.get("name", "")
