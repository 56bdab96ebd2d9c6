"""A card as it is printed on a page, and how cards become a Reading.

A card prints no year in dates of the current one.
The year follows from what else is on the page, or the person says it; it is never today's,
because a page may be read long after it was saved.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

from digest.core import wire
from digest.core.identity import paper_id
from digest.core.model import Listing, Paper, Reading
from digest.core.wire import squeezed
from digest.sources.huggingface.links import paper_url, pdf_url

_T = TypeVar("_T")

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DATE = re.compile(
    r"(?:Published on )?(?P<month>[A-Z][a-z]{2,8})\.? (?P<day>[0-9]{1,2})(?:, (?P<year>(?:19|20)[0-9]{2}))?"
    r"(?: (?P<count>\S+))?"
)
_COUNT = re.compile(r"(?P<number>[0-9]{1,9}(?:,[0-9]{3}){0,3}(?:\.[0-9]{1,3})?)(?P<unit>[kKmM]?)")
_AUTHORS = re.compile(r"(?:[•·-] *)?([0-9][0-9,]{0,8}) authors?")  # the site writes "1 authors"
FIRST_EDITION = date(2023, 5, 4)
# A paper may be dated the month before its number, and a page links to the edition after its own.
_SLACK = timedelta(days=45)


@dataclass(frozen=True, slots=True)
class PrintedDate:
    """A date as a card prints it, without its year if that was the current one."""

    month: int
    day: int
    year: int | None = None

    def in_year(self, year: int) -> date | None:
        """The day, taking `year` where none is printed; None for 29 February and the like."""
        try:
            return date(self.year or year, self.month, self.day)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Card:
    """What is printed of a paper."""

    title: str
    abstract: str = ""  # on the trending page it may be a model's summary, which nothing tells apart
    number: str | None = None  # at arXiv
    author_count: int | None = None
    organization: str | None = None
    published: PrintedDate | None = None
    comments: int | None = None
    upvotes: int | None = None
    code_url: str | None = None
    code_stars: int | None = None
    thumbnail_url: str | None = None


def first(values: Iterable[_T | None]) -> _T | None:
    """The first value that is there."""
    return next((value for value in values if value is not None), None)


def count(text: str) -> int | None:
    """A number as the site prints it: `3.29k`, `110k`, `1,204`, or `-` for none."""
    text = text.strip()
    if text == "-":
        return 0
    found = _COUNT.fullmatch(text)
    if not found:
        return None
    scale = {"": 1, "k": 1_000, "m": 1_000_000}[found["unit"].lower()]
    return wire.count(round(float(found["number"].replace(",", "")) * scale))


def author_count(text: str) -> int | None:
    """The number in `7 authors`."""
    found = _AUTHORS.fullmatch(squeezed(text))
    return int(found[1].replace(",", "")) if found else None


def printed_date(text: str) -> PrintedDate | None:
    """The date in `Mar 24, 2024` or `Oct 3`, if the text is nothing else."""
    found = date_and_comments(text)
    return found[0] if found and found[1] is None else None


def date_and_comments(text: str) -> tuple[PrintedDate, int | None] | None:
    """The date, and the number of comments that may follow it: `Oct 3 2`, `Feb 26, 2021 1`."""
    found = _DATE.fullmatch(squeezed(text))
    if not found:
        return None
    month = next((n for n, name in enumerate(_MONTHS, 1) if name.startswith(found["month"])), None)
    comments = count(found["count"]) if found["count"] else None
    if month is None or (found["count"] and comments is None):
        return None
    day = PrintedDate(month, int(found["day"]), int(found["year"]) if found["year"] else None)
    return (day, comments) if day.in_year(2024) else None  # a leap year has all days


@dataclass(frozen=True, slots=True)
class Sheet:
    """The cards of a page with what the page says of itself."""

    layout: str
    cards: Sequence[Card]
    header: PrintedDate | None = None  # the day it was seen
    shown_on: date | None = None  # the same, if it stands there with its year
    edition: date | None = None  # if it is the page of one day, and not a search
    seen_after: date | None = None  # a day that it cannot be older than


def reading(sheet: Sheet, *, source: str, captured_on: date | None, notes: Iterable[str] = ()) -> Reading:
    """The cards as listings, their dates completed as far as the page allows."""
    seen_on = captured_on or sheet.shown_on or _inferred_day(sheet)
    listings = tuple(
        Listing(
            paper=_paper(card, seen_on),
            source=source,
            listed_on=sheet.edition,
            position=position,
            upvotes=card.upvotes,
            comments=card.comments,
        )
        for position, card in enumerate(sheet.cards)
    )
    undated = [day for day in _printed(sheet.cards) if day.year is None]
    if seen_on is None and (undated or sheet.header):
        doubt = (
            f"the page does not tell the year it was saved in, so {len(undated)} of its papers have no date: "
            "give the day with --captured-on YYYY-MM-DD"
        )
        notes = (*notes, doubt)
    shown = seen_on if captured_on or sheet.shown_on or sheet.header else None
    return Reading(sheet.layout, listings, captured_on=shown, notes=tuple(notes))


def _paper(card: Card, seen_on: date | None) -> Paper:
    return Paper(
        id=paper_id(title=card.title, arxiv=card.number),
        title=card.title,
        abstract=card.abstract,
        author_count=card.author_count,
        organization=card.organization,
        url=paper_url(card.number),
        pdf_url=pdf_url(card.number),
        code_url=card.code_url,
        code_stars=card.code_stars,
        thumbnail_url=card.thumbnail_url,
        published=_completed(card.published, seen_on) if card.published else None,
    )


def _completed(printed: PrintedDate, seen_on: date | None) -> date | None:
    """The day, in the last year in which the page can have shown it."""
    if printed.year:
        return printed.in_year(printed.year)
    if not seen_on:
        return None
    day = printed.in_year(seen_on.year)
    # A person's day may be off, and the site's clock ahead by a time zone.
    return printed.in_year(seen_on.year - 1) if day and day > seen_on + timedelta(days=1) else day


def _printed(cards: Iterable[Card]) -> Iterator[PrintedDate]:
    return (card.published for card in cards if card.published)


def _inferred_day(sheet: Sheet) -> date | None:
    """The day the page was seen, where only one year fits what is printed on it.

    Dates of the year before are printed with their year: the page's own is one more than the
    largest, unless the numbers of its papers are newer.
    """
    if sheet.header and sheet.header.year:
        return sheet.header.in_year(sheet.header.year)
    years = [day.year for day in _printed(sheet.cards) if day.year]
    yearless = [day for day in _printed(sheet.cards) if not day.year]
    last = sheet.header or max(yearless, key=lambda day: (day.month, day.day), default=None)
    bounds = [month for card in sheet.cards if (month := _numbered_in(card.number))]
    if sheet.seen_after:
        bounds.append(sheet.seen_after)
    if last is None or not (years or bounds):
        return None
    bound = max(bounds) - _SLACK if bounds else FIRST_EDITION
    year = max([*(1 + year for year in years), *([bound.year] if bounds else [])])
    day = last.in_year(year)
    if bounds and day and day < bound:  # January, when the newest number is of December
        day = last.in_year(year + 1)
    if day is None or day < max(bound, FIRST_EDITION):
        return None
    latest = day + timedelta(days=1)
    dates = (printed.in_year(day.year) for printed in yearless)
    return day if all(date and date <= latest for date in dates) else None


def _numbered_in(number: str | None) -> date | None:
    """The month in which arXiv gave the number, which is when the paper was handed in or soon after."""
    return date(2000 + int(number[:2]), int(number[2:4]), 1) if number else None
