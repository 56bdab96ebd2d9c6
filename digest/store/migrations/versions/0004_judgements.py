"""What people think of papers, what rankers learned, why what is related is there, and first upvotes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the tables and the column; the votes of before are the first that are known."""
    op.create_table(
        "judgements",
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("paper_id", sa.Text(), nullable=False),
        sa.Column("opinion", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("paper", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("profile", "paper_id"),
    )
    op.create_table(
        "lessons",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("papers", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.add_column("recommendations", sa.Column("note", sa.Text(), nullable=False, server_default=""))
    op.add_column("listings", sa.Column("first_upvotes", sa.Integer(), nullable=True))
    op.execute("UPDATE listings SET first_upvotes = upvotes")
