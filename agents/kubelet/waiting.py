"""Waiting for something for at most so long, on the injected clock."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from miniplane.aio import Clock


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
