"""Events go an hour after they last happened; nothing else goes by itself."""

from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.registry import expiry
from miniplane import aio
from miniplane.kinds import CONFIG_MAP, EVENT, KINDS, REGISTRY
from miniplane.kinds.core.event import last_seen
from miniplane.testing.clock import SimulatedClock
from tests.contract.api.conftest import Api, config_map

EVENTS = "/api/v1/namespaces/default/events"
MAPS = "/api/v1/namespaces/default/configmaps"


def event(name: str, **fields: Any) -> dict[str, Any]:
    """An event about a pod."""
    about = {"kind": "Pod", "namespace": "default", "name": "web"}
    return {"kind": "Event", "metadata": {"name": name}, "involvedObject": about, "reason": "Seen", **fields}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, datetime(2026, 1, 1, tzinfo=UTC)),
        ({"lastTimestamp": "2026-01-01T01:00:00Z"}, datetime(2026, 1, 1, 1, tzinfo=UTC)),
        ({"lastTimestamp": None, "eventTime": "2026-01-01T02:00:00.000000Z"}, datetime(2026, 1, 1, 2, tzinfo=UTC)),
        ({"series": {"lastObservedTime": "2026-01-01T03:00:00.000000Z"}}, datetime(2026, 1, 1, 3, tzinfo=UTC)),
        ({"lastTimestamp": "2025-01-01T00:00:00Z"}, datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_when_an_event_was_last_seen(fields: dict[str, Any], expected: datetime) -> None:
    """The newest of its times, its creation among them."""
    made = event("a", **fields)
    made["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    assert last_seen(made) == expected


def test_only_events_go_by_themselves() -> None:
    """No other kind says when its objects were last seen."""
    assert [kind for kind in KINDS if kind.strategy.last_seen is not None] == [EVENT]


async def test_old_events_go_and_are_told(api: Api) -> None:
    """One that happened again lately stays; watches see the others go; what has no such time stays."""
    await api.make(EVENTS, event("old"))
    await api.make(EVENTS, event("fresh", lastTimestamp="2126-01-01T00:00:00Z"))
    await api.make(MAPS, config_map())
    since, clock = api.store.revision, SimulatedClock(datetime(2126, 1, 1, 0, 30, tzinfo=UTC))
    async with aio.background(expiry.run(api.store, REGISTRY, clock, ttl_s=3600)):
        await clock.somebody_sleeps()
        await clock.advance(expiry.EVERY_S)
        await clock.somebody_sleeps()
    events = await api.watch(EVENTS, resourceVersion=since)
    assert [(item["type"], item["object"]["metadata"]["name"]) for item in events] == [("DELETED", "old")]
    assert [item["metadata"]["name"] for item in (await api("GET", EVENTS)).obj["items"]] == ["fresh"]
    assert (await api("GET", f"{MAPS}/a")).status == 200


async def test_what_changes_meanwhile_stays(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that happens again between the look and the removal is kept."""
    await api.make(EVENTS, event("a"))
    stale = api.store.list("/events")
    await api("PATCH", f"{EVENTS}/a", {"count": 2}, media="application/merge-patch+json")
    monkeypatch.setattr(api.store, "list", lambda *_: stale)
    assert await expiry.sweep(api.store, EVENT, datetime(2126, 1, 1, tzinfo=UTC)) == 0
    assert await expiry.sweep(api.store, CONFIG_MAP, datetime(2126, 1, 1, tzinfo=UTC)) == 0
