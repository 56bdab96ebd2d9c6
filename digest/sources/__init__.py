"""Places where new papers appear: one file, or one folder, per place.

A source decides which pages it wants and a reader says what is on them; neither fetches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from digest.core.model import Listing, Page, PaperId, Reading, Request
from digest.core.wire import readable
from digest.errors import LayoutError, SourceError
from digest.ports import Plan, Reader

_HTML = re.compile(rb"\s*<(?:!doctype\s+html|html)", re.IGNORECASE)
_WALL = re.compile(
    rb"""<input[^<>]+type\s*=\s*["']?password|awswaf|captcha"""
    rb"""|<title>[^<]*(?:log.?in|sign.?in|validate|verify|denied|just a moment)""",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Harvest:
    """What a source has read so far, and what it could not read.

    A paper that several pages show for one day counts once, as the first of them shows it.
    """

    listings: dict[tuple[PaperId, date | None], Listing] = field(default_factory=dict)
    layouts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    errors: list[SourceError] = field(default_factory=list)
    until: datetime | None = None

    def add(self, reading: Reading, *, what: str = "", day: date | None = None, offset: int = 0) -> None:
        """Take what a page held; `day` is its edition and `offset` the place of its first listing."""
        self.layouts.append(reading.layout)
        self.notes.extend(f"{what}: {note}" if what else note for note in reading.notes)
        for listing in reading.listings:
            listed_on = listing.listed_on or day
            self.listings.setdefault(
                (listing.paper.id, listed_on),
                replace(listing, listed_on=listed_on, position=listing.position + offset),
            )

    def unchanged(self, layout: str) -> None:
        """Remember that a page is as it was when it was read last."""
        self.layouts.append(layout)

    def failed(self, what: str, error: SourceError) -> None:
        """Remember that one thing could not be read."""
        self.errors.append(error)
        self.notes.append(f"{what} could not be read: {error}")

    def reading(self) -> Reading:
        """Everything together. Raises the first error if nothing could be read."""
        if self.errors and not self.layouts:
            raise self.errors[0]
        return Reading(
            layout=" + ".join(dict.fromkeys(self.layouts)),
            listings=tuple(self.listings.values()),
            notes=tuple(dict.fromkeys(self.notes)),
            complete=not self.errors,
            until=self.until,
        )


Steps = Generator[Request, Page | None, None]
"""A conversation that puts what it is given into a harvest."""


def gather(steps: Callable[[Harvest], Steps]) -> Plan:
    """What some steps put into a harvest, also where they break off half-way."""
    harvest = Harvest()
    try:
        yield from steps(harvest)
    except SourceError as error:
        harvest.failed("the rest", error)
    return harvest.reading()


def read_page(page: Page, readers: Iterable[Reader], *, captured_on: date | None = None) -> Reading:
    """Read a page with the first reader that recognises it.

    Raises LayoutError, which says what the page seems to be instead.
    """
    for reader in readers:
        if reader.recognises(page):
            return reader.read(page, captured_on=captured_on)
    content, place = page.content, readable(page.url)
    if not content.strip():
        raise LayoutError("there is nothing in it", place=place, remedy="Save the page again.")
    if b"\0" in content:
        raise LayoutError(
            "this is no text, HTML or JSON but binary",
            place=place,
            remedy="Save the page as HTML or text.",
        )
    if is_wall(content):
        raise LayoutError(
            "this is a page that asks to log in or to prove that one is human, and holds no papers",
            place=place,
            remedy="Open the page in a browser and save what you see there.",
        )
    raise LayoutError(
        "no papers can be found in it: this is no page that digest knows",
        place=place,
        remedy="Save the page again, whole, as HTML or as text; if it should be known, report it.",
    )


def is_wall(content: bytes) -> bool:
    """Whether a page stands before the one that was asked for."""
    return bool(_HTML.match(content) and _WALL.search(content))
