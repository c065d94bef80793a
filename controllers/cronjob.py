"""CronJob: makes a Job at the times of a schedule; `schedules` says when.

Upstream: pkg/controller/cronjob.
"""

import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo

from miniplane.api import cron, meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.errors import AlreadyExists, ApiError, NotFound
from miniplane.kinds import CRON_JOB, JOB
from miniplane.runtime import DONE, Context, On, Result, again

from . import schedules
from .jobs import COMPLETE, FAILED, is_finished
from .podkeeping import is_terminating
from .schedules import Due

MARGIN_S = 0.1
"""Look again so long after a start is due, as upstream, so that it is due for sure."""


@dataclass(slots=True)
class CronJobs:
    """The reconciler. `written` is the revision of each CronJob after our last write, by uid."""

    written: dict[str, int] = field(default_factory=dict)

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Tidy up one CronJob's Jobs, and start one if it is due."""
        cron_job = ctx.cache(CRON_JOB).get(key)
        if cron_job is None or meta.revision(cron_job) < self.written.get(meta.uid(cron_job), 0):
            return DONE  # the newer one wakes us
        jobs = [job for job in ctx.cache(JOB).list(key.namespace) if meta.is_controlled_by(job, cron_job)]
        status = await _looked_after(cron_job, jobs, ctx)
        await _trim(cron_job, jobs, ctx)
        result = DONE if meta.is_deleted(cron_job) else await _start(cron_job, status, ctx)
        status = {name: value for name, value in status.items() if value}
        if status != (cron_job.get("status") or {}):
            stored = await ctx.client.update(CRON_JOB, cron_job | {"status": status}, subresource="status")
            self.written[meta.uid(cron_job)] = meta.revision(stored)
        return result


async def _looked_after(cron_job: Object, jobs: Sequence[Object], ctx: Context) -> Object:
    """The status with what has become of the Jobs."""
    status = dict(cron_job.get("status") or {})
    active = [*(status.get("active") or ())]
    listed = {item.get("uid") for item in active}
    by_uid = {meta.uid(job): job for job in jobs}
    for uid, job in by_uid.items():
        if uid not in listed and not is_finished(job):
            text = f"Saw a job that the controller did not create or forgot: {meta.name(job)}"
            ctx.event(cron_job, "Warning", "UnexpectedJob", text)
        elif uid in listed and is_finished(job):
            active = [item for item in active if item.get("uid") != uid]
            word = COMPLETE if meta.is_condition_true(job, COMPLETE) else FAILED
            text = f"Saw completed job: {meta.name(job)}, condition: {word}"
            ctx.event(cron_job, "Normal", "SawCompletedJob", text)
        ended = (job.get("status") or {}).get("completionTime")
        if ended and meta.is_condition_true(job, COMPLETE):
            status["lastSuccessfulTime"] = max(status.get("lastSuccessfulTime") or "", ended)
    kept = []
    for item in active:
        if item.get("uid") in by_uid or await _exists(item, ctx):
            kept.append(item)
        else:
            ctx.event(cron_job, "Normal", "MissingJob", f"Active job went missing: {item.get('name')}")
    status["active"] = kept
    return status


async def _exists(reference: Object, ctx: Context) -> bool:
    """Whether a Job that the cache does not show is there; it may be new."""
    try:
        live = await ctx.client.get(JOB, reference["name"], reference["namespace"])
    except NotFound:
        return False
    return bool(meta.uid(live) == reference.get("uid"))


async def _trim(cron_job: Object, jobs: Sequence[Object], ctx: Context) -> None:
    """Remove finished Jobs beyond the history limits."""
    for word, limit in ((COMPLETE, "successfulJobsHistoryLimit"), (FAILED, "failedJobsHistoryLimit")):
        ended = [job for job in jobs if meta.is_condition_true(job, word)]
        for job in schedules.surplus(ended, cron_job["spec"].get(limit)):
            if not meta.is_deleted(job):
                await _delete(cron_job, meta.key_of(job), meta.uid(job), ctx)


