"""Which of arXiv's pages to ask for, and what they hold together.

A day's announcement is shown until the next one, so the last is read from the listing or its feed, and
those before it are put together from the API, or from OAI-PMH where the gap is long.
What an announcement has and no search tells are papers cross-listed long after they were submitted.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias, TypeVar
from urllib.parse import quote, urlencode

from digest.core import wire
from digest.core.identity import merge
from digest.core.model import Listing, Pace, Page, Period, Request
from digest.errors import LayoutError, SourceError
from digest.ports import Plan
from digest.sources import Harvest
from digest.sources.arxiv import api, feed, listing, oai
from digest.sources.arxiv.announcements import announced_on, between, due_at, last_due
from digest.sources.arxiv.categories import checked, is_in, search_term, set_spec

_PACE = Pace("arxiv.org", 3.0)  # https://info.arxiv.org/help/api/tou.html: over all hosts and machines
_API = "https://export.arxiv.org/api/query?"
_OAI = "https://oaipmh.arxiv.org/oai?verb=ListRecords&"
_KINDS = ("new", "cross", "replace")  # the first is the one that counts, if a paper was announced twice
_PER_PAGE = 1_000
_MOST_RESULTS = 30_000  # then the API answers with an error
_MOST_SHEETS = 20  # of a listing, with 2,000 entries each
_MOST_PAGES = 300  # of OAI-PMH, with about 1,300 records each, or of the API
_IDS = 100  # in one request
_TRIES = 4  # for a page of the API that comes empty
_LONG = timedelta(days=20)  # then OAI-PMH has fewer pages than the API
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_WINDOW = 5 * _DAY
"""How long before a missed announcement its papers may have been submitted.

