"""What every test is held to: it leaves no task, thread or child process behind."""

import asyncio
import multiprocessing
import threading
from collections.abc import Iterator

import pytest

LASTING = ("asyncio_", "ThreadPoolExecutor", "miniplane cluster")
"""Threads that outlive a test by design: executors of session loops, the session's cluster."""


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """Fail a test after which a thread or child process of its own still runs."""
    threads = set(threading.enumerate())
    yield
    left = [thread for thread in set(threading.enumerate()) - threads if thread.is_alive() and not thread.daemon]
    assert [thread.name for thread in left if not thread.name.startswith(LASTING)] == []
    assert multiprocessing.active_children() == []


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Fail an asynchronous test that ends while a task of its own is still pending."""
    original = pyfuncitem.obj
    if asyncio.iscoroutinefunction(original):

        async def watched(*args: object, **kwargs: object) -> None:
            before = asyncio.all_tasks()
            await original(*args, **kwargs)
            left = [
                task for task in asyncio.all_tasks() - before if not task.done() and task is not asyncio.current_task()
            ]
            assert [task.get_name() for task in left] == []

        pyfuncitem.obj = watched
    return (yield)
