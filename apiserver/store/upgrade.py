"""Brings a database to the tables of this version, or says what is wrong. Blocking."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from miniplane import components

from .base import SchemaMismatch
from .schema import METADATA


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for the scripts of this installation, wherever they live."""
    made = Config()
    made.set_main_option("script_location", str(components.folder("migrations")).replace("%", "%%"))
    made.attributes.update({"connection": connection, "metadata": METADATA})
    return made


def prepare(engine: Engine, *, migrate: bool) -> None:
    """Migrate if asked to, else refuse a database of another version. Raises SchemaMismatch."""
    with engine.begin() as connection:
        settings = config(connection)
        scripts = ScriptDirectory.from_config(settings)
        head = scripts.get_current_head()
        current = MigrationContext.configure(connection).get_current_revision()
        if current == head:
            return
        if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
            raise SchemaMismatch(f"the database is at {current}, which this version does not know: it is newer")
        if not migrate:
            raise SchemaMismatch(f"the database is at {current or 'nothing'}, this version needs {head}: migrate it")
        command.upgrade(settings, "head")
