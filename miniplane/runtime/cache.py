"""A copy of a collection in memory: `Cache` to read it, `Writer` (held by the informer) to fill it.

Objects are shared by everyone who reads: never change one, copy it first. Upstream's counterpart: client-go's indexer;
the split in two halves is kube-rs'.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.api.selectors import LabelSelector

IndexBy = Callable[[Object], Iterable[str]]
"""The values under which an index finds an object. Pure and cheap: it runs at each change."""
Groups = dict[str, dict[Key, Object]]


@dataclass(slots=True)
class Contents:
    """What the two halves share."""

    objects: dict[Key, Object] = field(default_factory=dict)
    namespaces: Groups = field(default_factory=dict)
    indexes: dict[str, tuple[IndexBy, Groups]] = field(default_factory=dict)
    labels: dict[tuple[str, str, str], dict[Key, Object]] | None = None
    """Objects by namespace, label and value; made when somebody first selects by labels."""
    revision: int = 0


class Cache:
    """The reader's half. Orders are those of arrival, so sort where order matters."""

    def __init__(self, kind: Kind, contents: Contents) -> None:
        self.kind = kind
        self._contents = contents

    def __len__(self) -> int:
        return len(self._contents.objects)

    def __iter__(self) -> Iterator[Object]:
        return iter(self._contents.objects.values())

    def __contains__(self, key: Key) -> bool:
        return key in self._contents.objects

    @property
    def revision(self) -> int:
        """Everything up to this revision of the server is in the copy; 0 before the first list."""
        return self._contents.revision

    @property
    def keys(self) -> Sequence[Key]:
        """The keys of all objects."""
        return [*self._contents.objects]

    def get(self, key: Key) -> Object | None:
        """The object of that key."""
        return self._contents.objects.get(key)

    def list(self, namespace: str = "", selector: LabelSelector | None = None) -> list[Object]:
        """The objects of a namespace (all if empty) that a selector matches (all if None)."""
        found = self._contents.namespaces.get(namespace, {}) if namespace else self._contents.objects
        if selector is None:
            return [*found.values()]
        if namespace and selector.exact:
            found = self._labelled(namespace, selector)
        return [obj for obj in found.values() if selector.matches(meta.labels(obj))]

    def _labelled(self, namespace: str, selector: LabelSelector) -> dict[Key, Object]:
        """The fewest objects that the selector can be about, by one of its labels."""
        contents = self._contents
        if contents.labels is None:
            contents.labels = {}
            for key, obj in contents.objects.items():
                _label(contents.labels, key, obj)
        groups = (contents.labels.get((namespace, *label), {}) for label in selector.exact.items())
        return min(groups, key=len)

    def by_index(self, name: str, value: str) -> Sequence[Object]:
        """The objects that the index `name` has under `value`. Raises KeyError for an unknown index."""
        return [*self._contents.indexes[name][1].get(value, {}).values()]


class Writer:
    """The writer's half of a cache; there is one."""

    def __init__(self, kind: Kind) -> None:
        self._contents = Contents()
        self.cache = Cache(kind, self._contents)

    def reached(self, revision: int) -> None:
        """Everything up to `revision` is in the copy now; a list may set it back, after a restore of the server."""
        self._contents.revision = revision

    def add_index(self, name: str, by: IndexBy) -> None:
        """Add an index over what is there and what will come. The same again is no error, another one is."""
        indexes = self._contents.indexes
        if name in indexes:
            if indexes[name][0] is not by:
                raise ValueError(f"two indexes {name!r} of {self.cache.kind.plural}")
            return
        indexes[name] = (by, {})
        for key, obj in self._contents.objects.items():
            _index(indexes[name], key, obj)

    def put(self, obj: Object) -> Object | None:
        """Take an object in; gives the one it replaces."""
        contents, key = self._contents, meta.key_of(obj)
        old = contents.objects.get(key)
        contents.objects[key] = obj
        contents.namespaces.setdefault(key.namespace, {})[key] = obj
        for index in contents.indexes.values():
            if old is not None:
                _unindex(index, key, old)
            _index(index, key, obj)
        if contents.labels is not None:
            if old is not None and meta.labels(old) != meta.labels(obj):
                _unlabel(contents.labels, key, old)
            _label(contents.labels, key, obj)
        return old

    def remove(self, key: Key) -> Object | None:
        """Forget an object; gives it."""
        contents = self._contents
        old = contents.objects.pop(key, None)
        if old is None:
            return None
        _drop(contents.namespaces, key.namespace, key)
        for index in contents.indexes.values():
            _unindex(index, key, old)
        if contents.labels is not None:
            _unlabel(contents.labels, key, old)
        return old


def _index(index: tuple[IndexBy, Groups], key: Key, obj: Object) -> None:
    by, groups = index
    for value in by(obj):
        groups.setdefault(value, {})[key] = obj


def _unindex(index: tuple[IndexBy, Groups], key: Key, obj: Object) -> None:
    by, groups = index
    for value in by(obj):
        _drop(groups, value, key)


def _label(labels: dict[tuple[str, str, str], dict[Key, Object]], key: Key, obj: Object) -> None:
    for label in meta.labels(obj).items():
        labels.setdefault((key.namespace, *label), {})[key] = obj


def _unlabel(labels: dict[tuple[str, str, str], dict[Key, Object]], key: Key, obj: Object) -> None:
    for label in meta.labels(obj).items():
        if group := labels.get(place := (key.namespace, *label)):
            group.pop(key, None)
            if not group:
                del labels[place]


def _drop(groups: Groups, name: str, key: Key) -> None:
    group = groups.get(name, {})
    group.pop(key, None)
    if not group:
        groups.pop(name, None)
