"""What the site's own JSON says of papers: `/api/daily_papers`, `/api/papers/…`, and a page's `data-props`.

Of an entry's dates the top-level `publishedAt` is never used: in March 2025 it changed from the time
on Daily Papers to a wall time of the US East coast that is labelled UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from digest.core.identity import arxiv_id, paper_id
from digest.core.model import Listing, Paper
from digest.sources.huggingface.links import paper_url, pdf_url, squeezed, web_address

_MARKS = {"publishedAt", "summary", "upvotes"}  # of which any paper has one


def is_record(value: object) -> bool:
    """Whether a JSON value is an entry of a list, or the flat record of one paper."""
    return isinstance(value, dict) and _title(value) is not None and not _MARKS.isdisjoint(_inner(value))


def listings(entries: Sequence[object], *, source: str, edition: date | None = None) -> tuple[Listing, ...]:
    """The entries that are papers; `edition` is the day of those that do not say their own."""
    return tuple(
        _listing(entry, source=source, edition=edition, position=position)
        for position, entry in enumerate(entries)
        if isinstance(entry, dict) and is_record(entry)
    )


def day(value: object) -> date | None:
    """The UTC date of an instant, or a date itself."""
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
        return instant and (instant.astimezone(UTC) if instant.tzinfo else instant).date()
    except (ValueError, OverflowError):
        return None


def _listing(entry: dict[str, Any], *, source: str, edition: date | None, position: int) -> Listing:
    paper = _inner(entry)
    return Listing(
        paper=_paper(entry, paper),
        source=source,
        listed_on=day(paper.get("submittedOnDailyAt")) or edition,
        position=position,
        upvotes=_number(paper.get("upvotes")),
        comments=_number(entry.get("numComments")),
    )


def _paper(entry: dict[str, Any], paper: dict[str, Any]) -> Paper:
    title = _title(entry) or ""
    number = arxiv_id(_text(paper.get("id")) or "")
    authors = tuple(
        name
        for author in _list(paper.get("authors"))
        if isinstance(author, dict) and not author.get("hidden") and (name := _text(author.get("name")))
    )
    return Paper(
        id=paper_id(title=title, arxiv=number),
        title=title,
        abstract=_text(paper.get("summary")) or _text(entry.get("summary")) or "",
        authors=authors,
        author_count=len(authors) or None,
        organization=_organization(entry.get("organization")) or _organization(paper.get("organization")),
        url=paper_url(number),
        pdf_url=pdf_url(number),
        code_url=web_address(_text(paper.get("githubRepo"))),
        code_stars=_number(paper.get("githubStars")),
        project_url=web_address(_text(paper.get("projectPage"))),
        thumbnail_url=web_address(_text(entry.get("thumbnail"))),
        published=day(paper.get("publishedAt")),
        keywords=tuple(word for item in _list(paper.get("ai_keywords")) if (word := _text(item))),
        ai_summary=_text(paper.get("ai_summary")),
    )


def _inner(entry: dict[str, Any]) -> dict[str, Any]:
    """The paper within an entry; the answer for one paper has no wrapper."""
    paper = entry.get("paper", entry)
    return paper if isinstance(paper, dict) else {}


def _title(entry: dict[str, Any]) -> str | None:
    return _text(_inner(entry).get("title")) or _text(entry.get("title"))


def _organization(value: object) -> str | None:
    return (_text(value.get("fullname")) or _text(value.get("name"))) if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    return squeezed(value) or None if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
