"""Answers of the API, export.arxiv.org/api/query: papers by the time they were submitted.

https://info.arxiv.org/help/api/user-manual.html
Elements are found by their names, because the order changed in 2026.
The API knows no announcements, so that its papers have no day and no kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from digest.core import wire
from digest.core.identity import arxiv_id
from digest.core.model import Listing, Page
from digest.core.wire import Element
from digest.errors import LayoutError
from digest.sources.arxiv.papers import fail, left_out, listing, paper

_ATOM = "{http://www.w3.org/2005/Atom}"
_ARXIV = "{http://arxiv.org/schemas/atom}"
_SEARCH = "{http://a9.com/-/spec/opensearch/1.1/}"


class EmptyPageError(LayoutError):
    """The API said that there is something and gave nothing, as it does now and then.

    https://github.com/lukasschwab/arxiv.py/issues/129: asked again, it may answer.
    """


@dataclass(frozen=True, slots=True)
class Result:
    """A paper with the instant its first version was submitted, where the answer tells it."""

    listing: Listing
    submitted: datetime | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of results: `total` in all, of which `entries` stand here."""

    results: tuple[Result, ...]
    total: int
    entries: int
    notes: tuple[str, ...]


def is_answer(root: Element) -> bool:
    """Whether an Atom document is the API's, and not a feed of an announcement."""
    return root.find(f"{_SEARCH}totalResults") is not None or "/api/" in (root.findtext(f"{_ATOM}id") or "")


def answer(page: Page, root: Element) -> Answer:
    """The papers of an answer. Raises LayoutError, and EmptyPageError where asking again may help."""
    entries = root.findall(f"{_ATOM}entry")
    for entry in entries:
        if (
            "/api/errors" in (entry.findtext(f"{_ATOM}id") or "")
            or entry.findtext(f"{_ATOM}title") == "Error"
        ):
            said = wire.text(entry.findtext(f"{_ATOM}summary")) or "it does not say which"
            fail(page, f"the API answers with an error: {said}")
    total = wire.number(wire.text(root.findtext(f"{_SEARCH}totalResults")))
    start = wire.number(wire.text(root.findtext(f"{_SEARCH}startIndex"))) or 0
    if total is None:
        fail(page, "the API does not say how many results there are")
    if not entries and start < total:
        raise EmptyPageError(
            f"the API's page came empty, though there are {total} results",
            place=wire.readable(page.url),
            remedy="It often comes when it is asked for again",
        )
    results: list[Result] = []
    for entry in entries:
        found = _result(entry, len(results))
        results += [found] if found else []
    if entries and not results:
        fail(page, f"none of its {len(entries)} entries has a title and a number")
    return Answer(tuple(results), total, len(entries), left_out(results, len(entries)))


def _result(entry: Element, position: int) -> Result | None:
    number = arxiv_id(entry.findtext(f"{_ATOM}id") or "")
    title = wire.text(entry.findtext(f"{_ATOM}title"))
    if not number or not title:
        return None
    primary = [tag.get("term") for tag in entry.findall(f"{_ARXIV}primary_category")]
    others = [tag.get("term") for tag in entry.findall(f"{_ATOM}category")]
    names = (wire.text(name.text) for name in entry.findall(f"{_ATOM}author/{_ATOM}name"))
    published = entry.findtext(f"{_ATOM}published")
    made = paper(
        number,
        title,
        abstract=wire.text(entry.findtext(f"{_ATOM}summary")),
        authors=[name for name in names if name],
        categories=[name for term in primary + others if (name := wire.text(term))],
        doi=wire.text(entry.findtext(f"{_ARXIV}doi")),
        published=wire.day(published),
        updated=wire.day(entry.findtext(f"{_ATOM}updated")),
    )
    return Result(listing(made, position), _instant(published))


def _instant(value: str | None) -> datetime | None:
    try:
        instant = datetime.fromisoformat((value or "").strip())
    except ValueError:
        return None
    return instant if instant.tzinfo else None
