"""Objects that go by themselves: events, an hour after they last happened.

Without it a cluster's memory grows with everything that ever happened in it. Upstream gives each event a lease in etcd
(--event-ttl); here a look now and then at what is in memory does the same.
"""

import asyncio
from datetime import datetime, timedelta

from miniplane.aio import Clock
from miniplane.api.kind import Kind, Registry
from miniplane.observe import logs

from ..store.base import Entry, KeyMissing, Remove, RevisionConflict, Store, StoreUnavailable

_log = logs.get("apiserver.registry")

EVERY_S = 60.0
AT_ONCE = 100
"""Removals that wait for the disk together, so that clients' writes find room between them."""


async def run(store: Store, registry: Registry, clock: Clock, *, ttl_s: float) -> None:
    """Remove what has expired, once a minute until cancelled."""
    kinds = [kind for kind in registry if kind.strategy.last_seen is not None]
    while True:
        await clock.sleep(EVERY_S)
        for kind in kinds:
            try:
                gone = await sweep(store, kind, clock.now() - timedelta(seconds=ttl_s))
            except StoreUnavailable as error:
                _log.warning("nothing could expire", kind=kind.kind, error=str(error))
            else:
                _log.debug("expired", kind=kind.kind, count=gone)


async def sweep(store: Store, kind: Kind, before: datetime) -> int:
    """Remove the objects of a kind that were last seen before a time; says how many. What changes meanwhile stays."""
    seen = kind.strategy.last_seen
    if seen is None:
        return 0
    entries = store.list(f"{kind.group}/{kind.plural}").entries
    expired = [entry for entry in entries if (moment := seen(entry.obj)) is not None and moment < before]
    gone = 0
    for start in range(0, len(expired), AT_ONCE):
        gone += sum(await asyncio.gather(*(_remove(store, entry) for entry in expired[start : start + AT_ONCE])))
    return gone


async def _remove(store: Store, entry: Entry) -> bool:
    try:
        await store.commit([Remove(entry.key, entry.revision)])
    except (KeyMissing, RevisionConflict):
        return False
    return True
