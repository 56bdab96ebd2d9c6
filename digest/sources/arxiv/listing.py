"""The pages for people: `/list/<category>/new`, and `/recent` and `/<month>`, which have no abstracts.

Each section says how many of its entries it shows, so that a page can be checked against itself.
https://github.com/arXiv/arxiv-browse, browse/templates/list.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from datetime import date

from bs4 import BeautifulSoup, Tag

from digest.core import wire
from digest.core.identity import arxiv_id
from digest.core.model import Listing, Page
from digest.core.wire import squeezed
from digest.sources.arxiv.papers import AGAIN, REPORT, fail, left_out, listing, paper

_DEEPEST = 100  # real pages have about 20; to search much deeper ones takes minutes
_KINDS = {"new": "new", "cro": "cross", "rep": "replace"}
_COUNTS = re.compile(r"showing (?:first |last )?(\d{1,9}) of (\d{1,9}) entries", re.IGNORECASE)
_DATE = re.compile(r"\b(\d{1,2}) ([A-Z][a-z]{2})[a-z]* (\d{4}|\d{2})\b")
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_TOTAL = re.compile(r"total of (\d{1,9}) entries", re.IGNORECASE)
_UNNAMED = re.compile(r"\(\s*(\d{1,9}) additional authors? not shown")
_CATEGORY = re.compile(r"\(([a-z][a-z-]+(?:\.[A-Za-z][A-Za-z-]+)?)\)")
_NOTHING = re.compile(r"No updates (?:today|for this time period)\.")


@dataclass(slots=True)
class Section:
    """A part of the page: `shown` and `total` are the numbers it prints, `found` what was there to read."""

    name: str
    kind: str | None
    day: date | None
    shown: int
    total: int
    found: int = 0


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a page holds."""

    listings: tuple[Listing, ...]
    day: date | None
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    entries: int  # also those that cannot be read
    total: int  # of the whole listing, where the page says it

    @property
    def shortfalls(self) -> tuple[str, ...]:
        """What the page says it has and does not show."""
        short = [part for part in self.sections if part.found < part.total]
        if not short and self.entries < self.total:
            return (f"the page shows {self.entries} of {self.total} entries",)
        return tuple(f"“{part.name}” shows {part.found} of {part.total} entries" for part in short)


def sheet(page: Page) -> Sheet:
    """The papers of a page. Raises LayoutError."""
    wire.check_tags(page)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # XML and a bare address are refused below
        # "html.parser" takes half a minute for 120 kB of quotes that are never closed.
        soup = BeautifulSoup(page.content.decode("utf-8-sig", "replace"), "lxml")
    if _depth(soup) > _DEEPEST:
        fail(page, f"the HTML is nested more than {_DEEPEST} tags deep", AGAIN)
    for end in soup.find_all("br"):
        end.append(" ")  # to replace one looks for it among all that stands beside it
    day: date | None = None
    sections: list[Section] = []
    found: list[Listing] = []
    entries = 0
    term: Tag | None = None
    for tag in soup.find_all(["h3", "dt", "dd"]):
        if tag.name == "h3":
            heading = squeezed(tag.get_text())
            part = _section(heading)
            if part:
                sections.append(part)
            if "new listings for" in heading or (part and part.kind):
                day = day or _day(heading)
        elif tag.name == "dt":
            term = tag
        elif term is not None:
            item = _listing(term, tag, len(found), sections[-1] if sections else None, day)
            found += [item] if item else []
            entries += 1
            if sections:
                sections[-1].found += 1
            term = None
    if not found:
        _check_empty(page, soup, sections, entries)
    return Sheet(tuple(found), day, tuple(sections), left_out(found, entries), entries, _total(soup))


def _check_empty(page: Page, soup: BeautifulSoup, sections: list[Section], entries: int) -> None:
    if entries or any(part.shown for part in sections):
        promised = sum(part.shown for part in sections) or entries
        fail(page, f"none of its {promised} entries can be read", REPORT)
    if not _NOTHING.search(squeezed(soup.get_text(" "))):
        fail(page, "there are neither entries of a listing nor the words “No updates today.”", REPORT)


def _section(heading: str) -> Section | None:
    """The section that a heading opens: `Cross submissions (showing 2 of 2 entries)`."""
    counts = _COUNTS.search(heading)
    if counts is None:
        return None
    kind = _KINDS.get(heading[:3].lower())
    name = heading.partition(" (")[0]
    return Section(name, kind, _day(heading), int(counts[1]), int(counts[2]))


def _total(soup: BeautifulSoup) -> int:
    """How many entries the listing has on all of its pages."""
    paging = soup.find(class_="paging")
    found = _TOTAL.search(squeezed(paging.get_text(" "))) if paging else None
    return int(found[1]) if found else 0


def _listing(term: Tag, body: Tag, position: int, part: Section | None, day: date | None) -> Listing | None:
    link = term.find("a", href=re.compile(r"/abs/"))
    number = arxiv_id(str(link["href"])) if isinstance(link, Tag) else None
    title = _field(body, "list-title")
    if not number or not title:
        return None
    marks = squeezed(term.get_text(" "))
    kind = _kind(marks, part)
    listed_on = (part.day if part else None) or day
    names = body.find(class_="list-authors")
    unnamed = _UNNAMED.search(_field(body, "list-authors"))
    text = body.find("p", class_="mathjax")
    item = paper(
        number,
        title,
        abstract=_text(text) if isinstance(text, Tag) else None,
        authors=_people(names) if isinstance(names, Tag) else (),
        unnamed=int(unnamed[1]) if unnamed else 0,
        categories=_CATEGORY.findall(_field(body, "list-subjects")),
        doi=_field(body, "list-doi") or _field(body, "list-journal-ref"),
        updated=listed_on if kind and kind.startswith("replace") else None,
    )
    return listing(item, position, day=listed_on, kind=kind)


def _kind(marks: str, part: Section | None) -> str | None:
    """How an entry was announced; what it says itself goes before the section it stands in."""
    crossed = "(cross-list from" in marks
    if "(replaced" in marks or (part and part.kind == "replace"):
        return "replace-cross" if crossed else "replace"
    if crossed:
        return "cross"
    # The sections of `/recent` are days, and hold new papers and cross-lists alone.
    return (part.kind or ("new" if part.day else None)) if part else None


def _people(names: Tag) -> list[str]:
    found = (squeezed(link.get_text()) for link in names.find_all("a"))
    return [name for name in found if name and not _UNNAMED.search(name)]


def _field(body: Tag, name: str) -> str:
    """The text of a field without the word that says which it is."""
    tag = body.find(class_=name)
    if not isinstance(tag, Tag):
        return ""
    descriptor = tag.find(class_="descriptor")
    return _text(tag).removeprefix(_text(descriptor) if isinstance(descriptor, Tag) else "").strip()


def _text(tag: Tag) -> str:
    return squeezed(tag.get_text())


def _day(heading: str) -> date | None:
    """The date in a heading: `Wednesday, 12 August 2026`, `Fri, 14 Aug 26`."""
    found = _DATE.search(heading)
    if found is None:
        return None
    try:
        return date(2000 + int(found[3][-2:]), _MONTHS.index(found[2]) // 3 + 1, int(found[1]))
    except ValueError:
        return None


def _depth(soup: BeautifulSoup) -> int:
    """How deeply the tags are nested."""
    depths = {id(soup): 0}
    for tag in soup.find_all():
        depths[id(tag)] = 1 + depths[id(tag.parent)]
    return max(depths.values())
