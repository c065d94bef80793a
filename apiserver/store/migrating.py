"""Migrations of an older database. Imported when there is one: alembic takes its time and memory."""

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from miniplane import components

from .schema import METADATA


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for the scripts of this installation, wherever they live."""
    made = Config()
    made.set_main_option("script_location", str(components.folder("migrations")).replace("%", "%%"))
    made.attributes.update({"connection": connection, "metadata": METADATA})
    return made


def is_known(revision: str) -> bool:
    """Whether there is a migration of that name."""
    return revision in {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}


def migrate(connection: Connection) -> None:
    """Run the migrations that a database lacks."""
    command.upgrade(config(connection), "head")
