"""Roles and bindings, indexed by who they concern and kept up with the store.

Nothing is scanned for a request: the index follows the log of the four resources (a few attribute reads where nothing
has happened, so an acknowledged change holds for the very next request), and what was found out for a user is kept
until one of them changes. Upstream: plugin/pkg/auth/authorizer/rbac with its informers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from miniplane.api.kind import Object
from miniplane.errors import NotFound, Resource, not_found

from ...store.base import Entry, EventType, ResourceKey, SlowConsumer, Store, Subscription
from ..identity import ACCOUNT_PREFIX, Action, User
from .rules import Rule, parse

GROUP = "rbac.authorization.k8s.io"
ROLES, CLUSTER_ROLES = f"{GROUP}/roles", f"{GROUP}/clusterroles"
BINDINGS, CLUSTER_BINDINGS = f"{GROUP}/rolebindings", f"{GROUP}/clusterrolebindings"
_FOLLOWED = (ROLES, CLUSTER_ROLES, BINDINGS, CLUSTER_BINDINGS)
_VIEWS = 1024
"""Users whose answers are kept; beyond that all are found out anew."""
_ANSWERS = 4096
"""Answers kept for one user."""

_K = TypeVar("_K")
_V = TypeVar("_V")


class Subject(NamedTuple):
    """Whom a binding concerns: `User` or `Group`, and the name. A service account is a user."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Binding:
    """A binding as it concerns one of its subjects. `namespace` is empty for a ClusterRoleBinding."""

    namespace: str
    name: str
    role: ResourceKey
    subject: str
    """As upstream words it: `Group "system:masters"`."""

    def __str__(self) -> str:
        kind, name = "ClusterRoleBinding", self.name
        if self.namespace:
            kind, name = "RoleBinding", f"{self.name}/{self.namespace}"
        role = "Role" if self.role.resource == ROLES else "ClusterRole"
        return f'{kind} "{name}" of {role} "{self.role.name}" to {self.subject}'


@dataclass(slots=True)
class _View:
    """What was found out for one user."""

    names: dict[tuple[str, str, str, str, str], frozenset[str] | None] = field(default_factory=dict)
    """By verb, group, resource, subresource, namespace: the names allowed, None for all."""
    paths: dict[tuple[str, str], bool] = field(default_factory=dict)


