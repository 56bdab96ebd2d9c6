"""RSS 0.9x, 1.0 and 2.0, and Atom, read by feedparser as leniently as they need."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import feedparser  # type: ignore[import-untyped]

from digest.core import identity, wire
from digest.core.model import Page
from digest.errors import LayoutError
from digest.sources.feed.bounds import in_bounds
from digest.sources.feed.entry import Document, Entry, instant, people, prose

_CLOSED = re.compile(r"</(?:[\w.-]+:)?(?:rss|RDF|feed)\s*>")
_ENTRY_END = re.compile(r"</(?:[\w.-]+:)?(?:item|entry)\s*>")
# feedparser 6.0 ends the domain of an address after four letters and counts the others to the name:
# `desk@site.museum (Ruth Root)` gives `um (Ruth Root`.
_DOMAIN_END = re.compile(r"^[a-z0-9.-]+(?:$| \((?=[^()]*$))")


def document(page: Page) -> Document:
    """The entries of RSS or Atom, as far as they are whole."""
    wire.check_tags(page)
    content = in_bounds(page)
    whole = bool(_CLOSED.search(content))
    if not whole:
        ends = [found.end() for found in _ENTRY_END.finditer(content)]
        if not ends:
            raise LayoutError(
                "the feed is cut short before its first entry ends",
                place=wire.readable(page.url),
                remedy="digest asks for it again at the next run",
            )
        content = content[: ends[-1]]
    headers = {"content-type": "application/xml; charset=utf-8"}  # whatever the document says
    # Without the query, which may be a reader's key: `<link href="#1"/>` would hand it on to whoever reads.
    if base := wire.web_address(page.url.partition("?")[0]):
        headers["content-location"] = base
    try:
        # What it is given is read and never opened, though it may look like an address.
        parsed: dict[str, Any] = dict(
            feedparser.parse(
                io.BytesIO(content.encode()),
                response_headers=headers,
                sanitize_html=False,
                resolve_relative_uris=False,
            )
        )
    except (LookupError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError) as error:
        # `<gml:pos>` outside of `<georss:where>` is one of the things that it trips over.
        raise LayoutError(
            f"the feed is too broken to be read ({error})",
            place=wire.readable(page.url),
            remedy="digest asks for it again at the next run",
        ) from error
    channel = _plain(parsed.get("feed"))
    older = next(
        (
            wire.web_address(link.get("href"))
            for rel in ("next", "prev-archive")
            for link in map(_plain, wire.entries(channel.get("links")))
            if link.get("rel") == rel
        ),
        None,
    )
    return Document(
        layout=parsed.get("version") or "rss",
        entries=[_xml_entry(_plain(entry)) for entry in wire.entries(parsed.get("entries"))],
        older=older,
        notes=() if whole else ("the feed is cut short: what follows its last whole entry is missing",),
        complete=whole,
    )


def _plain(value: object) -> dict[str, Any]:
    """A table of feedparser's without its own ways: it warns where `updated` is looked up in vain."""
    return dict(value) if isinstance(value, dict) else {}


def _xml_entry(raw: Mapping[str, Any]) -> Entry:
    links = [_plain(link) for link in wire.entries(raw.get("links"))]
    contents = [_plain(item).get("value") for item in wire.entries(raw.get("content"))]
    thumbnails = [_plain(item).get("url") for item in wire.entries(raw.get("media_thumbnail"))]
    tags = [_plain(tag) for tag in wire.entries(raw.get("tags"))]
    names = ("dc_identifier", "prism_doi", "doi", "id")
    return Entry(
        title=wire.prose(raw.get("title")) or "",
        summary=identity.first(prose(value) for value in (raw.get("summary"), *contents)) or "",
        authors=[
            name for author in map(_plain, wire.entries(raw.get("authors"))) for name in people(_name(author))
        ],
        link=wire.web_address(raw.get("link")),
        guid=wire.text(raw.get("id")),
        published=instant(raw.get("published_parsed"), raw.get("published")),
        updated=instant(raw.get("updated_parsed"), raw.get("updated")),
        printed=wire.day(raw.get("prism_coverdate")) or wire.day(raw.get("prism_publicationdate")),
        names=[raw[name] for name in names if isinstance(raw.get(name), str)],
        keywords=[word for tag in tags if (word := wire.prose(tag.get("label") or tag.get("term")))],
        pdf_url=identity.first(
            wire.web_address(address)
            for address in (
                raw.get("pdf_url"),  # JOSS
                *(link.get("href") for link in links if link.get("type") == "application/pdf"),
            )
        ),
        thumbnail_url=identity.first(map(wire.web_address, thumbnails)),
    )


def _name(author: Mapping[str, Any]) -> str:
    name = wire.prose(author.get("name")) or ""
    return _DOMAIN_END.sub("", name) if author.get("email") else name
