"""Events, leases and restarts, on the real API server."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

import apiserver
from miniplane import aio
from miniplane.api import meta
from miniplane.api.meta import Key
from miniplane.client import Client, Selection
from miniplane.errors import Unavailable
from miniplane.kinds import CONFIG_MAP, EVENT, LEASE
from miniplane.runtime import DONE, Context, EventRecorder, Informers, Leader, LeadershipLost, Manager, On, Result
from miniplane.runtime.events import BURST
from miniplane.testing.clock import SimulatedClock

LOCK = Key("kube-system", "lock")


def config_map(name: str) -> dict[str, Any]:
    """A ConfigMap with nothing in it."""
    return {"metadata": {"name": name, "namespace": "default"}}


async def test_repeated_events_are_counted(world: Any) -> None:
    """The same again raises the count of one Event; another message is another Event; a flood is cut off."""
    obj = await world.client.create(CONFIG_MAP, config_map("x"))
    clock = SimulatedClock()
    recorder = EventRecorder(world.client, clock, "test-controller")
    async with aio.background(recorder.run()):
        for _ in range(3):
            recorder.record(obj, "Normal", "Seen", "hello")
        await world.until(EVENT, lambda seen: [event["count"] for event in seen.values()] == [3])
        await clock.advance(5)
        recorder.record(obj, "Normal", "Seen", "hello")
        recorder.record(obj, "Warning", "Seen", "good-bye")
        seen = await world.until(EVENT, lambda seen: sorted(event["count"] for event in seen.values()) == [1, 4])
        for number in range(100):
            recorder.record(obj, "Normal", "Flood", str(number))
        seen = await world.until(EVENT, lambda seen: len(seen) == 2 + BURST - 5)
        assert len(recorder._pending) <= 1
    hello = next(event for event in seen.values() if event["message"] == "hello")
    assert hello["involvedObject"]["uid"] == meta.uid(obj)
    assert hello["involvedObject"]["kind"] == "ConfigMap"
    assert (hello["firstTimestamp"], hello["lastTimestamp"]) == ("2026-01-02T03:04:05Z", "2026-01-02T03:04:10Z")


async def test_one_leads_until_it_lets_go(world: Any) -> None:
    """The second candidate waits while the first renews, and takes over at once after a release."""
    clock = SimulatedClock()
    first, second = (Leader(world.client, clock, LOCK, name) for name in ("first", "second"))
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await clock.somebody_sleeps()
    await first.release()
    await clock.advance(2)
    await waiting
    lease = await world.client.get(LEASE, LOCK.name, LOCK.namespace)
    assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == ("second", 1)


async def test_a_dead_leader_is_replaced_after_its_lease(world: Any) -> None:
    """A holder that stopped renewing is replaced once its duration has passed, not before; it then knows."""
    clock = SimulatedClock()
    first, second = (Leader(world.client, clock, LOCK, name) for name in ("first", "second"))
    await first.acquire()
    began = clock.monotonic()
    waiting = asyncio.create_task(second.acquire())
    while not waiting.done():
        sleeping = asyncio.create_task(clock.somebody_sleeps())
        await asyncio.wait([waiting, sleeping], return_when=asyncio.FIRST_COMPLETED)
        sleeping.cancel()
        if not waiting.done():
            await clock.advance(clock.next_wake_s or 0)
    assert 15 <= clock.monotonic() - began <= 17
    holding = asyncio.create_task(first.hold())
    await clock.somebody_sleeps()
    await clock.advance(2)
    (lost,) = await asyncio.gather(holding, return_exceptions=True)
    assert isinstance(lost, LeadershipLost)


async def test_a_leader_whose_server_is_silent_stops_in_time(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal that gets no answer costs the lease before another candidate may take it."""
    clock = SimulatedClock()
    leader = Leader(world.client, clock, LOCK, "first")
    await leader.acquire()

    async def silent(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(world.client, "get", silent)
    holding = asyncio.create_task(leader.hold())
    await clock.somebody_sleeps()
    await clock.advance(15)
    (lost,) = await asyncio.gather(holding, return_exceptions=True)
    assert isinstance(lost, LeadershipLost)


async def test_only_the_leader_works(world: Any) -> None:
    """A manager with a leader fills its caches at once, works once it holds the lease, and lets it go when it ends."""
    clock = SimulatedClock()
    other, own = (Leader(world.client, clock, LOCK, name) for name in ("other", "own"))
    await other.acquire()
    on, seen, ready = On("test"), asyncio.Queue[Key](), asyncio.Event()

    @on.reconcile(CONFIG_MAP)
    async def reconcile(key: Key, _ctx: Context) -> Result:
        seen.put_nowait(key)
        return DONE

    manager = Manager(world.client, [on], world.client.clock, leader=own)
    await world.client.create(CONFIG_MAP, config_map("x"))
    async with aio.background(manager.run(ready.set)):
        await ready.wait()
        await clock.somebody_sleeps()
        assert seen.empty()
        await other.release()
        await clock.advance(2)
        while await seen.get() != Key("default", "x"):
            pass
    lease = await world.client.get(LEASE, LOCK.name, LOCK.namespace)
    assert lease["spec"].get("holderIdentity", "") == ""


async def test_informers_are_shared_by_kind_and_selection(world: Any) -> None:
    """Asking twice gives one copy; another selection has its own, with only what it selects."""
    await world.client.create(CONFIG_MAP, config_map("x"))
    await world.client.create(CONFIG_MAP, config_map("y"))
    selection = Selection("default", fields="metadata.name=x")
    async with Informers(world.client, world.client.clock) as informers:
        assert informers.get(CONFIG_MAP) is informers.get(CONFIG_MAP)
        one = informers.get(CONFIG_MAP, selection)
        await informers.synced()
        assert one.cache.keys == [Key("default", "x")]
        assert Key("default", "y") in informers.get(CONFIG_MAP).cache


async def test_controllers_outlive_the_server(tmp_path: Path) -> None:
    """While the server is away they wait; when it is back with its data they go on."""
    on, seen = On("test"), asyncio.Queue[str]()

    @on.reconcile(CONFIG_MAP)
    async def reconcile(key: Key, ctx: Context) -> Result:
        obj = ctx.cache(CONFIG_MAP).get(key)
        if key.namespace == "default" and obj is not None:
            seen.put_nowait(f"{key.name}={obj['data']['n']}")
        return DONE

    def settings(port: int) -> apiserver.Settings:
        return apiserver.Settings(data_dir=tmp_path, port=port)

    async def served(port: int, value: str, manager: Manager | None = None) -> Client:
        """Run the server for as long as it takes to write one value and, if there are controllers, to see it."""
        ready = asyncio.Event()
        async with aio.background(apiserver.run(settings(port), ready=ready.set)):
            await ready.wait()
            client = Client.from_kubeconfig(tmp_path / "kubeconfig")
            body = {**config_map("x"), "data": {"n": value}}
            if manager is None:
                await client.create(CONFIG_MAP, body)
                return client
            await client.update(CONFIG_MAP, body)
            while await seen.get() != f"x={value}":
                pass
            return client

    first = await served(0, "1")
    port = int(first.access.server.rpartition(":")[2])
    manager = Manager(first, [on], first.clock)
    async with aio.background(manager.run()):
        for value in ("2", "3"):
            client = await served(port, value, manager)
            await client.aclose()
            try:
                await first.get(CONFIG_MAP, "x", "default")
            except Unavailable:
                continue
    await first.aclose()


async def test_writes_are_fenced_by_the_lease(world: Any) -> None:
    """A leader that could not renew writes nothing any more, before anybody else may lead; reads go on."""
    clock = SimulatedClock()
    leader = Leader(world.client, clock, LOCK, "first")
    world.client.guard = leader.check
    with pytest.raises(LeadershipLost):
        await world.client.create(CONFIG_MAP, config_map("early"))
    await leader.acquire()
    await world.client.create(CONFIG_MAP, config_map("held"))
    await clock.advance(15)
    with pytest.raises(LeadershipLost):
        await world.client.create(CONFIG_MAP, config_map("late"))
    names = [item["metadata"]["name"] for item in (await world.client.list(CONFIG_MAP, "default")).items]
    assert "held" in names
    assert not {"early", "late"} & {*names}
