"""When to compact, and how far: a window of revisions and of time stays."""

from collections import deque
from collections.abc import Awaitable, Callable

from miniplane.aio import Clock
from miniplane.observe import logs

from .base import StoreUnavailable
from .limits import Limits

_log = logs.get("apiserver.store")


class Policy:
    """Turns what the revision was at which time into the revision to compact to."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seen: deque[tuple[float, int]] = deque()

    def target(self, now: float, revision: int, compacted: int) -> int | None:
        """How far to compact now; None if it is not worth a revision. Called with a time that never goes back."""
        self._seen.append((now, revision))
        while len(self._seen) > 1 and self._seen[1][0] <= now - self._limits.keep_s:
            self._seen.popleft()
        since, aged = self._seen[0]
        if since > now - self._limits.keep_s:
            return None
        target = min(aged, revision - self._limits.keep_revisions)
        # A compaction is a revision itself, so one for every few would never come to rest.
        return target if target - compacted >= max(self._limits.keep_revisions // 10, 10) else None


async def run(
    clock: Clock, limits: Limits, look: Callable[[], tuple[int, int]], compact: Callable[[int], Awaitable[None]]
) -> None:
    """Compact for ever; `look` tells the revision and how far the log is compacted."""
    policy = Policy(limits)
    while True:
        revision, compacted = look()
        target = policy.target(clock.monotonic(), revision, compacted)
        if target is not None:
            try:
                await compact(target)
                _log.info("log compacted", revision=target)
            except StoreUnavailable as error:
                _log.warning("log not compacted", revision=target, error=str(error))
        await clock.sleep(limits.compact_every_s)
