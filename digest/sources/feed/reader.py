"""Which kind of feed a page is, and the papers in it."""

from __future__ import annotations

import html
import re
import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import NoReturn
from urllib.parse import parse_qs, urlsplit

from digest.core import identity, wire
from digest.core.model import Listing, Page, Paper, Reading
from digest.errors import LayoutError
from digest.sources import is_wall
from digest.sources.feed import jsonfeed, xml
from digest.sources.feed.entry import Document, Entry, joined, people

_HEAD = 20_000  # bytes in which the root element stands, after comments, processing instructions, a DTD
_ROOT = re.compile(
    rb"""(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?
    (?>\s+|<\?(?>[^>]+)>|<!--(?>(?:[^-]|-(?!->))*)-->|<!DOCTYPE(?>[^\[>]*)(?:\[(?>[^\]]*)\]\s*)?>)*+
    <(?:(?P<rss>rss)|(?:[\w.-]+:)?(?P<rdf>RDF)|(?:[\w.-]+:)?(?P<atom>feed))[\s>]""",
    re.VERBOSE,
)
_RSS_1 = re.compile(rb"purl\.org/rss/1\.0|netscape\.com/rdf/simple/0\.9")
_ATOM = re.compile(rb"www\.w3\.org/2005/Atom|purl\.org/atom/ns#")
_JSON_FEED = re.compile(rb'"version"\s*:\s*"https?:\\?/\\?/(?:www\.)?jsonfeed\.org\\?/version\\?/1')
_HTML = re.compile(
    rb"\s*(?:<!--.{0,2000}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_LINK = re.compile(r"<link\b[^<>]*>", re.IGNORECASE)
_FEED_TYPE = re.compile(
    r"""type\s*=\s*["']?application/(?:(?:rss|atom|feed)\+xml|feed\+json)""", re.IGNORECASE
)
_HREF = re.compile(r"""href\s*=\s*(?:"([^"<>]*)"|'([^'<>]*)'|([^\s"'<>]+))""", re.IGNORECASE)
# ScienceDirect's whole description.
_PUBLICATION = re.compile(
    r"Publication date: (?P<date>.*?) Source: .*?(?: Author\(s\): (?P<authors>.*))?", re.IGNORECASE
)
_PRINTED_DATE = re.compile(r"(?:(?P<day>\d{1,2}) )?(?P<month>[A-Z][a-z]{2})[a-z]*\.? (?P<year>\d{4})")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Publishers append what they show to the DOI: frontiersin.org/articles/10.3389/fcell.2026.1/full
_SHOWN = re.compile(r"(?:/(?:full|fulltext|abstract|summary|e?pdf|html?|meta|text)|&.*)$", re.IGNORECASE)
_LONGEST_TITLE = 80  # where it must be made of the first words


class FeedReader:
    """Reads every kind of feed, so it is asked after the readers that know one place."""

    name = "feed"
    generic = True

    def recognises(self, page: Page) -> bool:
        """Whether the page is RSS, Atom or JSON Feed."""
        return _kind(page) is not None

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The papers in the feed. Raises LayoutError."""
        return reading_of(page, document_of(page))


def document_of(page: Page) -> Document:
    """The entries of a feed. Raises LayoutError, which says what the page is instead."""
    kind = _kind(page)
    if kind is None:
        _not_a_feed(page)
    return jsonfeed.document(page) if kind == "json" else xml.document(page)


def reading_of(page: Page, document: Document) -> Reading:
    """The papers of the entries. Raises LayoutError if there are entries and none says anything."""
    wire.check_entries(page, len(document.entries))
    entries = [entry for entry in map(_described, document.entries) if entry.title or entry.summary]
    notes = list(document.notes)
    if document.entries and not entries:
        raise LayoutError(
            f"none of its {len(document.entries)} entries has a title or a summary",
            place=wire.readable(page.url),
            remedy="Look at the feed in a browser; if it is empty, the site has a fault",
        )
    if not entries:
        notes.append("the feed holds no entries")
    if left_out := len(document.entries) - len(entries):
        notes.append(
            f"{left_out} of {len(document.entries)} entries have no title and no summary, and are left out"
        )
    shared = _shared_addresses(entries)
    listings = tuple(
        Listing(
            paper=_paper(entry, shared),
            source=FeedReader.name,
            listed_on=entry.appeared.date() if entry.appeared else None,
            position=position,
        )
        for position, entry in enumerate(entries)
    )
    return Reading(document.layout, listings, notes=tuple(notes), complete=document.complete)


# --- documents


def _kind(page: Page) -> str | None:
    """Whether a page is a feed in XML or in JSON."""
    content = page.content
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        content = content.replace(b"\0", b"")
    if (content[:_HEAD].lstrip(b"\xef\xbb\xbf \t\r\n")).startswith(b"{"):
        declared = page.media_type == "application/feed+json"
        return "json" if declared or _JSON_FEED.search(content) else None
    root = _ROOT.match(content[:_HEAD])
    if (
        root is None
        or (root["rdf"] and not _RSS_1.search(content))
        or (root["atom"] and not _ATOM.search(content))
    ):
        return None
    return "xml"


def _not_a_feed(page: Page) -> NoReturn:
    """Say what a page is instead. Raises LayoutError."""
    place = wire.readable(page.url)
    if is_wall(page.content):
        raise LayoutError(
            "this is a page that asks to log in or to prove that one is human, not a feed",
            place=place,
            remedy="Open the address in a browser; if the feed shows there, the site refuses programs",
        )
    if _HTML.match(page.content):
        text = page.content.decode(errors="replace")
        named = (tag for tag in _LINK.findall(text) if _FEED_TYPE.search(tag) and "alternate" in tag.lower())
        hrefs = ((found[1] or found[2] or found[3] or "") for tag in named if (found := _HREF.search(tag)))
        feed = identity.first(wire.web_address(joined(page.url, html.unescape(href))) for href in hrefs)
        raise LayoutError(
            "this is a web page, not a feed",
            place=place,
            remedy=f"The page names its feed: {feed}" if feed else "Look for the address of the feed on it",
        )
    raise LayoutError("this is neither RSS, Atom nor JSON Feed", place=place, remedy="Check the address")


# --- papers


def _described(entry: Entry) -> Entry:
    """An entry with what ScienceDirect's description says, in place of the description."""
    found = _PUBLICATION.fullmatch(entry.summary)
    if not found:
        return entry
    return replace(
        entry,
        summary="",
        authors=entry.authors or list(people(found["authors"] or "")),
        printed=entry.printed or _printed_date(found["date"]),
    )


def _printed_date(text: str) -> date | None:
    """The date in `February 2022`, `15 January 2022` or `Available online 3 December 2021`."""
    found = _PRINTED_DATE.search(text)
    if not found or found["month"] not in _MONTHS:
        return None
    return wire.day(f"{found['year']}-{_MONTHS.index(found['month']) + 1}-{found['day'] or 1}")


def _addresses(entry: Entry) -> set[str | None]:
    return {identity.plain_address(address) for address in (entry.guid, entry.link) if address}


def _shared_addresses(entries: Iterable[Entry]) -> set[str | None]:
    """Addresses that several entries have, such as the journal's, so that they are no paper's own."""
    counts = Counter(address for entry in entries for address in _addresses(entry))
    return {address for address, count in counts.items() if count > 1}


def _paper(entry: Entry, shared: set[str | None]) -> Paper:
    title = entry.title or textwrap.shorten(entry.summary, _LONGEST_TITLE, placeholder=" …")
    links = [address for address in (entry.link, wire.web_address(entry.guid)) if address]
    doi = identity.first(_doi(text) for text in (*entry.names, *links))
    own = [address for address in reversed(links) if identity.plain_address(address) not in shared]
    names = identity.identifiers(
        title=title,
        arxiv=identity.first(map(identity.arxiv_id_at, links)),
        doi=doi,
        pmid=identity.first(_pubmed_number(text) for text in (*links, *entry.names)),
        openreview=identity.first(map(_openreview_forum, links)),
        url=own[0] if own else None,
    )
    published = entry.appeared.date() if entry.appeared else entry.printed
    return Paper(
        id=names[0],
        identifiers=names[1:],
        title=title,
        abstract="" if entry.summary == title else entry.summary,
        authors=tuple(dict.fromkeys(entry.authors)),
        url=_untracked(entry.link) if entry.link else None,
        pdf_url=entry.pdf_url,
        thumbnail_url=entry.thumbnail_url,
        published=published,
        doi=doi,
        keywords=tuple(dict.fromkeys(entry.keywords)),
    )


def _doi(text: str) -> str | None:
    found = identity.doi(text)
    return found and (identity.doi(_SHOWN.sub("", found)) or found)


def _pubmed_number(text: str) -> str | None:
    """The number in an address of PubMed, or in the `pubmed:123` of its feeds' guid."""
    found = re.match(
        r"(?:https?://pubmed\.ncbi\.nlm\.nih\.gov/|pubmed:|pmid:\s*)(\d{1,9})\b", text, re.IGNORECASE
    )
    return found[1] if found else None


def _openreview_forum(address: str) -> str | None:
    if identity.host(address) != "openreview.net":
        return None
    return identity.first(parse_qs(urlsplit(address).query).get("id", ()))


def _untracked(address: str) -> str:
    """An address without what only counts readers."""
    parts = urlsplit(address)
    query = urlsplit(f"//{identity.plain_address(address) or ''}").query
    return parts._replace(query=query, fragment="" if "utm_" in parts.fragment else parts.fragment).geturl()
