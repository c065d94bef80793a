"""The contract between the proxy and a data path."""

from typing import Protocol

from miniplane.dataplane.program import Program


class Backend(Protocol):
    """Something that moves packets by a program."""

    async def apply(self, program: Program) -> None:
        """Make the program the one in force, at once and wholly. Raises OSError if it could not; the old one stays."""