Moderators hold papers back for days, so all of the window counts, though most of it was announced
before: those papers are known already, and a first digest shows some days more rather than miss one.
"""
_HELD_BACK = 30 * _DAY  # likewise for OAI-PMH, which has the day of the announcement to choose by

_T = TypeVar("_T")
_Steps: TypeAlias = Generator[Request, Page | None, _T]


@dataclass(slots=True)
class _Category:
    """What is known of a category: the announcement that was shown, and those that were not."""

    name: str
    shown: date | None = None
    missed: list[date] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Found:
    """A paper that a search told of, with the day that it must have been announced on or after."""

    listing: Listing
    day: date


class ArXiv:
    """What arXiv announces in its categories.

    `categories` are such as "cs.CV", "hep-th", or "cs" for the whole archive.
    `announce` is of "new", "cross" (cross-lists) and "replace" (new versions, also of cross-lists).
    Raises ValueError for anything else.
    """

    def __init__(
        self, name: str = "arxiv", *, categories: Sequence[str], announce: Sequence[str] = ("new", "cross")
    ) -> None:
        self.name = name
        self._categories = tuple(dict.fromkeys(map(checked, categories)))
        self._announce = frozenset(announce)
        if not self._categories:
            raise ValueError('categories is empty; write such as ["cs.CV"]')
        if not self._announce or not self._announce.issubset(_KINDS):
            raise ValueError(f"announce is {list(announce)!r}, but must be a list of {', '.join(_KINDS)}")

    def collect(self, period: Period) -> Plan:
        """Read what was announced in a period. Raises SourceError if none of it can be read."""
        harvest = Harvest()
        categories = [_Category(name) for name in self._categories]
        for category in categories:
            yield from self._last(category, period, harvest)
        announced = {
            item.paper.id for item in harvest.listings.values() if _rank(item) < _KINDS.index("replace")
        }
        for category in categories:
            if category.missed:
                yield from self._missed(category, period, harvest, announced)
        yield from _abstracts(harvest)
        return harvest.reading()

    # --- the last announcement ----------------------------------------------------------------

    def _last(self, category: _Category, period: Period, harvest: Harvest) -> _Steps[None]:
        """Read the announcement that the site shows, and find out which others there must have been."""
        seen, due = last_due(period.since), last_due(period.until)
        try:
            category.shown = yield from self._listing(category.name, harvest, up_to_date=seen == due)
        except SourceError as error:
            harvest.notes.append(f"{category.name}: the listing could not be read, so its feed is: {error}")
            try:
                category.shown = yield from self._feed(category.name, due, harvest)
            except SourceError as also:
                if seen == due:
                    harvest.failed(f"{category.name}: the feed", also)
                else:
                    harvest.notes.append(f"{category.name}: the feed could not be read either: {also}")
        # What was due at the last complete reading was seen then, or that would not have been complete.
        tomorrow = period.until.date() + _DAY  # none is dated later
        latest = max(due, min(category.shown or due, tomorrow))
        category.missed = [day for day in between(seen, latest) if day != category.shown]

    def _listing(self, name: str, harvest: Harvest, *, up_to_date: bool) -> _Steps[date | None]:
        """Read the listing to its end; gives its day. Raises SourceError.

        It is `up_to_date` if no announcement is due since it was read last.
        """
        url = f"https://arxiv.org/list/{name}/new"
        day: date | None = None
        totals: dict[str, int] = {}
        read = position = 0
        for number in range(_MOST_SHEETS):
            page = yield _get(f"{url}?skip={read}&show=2000" if number else url)
            if page is None and up_to_date and not number:
                harvest.unchanged("listing")
                return None
            if page is None:
                raise LayoutError("it is as it was before, though an announcement is due", place=url)
            sheet = listing.sheet(page)
            day = day or sheet.day
            if day is None or sheet.day not in {None, day}:
                raise LayoutError("it does not say which day it shows, or another on each page", place=url)
            harvest.layouts.append("listing")
            harvest.notes += (f"{name}: {note}" for note in sheet.notes)
            for item in sheet.listings:
                self._add(harvest, replace(item, listed_on=day, position=position + item.position))
            position += len(sheet.listings)
            read += sheet.entries
            totals |= {part.name: part.total for part in sheet.sections}
            whole = max(sheet.total, sum(totals.values()))
            if read >= whole:
                return day
            if not sheet.entries or any(part.found < part.shown for part in sheet.sections):
                break
        raise LayoutError(f"it shows {read} of {whole} entries", place=url)

    def _feed(self, name: str, due: date, harvest: Harvest) -> _Steps[date | None]:
        """Read the feed; gives its day if it holds the announcement of a day. Raises SourceError."""
        url = f"https://rss.arxiv.org/rss/{name}"
        page = yield _get(url)
        if page is None:
            raise LayoutError("it is as it was before", place=url)
        issue = feed.issue(page, wire.xml_root(page))
        if (yield from self._is_stale(name, issue, harvest)):
            raise LayoutError(f"it says {issue.day}, but the API knows papers that are newer", place=url)
        harvest.layouts.append("rss")
        harvest.notes += (f"{name}: {note}" for note in issue.notes)
        for item in issue.listings:
            self._add(harvest, item)
        if len(issue.listings) >= feed.MOST:
            raise LayoutError(f"it has {feed.MOST} items, and is cut there", place=url)
        day = max((item.listed_on for item in issue.listings if item.listed_on), default=issue.day)
        if day and day < due:
            harvest.notes.append(f"{name}: the feed still shows {day}, though {due} is due")
        return day if day and between(day - _DAY, day) else None  # on a weekend it is empty

    def _is_stale(self, name: str, issue: feed.Issue, harvest: Harvest) -> _Steps[bool]:
        """Whether a feed is an old one under a new date (as on 2026-08-12): the API's newest is newer."""
        query = {"search_query": search_term(name), "sortBy": "submittedDate", "sortOrder": "descending"}
        try:
            answer = yield from _ask(_api({**query, "max_results": 1}))
        except SourceError as error:
            harvest.notes.append(f"{name}: the API cannot tell whether the feed is an old one ({error})")
            return False
        numbers = [item.paper.id for item in issue.listings if item.announce_type in {"new", "cross", None}]
        for result in answer.results if answer else ():
            if numbers:
                return _order(result.listing.paper.id) > max(map(_order, numbers))
            if result.submitted and issue.day:
                return announced_on(result.submitted) >= issue.day
        return False

    # --- the announcements before it ----------------------------------------------------------

    def _missed(
        self, category: _Category, period: Period, harvest: Harvest, announced: Iterable[str]
    ) -> _Steps[None]:
        """Put the missed announcements of a category together again."""
        first, last = category.missed[0], category.missed[-1]
        what = f"{category.name}: what was announced {_span(first, last)}"
        ways = [("the API", self._by_api), ("OAI-PMH", self._by_oai)]
        if last - first > _LONG or "replace" in self._announce:
            ways.reverse()
        errors: list[SourceError] = []
        found: list[_Found] | None = None
        for way, by in ways:
            try:
                found = yield from by(category.name, first, period.until, harvest)
            except SourceError as error:
                errors.append(error)
                harvest.notes.append(f"{what} could not be had from {way}: {error}")
            else:
                break
        if found is None:
            harvest.failed(what, errors[0])
            return
        if "replace" in self._announce and errors:
            harvest.failed(f"{what} in a new version", errors[0])
        known = set(announced)
        for item in found:
            if item.listing.paper.id not in known:
                day = min(item.day, max(last, category.shown or last))
                self._add(harvest, replace(item.listing, listed_on=day))
        due = last_due(period.until)
        newest = max((item.day for item in found), default=first - _DAY)
        if (category.shown or first - _DAY) < due > newest:
            harvest.notes.append(
                f"{category.name}: the announcement of {due} is late, or there is none because of a holiday; "
                "digest looks for it again at the next run"
            )
            harvest.until = due_at(due) - _SECOND

    def _by_api(self, name: str, first: date, until: datetime, harvest: Harvest) -> _Steps[list[_Found]]:
        """The papers submitted since a while before an announcement. Raises SourceError."""
        start = datetime.combine(first, time(), UTC) - _WINDOW
        dates = f"submittedDate:[{start:%Y%m%d%H%M} TO {until.astimezone(UTC):%Y%m%d%H%M}]"
        query = {
            "search_query": f"{search_term(name)} AND {dates}",
            "sortBy": "submittedDate",
            "sortOrder": "ascending",
        }
        found: list[_Found] = []
        read = 0
        for _ in range(_MOST_PAGES):
            url = _api({**query, "start": read, "max_results": _PER_PAGE})
            answer = yield from _ask(url)
            if answer is None:
                harvest.unchanged("api")
                return found
            left = read + answer.entries < answer.total
            if answer.total > _MOST_RESULTS or (left and not answer.entries):
                raise LayoutError(
                    f"it gives {read} of {answer.total} papers, and {_MOST_RESULTS} at most", place=url
                )
            harvest.layouts.append("api")
            harvest.notes += (f"{name}: {note}" for note in answer.notes)
            found += (
                _Found(_typed(result.listing, name), announced_on(result.submitted))
                for result in answer.results
                if result.submitted and start <= result.submitted <= until
            )
            read += answer.entries
            if not left:
                return found
        raise LayoutError(f"it gives no more than {read} papers on {_MOST_PAGES} pages", place=url)

    def _by_oai(self, name: str, first: date, until: datetime, harvest: Harvest) -> _Steps[list[_Found]]:
        """The papers whose metadata changed since an announcement. Raises SourceError.

        `arXivRaw` alone has the day of the first version: `created` is the last one's since 2025.
        """
        chosen = {"metadataPrefix": "arXivRaw", "set": set_spec(name), "from": f"{first - _DAY}"}
        url = _OAI + urlencode(chosen, safe=":")
        found: list[_Found] = []
        start = datetime.combine(first, time(), UTC)
        for _ in range(_MOST_PAGES):
            page = yield _get(url)
            if page is None:
                harvest.unchanged("oai")
                return found
            harvested = oai.harvested(page, wire.xml_root(page))
            harvest.layouts.append("oai")
            harvest.notes += (f"{name}: {note}" for note in harvested.notes)
            for record in harvested.records:
                found += _of_record(record, name, start, until)
            if not harvested.token:
                return found
            url = f"{_OAI}resumptionToken={quote(harvested.token, safe='')}"
        raise LayoutError(f"there are more than {_MOST_PAGES} pages of records", place=url)

    def _add(self, harvest: Harvest, item: Listing) -> None:
        """Keep a listing that was announced in a wanted way, once a day and as new rather than otherwise.

        One that does not say how it was announced is kept.
        """
        if item.announce_type and item.announce_type.removesuffix("-cross") not in self._announce:
            return
        key = (item.paper.id, item.listed_on)
        known = harvest.listings.get(key)
        if known is None:
            harvest.listings[key] = item
            return
        better = min(known, item, key=_rank)
        harvest.listings[key] = replace(better, paper=merge(known.paper, item.paper))


