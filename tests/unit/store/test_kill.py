"""An acknowledged write survives SIGKILL."""

import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from apiserver.store import open_store

CHILD = Path(__file__).with_name("committer.py")
ROUNDS = 4


@dataclass
class Acknowledged:
    """The last acknowledged step and revision of each client."""

    last: dict[int, tuple[int, int]] = field(default_factory=dict)
    newest: int = 0

    def take(self, line: bytes) -> None:
        """Read a line of the child; one cut short by the kill was still acknowledged to nobody."""
        if line.endswith(b"\n"):
            client, step, revision = map(int, line.split())
            assert revision > self.last.get(client, (0, 0))[1], "a revision was used again"
            self.last[client] = (step, revision)
            self.newest = max(self.newest, revision)


def run_and_kill(url: str, start: int, lines: int, known: Acknowledged) -> None:
    """Let the child commit, kill it after it has printed `lines` lines, read what it printed until it died."""
    with subprocess.Popen([sys.executable, str(CHILD), url, str(start)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        for _ in range(lines):
            known.take(child.stdout.readline())
        child.kill()
        for line in child.stdout:
            known.take(line)


async def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """After each kill every client finds its last acknowledged state, or the one write that it had under way."""
    chance = random.Random(20_260_102)
    url = f"sqlite:///{tmp_path}/log.sqlite3"
    known, start = Acknowledged(), 0
    for _ in range(ROUNDS):
        run_and_kill(url, start, chance.randrange(1, 3000), known)
        async with open_store(url) as store:
            assert store.revision >= known.newest
            found = {entry.key.name: entry for entry in store.list("/pods").entries}
        for client, (step, revision) in known.last.items():
            entry = found.get(f"p{client}")
            if entry is None:
                assert step % 7 in (5, 6), f"client {client} lost step {step}"
            else:
                assert (entry.obj["step"], entry.revision >= revision) in ((step, True), (step + 1, True))
                assert step % 7 != 6 or entry.obj["step"] == step + 1, f"client {client}: a removal came undone"
        start = (max(step for step, _ in known.last.values()) // 7 + 1) * 7
