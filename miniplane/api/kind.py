"""What a kind is: one frozen declaration that server, client, CLI and docs iterate.

Nothing here knows any particular kind; `miniplane.kinds` lists them. Counterpart upstream: a resource's type
registration, storage strategy and printers in one place.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from miniplane.api.validation import FieldError
from miniplane.errors import Resource

Object = dict[str, Any]
"""An API object as JSON; `Any` because unknown fields survive."""


class Scope(StrEnum):
    """Whether objects of a kind live in a namespace."""

    NAMESPACED = "Namespaced"
    CLUSTER = "Cluster"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a kind's Table.

    `value` is a dotted path (`.spec.holderIdentity`) or a function of the object and the present time. A missing value
    prints as `<none>` where the path names a string and as nothing otherwise, unless the function says more.
    `priority` above 0 shows only with `-o wide`.
    """

    name: str
    value: str | Callable[[Object, datetime], Any]
    type: str = "string"
    description: str = ""
    priority: int = 0
    format: str = ""


@dataclass(frozen=True, slots=True)
class Subresource:
    """A path below an object, as discovery tells it.

    `group_version_kind` is the kind of its body, the parent's own where None (`status`).
    """

    name: str
    verbs: tuple[str, ...] = ("get", "patch", "update")
    group_version_kind: tuple[str, str, str] | None = None


STATUS = Subresource("status")
SCALE = Subresource("scale", group_version_kind=("autoscaling", "v1", "Scale"))


def proxy(options: str) -> Subresource:
    """The subresource `proxy`, whose body is the backend's; `options` is the kind of its query."""
    verbs = ("create", "delete", "get", "patch", "update")
    return Subresource("proxy", verbs=verbs, group_version_kind=("", "v1", options))


def _nothing(new: Object, old: Object | None) -> None: ...


def _no_errors(new: Object, old: Object | None) -> Sequence[FieldError]:
    return ()


def _no_warnings(new: Object, old: Object | None) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """The hooks of a kind, named after upstream's create and update strategies. Pure functions of (new, old).

    `old` is None on create. `prepare` and `canonicalize` change `new` in place: `prepare` before validation (drop what
    the client may not set, carry over what it must not change, reset or bump counters of the kind), `canonicalize`
    after it. `validate` sees the whole object after defaulting and returns every error, in field order.
    `validate_status` replaces `validate` for writes to `/status`. `initial_status` is the status of a new object.
    """

    prepare: Callable[[Object, Object | None], None] = _nothing
    validate: Callable[[Object, Object | None], Sequence[FieldError]] = _no_errors
    validate_status: Callable[[Object, Object | None], Sequence[FieldError]] = _no_errors
    warnings: Callable[[Object, Object | None], Sequence[str]] = _no_warnings
    canonicalize: Callable[[Object, Object | None], None] = _nothing
    initial_status: Mapping[str, Any] | None = None
    graceful: bool = False
    """Whether deletion first sets deletionTimestamp and lets the owner finish (pods)."""
    unconditional_update: bool = True
    """Whether an update without resourceVersion is taken, whatever is stored."""
    counts_generation: bool = False
    """Whether `metadata.generation` counts the changes of what an object asks for: all but metadata and status."""
    returns_deleted: bool = False
    """Whether a deletion answers with the object that is gone, not with a Status."""
    last_seen: Callable[[Object], datetime | None] | None = None
    """When an object last mattered, for kinds whose objects go by themselves some time after that (events)."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """`{subresource: field of the spec}`: fields that only their subresource writes, which writes nothing else."""
    name_is: str = "subdomain"
    """The rule for `metadata.name`, by its name in `api.names`: subdomain, label, label_1035, path_segment, ip."""


class OwnSchema(Protocol):
    """The schema of a kind that a CustomResourceDefinition describes."""

    def prune(self, obj: Object) -> Sequence[str]:
        """Drop the fields that the kind does not have, in place; their paths."""


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where an object has what its Scale shows, as dotted paths; an empty one is nowhere."""

    spec: str = ".spec.replicas"
    status: str = ".status.replicas"
    selector: str = ""
    """Of the selector as text."""


