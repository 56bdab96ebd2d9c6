"""What every kind of feed says of its entries, and how its values are read."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from urllib.parse import urljoin

from digest.core import wire

# Blogs put whole pages into their descriptions, these tags among them.
_EMBEDDED = re.compile(
    r"</?(?:meta|link|iframe|object|embed|video|audio|source|picture|form|input|button|noscript|center)\b[^<>]*>",
    re.IGNORECASE,
)
_INITIALS = re.compile(r"(?:[^\W\d_]\.?[\s-]?){1,4}")
_AND = re.compile(r"\s+(?:and|&)\s+")
_LONGEST_SUMMARY = 5_000  # blogs give whole pages where journals give an abstract
_FAR = 2200  # feedparser takes any eight digits for a date


@dataclass(frozen=True, slots=True)
class Entry:
    """What a feed says of a paper, in the words of the feed."""

    title: str
    summary: str
    authors: Sequence[str] = ()
    link: str | None = None
    guid: str | None = None
    published: datetime | None = None
    updated: datetime | None = None
    printed: date | None = None  # a journal's own date, which may lie ahead
    names: Sequence[str] = ()  # which may hold a DOI
    keywords: Sequence[str] = ()
    pdf_url: str | None = None
    thumbnail_url: str | None = None

    @property
    def appeared(self) -> datetime | None:
        """When it came into the feed, as far as the feed says."""
        return self.published or self.updated


@dataclass(frozen=True, slots=True)
class Document:
    """A feed, or one page of it."""

    layout: str
    entries: Sequence[Entry]
    older: str | None = None  # the address of the entries before these (RFC 5005, 3 and 4)
    notes: tuple[str, ...] = ()
    complete: bool = True


def prose(value: object) -> str | None:
    """The words of a summary, of a whole page no more than an abstract could have."""
    words = wire.prose(_EMBEDDED.sub(" ", value)) if isinstance(value, str) else None
    if not words or len(words) <= _LONGEST_SUMMARY:
        return words
    return words[:_LONGEST_SUMMARY].rpartition(" ")[0] + " …"


def instant(parsed: object, printed: object) -> datetime | None:
    """An instant as feedparser understood it, or else as ISO 8601."""
    try:
        if isinstance(parsed, time.struct_time) and parsed.tm_year < _FAR:
            return datetime(*parsed[:5], tzinfo=UTC)
        if isinstance(printed, str):
            instant = datetime.fromisoformat(printed.strip())
            return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    return None


def people(text: str) -> Iterator[str]:
    """The names in one element, given names first; it may list them in one of several ways.

    `A B, C D and E F`; `Last, First`; `Last, First; Last, First`; `LAST, F., Last, F. M.` (bioRxiv).
    """
    if "@" in text:
        return
    if ";" in text:
        for name in text.split(";"):
            yield from people(name)
        return
    commas = [part.strip() for part in text.split(",") if part.strip()]
    if len(commas) == 2 and " " not in commas[0] and not _AND.search(text):  # noqa: PLR2004 - a pair
        yield f"{commas[1]} {commas[0]}"
        return
    parts = [part.strip() for part in _AND.sub(",", text).split(",") if part.strip()]
    if len(parts) % 2 == 0 and all(map(_INITIALS.fullmatch, parts[1::2])):
        yield from (f"{given} {family}" for family, given in zip(parts[::2], parts[1::2], strict=True))
    else:
        yield from parts


def joined(base: str, address: str) -> str | None:
    """An address as seen from another, None if it is none."""
    try:
        return urljoin(base, address)
    except ValueError:
        return None
