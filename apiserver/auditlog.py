"""The audit log's file: lines go through a bounded queue to a thread of their own, so no request waits for a disk.

What does not fit into the queue is lost and counted; the loss is told in the server's log.
"""

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Iterator
from typing import BinaryIO

from miniplane.observe import logs

_log = logs.get("apiserver.audit")
QUEUE = 10_000
"""Events that wait at most, as upstream's buffer."""


class AuditLog:
    """Takes lines; `dropped` counts those that were lost."""

    def __init__(self, stream: BinaryIO, size: int = QUEUE) -> None:
        self._stream = stream
        self._queue: queue.Queue[bytes | None] = queue.Queue(size)
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="audit log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Take a line without its end; never waits."""
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            if not self.dropped:
                _log.warning("audit events are lost: the log's file is too slow")
            self.dropped += 1

    def close(self) -> None:
        """Write what waits, and end."""
        self._queue.put(None)
        self._thread.join()
        if self.dropped:
            _log.warning("audit events were lost", count=self.dropped)

    def _run(self) -> None:
        failed = False
        while (line := self._queue.get()) is not None:
            try:
                self._stream.write(line + b"\n")
                if self._queue.empty():
                    self._stream.flush()
            except OSError as error:
                self.dropped += 1
                if not failed:
                    _log.error("audit event not written", error=str(error))
                failed = True
        with contextlib.suppress(OSError):
            self._stream.flush()


@contextlib.contextmanager
def open_log(path: str) -> Iterator[AuditLog | None]:
    """The log of a path, `-` for standard output, None for an empty one. Raises OSError."""
    if not path:
        yield None
        return
    with contextlib.ExitStack() as stack:
        stream = sys.stdout.buffer if path == "-" else stack.enter_context(_append(path))
        log = AuditLog(stream)
        stack.callback(log.close)
        yield log


def _append(path: str) -> BinaryIO:
    return open(path, "ab", opener=_private)


def _private(path: str, flags: int) -> int:
    """Only the owner may read who did what."""
    return os.open(path, flags, 0o600)
