"""The registrar: a controller's module says here what it reconciles and what else wakes it.

    on = On("endpointslice")

    @on.reconcile(SERVICE, also=[on.mapped(POD, services_selecting), on.owned(ENDPOINT_SLICE)])
    async def endpoint_slices(key: Key, ctx: Context) -> Result: ...

It only records: the same `On` can be run by several managers. `Manager` turns it into controllers.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.client.requests import EVERYTHING, Selection
from miniplane.runtime.cache import IndexBy
from miniplane.runtime.context import Context
from miniplane.runtime.reconcile import Reconciler, Timer

R = TypeVar("R", bound=Reconciler)
T = TypeVar("T", bound=Timer)

Mapper = Callable[[Object, Context], Iterable[Key]]
"""Which keys an object concerns. On a change it is asked for the old and the new state. Must not fail."""

Order = Callable[[Key, Context], Any]
"""What keys that wait are sorted by; asked for when a key begins to wait."""

WORKERS = 5
"""Keys of one controller that are worked on at once (upstream's default)."""


@dataclass(frozen=True, slots=True)
class Also:
    """Another kind whose changes wake a reconcile. `mapper` is made for the kind that is reconciled."""

    kind: Kind
    mapper: Callable[[Kind], Mapper]
    selection: Selection = EVERYTHING


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What a controller does."""

    name: str
    kind: Kind
    reconcile: Reconciler
    also: Sequence[Also] = ()
    selection: Selection = EVERYTHING
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """Something done every `seconds`; the first time at once."""

    seconds: float
    run: Timer


@dataclass(frozen=True, slots=True)
class Index:
    """An index that a cache must have."""

    kind: Kind
    name: str
    by: IndexBy


def _controlled_by(primary: Kind) -> Mapper:
    def owner(obj: Object, _ctx: Context) -> Iterable[Key]:
        reference = meta.controller_of(obj)
        if reference and reference.get("kind") == primary.kind:
            group = str(reference.get("apiVersion", "")).rpartition("/")[0]
            if group == primary.group:
                yield Key(meta.namespace(obj) if primary.namespaced else "", reference["name"])

    return owner


def _of_the_same_name(_primary: Kind) -> Mapper:
    return lambda obj, _ctx: (meta.key_of(obj),)


class On:
    """The declarations of one controller module.

    `workers` is how many keys are in work at once; 1 where a controller hands out something scarce. `reads` names
    kinds whose caches are read without waking anything; one that is missing here costs a second try at start.
    `component` is whom its events are from, `<name>-controller` where it is not said.
    """

    def __init__(self, name: str, *, workers: int = WORKERS, reads: Sequence[Kind] = (), component: str = "") -> None:
        self.name, self.workers, self.reads = name, workers, tuple(reads)
        self.component = component or f"{name}-controller"
        self.reconciliations: list[Reconciliation] = []
        self.timers: list[Interval] = []
        self.indexes: list[Index] = []

    def reconcile(
        self,
        kind: Kind,
        *,
        also: Sequence[Also] = (),
        selection: Selection | None = None,
        order: Order | None = None,
    ) -> Callable[[R], R]:
        """Reconcile each object of `kind`, woken by its changes and those of `also`; first come, first served.

        With `order` the least of it is served first.
        """

        def register(function: R) -> R:
            name = self.name if not self.reconciliations else f"{self.name}-{kind.plural}"
            made = Reconciliation(name, kind, function, tuple(also), selection or EVERYTHING, order)
            self.reconciliations.append(made)
            return function

        return register

    def timer(self, seconds: float) -> Callable[[T], T]:
        """Do something at once and then every `seconds` after it has ended."""

        def register(function: T) -> T:
            self.timers.append(Interval(seconds, function))
            return function

        return register

    def index(self, kind: Kind, name: str, by: IndexBy) -> None:
        """Let `ctx.cache(kind).by_index(name, value)` work. The name is shared by all users of the kind's cache."""
        self.indexes.append(Index(kind, name, by))

    @staticmethod
    def mapped(kind: Kind, by: Mapper) -> Also:
        """Changes of `kind` wake the keys that `by` gives."""
        return Also(kind, lambda _primary: by)

    @staticmethod
    def owned(kind: Kind) -> Also:
        """Changes of `kind` wake the object that controls it, by its owner reference."""
        return Also(kind, _controlled_by)

    @staticmethod
    def named(kind: Kind) -> Also:
        """Changes of `kind` wake the object with the same key."""
        return Also(kind, _of_the_same_name)
