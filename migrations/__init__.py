"""The history of the revision log's table, for alembic."""
