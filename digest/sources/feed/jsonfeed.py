"""JSON Feed (https://www.jsonfeed.org/version/1.1/)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from digest.core import identity, wire
from digest.core.model import Page
from digest.sources.feed.entry import Document, Entry, instant, joined, people, prose


def document(page: Page) -> Document:
    """The items of a JSON Feed (https://www.jsonfeed.org/version/1.1/)."""
    feed = wire.table(wire.json_value(page))
    following = wire.text(feed.get("next_url"))
    return Document(
        layout="jsonfeed",
        entries=[_json_entry(page, wire.table(item)) for item in wire.entries(feed.get("items"))],
        older=wire.web_address(joined(page.url, following)) if following else None,
    )


def _json_entry(page: Page, raw: Mapping[str, Any]) -> Entry:
    authors = [wire.table(author) for author in (*wire.entries(raw.get("authors")), raw.get("author"))]
    files = [wire.table(file) for file in wire.entries(raw.get("attachments"))]
    addresses = [value for name in ("url", "external_url") if (value := wire.text(raw.get(name)))]
    words = ("summary", "content_text", "content_html")
    base = page.url.partition("?")[0]  # the query may be a reader's key
    return Entry(
        title=wire.prose(raw.get("title")) or "",
        summary=identity.first(prose(raw.get(name)) for name in words) or "",
        authors=[name for author in authors for name in people(wire.prose(author.get("name")) or "")],
        link=identity.first(wire.web_address(joined(base, address)) for address in addresses),
        guid=wire.text(raw.get("id")),
        published=instant(None, raw.get("date_published")),
        updated=instant(None, raw.get("date_modified")),
        names=[value for value in (raw.get("id"), *addresses) if isinstance(value, str)],
        keywords=[word for tag in wire.entries(raw.get("tags")) if (word := wire.prose(tag))],
        pdf_url=identity.first(
            wire.web_address(file.get("url")) for file in files if file.get("mime_type") == "application/pdf"
        ),
        thumbnail_url=wire.web_address(raw.get("image")),
    )
