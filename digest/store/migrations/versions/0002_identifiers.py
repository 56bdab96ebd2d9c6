"""Every identifier of a paper, beside the one it is kept under."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; what was stored before has no others."""
    op.add_column("papers", sa.Column("identifiers", sa.JSON(), nullable=False, server_default="[]"))
