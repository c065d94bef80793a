"""The clock that everything which waits is given, and small things that asyncio lacks."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
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


async def done_within(clock: Clock, seconds: float | None, future: "asyncio.Future[Any]") -> bool:
    """Whether `future` was done before the time was over. It is neither cancelled nor its result looked at."""
    if future.done():
        return True
    if seconds is None:
        await asyncio.wait({future})
        return True
    timer = asyncio.create_task(clock.sleep(seconds), name="timer")
    try:
        await asyncio.wait({future, timer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await stop(timer)
    return future.done()


async def finishes_within(clock: Clock, seconds: float, work: Coroutine[Any, Any, Any]) -> bool:
    """Run `work` for at most so long and cancel it then; whether it finished. Its error is raised."""
    task = asyncio.create_task(work)
    try:
        finished = await done_within(clock, seconds, task)
    finally:
        if not task.done():
            await stop(task)
    if finished:
        task.result()
    return finished


async def stop(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks and wait until they are gone, whatever their end. All are cancelled before the first wait."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()


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
