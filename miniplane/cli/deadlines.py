"""How long a command may wait: Go's durations on the command line, and the message when the time is over."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

from miniplane.cli.failures import OneFailed

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?)(ms|s|m|h)")


def seconds(text: str) -> float:
    """`30s`, `1m30s`, `0`, `-1s`. Raises ValueError."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text)
    if rest == "0":
        return 0.0
    parts = _PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise ValueError(f"invalid duration {text!r}")
    return sign * sum(float(number) * UNITS[unit] for number, unit in parts)


@contextlib.asynccontextmanager
async def within(limit_s: float | None, message: str) -> AsyncIterator[None]:
    """Run the body at most so long, without a limit where None. Raises OneFailed with the message."""
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if limit.expired():
            raise OneFailed(message) from error
        raise
