"""The sizes of the store, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is kept and how much is done at once."""

    window_events: int = 4096
    """Recent events kept in memory for each resource. A watch that is further behind is closed and lists again."""

    window_bytes: int = 32 * 1024 * 1024
    """Bytes of JSON that those events may hold; large objects shorten the window."""

    warm_events: int = 256
    """The newest events of a window keep their parsed objects and wire form; older ones make them again if needed."""

    watch_batch: int = 512
    """Events in one batch of a watch, so that the bytes of one answer stay bounded."""

    wake_s: float = 5e-6
    """A fan-out is followed by a rest that is as long as it took, and at least so many seconds for each watch it woke.
    While a crowd rests, events gather, and each of them costs less; a few watches never rest, 1,000 for some 10 ms."""

    rest_s: float = 0.1
    """The longest rest."""

    commit_writes: int = 1024
    """Writes of one call of `commit`; far below `window_events`, so that one commit can't make every watch slow."""

    group: int = 1024
    """Calls of `commit` that share one transaction, which bounds the wait for its end."""

    keep_revisions: int = 10_000
    """Compaction leaves this many newest revisions alone."""

    keep_s: float = 300.0
    """Compaction leaves alone what was current so many seconds ago. Upstream: --etcd-compaction-interval, 5 minutes."""

    compact_every_s: float = 60.0
    """Seconds between two looks at whether there is something to compact."""

    compact_step: int = 1000
    """Rows that one step of compaction looks at: writers wait for at most one step."""

    checkpoint_pages: int = 2000
    """SQLite: pages (4 kB) in the write-ahead log at which it is copied into the database."""
