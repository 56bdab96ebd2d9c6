"""How many papers a digest left out because of their age."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; before it there was no limit of age."""
    op.add_column("digests", sa.Column("too_old", sa.Integer(), nullable=False, server_default="0"))
