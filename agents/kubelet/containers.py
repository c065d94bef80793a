"""One container of a pod over its starts and ends.

The pod's worker decides when to start and to stop; this keeps what is true of the container, runs its hooks and probes,
and wakes the worker when something has changed. Nothing here talks to the API server.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from miniplane.aio import Clock, done_within, finishes_within, stop
from miniplane.api import meta
from miniplane.api.kind import Object

from ..network.base import Link
from .images.base import TERMINATION_LOG, ContainerContext, Image, RunningContainer
from .logs import Log
from .probes import Prober, watch
from .status import ContainerView, Running, State, Terminated, Waiting

BACKOFF_FIRST_S = 10.0
BACKOFF_LAST_S = 300.0
BACKOFF_FORGET_S = 600.0
"""A container that ran this long since its last restart starts again without delay (upstream: twice the maximum)."""
PREFIX = "miniplane://"
_ID_BYTES = 32
_MESSAGE_LENGTH = 4096
_FALLBACK_LENGTH = 2048
_FALLBACK_LINES = 80
_MINIMUM_GRACE_S = 2.0
"""What is left for SIGTERM when the preStop hook has used up the grace period, as upstream."""


class Role(StrEnum):
    """What a container is in its pod."""

    INIT = "init"
    SIDECAR = "sidecar"
    MAIN = "main"
    EPHEMERAL = "ephemeral"
    """Added to a pod that is there, to look around; started once, and nothing of the pod's state depends on it."""


class Backoff:
    """How long to wait before the next restart: nothing, then 10 s, doubling to five minutes."""

    def __init__(self) -> None:
        self._delay_s = 0.0
        self._since = 0.0

    @property
    def delay_s(self) -> float:
        """The present delay."""
        return self._delay_s

    def remaining_s(self, ended: float, now: float) -> float:
        """What is still to wait after an end at `ended`."""
        return max(0.0, ended + self._delay_s - now)

    def restarted(self, now: float) -> None:
        """A restart happens: the next one waits longer."""
        if now - self._since > BACKOFF_FORGET_S:
            self._delay_s = 0.0
        self._delay_s = min(BACKOFF_LAST_S, max(BACKOFF_FIRST_S, 2 * self._delay_s))
        self._since = now


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrounding:
    """What a container needs of its pod."""

    clock: Clock
    host: Link
    """The node's own network, where probes come from."""
    wake: Callable[[], None]
    event: Callable[[str, str, str], None]
    grace_s: float


