"""The reconciler: write a function of a key, and the runtime calls it whenever the key's world may have changed.

Or, in kopf's way, functions of what happens to an object. `run(on)` runs an operator; docs/tutorial/operator.md writes
one.
"""

from miniplane.api.meta import Key
from miniplane.runtime.cache import Cache
from miniplane.runtime.context import Context, NotSynced
from miniplane.runtime.events import EventRecorder
from miniplane.runtime.filters import ABSENT, PRESENT
from miniplane.runtime.handlers import Cause, Reason
from miniplane.runtime.informer import Change, Informer, Informers
from miniplane.runtime.lease import Leader, LeadershipLost
from miniplane.runtime.manager import Manager
from miniplane.runtime.on import ChangeMapper, On
from miniplane.runtime.operate import Operator, operate, operating, run, serve
from miniplane.runtime.owners import adopt, append_owner_reference, harmonize_naming, label
from miniplane.runtime.reconcile import DONE, PermanentError, Result, TemporaryError, Terminal, again
from miniplane.runtime.subjects import Subject
from miniplane.runtime.workqueue import ShutDown, WorkQueue

__all__ = [
    "ABSENT",
    "DONE",
    "PRESENT",
    "Cache",
    "Cause",
    "Change",
    "ChangeMapper",
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
    "Operator",
    "PermanentError",
    "Reason",
    "Result",
    "ShutDown",
    "Subject",
    "TemporaryError",
    "Terminal",
    "WorkQueue",
    "adopt",
    "again",
    "append_owner_reference",
    "harmonize_naming",
    "label",
    "operate",
    "operating",
    "run",
    "serve",
]
