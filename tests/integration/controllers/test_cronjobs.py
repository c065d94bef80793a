"""CronJobs start Jobs on time, on the real API server and on simulated time."""

from datetime import datetime
from typing import Any

import pytest

from controllers import cronjob
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.kinds import CRON_JOB, EVENT, JOB
from miniplane.testing.clock import SimulatedClock

TICK = Key("default", "tick")


def make(**spec: Any) -> Object:
    """A CronJob every minute."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]}
    template = {"spec": {"template": {"spec": pod}}}
    spec = {"schedule": "* * * * *", "jobTemplate": template, **spec}
    return {"metadata": {"name": "tick", "namespace": "default"}, "spec": spec}


def clock_of(world: Any) -> SimulatedClock:
    """A clock that begins now, on a whole minute and a second."""
    now: datetime = world.client.clock.now()
    return SimulatedClock(now.replace(second=1, microsecond=0))


async def complete(world: Any, job: Object) -> None:
    """Let a Job have succeeded."""
    now = meta.timestamp(world.client.clock.now())
    conditions = [
        {"type": word, "status": "True", "lastTransitionTime": now, "lastProbeTime": now}
        for word in ("SuccessCriteriaMet", "Complete")
    ]
    status = {"conditions": conditions, "startTime": now, "completionTime": now}
    await world.client.patch(JOB, meta.key_of(job), {"status": status}, subresource="status")


async def minute(world: Any, clock: SimulatedClock, count: int) -> dict[Key, Object]:
    """Let a minute pass; the Jobs when the last start is told and `count` are there."""
    told = (await world.client.get(CRON_JOB, "tick", "default"))["status"].get("lastScheduleTime")
    await clock.somebody_sleeps()
    await clock.advance(60)
    await world.until_one(CRON_JOB, TICK, lambda item: item["status"].get("lastScheduleTime") != told)
    jobs: dict[Key, Object] = await world.until(JOB, lambda seen: len(seen) == count)
    return jobs


async def test_jobs_come_every_minute_and_old_ones_go(world: Any) -> None:
    """Each start has its Job; the status lists those that run; of those that ended the history limit keeps some."""
    clock = clock_of(world)
    async with world.running(cronjob.controller(), clock=clock) as manager:
        await world.client.create(CRON_JOB, make(successfulJobsHistoryLimit=1))
        (first,) = (await minute(world, clock, 1)).values()
        assert meta.controller_of(first)["name"] == "tick"  # type: ignore[index]  # it has one
        running = await world.until_one(CRON_JOB, TICK, lambda item: bool(item["status"].get("active")))
        assert [item["uid"] for item in running["status"]["active"]] == [meta.uid(first)]
        await complete(world, first)
        await world.until_one(CRON_JOB, TICK, lambda item: "lastSuccessfulTime" in item["status"])
        (second,) = [job for key, job in (await minute(world, clock, 2)).items() if key != meta.key_of(first)]
        await complete(world, second)
        await world.until(JOB, lambda seen: [*seen] == [meta.key_of(second)])
        events = await world.until(
            EVENT, lambda seen: {"SuccessfulDelete"} <= {item["reason"] for item in seen.values()}
        )
        await world.settled(manager)
        assert not await world.sweep(manager)
    assert {"SuccessfulCreate", "SawCompletedJob"} <= {item["reason"] for item in events.values()}


@pytest.mark.parametrize(("policy", "count"), [("Allow", 2), ("Replace", 1)])
async def test_starts_while_one_runs(world: Any, policy: str, count: int) -> None:
    """Side by side, or in its place."""
    clock = clock_of(world)
    async with world.running(cronjob.controller(), clock=clock):
        await world.client.create(CRON_JOB, make(concurrencyPolicy=policy))
        (first,) = await minute(world, clock, 1)
        jobs = await minute(world, clock, count)
    assert (first in jobs) is (policy == "Allow")


async def test_one_at_a_time(world: Any) -> None:
    """Under Forbid a start is left out while a Job runs, and an event says so."""
    clock = clock_of(world)
    async with world.running(cronjob.controller(), clock=clock):
        await world.client.create(CRON_JOB, make(concurrencyPolicy="Forbid"))
        await minute(world, clock, 1)
        await clock.somebody_sleeps()
        await clock.advance(60)
        await world.until(EVENT, lambda seen: any(item["reason"] == "JobAlreadyActive" for item in seen.values()))
        assert len((await world.client.list(JOB)).items) == 1
