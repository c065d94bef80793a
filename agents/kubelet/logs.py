"""One container's log: what `kubectl logs` reads, kept in memory up to a limit.

Lines are numbered from the start of the container. A follower that is overtaken by the limit goes on with the oldest
line that is left; it never holds back the writer.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from miniplane.aio import Clock

LIMIT_LINES = 5_000
"""Lines kept of one container: enough to see what happened, 1 MB at the usual length."""
LIMIT_LINE = 16_384
"""Characters of a line; longer ones are cut into several, as container runtimes do."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line with the time at which it was written."""

    time: datetime
    text: str

    @property
    def stamp(self) -> str:
        """RFC 3339 with nanoseconds, as `kubectl logs --timestamps` shows it."""
        return f"{self.time:%Y-%m-%dT%H:%M:%S}.{self.time.microsecond * 1000:09d}Z"


class Log:
    """The lines of one run of a container."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: deque[Line] = deque(maxlen=LIMIT_LINES)
        self._count = 0
        self._ended = False
        self.exit_code = 0
        """How the run ended, once it has."""
        self._changed: list[asyncio.Event] = []

    def __len__(self) -> int:
        return len(self._lines)

    def write(self, text: str) -> None:
        """Add the lines of `text`; an end of line at its end adds none."""
        now = self._clock.now()
        for line in text.removesuffix("\n").split("\n"):
            for start in range(0, max(1, len(line)), LIMIT_LINE):
                self._lines.append(Line(now, line[start : start + LIMIT_LINE]))
                self._count += 1
        self._tell()

    def end(self, exit_code: int) -> None:
        """The container has ended: followers stop after the last line."""
        self._ended = True
        self.exit_code = exit_code
        self._tell()

    def _tell(self) -> None:
        for event in self._changed:
            event.set()

    def lines(self, *, tail: int | None = None, since: datetime | None = None) -> list[Line]:
        """The last `tail` lines (None: all that are kept) written at or after `since`."""
        return list(self._from(self._start(tail), since))

    async def follow(self, *, tail: int | None = None, since: datetime | None = None) -> AsyncIterator[Line]:
        """As `lines`, and then each new line until the container ends."""
        at = self._start(tail)
        event = asyncio.Event()
        self._changed.append(event)
        try:
            while True:
                event.clear()
                batch = list(self._from(at, since))
                at = self._count
                for line in batch:
                    yield line
                if at == self._count:
                    if self._ended:
                        return
                    await event.wait()
        finally:
            self._changed.remove(event)

    def _start(self, tail: int | None) -> int:
        oldest = self._count - len(self._lines)
        return oldest if tail is None else max(oldest, self._count - tail)

    def _from(self, number: int, since: datetime | None) -> Iterator[Line]:
        """The kept lines from that number on."""
        skip = max(0, number - (self._count - len(self._lines)))
        return (line for line in islice(self._lines, skip, None) if since is None or line.time >= since)