class Rbac:
    """Answers what RBAC allows, from the store's roles and bindings."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._roles: dict[ResourceKey, tuple[Rule, ...]] = {}
        self._bindings: dict[ResourceKey, list[tuple[Subject, Binding]]] = {}
        self._by_subject: dict[tuple[str, Subject], dict[str, Binding]] = {}
        """By namespace (empty: cluster-wide) and subject, then by the binding's name."""
        self._views: dict[tuple[str, frozenset[str]], _View] = {}
        self._watches: tuple[Subscription, ...] = ()
        self._revision = -1

    def allows(self, user: User, action: Action) -> bool:
        """Whether a role bound to the user allows the action."""
        view = self._view(user)
        if not action.resource:
            place = (action.verb, action.path)
            allowed = view.paths.get(place)
            if allowed is None:
                allowed = any(rule.covers_path(*place) for _, rule in self._granted(user, ""))
                _keep(view.paths, place, allowed)
            return allowed
        key = (action.verb, action.group, action.resource, action.subresource, action.namespace)
        try:
            names = view.names[key]
        except KeyError:
            names = self._names(user, key)
            _keep(view.names, key, names)
        return names is None or action.name in names

    def explain(self, user: User, action: Action) -> str:
        """Why: the binding that allows the action, or which bound roles are missing; empty for neither."""
        self._follow()
        for binding, rule in self._granted(user, action.namespace):
            if rule.allows(action):
                return f"RBAC: allowed by {binding}"
        texts = dict.fromkeys(error.message for error in self.errors(user, action.namespace))
        if not texts:
            return ""
        joined = ", ".join(texts)
        return f"RBAC: {joined}" if len(texts) == 1 else f"RBAC: [{joined}]"

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """All rules that the user has in a namespace, cluster-wide ones included."""
        self._follow()
        return [rule for _, rule in self._granted(user, namespace)]

    def errors(self, user: User, namespace: str) -> list[NotFound]:
        """The roles that are bound to the user and not there."""
        self._follow()
        return [_missing(binding.role) for binding in self._bound(user, namespace) if binding.role not in self._roles]

    def role(self, reference: Object, namespace: str) -> tuple[Rule, ...]:
        """The rules behind a binding's `roleRef`.

        Raises:
            NotFound: There is no such role.
        """
        self._follow()
        key = _role_key(reference, namespace)
        if key not in self._roles:
            raise _missing(key)
        return self._roles[key]

    def _names(self, user: User, key: tuple[str, str, str, str, str]) -> frozenset[str] | None:
        *what, namespace = key
        found: set[str] = set()
        for _, rule in self._granted(user, namespace):
            if rule.covers_resource(*what):
                if not rule.names:
                    return None
                found |= rule.names
        return frozenset(found)

    def _granted(self, user: User, namespace: str) -> Iterator[tuple[Binding, Rule]]:
        for binding in self._bound(user, namespace):
            for rule in self._roles.get(binding.role, ()):
                yield binding, rule

    def _bound(self, user: User, namespace: str) -> Iterator[Binding]:
        subjects = [Subject("User", user.name), *(Subject("Group", group) for group in sorted(user.groups))]
        for place in ("", namespace) if namespace else ("",):
            for subject in subjects:
                yield from self._by_subject.get((place, subject), {}).values()

    def _view(self, user: User) -> _View:
        self._follow()
        key = (user.name, user.groups)
        view = self._views.get(key)
        if view is None:
            if len(self._views) >= _VIEWS:
                self._views.clear()
            view = self._views[key] = _View()
        return view

    def _follow(self) -> None:
        """Catch up with the store."""
        if (revision := self._store.revision) == self._revision:
            return
        if not self._watches:
            self._load()
        else:
            try:
                for watch in self._watches:
                    self._take(watch)
            except SlowConsumer:
                self._load()
        self._revision = revision

    def _take(self, watch: Subscription) -> None:
        while events := watch.take():
            self._views.clear()
            for event in events:
                self._set(event.entry.key, None if event.type is EventType.DELETED else event.entry)

    def _load(self) -> None:
        for watch in self._watches:
            watch.close()
        for kept in (self._roles, self._bindings, self._by_subject, self._views):
            kept.clear()
        since = self._store.revision
        for resource in _FOLLOWED:
            for entry in self._store.list(resource).entries:
                self._set(entry.key, entry)
        self._watches = tuple(self._store.watch(resource, since=since) for resource in _FOLLOWED)

    def _set(self, key: ResourceKey, entry: Entry | None) -> None:
        if key.resource in (ROLES, CLUSTER_ROLES):
            if entry is None:
                self._roles.pop(key, None)
            else:
                self._roles[key] = parse(entry.obj.get("rules"))
            return
        for subject, _ in self._bindings.pop(key, ()):
            place = (key.namespace, subject)
            if (bound := self._by_subject.get(place)) is not None:
                bound.pop(key.name, None)
                if not bound:
                    del self._by_subject[place]
        if entry is None:
            return
        made = self._bindings[key] = list(_subjects(key, entry.obj))
        for subject, binding in made:
            self._by_subject.setdefault((key.namespace, subject), {}).setdefault(key.name, binding)


def _keep(kept: dict[_K, _V], key: _K, value: _V) -> None:
    if len(kept) >= _ANSWERS:
        kept.clear()
    kept[key] = value


def _subjects(key: ResourceKey, binding: Object) -> Iterator[tuple[Subject, Binding]]:
    role = _role_key(binding.get("roleRef") or {}, key.namespace)
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind", ""), subject.get("name", "")
        if kind in ("User", "Group"):
            yield Subject(kind, name), Binding(key.namespace, key.name, role, f'{kind} "{name}"')
        elif kind == "ServiceAccount" and (namespace := subject.get("namespace") or key.namespace):
            whom = Subject("User", f"{ACCOUNT_PREFIX}{namespace}:{name}")
            yield whom, Binding(key.namespace, key.name, role, f'ServiceAccount "{name}/{namespace}"')


def _role_key(reference: Object, namespace: str) -> ResourceKey:
    name = reference.get("name", "")
    return (
        ResourceKey(ROLES, namespace, name) if reference.get("kind") == "Role" else ResourceKey(CLUSTER_ROLES, "", name)
    )


def _missing(role: ResourceKey) -> NotFound:
    plural = role.resource.partition("/")[2]
    kind = "role" if plural == "roles" else "clusterrole"
    return not_found(Resource(kind, GROUP), role.name)
