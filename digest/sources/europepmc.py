"""Europe PMC: PubMed, PubMed Central and the preprints of the life sciences in one index.

    /search?query=(…) AND (FIRST_IDATE:[… TO …]) → pages of 200 by cursorMark → Listings

FIRST_IDATE is the day a record was first indexed (`firstIndexDate` in the answer), unlike FIRST_PDATE, the
day it was published: asked by it, records that come late are not lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, timedelta
from typing import Any
from urllib.parse import quote

from digest.core import wire
from digest.core.identity import doi, first, identifiers
from digest.core.model import Listing, Pace, Page, Paper, Period, Reading, Request
from digest.errors import LayoutError, SourceError
from digest.ports import Plan
from digest.sources import Harvest, Steps, gather

_API = "https://www.ebi.ac.uk/europepmc/webservices/rest/search"
_PACE = Pace("ebi.ac.uk", 0.5)
_PER_PAGE = 200  # of at most 1,000; a record with its affiliations has about 8 kB
_MOST_PAGES = 50
_OVERLAP = timedelta(days=2)
_OURS = (re.compile(rb'"resultList"\s*:\s*\{'), re.compile(rb'"hitCount"\s*:\s*\d'))
_INITIALS = re.compile(r"(\S.*) ([A-Z]{1,4})")


class EuropePmcReader:
    """Reads what a search of Europe PMC gives with format=json and resultType=core."""

    name = "europepmc"
    generic = False

    def recognises(self, page: Page) -> bool:
        """Whether the page is an answer of Europe PMC's search."""
        return page.content.lstrip()[:1] == b"{" and all(sign.search(page.content) for sign in _OURS)

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The papers on the page. Raises LayoutError."""
        answer = wire.table(wire.json_value(page))
        entries = wire.table(answer.get("resultList")).get("result")
        if not isinstance(entries, list):
            # Such answers were seen with status 200: github.com/sciety/sciety/issues/1041.
            message = wire.text(answer.get("errMsg"))
            raise LayoutError(
                f"the answer is an error: {message}" if message else "the answer has no list of results",
                place=wire.readable(page.url),
            )
        records = [entry for entry in entries if isinstance(entry, dict) and _key(entry)]
        if entries and not records:
            raise LayoutError(
                f"none of its {len(entries)} results is a record", place=wire.readable(page.url)
            )
        found = [(record, title) for record in records if (title := _title(record))]
        listings = tuple(
            Listing(_paper(record, title), self.name, wire.day(record.get("firstIndexDate")), position)
            for position, (record, title) in enumerate(found)
        )
        rest = len(records) - len(found)
        notes = (f"{rest} of {len(records)} records have no title and are left out",) if rest else ()
        return Reading("search", listings, captured_on=captured_on, notes=notes)


class EuropePmc:
    """Records that were first indexed by Europe PMC lately.

    `query` is in Europe PMC's own language, as in its search field; `SRC:PPR` in it means preprints.
    Raises ValueError.
    """

    def __init__(self, name: str = "europepmc", *, query: str) -> None:
        self.name = name
        self._query = query.strip()
        self._reader = EuropePmcReader()
        if not self._query:
            raise ValueError("query is empty")

    def collect(self, period: Period) -> Plan:
        """Read what was indexed in a period. Raises SourceError if none of it can be read."""
        return gather(lambda harvest: self._pages(period, harvest))

    def _pages(self, period: Period, harvest: Harvest) -> Steps:
        """Follow the marks until there is none, it stays the same, or a page is empty.

        The end may lie before `hitCount`, which counts more than is given.
        """
        search = self._search(period)
        mark = "*"
        for number in range(_MOST_PAGES):
            page = yield Request(f"{search}&cursorMark={quote(mark, safe='')}", pace=_PACE)
            if page is None:
                harvest.unchanged("search")
                return
            reading = self._reader.read(page)
            answer = wire.json_value(page)
            results = answer["resultList"]["result"]
            if not results and not number and wire.number(answer.get("hitCount")):
                raise LayoutError(
                    f"the answer counts {answer['hitCount']} hits and holds none", place=page.url
                )
            harvest.add(reading, offset=number * _PER_PAGE)
            following = wire.text(answer.get("nextCursorMark"))
            if not following or following == mark or not results:
                return
            mark = following
        raise SourceError(
            f"there are more than the {_MOST_PAGES * _PER_PAGE:,} that are read",
            remedy="Make the query narrower",
        )

    def _search(self, period: Period) -> str:
        since = period.since.astimezone(UTC).date() - _OVERLAP
        until = period.until.astimezone(UTC).date()
        query = f"({self._query}) AND (FIRST_IDATE:[{since} TO {until}])"
        return f"{_API}?query={quote(query, safe='')}&format=json&resultType=core&pageSize={_PER_PAGE}"


def _key(record: dict[str, Any]) -> tuple[str, str] | None:
    """The source and the number that name a record: MED and a PubMed id, PMC, PPR for preprints."""
    source, number = wire.text(record.get("source")), wire.text(record.get("id"))
    return (source, number) if source and number else None


def _paper(record: dict[str, Any], title: str) -> Paper:
    source, number = _key(record) or ("", "")
    url = f"https://europepmc.org/article/{quote(source, safe='')}/{quote(number, safe='')}"
    name = doi(wire.text(record.get("doi")) or "")
    pmid = wire.text(record.get("pmid")) or (number if source == "MED" else None)
    names = identifiers(title=title, doi=name, pmid=pmid, url=None if name or pmid else url)
    links = map(wire.table, wire.entries(wire.table(record.get("fullTextUrlList")).get("fullTextUrl")))
    keywords = wire.entries(wire.table(record.get("keywordList")).get("keyword"))
    return Paper(
        id=names[0],
        identifiers=names[1:],
        title=title,
        abstract=wire.prose(record.get("abstractText")) or "",
        authors=tuple(_authors(wire.table(record.get("authorList")).get("author"))),
        url=url,
        pdf_url=first(wire.web_address(link.get("url")) for link in links if _is_pdf(link)),
        published=wire.day(record.get("firstPublicationDate")),
        doi=name,
        keywords=tuple(word for item in keywords if (word := wire.prose(item))),
    )


def _is_pdf(link: dict[str, Any]) -> bool:
    """Whether a link leads to a PDF that anybody may read."""
    return link.get("documentStyle") == "pdf" and link.get("availabilityCode") != "S"


def _title(record: dict[str, Any]) -> str | None:
    """The title, without the final dot of PubMed's."""
    title = wire.prose(record.get("title")) or ""
    return (title if title.endswith("..") else title.removesuffix(".")) or None


def _authors(value: object) -> Iterator[str]:
    """The authors' names, given names first: `fullName` is "Last FM"."""
    for author in map(wire.table, wire.entries(value)):
        given, family = wire.text(author.get("firstName")), wire.text(author.get("lastName"))
        full = wire.text(author.get("fullName")) or wire.text(author.get("collectiveName")) or ""
        if given and family:
            yield f"{given} {family}"
        elif short := _INITIALS.fullmatch(full):
            yield f"{' '.join(short[2])} {short[1]}"
        elif full:
            yield full
