"""Make the revision log."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go to this revision."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "entries",
        sa.Column("revision", number, primary_key=True, autoincrement=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("namespace", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("previous", number, nullable=False),
        sa.Column("created_revision", number, nullable=False),
        sa.Column("created", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("resource", "namespace", "name", "previous", name="entries_key_previous"),
    )


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_table("entries")
