"""New papers that Semantic Scholar has for a search.

The bulk search is asked, which takes operators and gives all that it finds; the other one ends at 1,000.
Parameters and fields: https://api.semanticscholar.org/api-docs/graph.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from digest.core import identity, wire
from digest.core.model import Listing, Pace, Page, Paper, Period, Reading, Request
from digest.errors import FetchError, LayoutError, SourceError
from digest.ports import Plan, Secret
from digest.sources import Harvest

_HOST = "api.semanticscholar.org"
_SEARCH = f"https://{_HOST}/graph/v1/paper/search/bulk"
_SITE = "semanticscholar.org"
_FIELDS = "title,abstract,authors,url,externalIds,publicationDate,openAccessPdf"  # it has no `tldr`
# A paper enters the index days after the date of its publication, by which alone the search can be narrowed.
_OVERLAP = timedelta(days=14)
_WITH_KEY, _WITHOUT_KEY = 1.0, 3.0  # seconds; without a key all the world shares one quota
_MOST_PAGES = 20  # of 1,000 papers
_TOO_MANY = 429
_OURS = re.compile(rb'\s*\{(?=.*"data"\s*:\s*\[)(?=.*"paperId"\s*:)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Answer:
    papers: list[Paper]
    token: str | None  # asks for the next page
    notes: tuple[str, ...]


class SemanticScholarReader:
    """Reads the answers of both searches."""

    name = "semantic_scholar"
    generic = False

    def recognises(self, page: Page) -> bool:
        """Whether the page is an answer of a search."""
        return identity.host(page.url) == _HOST or bool(_OURS.match(page.content))

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The papers on the page. Raises LayoutError."""
        return _reading(_answer(page))


class SemanticScholar:
    """Papers that Semantic Scholar finds for `query`.

    Its operators are `+` (and), `|` (or), `-` (not), `"…"`, `*`, `~` and brackets; it looks into titles
    and abstracts.
    `fields_of_study` are Semantic Scholar's ("Computer Science"), any of which will do; none: all.
    `key` is asked for at https://www.semanticscholar.org/product/api.
    Papers without an exact date are not found, as the site takes them for the 1st of January.
    Raises ValueError for an empty query or field.
    """

    def __init__(
        self,
        name: str = "semantic_scholar",
        *,
        query: str,
        fields_of_study: Sequence[str] = (),
        key: Secret | None = None,
    ) -> None:
        self.name = name
        self._query = query.strip()
        self._fields = tuple(field.strip() for field in fields_of_study)
        self._key = key
        if not self._query:
            raise ValueError("query is empty")
        if "" in self._fields:
            raise ValueError("fields_of_study has an empty name")

    def collect(self, period: Period) -> Plan:
        """Read what was published in a period. Raises SourceError if none of it can be read."""
        harvest = Harvest()
        try:
            yield from self._pages((period.since.astimezone(UTC) - _OVERLAP).date(), harvest)
        except SourceError as error:
            harvest.failed(f"the search for {self._query!r}", self._explained(error))
        return harvest.reading()

    def _pages(self, since: date, harvest: Harvest) -> Generator[Request, Page | None, None]:
        pace = Pace(_SITE, _WITH_KEY if self._key else _WITHOUT_KEY)
        headers = (("x-api-key", self._key()),) if self._key else ()
        asked = {"query": self._query, "fields": _FIELDS, "publicationDateOrYear": f"{since}:"}
        if self._fields:
            asked["fieldsOfStudy"] = ",".join(self._fields)
        asked["sort"] = "publicationDate:asc"  # what is added meanwhile is not skipped
        seen = 0
        for _ in range(_MOST_PAGES):
            page = yield Request(f"{_SEARCH}?{urlencode(asked, quote_via=quote)}", headers=headers, pace=pace)
            if page is None:
                harvest.unchanged("search")
                return
            answer = _answer(page)
            harvest.add(_reading(answer), offset=seen)
            seen += len(answer.papers)
            if answer.token is None:
                return
            asked["token"] = answer.token
        raise SourceError(f"there are more than {seen:,} papers", remedy="Ask for something narrower")

    def _explained(self, error: SourceError) -> SourceError:
        if self._key is None and isinstance(error, FetchError) and error.status == _TOO_MANY:
            error.remedy = "Without a key everybody shares one quota: give the source a `key`"
        return error


# --- answers ----------------------------------------------------------------------------------


def _answer(page: Page) -> _Answer:
    """What the API says. Raises LayoutError."""
    value = wire.table(wire.json_value(page))
    entries = wire.entries(value.get("data"))
    papers = [paper for entry in entries if (paper := _paper(wire.table(entry))) is not None]
    missing = len(entries) - len(papers)
    doubt = f"{missing} of {len(entries)} papers have no title and are left out"
    problem = None
    if said := wire.text(value.get("error")) or wire.text(value.get("message")):
        problem = f"the site answers: {said}"
    elif not isinstance(value.get("data"), list) and wire.number(value.get("total")) != 0:
        problem = "this is no answer of a search of Semantic Scholar"
    elif entries and not papers:
        problem = doubt
    if problem:
        raise LayoutError(
            problem, place=wire.readable(page.url), remedy="digest asks for it again at the next run"
        )
    return _Answer(papers, wire.text(value.get("token")), (doubt,) if missing else ())


def _paper(entry: dict[str, Any]) -> Paper | None:
    title = wire.prose(entry.get("title"))
    if not title:
        return None
    known = wire.table(entry.get("externalIds"))
    doi = wire.text(known.get("DOI")) or ""
    names = identity.identifiers(
        title=title,
        arxiv=wire.text(known.get("ArXiv")),
        doi=doi,
        pmid=wire.text(known.get("PubMed")),
        corpus=wire.number(known.get("CorpusId")),
    )
    authors = (wire.text(wire.table(author).get("name")) for author in wire.entries(entry.get("authors")))
    return Paper(
        id=names[0],
        title=title,
        abstract=wire.prose(entry.get("abstract")) or "",
        authors=tuple(filter(None, authors)),
        url=wire.web_address(entry.get("url")),
        pdf_url=wire.web_address(wire.table(entry.get("openAccessPdf")).get("url")),
        published=wire.day(entry.get("publicationDate")),
        doi=identity.doi(doi),
        ai_summary=wire.text(wire.table(entry.get("tldr")).get("text")),
        identifiers=names[1:],
    )


def _reading(answer: _Answer) -> Reading:
    listings = (
        Listing(paper, SemanticScholarReader.name, None, position)
        for position, paper in enumerate(answer.papers)
    )
    return Reading("search", tuple(listings), notes=answer.notes)
