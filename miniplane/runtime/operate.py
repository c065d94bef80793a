"""Running registrars: as a program of one's own, inside another program, or in a test."""

import asyncio
import contextlib
import os
import platform
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from miniplane import aio, process
from miniplane.aio import Clock, SystemClock
from miniplane.api.meta import Key
from miniplane.client import Client
from miniplane.client import kubeconfig as files
from miniplane.observe import health
from miniplane.runtime.lease import Leader
from miniplane.runtime.manager import Manager
from miniplane.runtime.on import On


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """How registrars are run."""

    kubeconfig: Path | str | None = None
    """None reads `$KUBECONFIG`, then `~/.kube/config`."""
    context: str = ""
    """Empty: the file's current one."""
    lease: Key | None = None
    """Work only while holding this Lease; None works at once."""
    dry_run: bool = False
    """Ask the server to check every write and to keep none; each is logged. No Lease is taken then."""
    metrics_port: int | None = None
    """Where to serve metrics and health on loopback; None nowhere, 0 on a free port."""


async def serve(manager: Manager, ready: Callable[[], None], *, metrics_port: int | None = None) -> None:
    """Run a manager until cancelled, with metrics and health beside it where a port is given."""
    async with contextlib.AsyncExitStack() as stack:
        if metrics_port is not None:
            watching = health.serving(manager.registry, lambda: manager.is_synced, port=metrics_port)
            await stack.enter_async_context(watching)
        await manager.run(ready)


async def operate(
    *registrars: On, how: Operator | None = None, clock: Clock | None = None, ready: Callable[[], None] = lambda: None
) -> None:
    """Run registrars until cancelled; `ready` is called when their caches are in sync.

    Raises `KubeconfigError`, and what stops a manager.
    """
    how, clock = how or Operator(), clock or SystemClock()
    access = files.load(how.kubeconfig, context=how.context)
    async with Client(access, clock, user_agent=registrars[0].name, dry_run=how.dry_run) as client:
        leader = None
        if how.lease is not None and not how.dry_run:
            leader = Leader(client, clock, how.lease, f"{platform.node()}_{os.getpid()}_{os.urandom(4).hex()}")
        await serve(Manager(client, registrars, clock, leader=leader), ready, metrics_port=how.metrics_port)


@contextlib.asynccontextmanager
async def operating(*registrars: On, how: Operator | None = None, clock: Clock | None = None) -> AsyncIterator[None]:
    """Registrars at work for the time of the block, from when their caches are in sync: for tests."""
    ready = asyncio.Event()
    async with aio.background(operate(*registrars, how=how, clock=clock, ready=ready.set)):
        await ready.wait()
        yield


def run(*registrars: On, how: Operator | None = None, ready: Callable[[], None] = lambda: None) -> None:
    """Run registrars in the foreground until SIGTERM or SIGINT: the whole `__main__` of an operator."""
    process.run_until_stopped(lambda started: operate(*registrars, how=how, ready=started), ready)
