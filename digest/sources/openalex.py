"""OpenAlex: an open index of nearly everything that is published, and how it is asked.

    /works?search.title_and_abstract=…&filter=…,from_publication_date:…  → pages of 100 by cursor → Listings

An abstract comes as the places of its words, since publishers only let it be passed on so.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from datetime import UTC, date, timedelta
from typing import Any
from urllib.parse import quote

from digest.core import wire
from digest.core.identity import arxiv_id_at, doi, first, identifiers
from digest.core.model import Listing, Pace, Page, Paper, Period, Reading, Request
from digest.errors import FetchError, LayoutError, SourceError
from digest.ports import Plan, Secret
from digest.sources import Harvest

_API = "https://api.openalex.org/works"
_PACE = Pace("openalex.org", 0.2)
# https://developers.openalex.org/guides/selecting-fields: fields of the first level only.
_SELECT = (
    "id,doi,ids,title,type,is_retracted,publication_date,authorships,abstract_inverted_index,keywords"
    ",primary_location,best_oa_location,locations"
)
_PER_PAGE = 100  # the most that is allowed
_MOST_PAGES = 100
# A paper gets into the index some days after it came out, and only a paid key may ask what came in since.
_OVERLAP = timedelta(days=14)
# 403 and 429 mean that an allowance is spent (https://developers.openalex.org/api-reference/errors).
_WITHOUT_KEY = {401, 403, 409, 429}
_KEY = "OpenAlex wants a key since February 2026: get one at https://openalex.org/settings/api and set `key`"
_NO_PAPERS = {
    "dataset",
    "erratum",
    "grant",
    "libguides",
    "paratext",
    "peer-review",
    "retraction",
    "software",
    "supplementary-materials",
}
_OURS = re.compile(rb'"id"\s*:\s*"https?://openalex\.org/W\d')
_WORK = re.compile(r"https?://openalex\.org/W\d+")
_LONGEST_ABSTRACT = 100_000  # characters
_HEADING = re.compile(r"\A(?:Abstract|ABSTRACT)[:.]?\s+(?=[^a-z])")  # not "Abstract interpretation of …"


class OpenAlexReader:
    """Reads works of OpenAlex, as the API gives them: a list, or a single one."""

    name = "openalex"
    generic = False

    def recognises(self, page: Page) -> bool:
        """Whether the page is JSON with a work of OpenAlex in it."""
        return page.content.lstrip()[:1] == b"{" and _OURS.search(page.content) is not None

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The papers on the page. Raises LayoutError."""
        answer = wire.table(wire.json_value(page))
        if message := first((wire.text(answer.get("message")), wire.text(answer.get("error")))):
            raise LayoutError(f"the answer is an error: {message}", place=wire.readable(page.url))
        entries = [answer] if _is_work(answer) else answer.get("results")
        if not isinstance(entries, list):
            raise LayoutError(
                "the answer has no list of results",
                place=wire.readable(page.url),
                remedy="Is it from /works?",
            )
        works = [entry for entry in entries if _is_work(entry)]
        if entries and not works:
            raise LayoutError(f"none of its {len(entries)} results is a work", place=wire.readable(page.url))
        papers = [
            work
            for work in works
            if work.get("is_retracted") is not True and wire.text(work.get("type")) not in _NO_PAPERS
        ]
        titled = [(work, title) for work in papers if (title := wire.prose(work.get("title")))]
        listings = tuple(
            Listing(_paper(work, title), self.name, None, position)
            for position, (work, title) in enumerate(titled)
        )
        untitled = len(papers) - len(titled)
        notes = (f"{untitled} of {len(papers)} works have no title and are left out",) if untitled else ()
        return Reading("works", listings, captured_on=captured_on, notes=notes)


