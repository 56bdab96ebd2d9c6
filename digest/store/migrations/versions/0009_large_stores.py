"""Indexes that keep what a day costs from growing with what is stored."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the indexes."""
    op.create_index("ix_papers_first_seen", "papers", ["first_seen"])
    op.create_index("ix_shown_paper", "shown", ["paper"])
    op.create_index("reports_by_end", "reports", ["source", "complete", "until"])
    op.create_index(
        "listings_by_votes",
        "listings",
        ["source", "paper", "upvotes", "first_upvotes"],
        sqlite_where=sa.text("upvotes IS NOT NULL"),
    )
    op.drop_index("deliveries_by_state", "deliveries")
    op.create_index("deliveries_by_state", "deliveries", ["state", "channel"])
