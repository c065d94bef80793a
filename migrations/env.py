"""Run by alembic, by path, so nothing here is imported relatively.

The server passes its connection and metadata in `config.attributes`. The `alembic` command line has neither: there
`-x url=sqlite:////file` names the database, and the metadata is that of the installed API server.
"""

import importlib
from types import ModuleType
from typing import cast

from alembic import context
from sqlalchemy import Connection, MetaData, create_engine

from miniplane import components


def metadata() -> MetaData:
    """The tables as the code wants them."""
    given = context.config.attributes.get("metadata")
    if given is None:
        program = cast(ModuleType, components.load("apiserver"))
        given = importlib.import_module(f"{program.__name__}.store.schema").METADATA
    return cast(MetaData, given)


def migrate(connection: Connection) -> None:
    """Run the asked-for steps on a connection, in one transaction where the database can."""
    context.configure(
        connection=connection,
        target_metadata=metadata(),
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters a table by making it anew
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """On the server's connection, or on one of our own."""
    if context.is_offline_mode():
        raise SystemExit("offline migrations are not offered: the server migrates, or `alembic -x url=…`")
    given = context.config.attributes.get("connection")
    if given is not None:
        migrate(given)
        return
    url = context.get_x_argument(as_dictionary=True).get("url")
    if not url:
        raise SystemExit("say which database: alembic -x url=sqlite:////path/to/state.sqlite3 …")
    engine = create_engine(url)
    with engine.begin() as connection:
        migrate(connection)
    engine.dispose()


main()
