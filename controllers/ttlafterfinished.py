"""Finished Jobs go when their ttlSecondsAfterFinished are over. Upstream: pkg/controller/ttlafterfinished."""

from miniplane.api import meta
from miniplane.api.meta import Key
from miniplane.errors import NotFound
from miniplane.kinds import JOB
from miniplane.runtime import DONE, Context, On, Result, again

from .jobs import finished_at

on = On("ttlafterfinished", component="ttl-after-finished-controller")


@on.reconcile(JOB)
async def finished_jobs(key: Key, ctx: Context) -> Result:
    """Delete one Job when its time is over; its pods go with it."""
    job = ctx.cache(JOB).get(key)
    ttl_s = None if job is None else job["spec"].get("ttlSecondsAfterFinished")
    if job is None or ttl_s is None or meta.is_deleted(job):
        return DONE
    ended = finished_at(job)
    if ended is None:
        return DONE
    left_s = ttl_s - (ctx.clock.now() - ended).total_seconds()
    if left_s > 0:
        return again(left_s)
    try:
        await ctx.client.delete(JOB, key, uid=meta.uid(job), propagation="Foreground")
    except NotFound:
        return DONE
    ctx.log.info("finished job removed", job=str(key))
    return DONE
