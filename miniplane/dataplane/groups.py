"""Groups of pods that no policy can tell apart, with stable numbers, and which groups a selector means.

Kept up to date by difference: a new group is shown to each known selector once, everything else stays.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter

from miniplane.api.selectors import LabelSelector
from miniplane.api.wellknown import NAMESPACE_NAME
from miniplane.dataplane.ruleset import Element, Origin
from miniplane.dataplane.stable import stable_ids
from miniplane.dataplane.views import Labels, NamedPort, NamespaceView, PodView


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One group; there is one instance of each, compared by identity."""

    namespace: str
    labels: Labels
    named_ports: tuple[NamedPort, ...]
    name: str
    """All of the above as text: what its number comes from."""


_Selector = tuple[str, LabelSelector, LabelSelector]


class _Member:
    """A pod with its group, and the elements that say so by IP version."""

    __slots__ = ("elements", "group", "pod")

    def __init__(self, pod: PodView, group: Group) -> None:
        self.pod = pod
        self.group = group
        self.elements: dict[int, tuple[Element, ...]] = {}

    def number(self, number: int) -> None:
        """Take the group's number."""
        pod, found = self.pod, self.elements
        origin = (Origin("Pod", pod.namespace, pod.name, "metadata.labels"),)
        found.clear()
        for address in pod.addresses:
            element = Element((int(address),), (number,), origin)
            found[address.version] = (*found.get(address.version, ()), element)


class Groups:
    """The groups of all pods of a cluster. `update` must be called with each new set of pods before anything else."""

    def __init__(self) -> None:
        self.salt: object = None
        """Another object whenever numbers of groups that stayed have changed, which is next to never."""
        self.version: object = object()
        """Another object whenever groups came or went, or namespaces changed."""
        self._in_order: tuple[tuple[int, Group], ...] = ()
        self._pods: dict[str, _Member] = {}
        self._known: dict[tuple[str, Labels, tuple[NamedPort, ...]], Group] = {}
        self._ids: dict[Group, int] = {}
        self._namespaces: dict[str, dict[str, str]] = {}
        self._views: tuple[NamespaceView, ...] = ()
        self._matching: dict[_Selector, tuple[Group, ...]] = {}
        self._asked: set[_Selector] = set()

    def update(self, pods: Iterable[PodView], namespaces: tuple[NamespaceView, ...]) -> None:
        """Take over the present pods and namespaces."""
        if namespaces != self._views:
            self._views = namespaces
            self._namespaces = {view.name: dict(view.labels) for view in namespaces}
            self._matching.clear()
            self.version = object()
        old, salt = self._pods, self.salt
        current: dict[str, _Member] = {}
        fresh: list[_Member] = []
        for pod in pods:
            known = old.get(pod.uid)
            if known is None or known.pod is not pod:
                known = _Member(pod, self._group(pod))
                fresh.append(known)
            current[pod.uid] = known
        self._pods = current
        present = {member.group for member in current.values()}
        if present != self._ids.keys():
            self._renumber(present)
        for member in fresh if self.salt is salt else current.values():
            member.number(self._ids[member.group])

    def of(self, pod: PodView) -> Group:
        """The pod's group."""
        return self._pods[pod.uid].group

    def id_of(self, group: Group) -> int:
        """The group's number."""
        return self._ids[group]

    def in_order(self) -> tuple[tuple[int, Group], ...]:
        """Every group with its number, in order of numbers."""
        return self._in_order

    def matching(self, namespace: str, pods: LabelSelector, namespaces: LabelSelector) -> tuple[Group, ...]:
        """The groups that selectors mean; `namespace` narrows to one, if not empty. The same tuple while it lasts."""
        key = (namespace, pods, namespaces)
        self._asked.add(key)
        if key not in self._matching:
            self._matching[key] = tuple(group for group in self._ids if self._is_match(group, key))
        return self._matching[key]

    def elements(self, version: int) -> tuple[Element, ...]:
        """The map from each pod's address to its group's number."""
        return tuple([item for member in self._pods.values() for item in member.elements.get(version, ())])

    def _group(self, pod: PodView) -> Group:
        key = (pod.namespace, pod.labels, pod.named_ports)
        group = self._known.get(key)
        if group is None:
            group = self._known[key] = Group(*key, name=repr(key))
        return group

    def _renumber(self, present: set[Group]) -> None:
        """Numbers for the groups that are there; selectors see the ones that came and lose the ones that went."""
        old = self._ids
        ordered = sorted(present, key=lambda group: group.name)
        self._ids = dict(zip(ordered, stable_ids([group.name for group in ordered]), strict=True))
        self._in_order = tuple(sorted(((number, group) for group, number in self._ids.items()), key=itemgetter(0)))
        self.version = object()
        if any(self._ids.get(group, number) != number for group, number in old.items()):
            self.salt = object()
        self._known = {(group.namespace, group.labels, group.named_ports): group for group in ordered}
        came, went = present - old.keys(), old.keys() - present
        self._matching = {
            key: self._adjust(key, groups, came, went) for key, groups in self._matching.items() if key in self._asked
        }
        self._asked = set()

    def _adjust(
        self, key: _Selector, groups: tuple[Group, ...], came: Iterable[Group], went: set[Group]
    ) -> tuple[Group, ...]:
        added = [group for group in came if self._is_match(group, key)]
        if not added and went.isdisjoint(groups):
            return groups
        return tuple(sorted([*(set(groups) - went), *added], key=lambda group: group.name))

    def _is_match(self, group: Group, key: _Selector) -> bool:
        namespace, pods, namespaces = key
        if namespace:
            if group.namespace != namespace:
                return False
        elif not namespaces.matches(self._namespaces.get(group.namespace) or {NAMESPACE_NAME: group.namespace}):
            return False
        return pods.matches(dict(group.labels))
