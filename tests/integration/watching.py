"""Waiting for what a cluster will hold, by a watch."""

import asyncio
from collections.abc import Callable, Sequence

from miniplane.api.kind import Kind, Object
from miniplane.client import Client
from miniplane.runtime import Informers

PATIENCE_S = 30.0


async def until(client: Client, kind: Kind, holds: Callable[[Sequence[Object]], object]) -> list[Object]:
    """The objects of a kind as soon as `holds` is true of them; follows a watch, so nothing is missed."""
    async with asyncio.timeout(PATIENCE_S), Informers(client, client.clock) as informers:
        informer, changed = informers.get(kind), asyncio.Event()
        informer.subscribe(lambda _change: changed.set())
        await informer.synced()
        while not holds(found := [*informer.cache]):
            changed.clear()
            await changed.wait()
        return found
