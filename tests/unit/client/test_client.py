"""Sending, retrying and failing, against a server that answers by script."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from miniplane import errors
from miniplane.aio import Clock
from miniplane.client import Access, Client, Request
from miniplane.kinds import POD
from miniplane.testing.clock import SimulatedClock


class EagerClock(SimulatedClock):
    """Sleeps at once and remembers how long."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Return at once."""
        self.slept.append(seconds)


@asynccontextmanager
async def answering(*answers: web.Response, clock: Clock | None = None) -> AsyncIterator[tuple[Client, list[str]]]:
    """A client of a server that gives these answers in turn, and what it was asked."""
    asked: list[str] = []
    left = list(answers)

    async def handler(request: web.BaseRequest) -> web.Response:
        asked.append(f"{request.method} {request.path_qs}")
        return left.pop(0)

    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with Client(Access(f"http://127.0.0.1:{runner.addresses[0][1]}"), clock or EagerClock()) as client:
            yield client, asked
    finally:
        await runner.cleanup()


async def test_items_of_a_list_say_what_they_are() -> None:
    """Lists leave out apiVersion and kind; the client fills them in."""
    body = {"metadata": {"resourceVersion": "9", "continue": "c"}, "items": [{"metadata": {"name": "x"}}]}
    async with answering(web.json_response(body)) as (client, asked):
        page = await client.list(POD, labels="a=b")
    assert page.items == [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}]
    assert (page.revision, page.continue_token, asked) == ("9", "c", ["GET /api/v1/pods?labelSelector=a%3Db"])


async def test_a_read_is_sent_again() -> None:
    """Passing failures of a read are retried with doubling pauses, or as the server says."""
    clock = EagerClock()
    busy = web.Response(status=503, headers={"Retry-After": "7"})
    answers = (web.Response(status=500), busy, web.json_response({"metadata": {}}))
    async with answering(*answers, clock=clock) as (client, asked):
        await client.get(POD, "x", "a")
    assert (len(asked), clock.slept) == (3, [0.1, 7])


async def test_a_write_is_not_sent_again_unless_it_was_refused() -> None:
    """A write may have happened when its answer is 5xx; with 429 it has not."""
    obj = {"metadata": {"name": "x", "namespace": "a"}}
    async with answering(web.Response(status=503), web.Response(status=200)) as (client, asked):
        with pytest.raises(errors.ApiError):
            await client.create(POD, obj)
        assert len(asked) == 1
    async with answering(web.Response(status=429), web.json_response(obj)) as (client, _):
        assert await client.create(POD, obj) == obj


async def test_a_status_becomes_its_error() -> None:
    """The Status in an answer is parsed into the class of its reason."""
    told = errors.conflict(POD.resource, "x")
    async with answering(web.json_response(told.to_status(), status=409)) as (client, _):
        with pytest.raises(errors.Conflict) as caught:
            await client.update(POD, {"metadata": {"name": "x", "namespace": "a"}})
    assert caught.value.to_status() == told.to_status()


async def test_an_answer_that_is_no_status_is_cut() -> None:
    """Some proxy's page becomes an error of the code's reason, with no more than the beginning of its text."""
    async with answering(web.Response(status=403, text="x" * 5000)) as (client, _):
        with pytest.raises(errors.ApiError) as caught:
            await client.get(POD, "x", "a")
    assert caught.value.reason is errors.Reason.FORBIDDEN
    assert len(caught.value.message) == 1024


async def test_nobody_there_is_unavailable() -> None:
    """A refused connection is Unavailable, after the attempts of a read."""
    async with answering() as (client, _):
        pass
    clock = EagerClock()
    async with Client(client.access, clock) as alone:
        with pytest.raises(errors.Unavailable):
            await alone.get(POD, "x", "a")
    assert len(clock.slept) == 3


async def test_lines_of_any_length() -> None:
    """A stream is cut at line ends, however its bytes arrive; a last line without an end counts."""
    text = b"a" * 300_000 + b"\n\nb\n" + b"c"
    async with answering(web.Response(body=text)) as (client, _):
        lines = [line async for line in client.lines(Request("GET", "/x"), timeout_s=5)]
    assert [len(line) for line in lines] == [300_000, 1, 1]
