"""The clock that everything which waits is given, and small things that asyncio lacks."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Time, injected: tests turn it by hand."""

    def now(self) -> datetime:
        """The present time in UTC."""

    def monotonic(self) -> float:
        """Seconds from some fixed point; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Return once `seconds` have passed on this clock."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """The present time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some fixed point."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return once `seconds` have passed."""
        await asyncio.sleep(seconds)


async def bounded(items: Iterable[T], work: Callable[[T], Awaitable[Any]], *, at_once: int) -> None:
    """Do `work` for each item, at most `at_once` at a time; the first error cancels the rest."""
    gate = asyncio.Semaphore(at_once)

    async def one(item: T) -> None:
        async with gate:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(one(item))


@contextlib.asynccontextmanager
async def background(*tasks: Awaitable[Any]) -> AsyncIterator[None]:
    """Run tasks beside the body and cancel them when it ends; an error in one of them ends the body too."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_as_coroutine(task)) for task in tasks]
        try:
            yield
        finally:
            for task in running:
                task.cancel()


async def _as_coroutine(awaitable: Awaitable[Any]) -> None:
    await awaitable
