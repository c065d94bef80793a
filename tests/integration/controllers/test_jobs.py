"""Jobs run to their end, on the real API server, with a stand-in for kubelets."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from controllers import garbage, job, ttlafterfinished
from controllers.jobpods import index_of
from miniplane import aio
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.client import Apply, InitApply
from miniplane.errors import Conflict, NotFound
from miniplane.kinds import EVENT, JOB, POD

WORK = Key("default", "work")


def make(**spec: Any) -> Object:
    """A Job of pods that are not restarted."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]}
    spec = {"template": {"spec": pod}, **spec}
    return {"metadata": {"name": "work", "namespace": "default"}, "spec": spec}


@asynccontextmanager
async def ending(world: Any, word: Callable[[Object], str]) -> AsyncIterator[None]:
    """Give every pod the phase that `word` says, as kubelets would; with none it stays."""
    async with aio.background(_end(world, word)):
        yield


async def _end(world: Any, word: Callable[[Object], str]) -> None:
    async with aclosing(world.client.watch(POD)) as events:
        async for event in events:
            if not isinstance(event, InitApply | Apply) or (event.obj.get("status") or {}).get("phase") != "Pending":
                continue
            phase = word(event.obj)
            state = {"terminated": {"exitCode": int(phase == "Failed"), "finishedAt": "2026-01-01T00:00:00Z"}}
            containers = [{"name": "c", "image": "busybox", "imageID": "", "restartCount": 0, "ready": False}]
            status = {"phase": phase, "containerStatuses": [containers[0] | {"state": state}]}
            if phase:
                try:
                    await world.client.patch(POD, meta.key_of(event.obj), {"status": status}, subresource="status")
                except (NotFound, Conflict):
                    continue


def has(word: str) -> Callable[[Object], bool]:
    """Whether a Job has a condition."""
    return lambda item: meta.is_condition_true(item, word)


async def test_a_job_completes(world: Any) -> None:
    """Every success counts once, pods are let go, and the end is written once."""
    async with world.running(job.controller()) as manager, ending(world, lambda _pod: "Succeeded"):
        await world.client.create(JOB, make(completions=5, parallelism=2))
        done = await world.until_one(JOB, WORK, has("Complete"))
        assert done["status"]["succeeded"] == 5
        pods = (await world.client.list(POD)).items
        assert len(pods) == 5
        assert not any(meta.finalizers(pod) for pod in pods)
        await world.settled(manager)
        assert not await world.sweep(manager)
        events = await world.until(EVENT, lambda seen: any(item["reason"] == "Completed" for item in seen.values()))
    assert sum(item["reason"] == "SuccessfulCreate" for item in events.values()) == 5


async def test_an_indexed_job_tells_which_indexes_failed(world: Any) -> None:
    """With a limit by index, one that fails does not stop the others."""

    def word(pod: Object) -> str:
        return "Failed" if index_of(pod) == 1 else "Succeeded"

    async with world.running(job.controller()), ending(world, word):
        await world.client.create(
            JOB, make(completions=4, parallelism=4, completionMode="Indexed", backoffLimitPerIndex=0)
        )
        done = await world.until_one(JOB, WORK, has("Failed"))
    assert done["status"]["completedIndexes"] == "0,2,3"
    assert done["status"]["failedIndexes"] == "1"
    assert (done["status"]["succeeded"], done["status"]["failed"]) == (3, 1)
    assert (meta.condition(done, "Failed") or {})["reason"] == "FailedIndexes"


async def test_failures_end_a_job(world: Any) -> None:
    """Beyond the limit the Job has failed, and says why."""
    async with world.running(job.controller()), ending(world, lambda _pod: "Failed"):
        await world.client.create(JOB, make(backoffLimit=0))
        done = await world.until_one(JOB, WORK, has("Failed"))
    condition = meta.condition(done, "Failed") or {}
    assert condition["reason"] == "BackoffLimitExceeded"
    assert condition["message"] == "Job has reached the specified backoff limit"
    assert done["status"]["failed"] == 1


async def test_suspending_takes_the_pods_away_uncounted(world: Any) -> None:
    """Pods go when a Job is suspended and come back after; none of that is a failure."""
    async with world.running(job.controller()):
        await world.client.create(JOB, make(completions=2, parallelism=2))
        await world.until(POD, lambda seen: len(seen) == 2)
        await world.client.patch(JOB, WORK, {"spec": {"suspend": True}})
        await world.until(POD, lambda seen: not seen)
        rest = await world.until_one(JOB, WORK, has("Suspended"))
        assert not rest["status"].get("failed")
        await world.client.patch(JOB, WORK, {"spec": {"suspend": False}})
        async with ending(world, lambda _pod: "Succeeded"):
            done = await world.until_one(JOB, WORK, has("Complete"))
    assert (done["status"]["succeeded"], done["status"].get("failed")) == (2, None)


async def test_a_finished_job_goes_with_its_pods(world: Any) -> None:
    """After its time to live nothing is left."""
    controllers = (job.controller(), ttlafterfinished.on, garbage.controller())
    async with world.running(*controllers), ending(world, lambda _pod: "Succeeded"):
        await world.client.create(JOB, make(ttlSecondsAfterFinished=0))
        await world.until(EVENT, lambda seen: any(item["reason"] == "Completed" for item in seen.values()))
        await world.until(JOB, lambda seen: not seen)
        await world.until(POD, lambda seen: not seen)


async def test_a_deleted_job_leaves_no_pod_behind(world: Any) -> None:
    """Pods that run wait for nobody to count them."""
    async with world.running(job.controller(), garbage.controller()):
        await world.client.create(JOB, make())
        await world.until(POD, lambda seen: len(seen) == 1)
        await world.client.delete(JOB, WORK, propagation="Background")
        await world.until(POD, lambda seen: not seen)
