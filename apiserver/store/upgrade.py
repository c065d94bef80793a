"""Brings a database to the tables of this version, or says what is wrong. Blocking."""

import importlib

from sqlalchemy import Connection, Engine, insert, inspect, select

from .base import SchemaMismatch
from .schema import HEAD, METADATA, VERSION


def prepare(engine: Engine, *, migrate: bool) -> None:
    """Make the tables or migrate them if asked to, else refuse a database of another version. Raises SchemaMismatch."""
    with engine.begin() as connection:
        tables = set(inspect(connection).get_table_names())
        current = connection.scalar(select(VERSION.c.version_num)) if VERSION.name in tables else None
        if current == HEAD:
            return
        # Most databases are at the head or empty, and need no alembic.
        migrating = importlib.import_module(".migrating", __package__) if tables else None
        if migrating is not None and current is not None and not migrating.is_known(current):
            raise SchemaMismatch(f"the database is at {current}, which this version does not know: it is newer")
        if not migrate:
            raise SchemaMismatch(f"the database is at {current or 'nothing'}, this version needs {HEAD}: migrate it")
        if migrating is not None:
            migrating.migrate(connection)
        else:
            _make(connection)


def _make(connection: Connection) -> None:
    """What all migrations together lead to."""
    METADATA.create_all(connection)
    VERSION.create(connection)
    connection.execute(insert(VERSION).values(version_num=HEAD))
