"""Zotero's own export of a library as CSV.

Its first row names the columns; lists within one are joined by semicolons.
https://github.com/zotero/translators/blob/master/CSV.js
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from datetime import date
from itertools import islice

from digest.core import identity, wire
from digest.core.model import Listing, Page, Paper, Reading
from digest.errors import LayoutError

_COLUMNS = re.compile(rb'(?:\xef\xbb\xbf)?"?Key"?,"?Item Type"?,')


class ZoteroReader:
    """Reads libraries of Zotero as CSV."""

    name = "zotero"
    generic = False

    def recognises(self, page: Page) -> bool:
        """Whether the page begins with Zotero's columns."""
        return _COLUMNS.match(page.content) is not None

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The items that have a title, without what is attached to them. Raises LayoutError."""
        text = page.content.decode("utf-8-sig", errors="replace")
        try:
            table = csv.DictReader(io.StringIO(text, newline=""))
            some = list(islice(table, wire.MOST_ENTRIES + 1))
        except csv.Error as error:  # a cell of more than 131,072 characters
            raise LayoutError(
                f"the CSV is broken: {error}",
                place=wire.readable(page.url),
                remedy="Export the library again, or as BibTeX",
            ) from error
        wire.check_entries(page, len(some))
        rows = [row for row in some if row.get("Item Type") not in {"attachment", "note"}]
        papers = [paper for row in rows if (paper := _paper(row))]
        if not papers:
            raise LayoutError(
                "it holds no item with a title",
                place=wire.readable(page.url),
                remedy="Export the library again",
            )
        untitled = len(rows) - len(papers)
        notes = (f"{untitled} of {len(rows)} items have no title and are left out",) if untitled else ()
        listings = tuple(Listing(paper, self.name, None, position) for position, paper in enumerate(papers))
        return Reading("zotero", listings, notes=notes)


def _paper(row: Mapping[str, str]) -> Paper | None:
    title = wire.prose(row.get("Title"))
    if not title:
        return None
    url = wire.web_address(row.get("Url"))
    doi = identity.doi(row.get("DOI") or "") or identity.doi(url or "")
    extra = row.get("Extra") or ""
    numbers = (row.get("Number") or "", row.get("Archive Location") or "", extra)
    arxiv = identity.first(identity.arxiv_id(number) for number in numbers if "arxiv" in number.lower())
    pmid = re.search(r"\bPMID:\s*(\d{1,9})", extra)
    names = identity.identifiers(
        title=title,
        arxiv=arxiv or identity.arxiv_id_at(url),
        doi=doi,
        pmid=pmid and pmid[1],
        url=url,
    )
    return Paper(
        id=names[0],
        identifiers=names[1:],
        title=title,
        abstract=wire.prose(row.get("Abstract Note")) or "",
        authors=tuple(dict.fromkeys(map(_given_first, _cell(row, "Author")))),
        url=url or (f"https://doi.org/{doi}" if doi else None),
        published=wire.day(row.get("Date")),
        doi=doi,
        keywords=tuple(dict.fromkeys((*_cell(row, "Manual Tags"), *_cell(row, "Automatic Tags")))),
    )


def _cell(row: Mapping[str, str], column: str) -> Iterator[str]:
    return filter(None, map(wire.squeezed, (row.get(column) or "").split(";")))


def _given_first(name: str) -> str:
    """`Family, Given` as people say it."""
    family, _, given = name.partition(",")
    return f"{given.strip()} {family.strip()}".strip()