@dataclass(frozen=True, slots=True)
class Face:
    """How a kind shows objects that are stored as another: one object served in several versions.

    The registry defaults, validates and stores the stored form alone; `show` and `read` translate at the border and
    lose nothing that the other form can't say (upstream keeps such things in annotations). Both may share parts with
    their argument and leave it as it is. Selectable fields and columns of the kind look at the stored form.
    """

    stored: "Kind"
    show: Callable[[Object], Object]
    """Stored form to this kind's."""
    read: Callable[[Object], Object]
    """This kind's form to the stored one."""


ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind, complete. The names follow upstream's discovery."""

    group: str
    version: str
    kind: str
    plural: str
    scope: Scope
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    """Selectable fields beside metadata.name and metadata.namespace: `{label: dotted path}`, the path usually equal."""
    subresources: tuple[Subresource, ...] = ()
    definition: str = ""
    """The key of the schema in upstream's definitions, such as `io.k8s.api.core.v1.Pod`."""
    schemas: Mapping[str, Object] = field(default_factory=dict)
    """Schemas that upstream's definitions lack, by key: `definition`, its list and all below; kinds may share them."""
    defaults: Callable[[Object], None] = lambda _: None
    """Sets upstream's default values in place; runs on every decoded body."""
    strategy: Strategy = field(default_factory=Strategy)
    verbs: tuple[str, ...] = ALL_VERBS
    answered: bool = False
    """Whether created objects are questions, which the server answers in their status and keeps nowhere."""
    face: Face | None = None
    """Set where objects are stored as another kind's."""
    own_schema: OwnSchema | None = None
    """Set for kinds that a CustomResourceDefinition describes."""
    scale_paths: ScalePaths | None = None
    """Where they have what `/scale` shows."""

    def __post_init__(self) -> None:
        if not self.singular:
            object.__setattr__(self, "singular", self.kind.lower())

    def __repr__(self) -> str:
        return f"<Kind {self.resource}/{self.version}>"

    def __hash__(self) -> int:
        return hash((self.group, self.version, self.plural))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kind) and (self.group, self.version, self.plural) == (
            other.group,
            other.version,
            other.plural,
        )

    @property
    def resource(self) -> Resource:
        """The name in errors."""
        return Resource(self.plural, self.group, self.kind)

    @property
    def api_version(self) -> str:
        """`v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def prefix(self) -> str:
        """The path of the group and version: `/api/v1` or `/apis/apps/v1`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def namespaced(self) -> bool:
        """Whether objects live in a namespace."""
        return self.scope is Scope.NAMESPACED

    @property
    def stored(self) -> "Kind":
        """The kind whose form is stored and validated, mostly this one."""
        return self if self.face is None else self.face.stored

    def shown(self, obj: Object) -> Object:
        """A stored object in this kind's form."""
        return obj if self.face is None else self.face.show(obj)

    def taken(self, obj: Object) -> Object:
        """An object of this kind in the form that is stored."""
        return obj if self.face is None else self.face.read(obj)

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of that name."""
        return next((sub for sub in self.subresources if sub.name == name), None)

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The request path; an empty namespace means all of them (or none, for cluster scope)."""
        parts = [self.prefix]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


class Registry:
    """The kinds by every name they have. Order is that of the list; refuses two of one resource or one kind."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._kinds = tuple(kinds)
        self._by_resource = {(kind.group, kind.version, kind.plural): kind for kind in kinds}
        self._by_kind = {(kind.api_version, kind.kind): kind for kind in kinds}
        if len(self._by_resource) != len(self._kinds) or len(self._by_kind) != len(self._kinds):
            raise ValueError("two kinds of one name")
        self._words: dict[str, Kind] = {}
        for kind in self._kinds:
            for word in (kind.plural, kind.singular, *kind.short_names):
                for name in (word, f"{word}.{kind.group}", f"{word}.{kind.version}.{kind.group}"):
                    self._words.setdefault(name, kind)

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds)

    def by_resource(self, group: str, version: str, plural: str) -> Kind | None:
        """By the parts of a path."""
        return self._by_resource.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        """By what an object says of itself."""
        return self._by_kind.get((api_version, kind))

    def find(self, word: str) -> Kind | None:
        """By what a person types: plural, singular, short name, each with or without `.group`; case is ignored."""
        return self._words.get(word.lower())

    def group_versions(self) -> dict[tuple[str, str], list[Kind]]:
        """`{(group, version): kinds}`, in order of first appearance."""
        groups: dict[tuple[str, str], list[Kind]] = {}
        for kind in self._kinds:
            groups.setdefault((kind.group, kind.version), []).append(kind)
        return groups
