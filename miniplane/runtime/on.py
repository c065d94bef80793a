"""The registrar: a controller's module says here what it reconciles and what else wakes it.

    on = On("endpointslice")

    @on.reconcile(SERVICE, also=[on.mapped(POD, services_selecting), on.owned(ENDPOINT_SLICE)])
    async def endpoint_slices(key: Key, ctx: Context) -> Result: ...

or, in kopf's way, what shall happen when something happens to an object:

    @on.create(NAMESPACE, labels={"team": PRESENT})
    @on.field(NAMESPACE, "metadata.labels.team")
    async def isolate(cause: Cause, ctx: Context) -> None: ...

It only records; `Manager` turns it into controllers. What handlers remember of objects lives in it, so an `On` is run
by one manager at a time.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, Unpack

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.client.requests import EVERYTHING, Selection
from miniplane.runtime.cache import IndexBy
from miniplane.runtime.context import Context
from miniplane.runtime.essence import path_of
from miniplane.runtime.filters import Filter, Only
from miniplane.runtime.handlers import Handle, Handler, Lifecycle, Reason
from miniplane.runtime.informer import Change
from miniplane.runtime.reconcile import Reconciler, Timer
from miniplane.runtime.subjects import Daemon, Daemons, EventStream, ObjectTimer, Tick, Watcher

R = TypeVar("R", bound=Reconciler)
T = TypeVar("T", bound=Timer)
H = TypeVar("H", bound=Handle)
K = TypeVar("K", bound=Tick)
D = TypeVar("D", bound=Daemon)
W = TypeVar("W", bound=Watcher)

Mapper = Callable[[Object, Context], Iterable[Key]]
"""Which keys an object concerns. On a change it is asked for the old and the new state. Must not fail."""

ChangeMapper = Callable[[Change, Context], Iterable[Key]]
"""Which keys a change concerns. Must not fail."""

Order = Callable[[Key, Context], Any]
"""What keys that wait are sorted by; asked for when a key begins to wait."""

WORKERS = 5
"""Keys of one controller that are worked on at once (upstream's default)."""


@dataclass(frozen=True, slots=True)
class Also:
    """Another kind whose changes wake a reconcile. `mapper` is made for the kind that is reconciled."""

    kind: Kind
    mapper: Callable[[Kind], ChangeMapper]
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
    rest: float = 0.0


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


def _of_the_same_name(obj: Object, _ctx: Context) -> Iterable[Key]:
    return (meta.key_of(obj),)


def _for_each_state(by: Mapper) -> ChangeMapper:
    return lambda change, ctx: (key for state in change.states for key in by(state, ctx))


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
        self.services: list[Timer] = []
        """What runs beside the workers until the manager stops."""
        self._lifecycles: dict[Kind, Lifecycle] = {}

    def reconcile(
        self,
        kind: Kind,
        *,
        also: Sequence[Also] = (),
        selection: Selection | None = None,
        order: Order | None = None,
        rest: float = 0.0,
    ) -> Callable[[R], R]:
        """Reconcile each object of `kind`, woken by its changes and those of `also`; first come, first served.

        With `order` the least of it is served first. With `rest` a key rests so many times as long as its reconcile
        took, a second at most, so that a crowd of changes becomes a few reconciles; the first is never late.
        """

        def register(function: R) -> R:
            self._reconcile(kind, function, tuple(also), selection or EVERYTHING, order, rest)
            return function

        return register

    def _reconcile(
        self,
        kind: Kind,
        function: Reconciler,
        also: Sequence[Also] = (),
        selection: Selection = EVERYTHING,
        order: Order | None = None,
        rest: float = 0.0,
    ) -> None:
        """Record it under a name of its own: the registrar's, then with the kind, then with a number."""
        taken = {made.name for made in self.reconciliations}
        names = itertools.chain((self.name,), map(f"{self.name}-{kind.plural}{{}}".format, ("", *range(2, 100))))
        name = next(name for name in names if name not in taken)
        self.reconciliations.append(Reconciliation(name, kind, function, tuple(also), selection, order, rest))

    def create(self, kind: Kind, *, retries: int | None = None, **only: Unpack[Only]) -> Callable[[H], H]:
        """When an object is new to this operator, also if it came while nobody ran it."""
        return self._handler(kind, Reason.CREATE, retries, only)

    def update(self, kind: Kind, *, retries: int | None = None, **only: Unpack[Only]) -> Callable[[H], H]:
        """When an object's essence (all but status and system fields) has changed since it was handled last."""
        return self._handler(kind, Reason.UPDATE, retries, only)

    def field(self, kind: Kind, path: str, *, retries: int | None = None, **only: Unpack[Only]) -> Callable[[H], H]:
        """When what stands at a dotted path has appeared, changed or gone; `cause.old` and `new` are its values."""
        return self._handler(kind, Reason.FIELD, retries, only, path)

    def resume(self, kind: Kind, *, retries: int | None = None, **only: Unpack[Only]) -> Callable[[H], H]:
        """Once per process for each object that was handled before it started."""
        return self._handler(kind, Reason.RESUME, retries, only)

    def delete(self, kind: Kind, *, retries: int | None = None, **only: Unpack[Only]) -> Callable[[H], H]:
        """Before an object goes: a finalizer holds it until the handler has succeeded."""
        return self._handler(kind, Reason.DELETE, retries, only)

    def _handler(self, kind: Kind, reason: Reason, retries: int | None, only: Only, path: str = "") -> Callable[[H], H]:
        def register(function: H) -> H:
            if kind not in self._lifecycles:
                self._lifecycles[kind] = Lifecycle(self.name, kind)
                self._reconcile(kind, self._lifecycles[kind].reconcile)
            self._lifecycles[kind].add(Handler(reason, function, Filter.of(only), path_of(path), retries))
            return function

        return register

    def event(self, kind: Kind, **only: Unpack[Only]) -> Callable[[W], W]:
        """Everything that is seen of a kind, beginning with what is there, in order; nothing is tried again."""

        def register(function: W) -> W:
            self.reads += (kind,)
            self.services.append(EventStream(kind, function, Filter.of(only)).serve)
            return function

        return register

    def daemon(self, kind: Kind, **only: Unpack[Only]) -> Callable[[D], D]:
        """Run a coroutine for each object while it is there and wanted; cancelled when it is deleted."""

        def register(function: D) -> D:
            daemons = Daemons(kind, function, Filter.of(only))
            self._reconcile(kind, daemons.reconcile)
            self.services.append(daemons.serve)
            return function

        return register

    def timer(self, kind: Kind, seconds: float, *, initial_s: float = 0.0, **only: Unpack[Only]) -> Callable[[K], K]:
        """Do something for each object every `seconds` after it has ended, the first time after `initial_s`."""

        def register(function: K) -> K:
            self._reconcile(kind, ObjectTimer(kind, function, Filter.of(only), seconds, initial_s).reconcile)
            return function

        return register

    def every(self, seconds: float) -> Callable[[T], T]:
        """Do something at once and then every `seconds` after it has ended, whatever objects there are."""

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
        return Also(kind, lambda _primary: _for_each_state(by))

    @staticmethod
    def changed(kind: Kind, by: ChangeMapper) -> Also:
        """As `mapped`, for what wants to see the old and the new state together."""
        return Also(kind, lambda _primary: by)

    @staticmethod
    def owned(kind: Kind) -> Also:
        """Changes of `kind` wake the object that controls it, by its owner reference."""
        return Also(kind, lambda primary: _for_each_state(_controlled_by(primary)))

    @staticmethod
    def named(kind: Kind) -> Also:
        """Changes of `kind` wake the object with the same key."""
        return Also(kind, lambda _primary: _for_each_state(_of_the_same_name))
