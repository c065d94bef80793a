"""One container's log in memory."""

import asyncio

import pytest

from agents.kubelet import logs
from agents.kubelet.logs import Log
from tests.unit.kubelet.fakes import ManualClock, settle


def texts(log: Log, tail: int | None = None) -> list[str]:
    """The lines without their times."""
    return [line.text for line in log.lines(tail=tail)]


def test_text_is_cut_into_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line is one, an end of line adds none, and long lines are cut."""
    monkeypatch.setattr(logs, "LIMIT_LINE", 3)
    log = Log(ManualClock())
    log.write("a\n\nbcdef\n")
    assert texts(log) == ["a", "", "bcd", "ef"]
    assert texts(log, tail=1) == ["ef"]
    assert texts(log, tail=0) == []


def test_old_lines_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the oldest lines are forgotten."""
    monkeypatch.setattr(logs, "LIMIT_LINES", 2)
    log = Log(ManualClock())
    log.write("a\nb\nc")
    assert texts(log) == ["b", "c"]


async def test_followers_get_every_line_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several followers see what comes, one that was overtaken goes on with what is left, and all end."""
    monkeypatch.setattr(logs, "LIMIT_LINES", 2)
    log = Log(ManualClock())
    log.write("before")

    async def follow(tail: int | None) -> list[str]:
        return [line.text async for line in log.follow(tail=tail)]

    first, second = asyncio.create_task(follow(None)), asyncio.create_task(follow(0))
    await settle()
    log.write("a\nb\nc")
    await settle()
    log.write("d")
    log.end(3)
    assert await first == ["before", "b", "c", "d"]
    assert await second == ["b", "c", "d"]
    assert log.exit_code == 3
