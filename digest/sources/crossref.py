"""Crossref: where publishers register DOIs, asked for what was registered lately.

    /works?query.bibliographic=…&filter=issn:…,from-created-date:…  → pages of 500 by cursor → Listings

"Created" is the day of the first registration, so that what a publisher registers late is not lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, timedelta
from typing import Any
from urllib.parse import quote

from digest.core import wire
from digest.core.identity import doi, first, is_bare, paper_id
from digest.core.model import Listing, Pace, Page, Paper, PaperId, Period, Reading, Request
from digest.errors import LayoutError, SourceError
from digest.ports import Plan
from digest.sources import Harvest, Steps, gather

_API = "https://api.crossref.org/works"
_PACE = Pace("crossref.org", 0.5)
# The answer to an unknown field names the known ones; one that is not among them fails the whole request.
_SELECT = (
    "DOI,URL,type,title,subtitle,author,abstract,link,relation,update-to"
    ",created,posted,published-online,published-print"
)
_ROWS = 500  # of at most 1,000
_MOST_PAGES = 20
_OVERLAP = timedelta(days=2)  # a record is to be found some minutes after its registration, at times hours
_PAPERS = {
    "book",
    "book-chapter",
    "book-part",
    "book-section",
    "dissertation",
    "edited-book",
    "journal-article",
    "monograph",
    "posted-content",
    "proceedings-article",
    "report",
}
_ISSN = re.compile(r"\d{4}-\d{3}[\dXx]")  # ISO 3297
_OURS = re.compile(rb'"message-type"\s*:\s*"work(?:-list)?"')
_HEADING = re.compile(r"\A\s*<jats:title>\s*(?:abstract|summary)[.:]?\s*</jats:title>", re.IGNORECASE)
_PREPRINTS = ("has-preprint", "is-preprint-of")


class CrossrefReader:
    """Reads works of Crossref, as the API gives them: a list, or a single one."""

    name = "crossref"
    generic = False

    def recognises(self, page: Page) -> bool:
        """Whether the page is an answer of Crossref's API that holds works."""
        return page.content.lstrip()[:1] == b"{" and _OURS.search(page.content) is not None

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The papers on the page. Raises LayoutError."""
        works = _works(page)
        papers = [work for work in works if wire.text(work.get("type")) in _PAPERS and not _is_notice(work)]
        found = [
            (work, title, name)
            for work in papers
            if (title := _title(work)) and (name := _doi(work.get("DOI")))
        ]
        listings = tuple(
            Listing(_paper(work, title, name), self.name, _registered(work), position)
            for position, (work, title, name) in enumerate(found)
        )
        rest = len(papers) - len(found)
        notes = (f"{rest} of {len(papers)} works have no title or no DOI and are left out",) if rest else ()
        return Reading("works", listings, captured_on=captured_on, notes=notes)


class Crossref:
    """Works that were registered with Crossref lately.

    `query` is looked for in titles, authors and journals, any of its words being enough; `issn` names
    journals; `filter` is in Crossref's own words, such as "member:297,type:journal-article".
    At least one of them is needed; `contact` is the e-mail address that the site asks for.
    Raises ValueError.
    """

    def __init__(
        self,
        name: str = "crossref",
        *,
        query: str | None = None,
        issn: Sequence[str] = (),
        filter: str | None = None,  # noqa: A002 - the site's word
        contact: str | None = None,
    ) -> None:
        self.name = name
        self._query = (query or "").strip()
        self._filters = [f"issn:{number}" for number in issn]
        self._contact = contact
        self._reader = CrossrefReader()
        if own := (filter or "").strip(" ,"):
            self._filters.append(own)
        for number in issn:
            if not _ISSN.fullmatch(number):
                raise ValueError(f"issn has {number!r}, but must be a list of numbers such as 1234-567X")
        if not self._query and not self._filters:
            raise ValueError("crossref needs a query, an issn or a filter")

    def collect(self, period: Period) -> Plan:
        """Read what was registered in a period. Raises SourceError if none of it can be read."""
        return gather(lambda harvest: self._pages(period, harvest))

    def _pages(self, period: Period, harvest: Harvest) -> Steps:
        """Follow the cursor until a page is not full: a next one is always given (rest-api-doc #303)."""
        search = self._search(period)
        cursor = "*"
        for number in range(_MOST_PAGES):
            page = yield Request(f"{search}&cursor={quote(cursor, safe='')}", pace=_PACE)
            if page is None:
                harvest.unchanged("works")
                return
            harvest.add(self._reader.read(page), offset=number * _ROWS)
            message = wire.table(wire.json_value(page).get("message"))
            following = wire.text(message.get("next-cursor"))
            if not following or len(wire.entries(message.get("items"))) < _ROWS:
                return
            cursor = following
        raise SourceError(
            f"there are more than the {_MOST_PAGES * _ROWS:,} that are read",
            remedy="Make the query narrower, or name journals by `issn`",
        )

    def _search(self, period: Period) -> str:
        since = period.since.astimezone(UTC).date() - _OVERLAP
        limits = ",".join((*self._filters, f"from-created-date:{since}"))
        words = f"query.bibliographic={quote(self._query, safe='')}&" if self._query else ""
        contact = f"&mailto={quote(self._contact, safe='@')}" if self._contact else ""
        return f"{_API}?{words}filter={quote(limits, safe=':,')}&rows={_ROWS}&select={_SELECT}{contact}"


def _works(page: Page) -> list[dict[str, Any]]:
    """The works of an answer. Raises LayoutError."""
    answer = wire.table(wire.json_value(page))
    message = answer.get("message")
    if answer.get("status") != "ok" or not isinstance(message, dict):
        # https://github.com/CrossRef/rest-api-doc/issues/302: a refusal is a list of messages.
        refusals = (wire.text(wire.table(item).get("message")) for item in wire.entries(message))
        raise LayoutError(
            first(refusals) or "the answer is no list of works but an error", place=wire.readable(page.url)
        )
    if answer.get("message-type") == "work":
        return [message]
    items = message.get("items")
    if not isinstance(items, list):
        raise LayoutError("the answer has no list of works", place=wire.readable(page.url))
    works = [item for item in items if isinstance(item, dict) and "DOI" in item]
    if items and not works:
        raise LayoutError(f"none of its {len(items)} items is a work", place=wire.readable(page.url))
    return works


def _is_notice(work: dict[str, Any]) -> bool:
    """Whether a work only corrects or retracts another; a new version or edition is a paper."""
    kinds = [wire.text(wire.table(item).get("type")) or "" for item in wire.entries(work.get("update-to"))]
    return any(not kind.startswith("new_") for kind in kinds)


def _paper(work: dict[str, Any], title: str, name: str) -> Paper:
    own, relation = paper_id(title=title, doi=name), wire.table(work.get("relation"))
    names = dict.fromkeys((own, *(other for kind in _PREPRINTS for other in _related(relation.get(kind)))))
    by_trust = sorted(names, key=lambda item: not item.startswith("arxiv:"))
    return Paper(
        id=by_trust[0],
        identifiers=tuple(by_trust[1:]),
        title=title,
        abstract=_abstract(work.get("abstract")),
        authors=tuple(_authors(work.get("author"))),
        url=wire.web_address(work.get("URL")) or f"https://doi.org/{quote(name)}",
        pdf_url=first(
            wire.web_address(link.get("URL"))
            for link in map(wire.table, wire.entries(work.get("link")))
            if link.get("content-type") == "application/pdf"
        ),
        published=_published(work),
        doi=name,
    )


def _title(work: dict[str, Any]) -> str | None:
    """The title with its subtitle; both are lists, of which the first counts, and may hold HTML or MathML."""
    title, subtitle = (
        first(map(wire.prose, wire.entries(work.get(field)))) for field in ("title", "subtitle")
    )
    if not title or not subtitle or subtitle.casefold() in title.casefold():
        return title
    return f"{title}: {subtitle}"


def _doi(value: object) -> str | None:
    return doi(wire.text(value) or "")


def _related(value: object) -> Iterator[PaperId]:
    """The identifiers of a paper's other version, which are DOIs or numbers of arXiv."""
    for item in map(wire.table, wire.entries(value)):
        text = wire.text(item.get("id")) or ""
        number = text if item.get("id-type") == "arxiv" else None
        other = paper_id(title="", arxiv=number, doi=doi(text))
        if not is_bare(other):
            yield other


def _abstract(value: object) -> str:
    """The words of an abstract in JATS, without the heading that says what it is."""
    return wire.prose(_HEADING.sub("", value)) or "" if isinstance(value, str) else ""


def _authors(value: object) -> Iterator[str]:
    for author in map(wire.table, wire.entries(value)):
        given, family = wire.text(author.get("given")), wire.text(author.get("family"))
        if name := " ".join(filter(None, (given, family))) or wire.text(author.get("name")):
            yield name


def _registered(work: dict[str, Any]) -> date | None:
    span = _span(work.get("created"))
    return span and span[1]


def _published(work: dict[str, Any]) -> date | None:
    """The first day on which a work was out.

    A date may be a year alone; it counts by its last day, so that a year does not beat a day within it.
    """
    fields = ("published-online", "published-print", "posted", "created")
    spans = [span for field in fields if (span := _span(work.get(field)))]
    return min(spans)[1] if spans else None


def _span(value: object) -> tuple[date, date] | None:
    """The last and the first day that a date may mean; its parts may be fewer than three, or null."""
    numbers: list[int] = []
    for part in wire.entries(next(iter(wire.entries(wire.table(value).get("date-parts"))), None))[:3]:
        if not (number := wire.number(part)):
            break
        numbers.append(number)
    if not numbers:
        return None
    try:
        year, month, day = (*numbers, 1, 1)[:3]
        start = date(year, month, day)
        match len(numbers):
            case 1:
                return date(year, 12, 31), start
            case 2:
                return (start + timedelta(days=31)).replace(day=1) - timedelta(days=1), start
            case _:
                return start, start
    except (ValueError, OverflowError):
        return None
