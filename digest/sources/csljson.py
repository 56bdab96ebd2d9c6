"""CSL-JSON, as Zotero, Mendeley and Pandoc export it (https://docs.citationstyles.org, "Citation data").

list of items, or an object with it under `items` → items with a title → Listings
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from digest.core import identity, wire
from digest.core.model import Listing, Page, Paper, Reading
from digest.errors import LayoutError

_BEGINNING = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\[\s*\{|\{\s*"items"\s*:\s*\[\s*\{)')
# The types of papers that no other place's JSON uses, and `article` beside a field of CSL.
_TYPE = re.compile(
    rb'"type"\s*:\s*"(?:article(?:-journal|-magazine|-newspaper)|paper-conference|chapter|thesis|manuscript'
    rb'|report|book|webpage|post-weblog|entry-encyclopedia|speech|dataset|software|document|article)"'
)
_FIELD = re.compile(rb'"(?:issued|container-title|citation-key|DOI|URL|accessed|family)"\s*:')
_PMID = re.compile(r"\bPMID:\s*(\d{1,9})")


class CslJsonReader:
    """Reads files of CSL-JSON."""

    name = "csljson"
    generic = False

    def recognises(self, page: Page) -> bool:
        """Whether the page is a list of objects that have a type of CSL, and a field of it."""
        content = page.content
        return all((_BEGINNING.match(content), _TYPE.search(content), _FIELD.search(content)))

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The items that have a title. Raises LayoutError if there is none."""
        value = wire.json_value(page)
        items = wire.entries(value if isinstance(value, list) else wire.table(value).get("items"))
        wire.check_entries(page, len(items))
        papers = [paper for item in items if (paper := _paper(wire.table(item)))]
        if not papers:
            raise LayoutError(
                "it holds no item of CSL-JSON with a title",
                place=wire.readable(page.url),
                remedy="Export the file again",
            )
        untitled = len(items) - len(papers)
        notes = (f"{untitled} of {len(items)} items have no title and are left out",) if untitled else ()
        listings = tuple(Listing(paper, self.name, None, position) for position, paper in enumerate(papers))
        return Reading("csljson", listings, notes=notes)


def _paper(item: dict[str, Any]) -> Paper | None:
    title = wire.prose(item.get("title"))
    if not title:
        return None
    url, note = wire.web_address(item.get("URL")), wire.text(item.get("note")) or ""
    doi = identity.doi(wire.text(item.get("DOI")) or "") or identity.doi(url or "")
    # Zotero puts a preprint's number into `number`, and what it has no field for into `note`.
    numbers = (wire.text(item.get(field)) or "" for field in ("number", "archive_location", "note"))
    arxiv = identity.first(identity.arxiv_id(number) for number in numbers if "arxiv" in number.lower())
    arxiv = arxiv or identity.arxiv_id_at(url)
    pmid = _PMID.search(note)
    names = identity.identifiers(
        title=title, arxiv=arxiv, doi=doi, pmid=item.get("PMID") or (pmid and pmid[1]), url=url
    )
    return Paper(
        id=names[0],
        identifiers=names[1:],
        title=title,
        abstract=wire.prose(item.get("abstract")) or "",
        authors=tuple(dict.fromkeys(_people(item.get("author")))),
        url=url or (f"https://doi.org/{doi}" if doi else None),
        published=_day(item.get("issued")),
        doi=doi,
        keywords=tuple(filter(None, map(str.strip, (wire.text(item.get("keyword")) or "").split(",")))),
    )


def _people(value: object) -> Iterator[str]:
    """Names, given names first; those of institutions are literal."""
    fields = ("given", "dropping-particle", "non-dropping-particle", "family", "suffix")
    for name in map(wire.table, wire.entries(value)):
        parts = filter(None, (wire.text(name.get(field)) for field in fields))
        if whole := " ".join(parts) or wire.text(name.get("literal")):
            yield whole


def _day(value: object) -> date | None:
    """A date is year, month and day, of which the last may be absent, as numbers or strings; or ISO 8601."""
    given = wire.table(value)
    parts = wire.entries(next(iter(wire.entries(given.get("date-parts"))), None))
    return wire.day("-".join(str(part) for part in parts)) or wire.day(given.get("raw"))
