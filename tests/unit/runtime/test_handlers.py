"""Handlers of what happens to objects, against a server that is a dictionary and on simulated time."""

from typing import Any

import pytest

from miniplane.api.kind import Object
from miniplane.kinds import CONFIG_MAP
from miniplane.runtime import PRESENT, Cause, Context, On, PermanentError, Subject, TemporaryError
from miniplane.testing.clock import SimulatedClock, settle
from tests.unit.runtime.handler_bench import Server, Told, X, running


async def test_a_life_is_told_in_order() -> None:
    """Creation, a change with both states, and the end; writes of status and of our own marks are no changes."""
    on, told, server, clock = On("op"), Told(), Server(), SimulatedClock()
    for register in (on.create, on.update, on.delete):
        register(CONFIG_MAP)(told)
    async with running(on, server, clock):
        server.put("x", {"k": "1"})
        await settle()
        server.put("x", {"k": "2"})
        await settle()
        server.put("x", finalizers=[*server.objects[X]["metadata"]["finalizers"], "another/one"])
        await settle()
        server.delete("x")
        await settle()
    assert told.causes == [
        ("create", None, {"k": "1"}),
        ("update", {"k": "1"}, {"k": "2"}),
        ("delete", {"k": "2"}, None),
    ]
    assert server.objects[X]["metadata"]["finalizers"] == ["another/one"]


async def test_a_restart_misses_nothing_and_repeats_nothing() -> None:
    """What changed while nobody watched is one change; what did not is resumed."""
    server, clock, first, second = Server(), SimulatedClock(), Told(), Told()
    for told, before in ((first, {"k": "1"}), (second, {"k": "2"})):
        on = On("op")
        for register in (on.create, on.update, on.resume):
            register(CONFIG_MAP)(told)
        if told is second:
            server.put("x", before)
            server.put("new", {"k": "n"})
        async with running(on, server, clock):
            if told is first:
                server.put("x", before)
                server.put("same", {"k": "s"})
            await settle()
            await settle()
    assert first.causes == [("create", None, {"k": "1"}), ("create", None, {"k": "s"})]
    assert sorted(second.causes, key=str) == sorted(
        [
            ("create", None, {"k": "n"}),
            ("resume", {"k": "1"}, {"k": "2"}),
            ("resume", {"k": "s"}, {"k": "s"}),
            ("update", {"k": "1"}, {"k": "2"}),
        ],
        key=str,
    )


async def test_a_field_handler_sees_only_its_field() -> None:
    """It is told the field's values as it appears, changes and goes, and nothing of the rest."""
    on, told, server, clock = On("op"), Told(), Server(), SimulatedClock()
    on.field(CONFIG_MAP, "data.colour")(told)
    async with running(on, server, clock):
        for data in (
            {"size": "1"},
            {"colour": "red"},
            {"colour": "red", "size": "2"},
            {"colour": "blue"},
            {"size": "3"},
        ):
            server.put("x", data)
            await settle()
    assert told.causes == [("field", None, "red"), ("field", "red", "blue"), ("field", "blue", None)]


@pytest.mark.parametrize(
    ("error", "times"),
    [
        (TemporaryError("later", delay=7), [0.0, 7.0]),
        (TemporaryError("later"), [0.0, 1.0]),
        (ValueError("a bug"), [0.0, 1.0]),
        (PermanentError("never"), [0.0]),
    ],
)
async def test_a_handler_that_fails_is_called_again(error: Exception, times: list[float]) -> None:
    """After its delay or a growing pause, never after a permanent error; another handler's success stays."""
    on, server, clock, other = On("op"), Server(), SimulatedClock(), Told()
    called: list[float] = []

    @on.create(CONFIG_MAP)
    async def failing(_cause: Cause, ctx: Context) -> None:
        called.append(ctx.clock.monotonic())
        if len(called) == 1:
            raise error

    on.create(CONFIG_MAP)(other)
    async with running(on, server, clock):
        server.put("x", {})
        await clock.advance(30)
    assert called == pytest.approx(times)
    assert len(other.causes) == 1
    assert "op.miniplane.io/last-handled" in server.objects[X]["metadata"]["annotations"]


