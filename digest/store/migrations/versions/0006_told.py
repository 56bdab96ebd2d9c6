"""Which sources' shortfalls a digest did not have to tell again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; a digest of before is taken to have told everything."""
    op.add_column("digests", sa.Column("told", sa.JSON(), nullable=False, server_default="[]"))
