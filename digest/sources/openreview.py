"""Papers on OpenReview: the submissions of venues, and a search over everything.

A submission is made weeks before anybody may see it, so the time of its creation (`mintcdate`) would miss
it; becoming visible is a change, so the notes that changed last are read and the new ones kept.
Notes: https://docs.openreview.net/reference/api-v2/entities/note. Instants are milliseconds since 1970.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urljoin

from digest.core import identity, wire
from digest.core.model import Listing, Pace, Page, Paper, Period, Reading, Request
from digest.errors import FetchError, LayoutError, SourceError
from digest.ports import Plan, Secret
from digest.sources import Harvest

_SITE = "https://openreview.net"
_API = "https://api2.openreview.net/notes"
_HOSTS = {"api.openreview.net", "api2.openreview.net"}
_PACE = Pace("openreview.net", 1.0)  # the site states no limit
_OVERLAP = timedelta(days=1)
_OLD = timedelta(days=366)  # DBLP dates a paper by its year alone
_LIMIT = 1_000  # notes of a page, the most there can be
_MOST_PAGES = 30  # of a venue: all the submissions to a conference become visible on one day
_MOST_COUNTED = 10_000  # where the site's own count ends, and a search with it
_OURS = re.compile(rb'\s*\{(?=.*"notes"\s*:\s*\[\s*[\]{])(?=.*"(?:forum|count)"\s*:)', re.DOTALL)
_CLOSED = {401, 403}
_LOG_IN = (
    "OpenReview may ask whoever has not logged in to prove to be human: give the source a `token`, "
    "which a login through the API returns and which is good for a week at most"
)


@dataclass(frozen=True, slots=True)
class _Note:
    """A note that is a paper, and the days that say whether it is new."""

    paper: Paper
    visible: int  # when it was submitted, opened to everybody or published, whichever was last
    published: int | None


@dataclass(frozen=True, slots=True)
class _Answer:
    notes: list[_Note]
    changed: list[int]  # when each note was, also of those that are no papers
    count: int | None
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Ask:
    name: str
    url: str
    pages: int  # at most


class OpenReviewReader:
    """Reads the notes of the API, version 2 and 1."""

    name = "openreview"
    generic = False

    def recognises(self, page: Page) -> bool:
        """Whether the page is an answer of the API."""
        return identity.host(page.url) in _HOSTS or bool(_OURS.match(page.content))

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The papers on the page; reviews and comments are none. Raises LayoutError."""
        answer = _answer(page)
        return _reading(answer.notes, answer.doubts)