async def test_retries_are_counted() -> None:
    """A handler with two retries is called three times and given up, with an event."""
    on, told, server, clock = On("op"), Told(*[ValueError("no")] * 9), Server(), SimulatedClock()
    on.create(CONFIG_MAP, retries=2)(told)
    async with running(on, server, clock):
        server.put("x", {})
        await clock.advance(100)
    assert len(told.causes) == 3


async def test_filters() -> None:
    """Labels, annotations, a field's value and any function: all must hold; others' objects get no finalizer."""
    on, told, server, clock = On("op"), Told(), Server(), SimulatedClock()
    on.create(CONFIG_MAP, labels={"app": "web"}, annotations={"note": PRESENT})(told)
    on.create(CONFIG_MAP, field="data.k", value="yes", when=lambda obj: obj["metadata"]["name"] != "no")(told)
    on.delete(CONFIG_MAP, labels={"keep": "yes"})(told)
    async with running(on, server, clock):
        server.put("one", {"n": "1"}, labels={"app": "web"}, annotations={"note": "x"})
        server.put("two", {"n": "2"}, labels={"app": "web"})
        server.put("three", {"k": "yes"})
        server.put("no", {"k": "yes"})
        server.put("held", {"n": "5"}, labels={"keep": "yes"})
        await settle()
    assert [new for _, _, new in told.causes] == [{"n": "1"}, {"k": "yes"}]
    held = [key.name for key, obj in server.objects.items() if obj["metadata"].get("finalizers")]
    assert held == ["held"]


async def test_a_timer_ticks_for_each_object() -> None:
    """At its interval for as long as the object is there; events in between do not make it tick."""
    on, server, clock = On("op"), Server(), SimulatedClock()
    ticks: list[tuple[str, float]] = []

    @on.timer(CONFIG_MAP, 10, initial_s=5)
    async def tick(obj: Object, ctx: Context) -> None:
        ticks.append((obj["metadata"]["name"], ctx.clock.monotonic()))

    async with running(on, server, clock):
        server.put("x", {})
        await clock.advance(7)
        server.put("x", {"k": "1"})
        await clock.advance(10)
        server.delete("x")
        await clock.advance(60)
    assert ticks == [("x", 5.0), ("x", 15.0)]


async def test_a_daemon_lives_as_long_as_its_object() -> None:
    """It sees the object as it is, starts again after an error, and is cancelled when the object goes or we stop."""
    on, server, clock = On("op"), Server(), SimulatedClock()
    seen: list[str] = []

    @on.daemon(CONFIG_MAP)
    async def follow(subject: Subject, ctx: Context) -> None:
        name = subject.key.name
        seen.append(f"start {name}")
        try:
            await ctx.clock.sleep(10)
            seen.append(f"{name} {subject.obj['data']['k']}")
            raise TemporaryError("once more", delay=3)
        finally:
            seen.append(f"end {name}")

    async with running(on, server, clock):
        server.put("x", {"k": "1"})
        await settle()
        server.put("x", {"k": "2"})
        await clock.advance(14)
        server.delete("x")
        await settle()
        server.put("y", {"k": "1"})
        await settle()
    assert seen == ["start x", "x 2", "end x", "start x", "end x", "start y", "end y"]


async def test_events_come_once_and_in_order() -> None:
    """An event handler is told everything, and an error of its own costs it nothing else."""
    on, server, clock = On("op"), Server(), SimulatedClock()
    seen: list[tuple[str, Any]] = []

    @on.event(CONFIG_MAP)
    async def watch(word: str, obj: Object, _ctx: Context) -> None:
        seen.append((word, obj.get("data")))
        if len(seen) == 1:
            raise ValueError("a bug")

    server.put("x", {"k": "0"})
    async with running(on, server, clock):
        server.put("x", {"k": "1"})
        server.put("x", {"k": "2"})
        server.delete("x")
        await settle()
    words = [word for word, _ in seen]
    assert (words, seen[2]) == (["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"], ("MODIFIED", {"k": "2"}))
