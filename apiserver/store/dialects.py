"""All that differs between databases."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from .limits import Limits


def parse(url: str) -> URL:
    """The URL, if it is of a database that the store knows. Raises ValueError."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ValueError(f"{url!r} is not the URL of a database") from error
    name = parsed.get_backend_name()
    if name not in _ENGINES:
        raise ValueError(f"no store on {name!r}: there are {', '.join(sorted(_ENGINES))}")
    return parsed


def engine(url: URL, limits: Limits) -> Engine:
    """An engine whose connections are durable and may be used by any one thread at a time."""
    return _ENGINES[url.get_backend_name()](url, limits)


def finish(connection: Connection) -> None:
    """Leave the database tidy; called by the writer when it ends."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _sqlite(url: URL, limits: Limits) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise ValueError("the store needs a file: without one every connection would have a database of its own")
    with contextlib.suppress(OSError):  # SQLite says better what is wrong with the place
        # Secrets are in it: the owner's only, and SQLite's files beside it take its mode.
        Path(str(url.database)).touch(mode=0o600)
    made = create_engine(url)

    @event.listens_for(made, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",  # readers of the log and the writer do not wait for each other
            "synchronous=FULL",  # a commit is on the disk, not only with the system
            f"wal_autocheckpoint={limits.checkpoint_pages}",
            f"journal_size_limit={limits.checkpoint_pages * 4096 * 4}",  # a burst does not leave a large file behind
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return made


_ENGINES: dict[str, Callable[[URL, Limits], Engine]] = {"sqlite": _sqlite}