def _abstracts(harvest: Harvest) -> _Steps[None]:
    """Ask the API for the papers that came without an abstract."""
    bare = {key: item for key, item in harvest.listings.items() if not item.paper.abstract}
    numbers = list(dict.fromkeys(item.paper.id.removeprefix("arxiv:") for item in bare.values()))
    for n in range(0, len(numbers), _IDS):
        some = ",".join(numbers[n : n + _IDS])
        try:
            answer = yield from _ask(_api({"id_list": some, "max_results": _IDS}))
        except SourceError as error:
            harvest.failed("the abstracts of some papers", error)
            return
        known = {result.listing.paper.id: result.listing.paper for result in answer.results} if answer else {}
        for key, item in bare.items():
            if item.paper.id in known:
                harvest.listings[key] = replace(item, paper=merge(item.paper, known[item.paper.id]))


def _ask(url: str) -> _Steps[api.Answer | None]:
    """An answer of the API, asked for again where it comes empty; None if it is unchanged.

    Raises SourceError.
    """
    for n in range(1, _TRIES + 1):
        page = yield _get(url)
        if page is None:
            return None
        try:
            return api.answer(page, wire.xml_root(page))
        except api.EmptyPageError:
            if n == _TRIES:
                raise
    return None  # pragma: no cover - the loop ends in an answer or an error