async def _delete(cron_job: Object, key: Key, uid: str, ctx: Context) -> None:
    try:
        await ctx.client.delete(JOB, key, uid=uid, propagation="Background")
    except NotFound:
        return
    except ApiError as error:
        ctx.event(cron_job, "Warning", "FailedDelete", f"Deleted job: {error.message}")
        raise
    ctx.event(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {key.name}")


async def _start(cron_job: Object, status: Object, ctx: Context) -> Result:
    """Start the Job that is due, if any; changes the status."""
    spec, now = cron_job["spec"], ctx.clock.now()
    if spec.get("suspend"):
        return DONE
    try:
        zone = schedules.zone_of(cron_job)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        text = f'invalid timeZone: "{spec["timeZone"]}": {error}'
        ctx.event(cron_job, "Warning", "UnknownTimeZone", text)
        return DONE
    try:
        schedule = cron.parse(spec["schedule"])
    except ValueError as error:
        text = f'unparseable schedule: "{spec["schedule"]}" : {error}'
        ctx.event(cron_job, "Warning", "UnparseableSchedule", text)
        return DONE
    found = schedules.due(cron_job, schedule, zone, now)
    if found.many_missed:
        text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        ctx.event(cron_job, "Warning", "TooManyMissedTimes", text)
    if found.at is not None and await _may_start(cron_job, status, found.at, ctx):
        await _create(cron_job, status, found, zone, ctx)
    return DONE if found.next is None else again((found.next - now).total_seconds() + MARGIN_S)


async def _may_start(cron_job: Object, status: Object, at: datetime, ctx: Context) -> bool:
    """Whether deadline and concurrency policy let a Job start; under Replace the running ones go."""
    spec, now = cron_job["spec"], ctx.clock.now()
    deadline_s, policy = spec.get("startingDeadlineSeconds"), spec.get("concurrencyPolicy")
    if deadline_s is not None and at + timedelta(seconds=deadline_s) < now:
        text = f"Missed scheduled time to start a job: {at:%a, %d %b %Y %H:%M:%S %z}"
        ctx.event(cron_job, "Warning", "MissSchedule", text)
        return False
    if policy == "Forbid" and status["active"]:
        text = "Not starting job because prior execution is running and concurrency policy is Forbid"
        ctx.event(cron_job, "Normal", "JobAlreadyActive", text)
        return False
    if policy == "Replace":
        for item in status["active"]:
            await _delete(cron_job, Key(item["namespace"], item["name"]), item["uid"], ctx)
        status["active"] = []
    return True


async def _create(cron_job: Object, status: Object, found: Due, zone: tzinfo, ctx: Context) -> None:
    assert found.at is not None
    body = schedules.job_for(cron_job, found.at, zone)
    try:
        job = await ctx.client.create(JOB, body)
    except AlreadyExists:
        job = await ctx.client.get(JOB, meta.name(body), meta.namespace(body))
        if not meta.is_controlled_by(job, cron_job):
            raise
    except ApiError as error:
        if is_terminating(error):
            return
        ctx.event(cron_job, "Warning", "FailedCreate", f"Error creating job: {error.message}")
        raise
    else:
        ctx.event(cron_job, "Normal", "SuccessfulCreate", f"Created job {meta.name(job)}")
    reference = {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "name": meta.name(job),
        "namespace": meta.namespace(job),
        "uid": meta.uid(job),
        "resourceVersion": job["metadata"]["resourceVersion"],
    }
    others = [item for item in status["active"] if item["uid"] != meta.uid(job)]
    status["active"] = [*others, *([] if is_finished(job) else [reference])]
    status["lastScheduleTime"] = meta.timestamp(found.at)


def controller() -> On:
    """The controller."""
    on = On("cronjob")
    on.reconcile(CRON_JOB, also=[on.owned(JOB)])(CronJobs().reconcile)
    return on
