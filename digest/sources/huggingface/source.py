"""Which pages of Daily Papers to ask for, and what they hold together.

The API is asked by date, as its default answer is cut at 50 rows; the page is the way round it.
Editions go on filling and gathering votes, so the last ones are read again each time.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from urllib.parse import quote, urlsplit

from digest.core.model import Page, Period, Request
from digest.errors import LayoutError, SourceError
from digest.ports import Plan
from digest.sources import Harvest
from digest.sources.huggingface.cards import FIRST_EDITION
from digest.sources.huggingface.links import SITE
from digest.sources.huggingface.reader import HuggingFaceReader

_PAGES = ("daily", "weekly", "monthly", "trending")
_API = f"{SITE}/api/daily_papers"
_OVERLAP = timedelta(days=1)  # the edition of a day is not finished on that day
_READ_AGAIN = 3  # editions
_MOST_PAGES = 20  # of 100 papers; a month has about 1,000
_LONGEST_QUERY = 250
_WEEKEND = {6, 7}  # nothing can be submitted then, and the page repeats Friday's
_LAST_WEEK = 52  # the site knows no week 53


@dataclass(frozen=True, slots=True)
class _Ask:
    """Something to read, with two ways to it."""

    name: str
    api: str
    page: str
    day: date | None = None  # of an edition
    paged: bool = True


class HuggingFace:
    """Daily Papers of Hugging Face.

    `pages` are of "daily", "weekly", "monthly" and "trending"; "daily" where there is no `query`,
    which is a search over all papers the site knows. Raises ValueError for anything else.
    """

    def __init__(
        self, name: str = "huggingface", *, pages: Sequence[str] | None = None, query: str | None = None
    ) -> None:
        self.name = name
        self._query = query
        self._pages = (("daily",) if query is None else ()) if pages is None else tuple(pages)
        self._reader = HuggingFaceReader()
        for page in self._pages:
            if page not in _PAGES:
                raise ValueError(f"pages has {page!r}, but must be a list of {', '.join(_PAGES)}")
        if query is not None and not 0 < len(query.strip()) <= _LONGEST_QUERY:
            raise ValueError(f"query must have 1 to {_LONGEST_QUERY} characters")
        if not self._pages and not query:
            raise ValueError("pages is empty and there is no query, so there is nothing to read")

    def collect(self, period: Period) -> Plan:
        """Read what the pages show of a period. Raises SourceError if none of it can be read."""
        harvest = Harvest()
        for ask in self._asks(period):
            try:
                yield from self._from_api(ask, harvest)
            except SourceError as error:
                yield from self._from_page(ask, harvest, error)
        return harvest.reading()

    def _from_api(self, ask: _Ask, harvest: Harvest) -> Generator[Request, Page | None, None]:
        """Ask for pages until one is empty: an answer never says that it is the last."""
        seen: set[str] = set()
        for number in range(_MOST_PAGES if ask.paged else 1):
            page = yield Request(f"{ask.api}&p={number}" if ask.paged else ask.api)
            if page is None:  # with its votes unchanged, nothing can have been put behind it
                harvest.unchanged("api")
                return
            reading = self._reader.read(page)
            if reading.layout != "api":
                raise LayoutError("the answer is a page instead of JSON", place=page.url)
            harvest.add(reading, what=ask.name, day=ask.day, offset=len(seen))
            new = {listing.paper.id for listing in reading.listings} - seen
            if not new:
                return
            seen |= new

    def _from_page(
        self, ask: _Ask, harvest: Harvest, cause: SourceError
    ) -> Generator[Request, Page | None, None]:
        """Read the page for people; for a day without edition it shows another, which does not count."""
        try:
            page = yield Request(ask.page)
            if page is None:
                harvest.unchanged("data-props")
                return
            reading = self._reader.read(page)
        except SourceError:
            harvest.failed(ask.name, cause)
            return
        another = reading.captured_on != ask.day if ask.day else _path(page.url) != _path(ask.page)
        if another:
            harvest.unchanged(reading.layout)
            shown = reading.captured_on or page.url
            harvest.notes.append(f"{ask.name} is not there, the site shows {shown} instead")
            return
        harvest.add(reading, what=ask.name, day=ask.day)

    def _asks(self, period: Period) -> Iterator[_Ask]:
        until = period.until.astimezone(UTC).date()
        since = period.since.astimezone(UTC).date() - _OVERLAP
        for page in self._pages:
            if page == "daily":
                yield from map(_edition, _working_days(since, until))
            elif page == "weekly":
                yield from _weeks(_days(since, until))
            elif page == "monthly":
                months = dict.fromkeys(f"{day:%Y-%m}" for day in _days(since, until))
                yield from (_selection("month", month) for month in months)
            else:
                yield _Ask(page, f"{_API}?sort=trending&limit=100", f"{SITE}/papers/trending", paged=False)
        if self._query:
            words = quote(self._query.strip(), safe="")
            api = f"{SITE}/api/papers/search?q={words}&limit=120"
            yield _Ask(f"search for {self._query!r}", api, f"{SITE}/papers?q={words}", paged=False)


def _days(since: date, until: date) -> list[date]:
    since = max(since, FIRST_EDITION)
    return [since + timedelta(days=n) for n in range((until - since).days + 1)]


def _working_days(since: date, until: date) -> list[date]:
    """The days that may have an edition, the last few of them even where they lie before `since`."""
    days = [day for day in _days(FIRST_EDITION, until) if day.isoweekday() not in _WEEKEND]
    return [day for n, day in enumerate(days, 1) if day >= since or n > len(days) - _READ_AGAIN]


def _weeks(days: Iterable[date]) -> Iterator[_Ask]:
    for year, week in dict.fromkeys(day.isocalendar()[:2] for day in days):
        if week <= _LAST_WEEK:
            yield _selection("week", f"{year}-W{week:02}")
        else:
            yield from (_edition(date.fromisocalendar(year, week, n)) for n in range(1, 6))


def _edition(day: date) -> _Ask:
    return _Ask(f"{day}", f"{_API}?date={day}&limit=100", f"{SITE}/papers/date/{day}", day=day)


def _selection(period: str, name: str) -> _Ask:
    return _Ask(name, f"{_API}?{period}={name}&limit=100", f"{SITE}/papers/{period}/{name}")


def _path(url: str) -> str:
    return urlsplit(url).path.rstrip("/")
