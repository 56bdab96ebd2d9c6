"""What the site's own JSON says of papers: `/api/daily_papers`, `/api/papers/…`, and a page's `data-props`.

Of an entry's dates the top-level `publishedAt` is never used: in March 2025 it changed from the time
on Daily Papers to a wall time of the US East coast that is labelled UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from digest.core import wire
from digest.core.identity import arxiv_id, paper_id
from digest.core.model import Listing, Paper
from digest.sources.huggingface.links import paper_url, pdf_url

_MARKS = {"publishedAt", "summary", "upvotes"}  # of which any paper has one


def is_record(value: object) -> bool:
    """Whether a JSON value is an entry of a list, or the flat record of one paper."""
    return isinstance(value, dict) and _title(value) is not None and not _MARKS.isdisjoint(_inner(value))


def listings(rows: Sequence[object], *, source: str, edition: date | None = None) -> tuple[Listing, ...]:
    """The entries that are papers; `edition` is the day of those that do not say their own."""
    return tuple(
        _listing(entry, source=source, edition=edition, position=position)
        for position, entry in enumerate(rows)
        if isinstance(entry, dict) and is_record(entry)
    )


def _listing(entry: dict[str, Any], *, source: str, edition: date | None, position: int) -> Listing:
    paper = _inner(entry)
    return Listing(
        paper=_paper(entry, paper),
        source=source,
        listed_on=wire.day(paper.get("submittedOnDailyAt")) or edition,
        position=position,
        upvotes=wire.count(paper.get("upvotes")),
        comments=wire.count(entry.get("numComments")),
    )


def _paper(entry: dict[str, Any], paper: dict[str, Any]) -> Paper:
    title = _title(entry) or ""
    number = arxiv_id(wire.text(paper.get("id")) or "")
    authors = tuple(
        name
        for author in wire.entries(paper.get("authors"))
        if isinstance(author, dict) and not author.get("hidden") and (name := wire.text(author.get("name")))
    )
    return Paper(
        id=paper_id(title=title, arxiv=number),
        title=title,
        abstract=wire.text(paper.get("summary")) or wire.text(entry.get("summary")) or "",
        authors=authors,
        author_count=len(authors) or None,
        organization=_organization(entry.get("organization")) or _organization(paper.get("organization")),
        url=paper_url(number),
        pdf_url=pdf_url(number),
        code_url=wire.web_address(paper.get("githubRepo")),
        code_stars=wire.count(paper.get("githubStars")),
        project_url=wire.web_address(paper.get("projectPage")),
        thumbnail_url=wire.web_address(entry.get("thumbnail")),
        published=wire.day(paper.get("publishedAt")),
        keywords=tuple(word for item in wire.entries(paper.get("ai_keywords")) if (word := wire.text(item))),
        ai_summary=wire.text(paper.get("ai_summary")),
    )


def _inner(entry: dict[str, Any]) -> dict[str, Any]:
    """The paper within an entry; the answer for one paper has no wrapper."""
    paper = entry.get("paper", entry)
    return paper if isinstance(paper, dict) else {}


def _title(entry: dict[str, Any]) -> str | None:
    return wire.text(_inner(entry).get("title")) or wire.text(entry.get("title"))


def _organization(value: object) -> str | None:
    return (
        (wire.text(value.get("fullname")) or wire.text(value.get("name")))
        if isinstance(value, dict)
        else None
    )
