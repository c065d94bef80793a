"""The stores that must all keep the contract."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from apiserver.store import Limits, Store, open_store

Opener = Callable[[Limits], AbstractAsyncContextManager[Store]]


@pytest.fixture(params=["memory", "sqlite"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the store under test, with limits."""
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/log.sqlite3"
    return lambda limits: open_store(url, limits=limits)


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    """An empty store."""
    async with opener(Limits()) as opened:
        yield opened