class OpenAlex:
    """Works of OpenAlex that came out lately.

    `query` is looked for in titles and abstracts and may use AND, OR, NOT, quotes and parentheses.
    `filter` is in OpenAlex's own words, such as "primary_topic.field.id:17".
    At least one of them is needed; `key` is free and lifts the limit from a few pages a day to thousands.
    Raises ValueError.
    """

    def __init__(
        self,
        name: str = "openalex",
        *,
        query: str | None = None,
        filter: str | None = None,  # noqa: A002 - the site's word
        key: Secret | None = None,
    ) -> None:
        self.name = name
        self._query = (query or "").strip()
        self._filter = (filter or "").strip(" ,")
        self._key = key
        self._reader = OpenAlexReader()
        if not self._query and not self._filter:
            raise ValueError("openalex needs a query, a filter or both")

    def collect(self, period: Period) -> Plan:
        """Read what came out in a period. Raises SourceError if none of it can be read."""
        harvest = Harvest()
        try:
            yield from self._pages(period, harvest)
        except FetchError as error:
            harvest.failed("the rest", error if self._key else _explained(error))
        except SourceError as error:
            harvest.failed("the rest", error)
        return harvest.reading()

    def _pages(self, period: Period, harvest: Harvest) -> Generator[Request, Page | None, None]:
        """Follow the cursor until there is none (https://developers.openalex.org/guides/page-through-results)."""
        secrets = (("api_key", self._key()),) if self._key else ()
        search = self._search(period)
        cursor = "*"
        for number in range(_MOST_PAGES):
            page = yield Request(f"{search}&cursor={quote(cursor, safe='')}", secrets=secrets, pace=_PACE)
            if page is None:
                harvest.unchanged("works")
                return
            harvest.add(self._reader.read(page), offset=number * _PER_PAGE)
            answer = wire.json_value(page)
            following = wire.text(wire.table(answer.get("meta")).get("next_cursor"))
            if not following or not wire.entries(answer.get("results")):
                return
            cursor = following
        raise SourceError(
            f"there are more than the {_MOST_PAGES * _PER_PAGE:,} newest, which are all that is read",
            remedy="Make the query or the filter narrower",
        )

    def _search(self, period: Period) -> str:
        since = period.since.astimezone(UTC).date() - _OVERLAP
        until = period.until.astimezone(UTC).date()  # many works bear the date of an issue to come
        dates = f"from_publication_date:{since},to_publication_date:{until}"
        limits = f"{self._filter},{dates}" if self._filter else dates
        # As a parameter of its own, since in a filter a comma would end the words.
        words = f"search.title_and_abstract={quote(self._query, safe='')}&" if self._query else ""
        return (
            f"{_API}?{words}filter={quote(limits, safe=':,|')}"
            f"&sort=publication_date:desc&per_page={_PER_PAGE}&select={_SELECT}"
        )


def _explained(error: FetchError) -> FetchError:
    """What the site says to those who come without a key, with what helps."""
    if error.status in _WITHOUT_KEY:
        error.remedy = _KEY
    return error


def _is_work(value: object) -> bool:
    return _WORK.fullmatch(wire.text(wire.table(value).get("id")) or "") is not None


def _paper(work: dict[str, Any], title: str) -> Paper:
    ids = wire.table(work.get("ids"))
    primary = wire.table(work.get("primary_location"))
    open_access = wire.table(work.get("best_oa_location"))
    locations = (primary, open_access, *map(wire.table, wire.entries(work.get("locations"))))
    name = doi(wire.text(work.get("doi")) or wire.text(ids.get("doi")) or "")
    names = identifiers(
        title=title,
        arxiv=first(map(_arxiv, locations)),
        doi=name,
        pmid=wire.text(ids.get("pmid")),
        openalex=wire.text(work.get("id")),
    )
    return Paper(
        id=names[0],
        identifiers=names[1:],
        title=title,
        abstract=_abstract(work.get("abstract_inverted_index")),
        authors=tuple(_authors(work.get("authorships"))),
        url=wire.web_address(primary.get("landing_page_url")) or wire.web_address(work.get("id")),
        pdf_url=wire.web_address(open_access.get("pdf_url")) or wire.web_address(primary.get("pdf_url")),
        published=wire.day(work.get("publication_date")),
        doi=name,
        keywords=tuple(
            word
            for item in wire.entries(work.get("keywords"))
            if (word := wire.text(wire.table(item).get("display_name")))
        ),
    )


def _authors(value: object) -> Iterator[str]:
    """The authors' names; a list holds the first hundred."""
    for authorship in map(wire.table, wire.entries(value)):
        if name := wire.text(wire.table(authorship.get("author")).get("display_name")):
            yield name


def _arxiv(location: dict[str, Any]) -> str | None:
    """The number of the arXiv paper that a location is."""
    return first(
        arxiv_id_at(wire.web_address(location.get(name))) for name in ("landing_page_url", "pdf_url")
    )


def _abstract(index: object) -> str:
    """The text whose words stand at these places, of which some may be missing and some beyond counting.

    Nothing where the words would be a book.
    """
    words: list[tuple[int, str]] = []
    length = 0
    for word, places in wire.table(index).items():
        for place in wire.entries(places):
            if isinstance(place, int):
                words.append((place, word))
                length += len(word) + 1
                if length > _LONGEST_ABSTRACT:  # 0.2 MB can say 6 GB
                    return ""
    return _HEADING.sub("", wire.prose(" ".join(word for _, word in sorted(words))) or "")
