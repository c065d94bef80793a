"""The child of test_kill: commits without end and prints what was acknowledged.

Each client owns one key and puts, changes and removes it in turn. A line says `client step revision`; every
seventh step is a removal. Steps go on from what the store holds, so rounds can follow each other.
"""

import asyncio
import os
import sys
from itertools import count

from apiserver.store import Draft, Limits, Put, Remove, ResourceKey, Store, open_store

CLIENTS = 16


async def client(store: Store, number: int, start: int) -> None:
    """Commit one after the other."""
    key = ResourceKey("/pods", "default", f"p{number}")
    for step in count(start):
        if step % 7 == 6 and store.get(key):
            commit = await store.commit([Remove(key, None)])
        else:
            commit = await store.commit([Put(key, Draft({"step": step, "padding": "x" * 2000}), None)])
        os.write(1, f"{number} {step} {commit.revision}\n".encode())


async def main(url: str, start: int) -> None:
    """Run the clients and compact now and then, until killed."""
    async with open_store(url, limits=Limits(compact_step=50)) as store, asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(client(store, number, start))
        while True:
            await store.wait_for(store.revision + 300)
            await store.compact(store.revision - 100)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