class Container:
    """One container."""

    def __init__(self, spec: Object, role: Role, around: Surrounding) -> None:
        self.spec = spec
        self.role = role
        self.state: State = Waiting("ContainerCreating")
        self.last: Terminated | None = None
        self.restart_count = 0
        self.container_id = ""
        self.backoff = Backoff()
        self.ended_at = 0.0
        """When it last ended, on the clock's monotonic time."""
        self.context: ContainerContext | None = None
        self.log = Log(around.clock)
        self.previous_log: Log | None = None
        self._around = around
        self._running: RunningContainer | None = None
        self._is_ready = False
        self._is_started = False
        self._was_started_once = False
        self._monitor: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._stop_at = 0.0

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.spec["name"])

    @property
    def is_running(self) -> bool:
        """Whether it runs and has not been found ended."""
        return self._running is not None

    @property
    def is_through(self) -> bool:
        """Whether an init container lets the next one start: ended well, or started where it stays."""
        if self.role is Role.SIDECAR:
            return self._is_started
        return isinstance(self.state, Terminated) and self.state.exit_code == 0

    @property
    def has_run(self) -> bool:
        """Whether it was ever started, by this agent or by the one before."""
        return self._was_started_once

    def write(self, text: str) -> None:
        """Add to the log of the present run."""
        self.log.write(text)

    def view(self) -> ContainerView:
        """As the status shows it."""
        return ContainerView(
            name=self.name,
            image=self.spec.get("image", ""),
            state=self.state,
            last=self.last,
            restart_count=self.restart_count,
            is_ready=self.is_through if self.role is Role.INIT else self._is_ready,
            is_started=self._is_started,
            container_id=self.container_id,
            is_ephemeral=self.role is Role.EPHEMERAL,
        )

    def restore(self, status: Object) -> None:
        """Take over what an earlier agent reported: the count of starts, and how the last run ended."""
        self.restart_count = status.get("restartCount", 0)
        self.container_id = status.get("containerID", "")
        state = status.get("state") or {}
        if ended := state.get("terminated"):
            self.state = _terminated(ended)
            self._was_started_once = True
        elif "running" in state:
            started = state["running"].get("startedAt")
            self.state = Terminated(
                exit_code=255,
                reason="Unknown",
                started_at=meta.parse_timestamp(started) if started else None,
                finished_at=self._around.clock.now(),
                container_id=self.container_id,
            )
            self._was_started_once = True
        if ended := (status.get("lastState") or {}).get("terminated"):
            self.last = _terminated(ended)

    async def start(self, image: Image, context: ContainerContext) -> None:
        """Start it (again). A program that fails at its start has ended with code 1 when this returns."""
        if self._was_started_once:
            self.restart_count += 1
            self.backoff.restarted(self._around.clock.monotonic())
            if isinstance(self.state, Terminated):
                self.last = self.state
            self.previous_log, self.log = self.log, Log(self._around.clock)
        self._was_started_once = True
        self.context = context
        self.container_id = PREFIX + secrets.token_hex(_ID_BYTES)
        self.state = Running(self._around.clock.now())
        try:
            self._running = await image.start(context)
        except (OSError, ValueError) as error:
            self.log.write(f"failed to start: {getattr(error, 'strerror', '') or error}")
            self._end(1)
            return
        self._running.exited.add_done_callback(lambda _: self._around.wake())
        self._stopping = None
        self._begin()

    def _begin(self) -> None:
        """Hooks and probes; a container without any of them is ready at once and costs no task."""
        if any(self.spec.get(name) for name in _WATCHED) or (self.spec.get("lifecycle") or {}).get("postStart"):
            self._monitor = asyncio.create_task(self._watch(), name=f"probes of {self.name}")
        else:
            self._is_started = self._is_ready = True

    async def _watch(self) -> None:
        assert self.context is not None
        prober = Prober(self._around.host, self.context)
        if not await self._post_start(prober):
            return
        if probe := self.spec.get("startupProbe"):
            async for verdict in watch(probe, prober, self._around.clock):
                if verdict.is_reached:
                    if not verdict.outcome.ok:
                        self._unhealthy("Startup", verdict.outcome.text)
                        self._fail("startup")
                        return
                    break
                if not verdict.outcome.ok:
                    self._unhealthy("Startup", verdict.outcome.text)
        self._is_started = True
        self._is_ready = not self.spec.get("readinessProbe")
        self._around.wake()
        async with asyncio.TaskGroup() as group:
            if probe := self.spec.get("readinessProbe"):
                group.create_task(self._watch_readiness(probe, prober))
            if probe := self.spec.get("livenessProbe"):
                group.create_task(self._watch_liveness(probe, prober))

    async def _post_start(self, prober: Prober) -> bool:
        handler = (self.spec.get("lifecycle") or {}).get("postStart")
        if not handler:
            return True
        outcome = await prober.hook(handler)
        if not outcome.ok:
            self._around.event("Warning", "FailedPostStartHook", f"PostStartHook failed: {outcome.text}")
            self._around.event("Normal", "Killing", "FailedPostStartHook")
            self.stop(self._around.grace_s)
        return outcome.ok

    async def _watch_readiness(self, probe: Object, prober: Prober) -> None:
        async for verdict in watch(probe, prober, self._around.clock):
            if not verdict.outcome.ok:
                self._unhealthy("Readiness", verdict.outcome.text)
            if verdict.is_reached and self._is_ready != verdict.outcome.ok:
                self._is_ready = verdict.outcome.ok
                self._around.wake()

    async def _watch_liveness(self, probe: Object, prober: Prober) -> None:
        async for verdict in watch(probe, prober, self._around.clock):
            if self._stopping is not None:
                return
            if not verdict.outcome.ok:
                self._unhealthy("Liveness", verdict.outcome.text)
                if verdict.is_reached:
                    self._fail("liveness")
                    return

    def _unhealthy(self, kind: str, text: str) -> None:
        self._around.event("Warning", "Unhealthy", f"{kind} probe failed: {text}")

    def _fail(self, kind: str) -> None:
        grace = (self.spec.get(f"{kind}Probe") or {}).get("terminationGracePeriodSeconds")
        self._around.event("Normal", "Killing", f"Container {self.name} failed {kind} probe, will be restarted")
        self.stop(self._around.grace_s if grace is None else grace)

    def reap(self) -> None:
        """If it has ended, take note of that."""
        if self._running is not None and self._running.exited.done():
            self._end(self._running.exited.result())

    def _end(self, code: int) -> None:
        started = self.state.started_at if isinstance(self.state, Running) else None
        self.state = Terminated(
            exit_code=code,
            reason="Completed" if code == 0 else "Error",
            message=self._last_words(code),
            started_at=started,
            finished_at=self._around.clock.now(),
            container_id=self.container_id,
        )
        self.ended_at = self._around.clock.monotonic()
        self._running = None
        self._is_ready = self._is_started = False
        self.log.end(code)
        if self._monitor is not None:
            self._monitor.cancel()
            self._monitor = None

    def _last_words(self, code: int) -> str:
        """What it wrote to its termination message path; the end of its log where the policy is to fall back."""
        path = self.spec.get("terminationMessagePath") or TERMINATION_LOG
        text = self.context.files.get(path, "") if self.context is not None else ""
        if not text and code != 0 and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            lines = self.log.lines(tail=_FALLBACK_LINES)
            return "".join(f"{line.text}\n" for line in lines)[-_FALLBACK_LENGTH:]
        return text[:_MESSAGE_LENGTH]

    def wait(self, reason: str, message: str = "") -> None:
        """It can't be started now. How the last run ended stays visible."""
        if isinstance(self.state, Terminated) and self._was_started_once:
            self.last = self.state
        self.state = Waiting(reason, message)

    def stop(self, grace_s: float) -> None:
        """Ask it to end within `grace_s`, then kill it. A later call can only make that sooner."""
        if self._running is None:
            return
        deadline = self._around.clock.monotonic() + grace_s
        if self._stopping is not None:
            if deadline >= self._stop_at:
                return
            self._stopping.cancel()
        self._stop_at = deadline
        self._stopping = asyncio.create_task(self._stop(self._running, grace_s), name=f"stop of {self.name}")

    async def _stop(self, running: RunningContainer, grace_s: float) -> None:
        clock = self._around.clock
        started = clock.monotonic()
        handler = (self.spec.get("lifecycle") or {}).get("preStop")
        if handler and grace_s > 0:
            await finishes_within(clock, grace_s, self._pre_stop(handler))
        running.terminate()
        left = grace_s - (clock.monotonic() - started)
        await done_within(clock, max(left, _MINIMUM_GRACE_S) if grace_s > 0 else 0, running.exited)
        await running.kill()

    async def _pre_stop(self, handler: Object) -> None:
        assert self.context is not None
        outcome = await Prober(self._around.host, self.context).hook(handler)
        if not outcome.ok:
            self._around.event("Warning", "FailedPreStopHook", f"PreStopHook failed: {outcome.text}")

    async def kill(self) -> None:
        """End everything of it now."""
        await stop(*(task for task in (self._stopping, self._monitor) if task is not None))
        if self._running is not None:
            await self._running.kill()
        self.reap()


_WATCHED = ("startupProbe", "readinessProbe", "livenessProbe")


def _terminated(state: Object) -> Terminated:
    started, finished = state.get("startedAt"), state.get("finishedAt")
    return Terminated(
        exit_code=state.get("exitCode", 0),
        reason=state.get("reason", ""),
        message=state.get("message", ""),
        started_at=meta.parse_timestamp(started) if started else None,
        finished_at=meta.parse_timestamp(finished) if finished else None,
        container_id=state.get("containerID", ""),
    )
