"""Which of arXiv's forms a page has, and its papers."""

from __future__ import annotations

import re
from datetime import date

from lxml import etree

from digest.core import identity, wire
from digest.core.model import Page, Reading
from digest.sources.arxiv import api, feed, listing, oai
from digest.sources.arxiv.papers import NAME, fail

_HEAD = 20_000  # bytes, within which a document says what it is
_XML = re.compile(rb"\s*+(?:\xef\xbb\xbf)?\s*+<(?:\?xml|rss\b|feed\b|OAI-PMH\b|record\b)")
_ASIDE = re.compile(rb"<!--.*?-->", re.DOTALL)
_ENTRY = re.compile(rb"<(?:item|entry|metadata)\b")
_OURS = re.compile(
    rb"<(?:id|link|title|description|request|identifier)\b[^<>]*>\s*"
    rb"(?:https?://(?:\w+\.)?arxiv\.org/|oai:arXiv\.org:|ArXiv Query:|Feed error for query)",
    re.IGNORECASE,
)
_LISTING = re.compile(rb"class=[\"']list-title mathjax|<h3>\s*Showing new listings for ")


class ArXivReader:
    """Reads listings, feeds, and the answers of the API and of OAI-PMH."""

    name = NAME
    generic = False

    def recognises(self, page: Page) -> bool:
        """Whether the page is from arXiv, or looks like a saved one."""
        if not page.content.strip():
            return False
        if f".{identity.host(page.url)}".endswith(".arxiv.org"):
            return True
        if not _XML.match(page.content):
            return page.content.lstrip().startswith(b"<") and bool(_LISTING.search(page.content))
        return bool(_OURS.search(_ENTRY.split(_ASIDE.sub(b"", page.content[:_HEAD]), maxsplit=1)[0]))

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The papers on the page. Raises LayoutError."""
        if not _XML.match(page.content):
            sheet = listing.sheet(page)
            notes = (*sheet.notes, *sheet.shortfalls)
            return Reading(
                "listing", sheet.listings, captured_on or sheet.day, notes, complete=not sheet.shortfalls
            )
        root = wire.xml_root(page)
        form = etree.QName(root).localname
        if form in {"OAI-PMH", "record"}:
            harvested = oai.harvested(page, root)
            records = tuple(record.listing for record in harvested.records)
            return Reading("oai", records, captured_on, harvested.notes)
        if form == "feed" and api.is_answer(root):
            answer = api.answer(page, root)
            results = tuple(result.listing for result in answer.results)
            return Reading("api", results, captured_on, answer.notes)
        if form not in {"rss", "feed"}:
            fail(page, f"<{form}> is no form that arXiv's papers come in")
        issue = feed.issue(page, root)
        layout = "rss" if form == "rss" else "atom"
        return Reading(layout, issue.listings, captured_on or issue.day, issue.notes)
