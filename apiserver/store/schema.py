"""The one table. `migrations/` brings a database here; a test holds the two together."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)

REVISION = BigInteger().with_variant(Integer, "sqlite")
"""SQLite makes only an INTEGER key the row's own number; its INTEGER holds 64 bits."""

METADATA = MetaData()

ENTRIES = Table(
    "entries",
    METADATA,
    Column("revision", REVISION, primary_key=True, autoincrement=False),
    Column("resource", String, nullable=False),
    Column("namespace", String, nullable=False),
    Column("name", String, nullable=False),
    Column("previous", REVISION, nullable=False),
    Column("created_revision", REVISION, nullable=False),
    Column("created", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("value", LargeBinary, nullable=False),
    UniqueConstraint("resource", "namespace", "name", "previous", name="entries_key_previous"),
)
"""A row is a revision of a key. `previous` is the revision before it, 0 for none: two writers that both follow the same
revision can't both succeed, whoever they are. A deleted row holds the last state."""

HEAD = "0001"
"""The migration that leads to these tables."""

VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Where alembic notes which migration a database is at, made as alembic makes it."""
