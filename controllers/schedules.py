"""When a CronJob's next Job is due, and which one it is. Pure.

Upstream: pkg/controller/cronjob/utils.go.
"""

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from miniplane.api import meta
from miniplane.api.cron import Schedule
from miniplane.api.kind import Object
from miniplane.kinds import CRON_JOB, JOB

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
"""Annotation of a Job: the moment that it was due."""
MANY = 100
"""More missed starts than that point to a clock gone wrong."""


def zone_of(cron_job: Object) -> tzinfo:
    """The time zone of the schedule, UTC by default. Raises what zoneinfo does for an unknown one."""
    name = cron_job["spec"].get("timeZone")
    return zoneinfo.ZoneInfo(name) if name else UTC


def due_after(schedule: Schedule, moment: datetime, zone: tzinfo) -> datetime | None:
    """The first moment due after another, in UTC.

    Where clocks go back the repeated hour counts twice, as upstream: each moment counts whose local time is due.
    """
    here = moment.astimezone(zone)
    wall = schedule.after(here)
    if wall is None:
        return None
    found, offsets = [wall.astimezone(UTC)], {here.utcoffset(), wall.utcoffset()}
    if len(offsets) > 1:
        for offset in offsets:
            at = schedule.after(moment.astimezone(timezone(offset or timedelta())))
            if at is not None and at.astimezone(zone).utcoffset() == offset:
                found.append(at.astimezone(UTC))
    return min((one for one in found if one > moment), default=None)


@dataclass(frozen=True, slots=True)
class Due:
    """The latest start that is due and not made yet, whether very many were missed, and when the next one is."""

    at: datetime | None
    many_missed: bool
    next: datetime | None


def due(cron_job: Object, schedule: Schedule, zone: tzinfo, now: datetime) -> Due:
    """Look at the starts since the last one, or since the CronJob was made."""
    last = (cron_job.get("status") or {}).get("lastScheduleTime")
    earliest = meta.parse_timestamp(last) if last else meta.created(cron_job) or now
    deadline_s = cron_job["spec"].get("startingDeadlineSeconds")
    if deadline_s is not None:
        earliest = max(earliest, now - timedelta(seconds=deadline_s))
    upcoming = due_after(schedule, now, zone)
    at, missed = due_after(schedule, earliest, zone), 0
    if at is None or at > now:
        return Due(None, many_missed=False, next=upcoming)
    while missed <= MANY and (later := due_after(schedule, at, zone)) is not None and later <= now:
        at, missed = later, missed + 1
    if missed > MANY:
        at = _latest(schedule, at, zone, now)
    return Due(at, many_missed=missed > MANY, next=upcoming)


def _latest(schedule: Schedule, known: datetime, zone: tzinfo, now: datetime) -> datetime:
    """The last start up to now, looked for backwards in steps that double."""
    back = timedelta(minutes=1)
    while now - back > known:
        at = due_after(schedule, now - back, zone)
        if at is not None and at <= now:
            while (later := due_after(schedule, at, zone)) is not None and later <= now:
                at = later
            return at
        back *= 2
    return known


def job_for(cron_job: Object, at: datetime, zone: tzinfo) -> Object:
    """The Job of a start; its name has the minute, so that a start has one Job."""
    template = cron_job["spec"]["jobTemplate"]
    given = template.get("metadata") or {}
    metadata = {
        "name": f"{meta.name(cron_job)}-{int(at.timestamp()) // 60}",
        "namespace": meta.namespace(cron_job),
        "labels": dict(given.get("labels") or {}),
        "annotations": {**(given.get("annotations") or {}), SCHEDULED: _local(at, zone)},
        "ownerReferences": [meta.owner_reference(cron_job, kind=CRON_JOB)],
    }
    return {"apiVersion": JOB.api_version, "kind": JOB.kind, "metadata": metadata, "spec": template["spec"]}


def _local(at: datetime, zone: tzinfo) -> str:
    return meta.timestamp(at) if zone is UTC else at.astimezone(zone).isoformat(timespec="seconds")


def surplus(jobs: list[Object], limit: int | None) -> list[Object]:
    """The finished Jobs beyond a history limit, oldest start first."""

    def start(job: Object) -> tuple[str, str]:
        return (job.get("status") or {}).get("startTime") or "", meta.name(job)

    return [] if limit is None else sorted(jobs, key=start)[: max(0, len(jobs) - limit)]
