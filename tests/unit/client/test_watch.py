"""The states of a watch, on a scripted server."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import orjson
import pytest

from miniplane import errors
from miniplane.api.kind import Kind, Object
from miniplane.client import (
    Apply,
    Bookmark,
    Delete,
    Init,
    InitApply,
    InitDone,
    Page,
    Request,
    Selection,
    WatchEvent,
    watch,
)
from miniplane.kinds import POD
from miniplane.testing.clock import SimulatedClock

Step = Page | Sequence[bytes] | errors.ApiError


class Script:
    """Answers each list with a page and each watch with lines, in the order given; errors are raised."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.revisions: list[str] = []

    async def page(self, _kind: Kind, _selection: Selection, *, limit: int, continue_token: str) -> Page:  # noqa: ARG002  as told
        """The next page."""
        step = self.steps.pop(0)
        if isinstance(step, errors.ApiError):
            raise step
        assert isinstance(step, Page)
        return step

    async def lines(self, request: Request, *, timeout_s: float | None) -> AsyncGenerator[bytes, None]:  # noqa: ARG002  as above
        """The next lines."""
        self.revisions.append(request.query["resourceVersion"])
        step = self.steps.pop(0)
        if isinstance(step, errors.ApiError):
            raise step
        assert not isinstance(step, Page)
        for line in step:
            yield line


class Ended(Exception):
    """The script is over."""


class EagerClock(SimulatedClock):
    """Sleeps at once and remembers how long."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Return at once."""
        self.slept.append(seconds)


def pod(name: str, revision: int) -> Object:
    """A pod at a revision."""
    return {"metadata": {"name": name, "namespace": "a", "resourceVersion": str(revision)}}


def line(word: str, obj: Object) -> bytes:
    """A line of a watch."""
    return orjson.dumps({"type": word, "object": obj})


async def events(script: Script, clock: EagerClock) -> list[WatchEvent]:
    """Everything that a watch tells until the script is over."""
    script.steps.append(errors.unauthorized())
    told: list[WatchEvent] = []
    async with aclosing(watch(script, POD, clock=clock)) as stream:
        with pytest.raises(errors.ApiError, match="Unauthorized"):
            await drain(stream, told)
    return told


async def drain(stream: AsyncGenerator[WatchEvent, None], told: list[WatchEvent]) -> None:
    """Take everything out of a stream."""
    async for event in stream:
        told.append(event)  # noqa: PERF401  what came before an error counts too


async def test_a_list_is_followed_by_changes() -> None:
    """Init, the list over all its pages, InitDone, then changes from the list's revision on."""
    first = Page([pod("x", 3)], "5", "more")
    changes = [line("ADDED", pod("y", 6)), line("DELETED", pod("x", 7)), line("BOOKMARK", pod("", 9))]
    script = Script(first, Page([], "5"), changes)
    told = await events(script, EagerClock())
    assert told == [
        Init(),
        InitApply(pod("x", 3)),
        InitDone("5"),
        Apply(pod("y", 6)),
        Delete(pod("x", 7)),
        Bookmark("9"),
    ]
    assert script.revisions == ["5", "9"]


async def test_a_broken_connection_is_resumed_after_doubling_pauses() -> None:
    """Failures list nothing again; the pause doubles and starts anew once something came through."""
    down = errors.Unavailable("down")
    script = Script(Page([], "5"), down, down, down, [line("ADDED", pod("y", 6))], down)
    clock = EagerClock()
    told = await events(script, clock)
    assert sum(isinstance(event, Init) for event in told) == 1
    assert script.revisions == ["5", "5", "5", "5", "6", "6"]
    assert clock.slept == [0.1, 0.2, 0.4, 0.1]


async def test_half_a_line_is_a_broken_connection() -> None:
    """A server that goes while it writes an event costs a pause, not the informer; the event comes again."""
    whole = line("ADDED", pod("y", 6))
    script = Script(Page([], "5"), [whole[:20]], [whole])
    clock = EagerClock()
    told = await events(script, clock)
    assert told == [Init(), InitDone("5"), Apply(pod("y", 6))]
    assert script.revisions == ["5", "5", "6"]
    assert clock.slept == [0.1]


@pytest.mark.parametrize("as_line", [True, False])
async def test_an_old_revision_begins_again(*, as_line: bool) -> None:
    """410, as an answer or as an event, leads back to Init."""
    gone = errors.expired("too old resource version")
    step: Step = [line("ERROR", gone.to_status())] if as_line else gone
    script = Script(Page([pod("x", 1)], "5"), step, Page([], "8"))
    told = await events(script, EagerClock())
    assert told == [Init(), InitApply(pod("x", 1)), InitDone("5"), Init(), InitDone("8")]


async def test_a_failing_list_begins_again() -> None:
    """A list that breaks off between two pages is begun again, so its Init forgets the first page."""
    script = Script(Page([pod("x", 1)], "5", "more"), errors.Unavailable("down"), Page([], "6"))
    told = await events(script, EagerClock())
    assert told == [Init(), InitApply(pod("x", 1)), Init(), InitDone("6")]


async def test_an_empty_watch_does_not_spin() -> None:
    """A server that ends watches at once is asked again only after a pause."""
    clock = EagerClock()
    await events(Script(Page([], "5"), [], []), clock)
    assert clock.slept == [0.1, 0.1]
