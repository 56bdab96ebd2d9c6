"""The feeds of rss.arxiv.org, RSS and Atom: the last announcement and no other.

https://info.arxiv.org/help/rss_specifications.html
The day of an item is the date that is printed, which is US Eastern: in UTC it would be another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import parsedate_to_datetime

from digest.core import wire
from digest.core.identity import arxiv_id
from digest.core.model import Listing, Page
from digest.core.wire import Element
from digest.sources.arxiv.announcements import EASTERN
from digest.sources.arxiv.papers import AGAIN, fail, left_out, listing, paper, people

MOST = 2_000  # items, then the feed is cut
_ATOM = "{http://www.w3.org/2005/Atom}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_ARXIV = "{http://arxiv.org/schemas/atom}"
_PREFIX = re.compile(r"arXiv:\S+ Announce Type: (\S+)(?: Abstract:)? ?")
_KINDS = {"new", "cross", "replace", "replace-cross"}


@dataclass(frozen=True, slots=True)
class Issue:
    """What a feed holds; `day` is the one it was made for, which may be a weekend's."""

    listings: tuple[Listing, ...]
    day: date | None
    notes: tuple[str, ...]


def issue(page: Page, root: Element) -> Issue:
    """The papers of a feed. Raises LayoutError."""
    channel = root if root.tag == f"{_ATOM}feed" else root.find("channel")
    if channel is None:
        fail(page, "the feed has no channel")
    title = _text(channel, "title", f"{_ATOM}title") or ""
    if title.startswith("Feed error"):
        fail(page, f"arXiv answers with an error: {title}", "Check the categories in the configuration")
    day = _printed(_text(channel, "pubDate")) or _eastern(_text(channel, f"{_ATOM}updated"))
    items = [*channel.findall("item"), *channel.findall(f"{_ATOM}entry")]
    found: list[Listing] = []
    for item in items:
        entry = _listing(item, len(found), day)
        found += [entry] if entry else []
    if items and not found:
        fail(page, f"none of its {len(items)} items has a title and a number", AGAIN)
    notes = left_out(found, len(items))
    if not items:
        notes = (f"the feed of {day} is empty, as it is on days without an announcement",)
    return Issue(tuple(found), day, notes)


def _listing(item: Element, position: int, day: date | None) -> Listing | None:
    link = item.find(f"{_ATOM}link")
    address = _text(item, "link") or (link.get("href") if link is not None else None)
    number = arxiv_id(_text(item, "guid", f"{_ATOM}id") or "") or arxiv_id(address or "")
    title = _text(item, "title", f"{_ATOM}title")
    if not number or not title:
        return None
    words = _text(item, "description", f"{_ATOM}summary") or ""
    prefix = _PREFIX.match(words)
    kind = _text(item, f"{_ARXIV}announce_type") or (prefix[1] if prefix else None)
    listed_on = _printed(_text(item, "pubDate", f"{_ATOM}published")) or day
    categories = [
        name
        for tag in item.iterchildren("category", f"{_ATOM}category")
        if (name := wire.text(tag.get("term")) or wire.text(tag.text))
    ]
    made = paper(
        number,
        title,
        abstract=words[prefix.end() :] if prefix else words,
        authors=[name for tag in item.iterchildren(f"{_DC}creator") for name in people(tag.text or "")],
        categories=categories,
        doi=_text(item, f"{_ARXIV}DOI", f"{_ARXIV}doi"),
        updated=listed_on if kind and kind.startswith("replace") else None,
    )
    return listing(made, position, day=listed_on, kind=kind if kind in _KINDS else None)


def _text(element: Element, *names: str) -> str | None:
    """The text of the first child that has one."""
    return next((text for name in names if (text := wire.text(element.findtext(name)))), None)


def _printed(value: str | None) -> date | None:
    """The date of an instant as it is printed, in its own time zone."""
    if value is None:
        return None
    try:
        return (datetime.fromisoformat(value) if value[0].isdigit() else parsedate_to_datetime(value)).date()
    except (ValueError, OverflowError):
        return None


def _eastern(value: str | None) -> date | None:
    """The date of an instant in arXiv's time zone."""
    try:
        instant = datetime.fromisoformat(value or "")
        return instant.astimezone(EASTERN).date() if instant.tzinfo else None
    except (ValueError, OverflowError):
        return None
