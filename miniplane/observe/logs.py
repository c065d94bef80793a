"""Logs: a constant message with key/value fields, as text for people or JSON for machines.

`get` is safe at import time: it configures nothing. Fields bound with `bind` (request, reconcile, node) go on every
line of the same context.
"""

import contextlib
import contextvars
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any, Literal, TextIO

_bound: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("miniplane.log.fields")
_FIELDS = "miniplane_fields"


class Logger:
    """A standard logger that takes fields as keywords."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def _log(self, level: int, message: str, fields: dict[str, Any], *, exc_info: Any = None) -> None:
        if self._logger.isEnabledFor(level):
            everything = {**_bound.get({}), **fields}
            self._logger.log(level, message, extra={_FIELDS: everything}, exc_info=exc_info, stacklevel=3)

    def debug(self, message: str, /, **fields: Any) -> None:
        """What a developer wants to see."""
        self._log(logging.DEBUG, message, fields)

    def info(self, message: str, /, **fields: Any) -> None:
        """What an operator wants to see."""
        self._log(logging.INFO, message, fields)

    def warning(self, message: str, /, **fields: Any) -> None:
        """Something is off and is being dealt with."""
        self._log(logging.WARNING, message, fields)

    def error(self, message: str, /, **fields: Any) -> None:
        """Something failed."""
        self._log(logging.ERROR, message, fields)

    def exception(self, message: str, /, **fields: Any) -> None:
        """As `error`, with the traceback of the exception being handled."""
        self._log(logging.ERROR, message, fields, exc_info=True)


def get(name: str) -> Logger:
    """The logger of a fixed name, such as `apiserver.http`."""
    return Logger(name)


@contextlib.contextmanager
def bind(**fields: Any) -> Iterator[None]:
    """Put `fields` on every line logged inside the block, also by what it awaits."""
    token = _bound.set({**_bound.get({}), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


class _Text(logging.Formatter):
    """`12:34:56.789 info  apiserver.http  request served  verb=get code=200`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, _FIELDS, {})
        line = (
            f"{self.formatTime(record, '%H:%M:%S')}.{int(record.msecs):03d} {record.levelname.lower():<7} "
            f"{record.name}  {record.getMessage()}"
        )
        line += "".join(f"  {key}={_plain(value)}" for key, value in fields.items())
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _plain(value: Any) -> str:
    text = str(value)
    return json.dumps(text) if any(mark in text for mark in ' "=\n') else text


def configure(level: str = "info", form: Literal["text", "json"] = "text", stream: TextIO | None = None) -> None:
    """Send the process' logs to `stream` (standard error if None). Only a program's entry point calls this."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("aiohttp.access").setLevel("WARNING")
    logging.getLogger("alembic").setLevel("WARNING")
