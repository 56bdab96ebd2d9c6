"""What runs did, when mails were sent, who sends them, the local time of slots, and the last digests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns, empty for what was before, and the table."""
    op.add_column("progress", sa.Column("local_time", sa.Text(), nullable=False, server_default=""))
    op.add_column("progress", sa.Column("digest", sa.Text(), nullable=True))
    op.execute(
        "UPDATE progress SET digest = (SELECT id FROM digests WHERE digests.profile = progress.profile"
        " ORDER BY digests.slot DESC LIMIT 1)"
    )
    op.add_column("deliveries", sa.Column("lost", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("sent_at", sa.BigInteger(), nullable=True))
    op.add_column("deliveries", sa.Column("leased_until", sa.BigInteger(), nullable=True))
    op.create_index("deliveries_by_sending", "deliveries", ["channel", "sent_at"])
    counts = ("sources", "failed_sources", "papers", "digests", "delivered", "not_delivered")
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        *(sa.Column(name, sa.Integer(), nullable=False, server_default="0") for name in counts),
        sa.Column("error", sa.Text(), nullable=True),
    )
