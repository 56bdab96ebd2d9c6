"""A paper of arXiv, whichever form told of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NoReturn

from digest.core import identity, wire
from digest.core.model import Listing, Page, Paper
from digest.errors import LayoutError

NAME = "arxiv"
AGAIN = "digest asks for it again at the next run"
REPORT = "If it looks right in a browser, arXiv has changed: please report it with the page"
_OWN_DOI = "10.48550/arxiv."
_SUFFIX = re.compile(r"(?:Jr|Sr|I{2,3}|IV)\.?")
_AND = re.compile(r"[,;]|\s(?:and|&)\s")


def paper(  # noqa: PLR0913 - what a paper has
    number: str,
    title: str,
    *,
    abstract: str | None = None,
    authors: Iterable[str] = (),
    unnamed: int = 0,
    categories: Iterable[str] = (),
    doi: str | None = None,
    published: date | None = None,
    updated: date | None = None,
) -> Paper:
    """A paper with its addresses; `unnamed` counts authors that are left out of the list.

    A DOI is a journal's, because arXiv's own says no more than the number.
    `updated` counts only if it is another day than `published`: it is the last version's.
    """
    found = identity.doi(doi or "")
    journal = None if found is None or found.startswith(_OWN_DOI) else found
    names = identity.identifiers(title=title, arxiv=number, doi=journal)
    people = tuple(authors)
    return Paper(
        id=names[0],
        identifiers=names[1:],
        title=title,
        abstract=abstract or "",
        authors=people,
        author_count=len(people) + unnamed or None,
        url=f"https://arxiv.org/abs/{number}",
        pdf_url=f"https://arxiv.org/pdf/{number}",
        published=published,
        updated=updated if updated and (published is None or updated > published) else None,
        categories=tuple(dict.fromkeys(categories)),
        doi=journal,
    )


def listing(item: Paper, position: int, *, day: date | None = None, kind: str | None = None) -> Listing:
    """One appearance of a paper; `kind` is how it was announced, `day` when."""
    return Listing(item, NAME, listed_on=day, position=position, announce_type=kind)


def people(text: str) -> tuple[str, ...]:
    """The names of a line of authors: `A B (University, City), C D Jr. and E F`."""
    names: list[str] = []
    for part in _AND.split(_without_parentheses(text)):
        name = wire.squeezed(part)
        if names and _SUFFIX.fullmatch(name):
            names[-1] += f" {name}"
        elif name:
            names.append(name)
    return tuple(names)


def _without_parentheses(text: str) -> str:
    """The text outside of parentheses; one that is never closed is kept, as it may be a slip."""
    pieces: list[str] = []
    opened: list[int] = []
    for character in text:
        pieces.append(character)
        if character == "(":
            opened.append(len(pieces) - 1)
        elif character == ")" and opened:
            del pieces[opened.pop() :]
    return "".join(pieces)


def left_out(found: Sequence[object], there: int) -> tuple[str, ...]:
    """The note that some entries are no papers."""
    missing = there - len(found)
    return (f"{missing} of {there} entries have no title or no number and are left out",) if missing else ()


def fail(page: Page, message: str, remedy: str = AGAIN) -> NoReturn:
    """Say that a page is not what it should be."""
    raise LayoutError(message, place=wire.readable(page.url), remedy=remedy)
