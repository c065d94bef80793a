"""The reconciler: write a function of a key, and the runtime calls it whenever the key's world may have changed."""

from miniplane.api.meta import Key
from miniplane.runtime.cache import Cache
from miniplane.runtime.context import Context, NotSynced
from miniplane.runtime.events import EventRecorder
from miniplane.runtime.informer import Change, Informer, Informers
from miniplane.runtime.lease import Leader, LeadershipLost
from miniplane.runtime.manager import Manager
from miniplane.runtime.on import On
from miniplane.runtime.reconcile import DONE, PermanentError, Result, TemporaryError, Terminal, again
from miniplane.runtime.workqueue import ShutDown, WorkQueue

__all__ = [
    "DONE",
    "Cache",
    "Change",
    "Context",
    "EventRecorder",
    "Informer",
    "Informers",
    "Key",
    "Leader",
    "LeadershipLost",
    "Manager",
    "NotSynced",
    "On",
    "PermanentError",
    "Result",
    "ShutDown",
    "TemporaryError",
    "Terminal",
    "WorkQueue",
    "again",
]