class OpenReview:
    """Papers that become visible on OpenReview.

    `venues` are ids ("ICLR.cc/2026/Conference"), whose submissions are read, accepted or not.
    `query` is a search over all venues and over what authors import from elsewhere.
    `token` is what a login through the API returns.
    Raises ValueError if there is nothing to read.
    """

    def __init__(
        self,
        name: str = "openreview",
        *,
        venues: Sequence[str] = (),
        query: str | None = None,
        token: Secret | None = None,
    ) -> None:
        self.name = name
        self._venues = tuple(venue.strip().strip("/") for venue in venues)
        self._query = query
        self._token = token
        if "" in self._venues:
            raise ValueError("venues has an empty id")
        if query is not None and not query.strip():
            raise ValueError("query is empty")
        if not venues and not query:
            raise ValueError("there are neither venues nor a query, so there is nothing to read")

    def collect(self, period: Period) -> Plan:
        """Read what became visible in a period. Raises SourceError if none of it can be read."""
        harvest = Harvest()
        since = int((period.since - _OVERLAP).timestamp() * 1000)
        for ask in self._asks():
            try:
                yield from self._read(ask, since, harvest)
            except SourceError as error:
                harvest.failed(ask.name, _explained(error))
        return harvest.reading()

    def _asks(self) -> Iterator[_Ask]:
        for venue in self._venues:
            invitation = quote(f"{venue}/-/Submission", safe="")
            yield _Ask(venue, f"{_API}?invitation={invitation}&sort=tmdate:desc", _MOST_PAGES)
        if self._query:
            words = {"term": self._query.strip(), "type": "terms", "content": "all", "group": "all"}
            search = urlencode({**words, "source": "forum"}, quote_via=quote)
            name = f"search for {self._query!r}"
            yield _Ask(name, f"{_API}/search?{search}&sort=tmdate:desc", _MOST_COUNTED // _LIMIT)

    def _read(self, ask: _Ask, since: int, harvest: Harvest) -> Generator[Request, Page | None, None]:
        headers = (("Authorization", f"Bearer {self._token()}"),) if self._token else ()
        offset = kept = 0
        for _ in range(ask.pages):
            page = yield Request(f"{ask.url}&limit={_LIMIT}&offset={offset}", headers=headers, pace=_PACE)
            if page is None:  # without an order to rely on, that says nothing of the next one
                harvest.unchanged("notes")
                offset += _LIMIT
                continue
            answer = _answer(page)
            new = [note for note in answer.notes if _is_new(note, since)]
            harvest.add(_reading(new, answer.doubts), what=ask.name, offset=kept)
            kept += len(new)
            offset += len(answer.changed)
            if not answer.changed or _is_past(answer.changed, since):
                return
            if answer.count is not None and offset >= answer.count and answer.count < _MOST_COUNTED:
                return
        raise SourceError(f"there are more than {offset:,} notes", remedy="Ask for something narrower")


def _is_new(note: _Note, since: int) -> bool:
    """Whether a paper appeared since then; an old one that somebody adds to the site did not."""
    old = since - int(_OLD.total_seconds() * 1000)
    return note.visible >= since and (note.published is None or note.published >= old)


def _is_past(changed: list[int], since: int) -> bool:
    """Whether all that follows changed before.

    The search was seen to take the order that is asked for and not to keep it (August 2026).
    """
    return changed[-1] < since and changed == sorted(changed, reverse=True)


def _explained(error: SourceError) -> SourceError:
    if isinstance(error, FetchError) and error.status in _CLOSED:
        error.remedy = _LOG_IN
    return error


# --- answers ----------------------------------------------------------------------------------


def _answer(page: Page) -> _Answer:
    """What the API says. Raises LayoutError."""
    value = wire.table(wire.json_value(page))
    if not isinstance(value.get("notes"), list):
        said = wire.text(value.get("message")) or "this is no answer of the API of OpenReview"
        raise LayoutError(said, place=wire.readable(page.url), remedy="digest asks again at the next run")
    entries = [wire.table(entry) for entry in value["notes"]]
    forums = [entry for entry in entries if _opens_forum(entry)]
    notes = [note for entry in forums if (note := _note(entry)) is not None]
    missing = len(forums) - len(notes)
    doubt = f"{missing} of {len(forums)} submissions have no title and are left out"
    if forums and not notes:
        raise LayoutError(doubt, place=wire.readable(page.url), remedy="The site may have changed: report it")
    return _Answer(
        notes,
        changed=[wire.number(entry.get("tmdate")) or 0 for entry in entries],
        count=wire.number(value.get("count")),
        doubts=(doubt,) if missing else (),
    )


def _opens_forum(entry: dict[str, Any]) -> bool:
    """Whether a note is no reply: https://docs.openreview.net calls the note that all reply to a forum."""
    return entry.get("forum", entry.get("id")) == entry.get("id") and not entry.get("replyto")


def _note(entry: dict[str, Any]) -> _Note | None:
    content = wire.table(entry.get("content"))
    title = wire.prose(_value(content, "title"))
    if not title:
        return None
    number = wire.text(entry.get("id"))
    elsewhere = _elsewhere(entry, content)
    names = identity.identifiers(title=title, openreview=number, **elsewhere)
    submitted, opened, published = (wire.number(entry.get(name)) for name in ("tcdate", "odate", "pdate"))
    day = _day(published) or _day(opened) or _day(wire.number(entry.get("cdate")))
    changed = _day(wire.number(entry.get("tmdate")) or wire.number(entry.get("mdate")))
    pdf = wire.text(_value(content, "pdf"))
    paper = Paper(
        id=names[0],
        title=title,
        abstract=wire.prose(_value(content, "abstract")) or "",
        authors=_authors(_value(content, "authors")),
        url=f"{_SITE}/forum?id={quote(number, safe='')}" if number else None,
        pdf_url=_absolute(pdf) if pdf else None,
        published=day,
        updated=changed if day and changed and changed > day else None,
        doi=identity.doi(elsewhere.get("doi", "")),
        keywords=tuple(filter(None, map(wire.text, wire.entries(_value(content, "keywords"))))),
        identifiers=names[1:],
    )
    return _Note(paper, max(submitted or 0, opened or 0, published or 0), published)


def _reading(notes: Sequence[_Note], doubts: tuple[str, ...]) -> Reading:
    listings = (
        Listing(note.paper, OpenReviewReader.name, None, position) for position, note in enumerate(notes)
    )
    return Reading("notes", tuple(listings), notes=doubts)


# --- values -----------------------------------------------------------------------------------


def _value(content: dict[str, Any], name: str) -> object:
    """A field's value, which version 2 wraps once more and version 1 does not."""
    field = content.get(name)
    return field.get("value") if isinstance(field, dict) else field


def _authors(value: object) -> tuple[str, ...]:
    """The names, which are strings or objects; a paper under blind review has none."""
    names = (entry.get("fullname") if isinstance(entry, dict) else entry for entry in wire.entries(value))
    return tuple(name for name in map(wire.text, names) if name and name != "Anonymous")


def _elsewhere(entry: dict[str, Any], content: dict[str, Any]) -> dict[str, str]:
    """Numbers that the paper has at other places, from `externalIds` and from the link to its page."""
    found: dict[str, str] = {}
    address = wire.web_address(_value(content, "html"))
    if address and identity.host(address) in {"doi.org", "dx.doi.org"}:
        found["doi"] = address
    elif number := identity.arxiv_id_at(address):
        found["arxiv"] = number
    for name in filter(None, map(wire.text, wire.entries(entry.get("externalIds")))):
        scheme, _, number = name.partition(":")
        if scheme.casefold() in {"doi", "arxiv"}:
            found[scheme.casefold()] = number
    return found


def _absolute(address: str) -> str | None:
    try:
        return wire.web_address(urljoin(_SITE, address))
    except ValueError:
        return None


def _day(instant: int | None) -> date | None:
    try:
        return datetime.fromtimestamp(instant / 1000, UTC).date() if instant else None
    except (ValueError, OverflowError, OSError):
        return None
