"""The parts of a request to the registry, and its results."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from miniplane.api.kind import Kind

from ..auth.identity import User
from ..store.base import Entry, ResourceKey


class FieldValidation(StrEnum):
    """What becomes of unknown and duplicate fields."""

    IGNORE = "Ignore"
    WARN = "Warn"
    STRICT = "Strict"


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about; `kind` is the stored one.

    `name` is empty for a collection, `namespace` for all of them or none.
    """

    kind: Kind
    user: User
    namespace: str = ""
    name: str = ""
    face: Kind | None = None
    """The version that the client speaks, where it is not the stored one."""

    @property
    def served(self) -> Kind:
        """The kind as the client speaks it."""
        return self.face or self.kind

    @property
    def resource(self) -> str:
        """The resource as the store names it."""
        return f"{self.kind.group}/{self.kind.plural}"

    @property
    def key(self) -> ResourceKey:
        """The object's full name in the store."""
        return ResourceKey(self.resource, self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """The options that every write takes.

    `field_manager` is who owns what is written, empty for the server itself; `manager_given` says that the client named
    it. `force` lets an apply take other managers' fields.
    """

    dry_run: bool = False
    field_validation: FieldValidation = FieldValidation.WARN
    field_manager: str = ""
    manager_given: bool = False
    force: bool | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body, not yet decoded; an empty content type means JSON."""

    data: bytes
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a write: the entry to answer with, what to warn of, and whether the object is new.

    `deleted` says that the object is gone with this write.
    """

    entry: Entry
    warnings: Sequence[str] = ()
    created: bool = False
    deleted: bool = False
