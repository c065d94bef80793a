"""The compiler: snapshot → program. A change costs what it touches; equal snapshots give byte-equal rules."""

from miniplane.dataplane.program import Program
from miniplane.dataplane.snapshot import Snapshot


class Compiler:
    """Compiles one node's snapshots, keeping the fragments of the last one."""

    def compile(self, snapshot: Snapshot) -> Program:
        """The node's rules and routes."""
        raise NotImplementedError


def compile(snapshot: Snapshot) -> Program:  # noqa: A001  the verb of this package
    """One snapshot, nothing kept."""
    return Compiler().compile(snapshot)