def _of_record(record: oai.Record, name: str, first: datetime, until: datetime) -> list[_Found]:
    """What a record tells of the announcements since `first`.

    A paper that was submitted long before and has one version was held back; or only its journal was
    added, which cannot be told apart.
    """
    if not record.versions or record.versions[-1] > until:
        return []
    submitted, revised = record.versions[0], record.versions[-1]
    if submitted < first - _WINDOW <= revised:
        primary = is_in((*record.listing.paper.categories, "")[0], name)
        kind = "replace" if primary else "replace-cross"
        return [_Found(replace(record.listing, announce_type=kind), announced_on(revised))]
    if submitted >= first - _HELD_BACK:
        return [_Found(_typed(record.listing, name), announced_on(submitted))]
    return []


def _typed(item: Listing, name: str) -> Listing:
    """A first announcement in a category: of a paper that is its own, or a cross-list."""
    primary = is_in((*item.paper.categories, "")[0], name)
    return replace(item, announce_type="new" if primary else "cross")


def _rank(item: Listing) -> int:
    return _KINDS.index((item.announce_type or "new").removesuffix("-cross"))


def _order(paper_id: str) -> tuple[int, str]:
    """Numbers in the order in which they were given, `2608.00012` after all of `2607`; old ones first."""
    number = paper_id.removeprefix("arxiv:")
    return (0 if "/" in number else 1, number)


def _span(first: date, last: date) -> str:
    return f"on {first}" if first == last else f"from {first} to {last}"


def _api(query: dict[str, object]) -> str:
    return _API + urlencode(query, safe=":*,")


def _get(url: str) -> Request:
    return Request(url, pace=_PACE)
