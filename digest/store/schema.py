"""The tables.

Instants are whole seconds since 1970 in UTC, days are ISO 8601 text, lists are JSON.
`revision` counts up whenever the words of a paper change, so that a profile which has considered
everything up to a number knows what to look at, whatever clocks do.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

HEAD = "0009"
"""The newest migration in `migrations/versions`."""

metadata = MetaData()

papers = Table(
    "papers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("paper_id", Text, nullable=False, unique=True),  # digest.core.model.PaperId
    Column("revision", Integer, nullable=False, index=True),
    Column("first_seen", BigInteger, nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("abstract", Text, nullable=False),
    Column("authors", JSON, nullable=False),
    Column("author_count", Integer),
    Column("organization", Text),
    Column("url", Text),
    Column("pdf_url", Text),
    Column("code_url", Text),
    Column("code_stars", Integer),
    Column("project_url", Text),
    Column("thumbnail_url", Text),
    Column("published", Text),
    Column("updated", Text),
    Column("categories", JSON, nullable=False),
    Column("doi", Text),
    Column("keywords", JSON, nullable=False),
    Column("ai_summary", Text),
    Column("identifiers", JSON, nullable=False, server_default="[]"),  # others than paper_id
)

# Every identifier under which a paper may be met: HF id = arXiv id = 10.48550/arXiv.X = its title.
aliases = Table(
    "aliases",
    metadata,
    Column("alias", Text, primary_key=True),
    Column("paper", ForeignKey("papers.id"), nullable=False, index=True),
)

listings = Table(
    "listings",
    metadata,
    Column("paper", ForeignKey("papers.id"), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("listed_on", Text, primary_key=True),  # '' where the page shows no day
    Column("position", Integer, nullable=False),
    Column("upvotes", Integer),
    Column("comments", Integer),
    Column("announce_type", Text),
    Column("first_upvotes", Integer),  # when the listing was first seen
)

# Most sources have no votes, and none of their listings is looked through for some. PostgreSQL has them all
# in it: to say so for it, too, would load its dialect wherever SQLite is used (45 ms).
Index(
    "listings_by_votes",
    listings.c.source,
    listings.c.paper,
    listings.c.upvotes,
    listings.c.first_upvotes,
    sqlite_where=listings.c.upvotes.is_not(None),
)

# Validators of the copies read last; written together with what was on them.
pages = Table(
    "pages",
    metadata,
    Column("source", Text, primary_key=True),
    Column("url", Text, primary_key=True),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("fetched_at", BigInteger, nullable=False),
)

reports = Table(
    "reports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", Text, nullable=False, index=True),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("listed", Integer, nullable=False),
    Column("new", Integer, nullable=False),
    Column("error", Text),
    Column("notes", JSON, nullable=False),
    Index("reports_by_end", "source", "complete", "until"),
)

# How far each profile has come.
progress = Table(
    "progress",
    metadata,
    Column("profile", Text, primary_key=True),
    Column("slot", BigInteger, nullable=False),  # the last one composed, also when it was empty
    Column("revision", Integer, nullable=False),  # the last one considered
    Column("local_time", Text, nullable=False, server_default=""),  # of the slot
    Column("digest", Text),  # the id of the last one that was made, whatever the clock said
)

digests = Table(
    "digests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("profile", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("slot", BigInteger, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("since", BigInteger),
    Column("scanned", Integer, nullable=False),
    Column("too_old", Integer, nullable=False, server_default="0"),
    Column("reports", JSON, nullable=False),
    Column("told", JSON, nullable=False, server_default="[]"),
    UniqueConstraint("profile", "slot"),
    Index("digests_by_issue", "issued_at"),
)

# A paper as it was when it was recommended: evidence counts in its characters.
snapshots = Table(
    "snapshots",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("content", JSON, nullable=False),
)

recommendations = Table(
    "recommendations",
    metadata,
    Column("digest", ForeignKey("digests.id"), primary_key=True),
    Column("rank", Integer, primary_key=True),
    Column("paper", ForeignKey("papers.id"), nullable=False, index=True),
    Column("snapshot", ForeignKey("snapshots.hash"), nullable=False),
    Column("section", Text, nullable=False),  # the name of an interest; empty for the other kinds
    Column("kind", Text, nullable=False),  # digest.core.model.Appearance.kind
    Column("score", Float, nullable=False),
    Column("matches", JSON, nullable=False),
    Column("parts", JSON, nullable=False),
    Column("missing", JSON, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
)

shown = Table(
    "shown",
    metadata,
    Column("profile", Text, primary_key=True),
    Column("paper", ForeignKey("papers.id"), primary_key=True, index=True),
    Column("digest", ForeignKey("digests.id"), nullable=False),
)

# What people think of papers; a paper is kept as it was then, and need not be among `papers`.
judgements = Table(
    "judgements",
    metadata,
    Column("profile", Text, primary_key=True),
    Column("paper_id", Text, primary_key=True),
    Column("opinion", Text, nullable=False),  # digest.core.model.Opinion
    Column("at", BigInteger, nullable=False),
    Column("paper", JSON, nullable=False),
)

# What rankers learned, by a fingerprint of all that they learned from but the stored papers.
lessons = Table(
    "lessons",
    metadata,
    Column("key", Text, primary_key=True),
    Column("papers", Integer, nullable=False),  # how many were stored then
    Column("content", Text, nullable=False),
)

# Who wants no more mail of a profile.
stopped = Table(
    "stopped",
    metadata,
    Column("profile", Text, primary_key=True),
    Column("address", Text, primary_key=True),  # digest.core.mailbox.key
    Column("at", BigInteger, nullable=False),
)

# Who may read what is served: of each secret its hash alone.
access = Table(
    "access",
    metadata,
    Column("name", Text, primary_key=True),
    Column("hash", Text, nullable=False),  # SHA-256, hexadecimal
    Column("profile", Text),  # all of them where there is none
    Column("at", BigInteger, nullable=False),
)

# What is decided once and never changes, such as the authority of the ids in feeds.
settled = Table(
    "settled",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", ForeignKey("digests.id"), nullable=False),
    Column("profile", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("state", Text, nullable=False),  # digest.core.model.DeliveryState
    Column("attempts", Integer, nullable=False),
    Column("not_before", BigInteger),
    Column("error", Text),
    Column("message", LargeBinary),
    Column("lost", Integer, nullable=False, server_default="0"),  # answers to the whole message
    Column("sent_at", BigInteger),
    Column("leased_until", BigInteger),  # while it is being sent: until when nobody else may take it
    UniqueConstraint("digest", "channel", "recipient"),
    Index("deliveries_by_state", "state", "channel"),
    Index("deliveries_by_sending", "channel", "sent_at"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("sources", Integer, nullable=False, server_default="0"),
    Column("failed_sources", Integer, nullable=False, server_default="0"),
    Column("papers", Integer, nullable=False, server_default="0"),
    Column("digests", Integer, nullable=False, server_default="0"),
    Column("delivered", Integer, nullable=False, server_default="0"),
    Column("not_delivered", Integer, nullable=False, server_default="0"),
    Column("error", Text),
)
