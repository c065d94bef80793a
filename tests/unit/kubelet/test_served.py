"""The end of a container that is a set of open things."""

import asyncio

import pytest

from agents.kubelet.images.base import Served
from tests.unit.kubelet.conftest import Bench
from tests.unit.kubelet.fakes import settle


async def test_a_cancelled_kill_says_so() -> None:
    """Who cancels a kill while the container drains is not told that it went well; the next kill ends it."""
    closed: list[bool] = []

    async def close() -> None:
        closed.append(True)

    served = Served(await Bench().context(), close)
    served.terminate()
    await settle()
    killing = asyncio.create_task(served.kill())
    asyncio.get_running_loop().call_soon(killing.cancel)
    with pytest.raises(asyncio.CancelledError):
        await killing
    await served.kill()
    assert (served.exited.result(), closed) == (137, [True])
