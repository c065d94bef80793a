"""One call of a user's function: whatever it raises becomes a value and a line in the log."""

from collections.abc import Awaitable
from dataclasses import dataclass

from miniplane.errors import ApiError
from miniplane.runtime.context import Context, NotSynced
from miniplane.runtime.reconcile import TemporaryError, Terminal

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
"""Between calls of a function that fails without saying when to come back; doubles each time."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why it failed. `after_s` is when to call again; None is never."""

    error: Exception
    after_s: float | None


async def attempt(call: Awaitable[None], ctx: Context, what: str, *, failures: int = 0) -> Failure | None:
    """Await a call of `what`, which has failed that often before; None is success.

    Raises NotSynced, for the caller's caller to wait.
    """
    pause_s = min(FIRST_PAUSE_S * 2**failures, LONGEST_PAUSE_S)
    try:
        await call
    except NotSynced:
        raise
    except Terminal as error:
        ctx.log.warning("given up", handler=what, error=str(error))
        return Failure(error, None)
    except TemporaryError as error:
        after_s = pause_s if error.delay is None else error.delay
        ctx.log.info("comes back later", handler=what, why=str(error), in_s=after_s)
        return Failure(error, after_s)
    except ApiError as error:
        ctx.log.warning("failed", handler=what, error=error.message, in_s=pause_s)
        return Failure(error, pause_s)
    except Exception as error:  # the supervisor of users' functions
        ctx.log.exception("failed", handler=what, in_s=pause_s)
        return Failure(error, pause_s)
    return None
