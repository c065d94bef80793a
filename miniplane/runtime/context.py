"""What a reconciler is given beside its key."""

from dataclasses import dataclass

from miniplane.aio import Clock
from miniplane.api.kind import Kind, Object
from miniplane.client import Client, Selection
from miniplane.observe.logs import Logger
from miniplane.runtime.cache import Cache
from miniplane.runtime.events import EventRecorder
from miniplane.runtime.informer import Informer, Informers


class NotSynced(Exception):
    """A cache was asked for that is still being filled; the runtime waits for it and does the reconcile again."""

    def __init__(self, informer: Informer) -> None:
        super().__init__(informer.kind.plural)
        self.informer = informer


@dataclass(frozen=True, slots=True)
class Context:
    """The tools of one controller. Caches hold shared objects: copy before changing."""

    client: Client
    clock: Clock
    log: Logger
    informers: Informers
    recorder: EventRecorder

    def cache(self, kind: Kind, selection: Selection | None = None) -> Cache:
        """The copy of a kind's objects, complete. One that nobody declared starts with the first call.

        Raises:
            NotSynced: It is not complete yet. Let it pass.
        """
        informer = self.informers.get(kind, selection)
        if not informer.is_synced:
            raise NotSynced(informer)
        return informer.cache

    def event(self, obj: Object, type: str, reason: str, message: str) -> None:  # noqa: A002  the field's name
        """Tell users what happened to an object, as an Event. Returns at once; repeated ones are counted."""
        self.recorder.record(obj, type, reason, message)
