"""RIS, as reference managers and publishers export it.

    lines → records, tag → values → Listings

Each line is a tag and a value (https://en.wikipedia.org/wiki/RIS_(file_format)); a record begins with TY.
It should end with ER, which some exporters forget for the last one and some for all.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from digest.core import identity, wire
from digest.core.model import Listing, Page, Paper, Reading
from digest.errors import LayoutError

_LINE = re.compile(r"(?P<tag>[A-Z][A-Z0-9]) {1,2}-(?: (?P<value>.*)|\s*)")
_FIRST = re.compile(r"\s*TY {1,2}- ?[A-Z]{2,10}\s*\n(?:[A-Z][A-Z0-9] {1,2}-|\s*$)")
_Record = Mapping[str, Sequence[Sequence[str]]]


class RisReader:
    """Reads files of RIS."""

    name = "ris"
    generic = False

    def recognises(self, page: Page) -> bool:
        """Whether the page begins with the type of a reference and another tag."""
        return _FIRST.match(_decoded(page.content)) is not None

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The references that have a title. Raises LayoutError if there is none."""
        text = _decoded(page.content)
        records = _records(page, text)
        papers = [paper for record in records if (paper := _paper(record))]
        if not papers:
            raise LayoutError(
                "it holds no RIS reference with a title",
                place=wire.readable(page.url),
                remedy="Export the file again",
            )
        untitled = len(records) - len(papers)
        notes = (
            (f"{untitled} of {len(records)} references have no title and are left out",) if untitled else ()
        )
        listings = tuple(Listing(paper, self.name, None, position) for position, paper in enumerate(papers))
        return Reading("ris", listings, notes=notes)


def _decoded(content: bytes) -> str:
    """The text; files from before Unicode are Latin-1."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _records(page: Page, text: str) -> Sequence[_Record]:
    """The records; a line without a tag goes on with the value before it, whose lines are kept apart."""
    records: list[defaultdict[str, list[list[str]]]] = []
    value: list[str] | None = None
    for line in text.split("\n"):
        found = _LINE.fullmatch(line.strip())
        if found and found["tag"] == "TY":
            records.append(defaultdict(list))
            wire.check_entries(page, len(records))
        if found and found["tag"] == "ER":
            value = None
        elif found and records:
            value = [found["value"] or ""]
            records[-1][found["tag"]].append(value)
        elif value and line.strip():
            value.append(line)
    return records


def _paper(record: _Record) -> Paper | None:
    title = _first(record, "TI", "T1", "CT", "BT")
    if not title:
        return None
    addresses = [address for value in _all(record, "UR", "L1", "LK") if (address := wire.web_address(value))]
    doi = identity.first(identity.doi(value) for value in (*_all(record, "DO", "DI", "M3"), *addresses))
    names = identity.identifiers(
        title=title,
        arxiv=identity.first(map(_arxiv_number, (*_all(record, "AN", "M1"), *addresses))),
        doi=doi,
        pmid=_pubmed_number(record),
        url=addresses[0] if addresses else None,
    )
    return Paper(
        id=names[0],
        identifiers=names[1:],
        title=title,
        abstract=wire.prose(_first(record, "AB", "N2")) or "",
        authors=tuple(dict.fromkeys(_given_first(name) for name in _all(record, "AU", "A1"))),
        url=addresses[0] if addresses else (f"https://doi.org/{doi}" if doi else None),
        pdf_url=identity.first(
            wire.web_address(value) for value in _all(record, "L1") if ".pdf" in value.lower()
        ),
        published=next((day for value in _all(record, "DA", "PY", "Y1") if (day := _day(value))), None),
        doi=doi,
        keywords=tuple(dict.fromkeys(_all(record, "KW"))),
    )


def _all(record: _Record, *tags: str) -> list[str]:
    """The values of some tags that say something."""
    return [value for tag in tags for given in record.get(tag, ()) if (value := wire.text(" ".join(given)))]


def _first(record: _Record, *tags: str) -> str | None:
    return next(iter(_all(record, *tags)), None)


def _given_first(name: str) -> str:
    """`Family, Given, Suffix` as people say it."""
    family, _, rest = name.partition(",")
    given, _, suffix = rest.partition(",")
    return " ".join(f"{given} {family} {suffix}".split())


def _day(value: str) -> date | None:
    """A date as `YYYY/MM/DD/other` whose last parts may be empty, or in ISO 8601."""
    year, month, day, *_ = (*(part.strip() for part in value.split("/")), "", "", "")
    return wire.day(f"{year}-{month}-{day}") or wire.day(f"{year}-{month}") or wire.day(value)


def _arxiv_number(value: str) -> str | None:
    """The number in `arXiv:2611.01234` or an address of arXiv; of other accessions nothing is known."""
    return identity.arxiv_id(value) if "arxiv" in value.lower() else None


def _pubmed_number(record: _Record) -> str | None:
    """The accession number of a record from PubMed."""
    found = re.fullmatch(r"(?:pmid:?\s*)?(\d{1,9})", _first(record, "AN") or "", re.IGNORECASE)
    source = " ".join(_all(record, "DB", "DP")).lower()
    named = found and (
        "pubmed" in source or "medline" in source or "nlm" in source or not found[0][0].isdigit()
    )
    return found[1] if found and named else None
