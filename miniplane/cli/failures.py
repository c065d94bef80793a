"""What went wrong, in kubectl's words: people search for them, and scripts look for them."""

import errno
import sys
from typing import Self

from miniplane.errors import ApiError, Reason, Unavailable


def told(error: ApiError) -> str:
    """The message of an error of the server."""
    if error.reason == Reason.INVALID and error.details.get("kind"):
        causes = [f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in error.causes]
        what = f'The {error.details["kind"]} "{error.details.get("name", "")}" is invalid'
        return f"{what}: {causes[0]}" if len(causes) == 1 else "\n* ".join([f"{what}: ", *causes])
    if error.reason == Reason.UNAUTHORIZED:
        return f"error: You must be logged in to the server ({error.message})"
    if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ECONNREFUSED:
        server = error.message.partition("://")[2].partition("/")[0]
        return f"The connection to the server {server} was refused - did you specify the right host or port?"
    word = f" ({error.reason})" if error.reason else ""
    return f"Error from server{word}: {error.message}"


class OneFailed(ValueError):
    """What went wrong with one object; a command goes on with the others."""


class Failures:
    """Goes on after an error of one object and remembers that there was one; an absent server ends everything."""

    def __init__(self) -> None:
        self.code = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, OneFailed):
            print(f"error: {error}", file=sys.stderr, flush=True)
            self.code = 1
            return True
        if not isinstance(error, ApiError) or isinstance(error, Unavailable):
            return False
        print(told(error), file=sys.stderr, flush=True)
        self.code = 1
        return True
