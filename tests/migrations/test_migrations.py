"""The database arrives at the model from every starting point."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from apiserver.store import SchemaMismatch, StoreUnavailable, migrating, open_store
from apiserver.store.schema import HEAD, METADATA
from miniplane import components


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database that does not exist yet."""
    return f"sqlite:///{tmp_path}/log.sqlite3"


def execute(url: str, statement: str) -> None:
    """One statement, committed."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


async def test_an_empty_database_arrives_at_the_model(url: str) -> None:
    """After all steps nothing is left that autogenerate would change."""
    async with open_store(url) as store:
        assert store.revision == 0
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        (constraint,) = inspect(connection).get_unique_constraints("entries")
        assert constraint["column_names"] == ["resource", "namespace", "name", "previous"]
    engine.dispose()


async def test_an_older_database_is_migrated(url: str) -> None:
    """The steps lead to the same tables as an empty database is given at once."""
    engine = create_engine(url)
    with engine.begin() as connection:
        migrating.migrate(connection)
    execute(url, "DELETE FROM alembic_version")
    execute(url, "DROP TABLE entries")
    async with open_store(url, migrate=True) as store:
        assert store.revision == 0
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert context.get_current_revision() == HEAD
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_there_is_one_head() -> None:
    """The steps form one line to what the code says, and each file is named after its revision."""
    scripts = ScriptDirectory.from_config(migrating.config())
    assert scripts.get_heads() == [HEAD]
    assert all(Path(script.path).name.startswith(f"{script.revision}_") for script in scripts.walk_revisions())


async def test_migration_can_be_refused(url: str) -> None:
    """Without `migrate` an empty database is refused with what to do, and left as it was."""
    with pytest.raises(SchemaMismatch, match="needs 0001: migrate it"):
        async with open_store(url, migrate=False):
            pass
    engine = create_engine(url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


async def test_a_current_database_needs_no_migration(url: str) -> None:
    """Without `migrate` a current database is opened."""
    async with open_store(url):
        pass
    async with open_store(url, migrate=False) as store:
        assert store.revision == 0


async def test_a_newer_database_is_refused(url: str) -> None:
    """A database of a version that this one does not know is left alone, also when migration is allowed."""
    async with open_store(url):
        pass
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaMismatch, match="9999"):
        async with open_store(url):
            pass


async def test_bad_urls_are_refused(tmp_path: Path) -> None:
    """What can't be a database says why."""
    for bad in ("mysql://host/x", "no url", "sqlite://"):
        with pytest.raises(ValueError, match=r"store|URL"):
            async with open_store(bad):
                pass
    with pytest.raises(StoreUnavailable, match="unable to open"):
        async with open_store(f"sqlite:///{tmp_path}/absent/log.sqlite3"):
            pass
    (tmp_path / "text").write_text("this is no database, it is a text of some length" * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        async with open_store(f"sqlite:///{tmp_path}/text"):
            pass


def test_the_alembic_command_works(url: str) -> None:
    """From a checkout, `alembic -x url=… upgrade head` and `check` need no server."""
    root = components.HERE.parent
    for command in ("upgrade head", "check", "downgrade base", "upgrade head"):
        subprocess.run(
            [sys.executable, "-m", "alembic", "-c", str(root / "pyproject.toml"), "-x", f"url={url}", *command.split()],
            check=True,
            capture_output=True,
            cwd=root,
            env=os.environ,
        )
    engine = create_engine(url)
    assert set(inspect(engine).get_table_names()) == {"alembic_version", "entries"}
    engine.dispose()
