"""Objects that a system image follows by itself, as long as its container runs."""

import asyncio
from collections.abc import Callable

from miniplane.aio import Clock
from miniplane.api.kind import Kind
from miniplane.client import Client, Selection
from miniplane.errors import ApiError
from miniplane.observe import logs
from miniplane.runtime.informer import Change, Informers

log = logs.get("agents.images")

AGAIN_S = 10.0
"""Pause after the server has refused."""


async def follow(
    client: Client,
    clock: Clock,
    kind: Kind,
    selection: Selection,
    *,
    changed: Callable[[Change], None],
    known: Callable[[], None],
) -> None:
    """Tell `changed` each change until cancelled, and `known` once all is told or the server has refused.

    An informer of the agent's own would end the agent when the server refuses, as it does once the pod that had the
    right to read is gone.
    """
    while True:
        try:
            async with Informers(client, clock) as informers:
                informer = informers.get(kind, selection)
                informer.subscribe(changed)
                await informer.synced()
                known()
                await asyncio.Event().wait()
        except* ApiError as error:
            known()
            log.warning("can't follow", resource=kind.plural, error=str(error.exceptions[0]))
        await clock.sleep(AGAIN_S)
