"""What every form of feed says, in its own words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from digest.render import FEEDS

NO_DIGEST_YET = datetime(2026, 1, 1, tzinfo=UTC)
"""The day of our tag URIs; a feed without entries needs a date too."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What a feed says of itself."""

    folder: str  # below `feeds`, may be empty
    id: str
    title: str
    home: str  # the address of its page
    has_pages: bool = False  # beside that one, of each digest
    interest: str = ""  # the only one whose papers it has
    updated: datetime = NO_DIGEST_YET
    number: int = 0  # of an archive document; 0 for the document that is subscribed to
    before: int = 0  # the numbers of the archive documents around it, if there are such
    after: int = 0

    def path(self, form: str, number: int | None = None) -> str:
        """Where its document of that number is found, below `feeds`; by default itself."""
        stem, _, suffix = FEEDS[form].file.partition(".")
        at = self.number if number is None else number
        name = f"{stem}-{at}.{suffix}" if at else FEEDS[form].file
        return f"{self.folder}/{name}" if self.folder else name


@dataclass(frozen=True, slots=True)
class Entry:
    """A recommended paper, or a whole digest."""

    id: str
    title: str
    url: str  # may be empty
    authors: tuple[str, ...]
    summary: str  # plain text, may be empty
    html: str
    tags: tuple[str, ...]
    published: datetime
    written_on: str = ""  # the paper's own day in ISO 8601, may be empty
    thumbnail: str = ""
    links: tuple[tuple[str, str], ...] = ()  # to more than its page: label and address
    source: Feed | None = None  # where it comes from, in the feed of all profiles
