"""The contract between a controller's author and the runtime: a key goes in, a result or an error comes out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from miniplane.api.meta import Key
from miniplane.runtime.context import Context


@dataclass(frozen=True, slots=True)
class Result:
    """A success. With `after_s` the key comes back after that time even if nothing happens."""

    after_s: float | None = None


DONE = Result()


def again(seconds: float) -> Result:
    """Done for now; look at the key again after `seconds`."""
    return Result(max(seconds, 0.001))


class TemporaryError(Exception):
    """Not now: come back after `delay` seconds, or after the key's back-off if None."""

    def __init__(self, message: str = "", *, delay: float | None = None) -> None:
        super().__init__(message)
        self.delay = delay


class Terminal(Exception):
    """No retry helps until the object changes. Say so in the object's status before you raise it."""


PermanentError = Terminal
"""kopf's word for the same."""

Reconciler = Callable[[Key, Context], Awaitable[Result | None]]
"""Brings one object's world in line with it. Level-driven: reads caches, not events; may run at any time, twice too."""
Timer = Callable[[Context], Awaitable[None]]
"""Something done at intervals."""
