"""bioRxiv and medRxiv, through the JSON of https://api.biorxiv.org.

The site is asked for days and answers with versions, a row for each; a paper is shown once for all of them.
It cannot be searched by words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta
from urllib.parse import quote

from digest.core import identity, wire
from digest.core.model import Listing, Pace, Page, Paper, PaperId, Period, Reading, Request
from digest.errors import LayoutError, SourceError
from digest.ports import Plan
from digest.sources import Harvest

_API = "https://api.biorxiv.org/details"
_HOSTS = {"api.biorxiv.org", "api.medrxiv.org"}
_PACE = Pace("biorxiv.org", 1.0)  # the site states no limit
_OVERLAP = timedelta(days=2)  # the day of a posting is New York's, and it fills up until it is over
_MOST_PAGES = 400  # of 30 rows in 2026, once 100: six weeks of bioRxiv
_ALL = "all"
_NOTHING = re.compile(r"no (?:posts|articles) found\b", re.IGNORECASE)
_OURS = re.compile(rb'\s*\{(?=.*"messages"\s*:\s*\[)(?=.*"collection"\s*:\s*\[)', re.DOTALL)
# What is left of the site's own markup: `{beta}`, and lists, headings, small capitals and figures.
_GREEK = re.compile(r"\{([A-Za-z]{2,7})\}")
_BLOCK = re.compile(r"O_FIG(?:(?!O_FIG).)*?C_FIG|[OC]_(?:LI|ST_ABS)")
_SMALL_CAPITALS = re.compile(r"[OC]_SC(?:PLOW|PCAP)")


@dataclass(frozen=True, slots=True)
class _Version:
    """A row: one version of a paper, which is not dated yet."""

    paper: Paper
    number: int
    day: date | None
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    versions: list[_Version]
    rows: int
    total: int | None  # rows of the whole interval; may be more than the site has
    category: str | None
    notes: tuple[str, ...] = ()


class BioRxivReader:
    """Reads the API's `details`, of bioRxiv and of medRxiv."""

    name = "biorxiv"
    generic = False

    def recognises(self, page: Page) -> bool:
        """Whether the page is an answer of the API."""
        return identity.host(page.url) in _HOSTS or bool(_OURS.match(page.content))

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The papers on the page, each once, with the words of its last version. Raises LayoutError."""
        answer = _answer(page)
        return _reading(answer.versions, answer.notes)


class BioRxiv:
    """Preprints that bioRxiv posted.

    `categories` are the site's own ("cell biology"), all if there are none.
    `revisions` asks for later versions of older papers too.
    Raises ValueError for a category without a name.
    """

    _server = "biorxiv"

    def __init__(
        self, name: str = "biorxiv", *, categories: Sequence[str] = (), revisions: bool = False
    ) -> None:
        self.name = name
        self._categories = tuple(_category(category) for category in categories)
        self._revisions = revisions
        if "" in self._categories:
            raise ValueError("categories has an empty name")

    def collect(self, period: Period) -> Plan:
        """Read what was posted in a period. Raises SourceError if none of it can be read."""
        since = (period.since.astimezone(UTC) - _OVERLAP).date()
        until = period.until.astimezone(UTC).date()
        harvest = Harvest()
        versions: list[_Version] = []
        try:
            yield from self._pages(f"{_API}/{self._server}/{since}/{until}", versions, harvest)
        except SourceError as error:
            harvest.failed(f"what was posted from {since} to {until}", error)
        if versions or not harvest.errors:
            harvest.add(_reading(self._wanted(versions, harvest), revisions=self._revisions))
        return harvest.reading()

    def _pages(
        self, interval: str, versions: list[_Version], harvest: Harvest
    ) -> Generator[Request, Page | None, None]:
        # One category narrows the answer; the site takes no more than one.
        asked = self._categories[0] if len(self._categories) == 1 else None
        query = f"?category={quote(asked.replace(' ', '_'))}" if asked else ""
        cursor = 0
        for _ in range(_MOST_PAGES):
            page = yield Request(f"{interval}/{cursor}/json{query}", pace=_PACE)
            if page is None:  # with its `total` unchanged, nothing can have been put behind it
                return
            answer = _answer(page)
            if asked and answer.category == _ALL:  # so it answers a name that it does not know
                raise LayoutError(
                    f"the site knows no category {asked!r}",
                    place=page.url,
                    remedy=f"Write it as https://www.{self._server}.org does",
                )
            versions += answer.versions
            harvest.notes += answer.notes
            cursor += answer.rows
            if not answer.rows or (answer.total is not None and cursor >= answer.total):
                return
        raise SourceError(f"there are more than {cursor:,} versions", remedy="Name the categories you want")

    def _wanted(self, versions: list[_Version], harvest: Harvest) -> list[_Version]:
        if not self._categories:
            return versions
        found = [item for item in versions if {*item.paper.categories} & {*self._categories}]
        if versions and not found:
            names = ", ".join(map(repr, self._categories))
            harvest.notes.append(f"no paper is of {names}: please check the names of the categories")
        return found


class MedRxiv(BioRxiv):
    """Preprints that medRxiv posted; the parameters are those of `BioRxiv`."""

    _server = "medrxiv"

    def __init__(
        self, name: str = "medrxiv", *, categories: Sequence[str] = (), revisions: bool = False
    ) -> None:
        super().__init__(name, categories=categories, revisions=revisions)


# --- answers ----------------------------------------------------------------------------------


def _answer(page: Page) -> _Answer:
    """What the API says. Raises LayoutError."""
    value = wire.table(wire.json_value(page))
    said = wire.table(next(iter(wire.entries(value.get("messages"))), None))
    status = wire.text(said.get("status"))
    rows = wire.entries(value.get("collection"))
    versions = [version for row in rows if (version := _version(wire.table(row))) is not None]
    empty = not rows and bool(_NOTHING.match(status or ""))
    problem = None
    if status is None:
        problem = "this is no answer of the API of bioRxiv"
    elif status.casefold() != "ok" and not empty:
        problem = f"the site answers: {status}"
    elif not rows and wire.number(said.get("count")):
        problem = f"the answer is said to hold {wire.number(said['count'])} rows and holds none"
    elif rows and not versions:
        problem = f"none of {len(rows)} rows has a title and a DOI"
    if problem:
        raise LayoutError(
            problem, place=wire.readable(page.url), remedy="digest asks for it again at the next run"
        )
    missing = len(rows) - len(versions)
    return _Answer(
        versions,
        rows=len(rows),
        total=wire.number(said.get("total")),
        category=_category(wire.text(said.get("category")) or ""),
        notes=(f"{missing} of {len(rows)} rows have no title or DOI and are left out",) if missing else (),
    )


def _version(row: dict[str, object]) -> _Version | None:
    title = _words(row.get("title"))
    doi = identity.doi(wire.text(row.get("doi")) or "")
    if not title or not doi:
        return None
    number = wire.number(row.get("version")) or 1
    server = "medrxiv" if _folded(row.get("server")) == "medrxiv" else "biorxiv"
    url = f"https://www.{server}.org/content/{doi}v{number}"
    names = identity.identifiers(title=title, doi=doi)
    if article := identity.doi(wire.text(row.get("published")) or ""):  # "NA" where there is none
        names = tuple(dict.fromkeys((*names, *identity.identifiers(title=title, doi=article))))
    category = _category(wire.text(row.get("category")) or "")
    paper = Paper(
        id=names[0],
        title=title,
        abstract=_words(row.get("abstract")) or "",
        authors=_authors(wire.text(row.get("authors")) or ""),
        url=url,
        pdf_url=f"{url}.full.pdf",
        categories=(category,) if category else (),
        doi=doi,
        identifiers=names[1:],
    )
    # medRxiv shouts: "WITHDRAWN".
    return _Version(paper, number, wire.day(row.get("date")), _folded(row.get("type")) == "withdrawn")


def _reading(versions: Iterable[_Version], notes: tuple[str, ...] = (), *, revisions: bool = True) -> Reading:
    papers: dict[PaperId, list[_Version]] = {}
    for version in versions:
        papers.setdefault(version.paper.id, []).append(version)
    listings: list[Listing] = []
    for found in papers.values():
        found.sort(key=lambda version: version.number)
        first, last = found[0], found[-1]
        new = first.number == 1
        if not last.withdrawn and (new or revisions):
            listings.append(_listing(first, last, position=len(listings), new=new))
    return Reading("details", tuple(listings), notes=notes)


def _listing(first: _Version, last: _Version, *, position: int, new: bool) -> Listing:
    """A paper under the day of its first version; without that, when it was published is not known."""
    published = first.day if new else None
    later = last.day if last.day and (published is None or last.day > published) else None
    return Listing(
        paper=replace(last.paper, published=published, updated=later),
        source=BioRxivReader.name,
        listed_on=first.day if new else last.day,
        position=position,
        announce_type="new" if new else "replace",
    )


# --- values -----------------------------------------------------------------------------------


def _category(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


def _folded(value: object) -> str:
    return (wire.text(value) or "").casefold()


def _authors(names: str) -> tuple[str, ...]:
    """Names in their natural order, of which the site turns every one round: `Last, F. M.; …`."""
    parts = (name.partition(",") for name in names.split(";"))
    return tuple(filter(None, (wire.squeezed(f"{given} {last}") for last, _, given in parts)))


def _words(value: object) -> str | None:
    text = wire.prose(value)
    if text is None:
        return None
    return wire.text(_GREEK.sub(_letter, _SMALL_CAPITALS.sub("", _BLOCK.sub(" ", text))))


def _letter(found: re.Match[str]) -> str:
    case = "CAPITAL" if found[1][0].isupper() else "SMALL"
    name = found[1].upper().replace("LAMBDA", "LAMDA")
    try:
        return unicodedata.lookup(f"GREEK {case} LETTER {name}")
    except KeyError:
        return found[0]
