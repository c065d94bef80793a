"""The state file of a local cluster: who supervises it, where it serves; and the lock that says whether it runs."""

import contextlib
import dataclasses
import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from miniplane.pki import write_private

PORT = 6443
"""The API server's usual port; a free one is taken if it is in use."""


@dataclass(frozen=True, slots=True)
class State:
    """What `cluster.json` in the data directory holds."""

    port: int
    nodes: int
    supervisor: int = 0
    programs: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, data_dir: Path) -> Self | None:
        """The state of the last start, None if there was none."""
        try:
            return cls(**json.loads((data_dir / "cluster.json").read_text()))
        except FileNotFoundError:
            return None

    def save(self, data_dir: Path) -> None:
        """Write it, whole or not at all."""
        write_private(data_dir / "cluster.json", json.dumps(dataclasses.asdict(self), indent=2).encode())


class AlreadyUp(ValueError):
    """A cluster of this data directory runs."""


class Lock:
    """Held by the supervisor as long as it lives, however it ends."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "lock"
        self._file: int | None = None

    def take(self) -> None:
        """Raises AlreadyUp if somebody holds it."""
        import fcntl  # noqa: PLC0415  # POSIX only

        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise AlreadyUp(f"a cluster in {self._path.parent} is up; see miniplane status") from None

    def is_held(self) -> bool:
        """Whether somebody holds it now."""
        if not self._path.exists():
            return False
        try:
            self.take()
        except AlreadyUp:
            return True
        self.release()
        return False

    def release(self) -> None:
        """Let it go."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def ask_to_stop(pid: int) -> None:
    """Send SIGTERM; a process that is gone is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
