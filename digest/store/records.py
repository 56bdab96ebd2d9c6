"""Values as rows and rows as values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

from sqlalchemy import RowMapping

from digest.core.model import (
    Appearance,
    Delivery,
    DeliveryState,
    Digest,
    Judgement,
    Listing,
    Match,
    Opinion,
    Paper,
    PaperId,
    Period,
    Progress,
    Recommendation,
    RunReport,
    ScorePart,
    Section,
    SectionCount,
    SectionKind,
    SourceReport,
    Summary,
)
from digest.errors import StoreError
from digest.store.faults import DAMAGED

Row: TypeAlias = RowMapping | Mapping[str, Any]


def seconds(instant: datetime) -> int:
    """An instant as it is stored."""
    return int(instant.timestamp())


def instant(stored: int) -> datetime:
    """A stored instant. Raises StoreError."""
    try:
        return datetime.fromtimestamp(stored, UTC)
    except (OSError, OverflowError, TypeError, ValueError) as error:
        raise _damaged() from error


def _damaged() -> StoreError:
    """What is said of a value that digest never wrote: SQLite takes any, whatever the type of its column."""
    message, remedy = DAMAGED
    return StoreError(message, place="database", remedy=remedy)


def optional_instant(stored: int | None) -> datetime | None:
    """A stored instant, if there is one."""
    return None if stored is None else instant(stored)


_PAPER_FIELDS = tuple(field.name for field in fields(Paper) if field.name != "id")
_PAPER_LISTS = ("authors", "categories", "keywords", "identifiers")
_PAPER_DAYS = ("published", "updated")
_PAPER_TEXTS = (
    "title",
    "abstract",
    "organization",
    "url",
    "pdf_url",
    "code_url",
    "project_url",
    "thumbnail_url",
    "doi",
    "ai_summary",
)


def paper_row(paper: Paper) -> dict[str, Any]:
    """The columns of a paper; its identifier is called `paper_id` there."""
    row: dict[str, Any] = {"paper_id": paper.id} | {name: getattr(paper, name) for name in _PAPER_FIELDS}
    for name in _PAPER_LISTS:
        row[name] = list(row[name])
    for name in _PAPER_DAYS:
        row[name] = None if row[name] is None else row[name].isoformat()
    return row


def paper(row: Row) -> Paper:
    """The paper in a row. Raises StoreError."""
    values: dict[str, Any] = {name: row[name] for name in _PAPER_FIELDS}
    if not all(isinstance(values[name] or "", str) for name in _PAPER_TEXTS):
        raise _damaged()
    try:
        for name in _PAPER_LISTS:
            values[name] = tuple(values[name] or ())
        for name in _PAPER_DAYS:
            values[name] = None if values[name] is None else date.fromisoformat(values[name])
    except (TypeError, ValueError) as error:
        raise _damaged() from error
    return Paper(id=PaperId(row["paper_id"]), **values)


def _kept(content: dict[str, Any]) -> Paper:
    """A paper that was kept as JSON: before migration 0002 it had no identifiers."""
    return paper(dict.fromkeys(_PAPER_FIELDS) | content)


def listing_row(listing: Listing) -> dict[str, Any]:
    """The columns of a listing, but for its paper."""
    return {
        "source": listing.source,
        "listed_on": listing.listed_on.isoformat() if listing.listed_on else "",
        "position": listing.position,
        "upvotes": listing.upvotes,
        "comments": listing.comments,
        "announce_type": listing.announce_type,
    }


def listing(row: Row, of: Paper) -> Listing:
    """The listing in a row."""
    return Listing(
        paper=of,
        source=row["source"],
        listed_on=date.fromisoformat(row["listed_on"]) if row["listed_on"] else None,
        position=row["position"],
        upvotes=row["upvotes"],
        comments=row["comments"],
        announce_type=row["announce_type"],
    )


def snapshot(recommendation: Recommendation) -> tuple[str, dict[str, Any]]:
    """A paper and its listings as they are now, with the hash under which they are kept once."""
    content = {
        "paper": paper_row(recommendation.paper),
        "listings": [listing_row(item) for item in recommendation.listings],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(), content


def recommendation_row(recommendation: Recommendation) -> dict[str, Any]:
    """The columns of a recommendation, but for its paper and place."""
    return {
        "score": recommendation.score,
        "matches": [[m.interest, m.keyword, m.field, m.start, m.end] for m in recommendation.matches],
        "parts": [[part.name, part.value] for part in recommendation.parts],
        "missing": list(recommendation.missing),
        "note": recommendation.note,
    }


def recommendation(row: Row) -> Recommendation:
    """The recommendation in a row that was joined with its snapshot."""
    of = _kept(row["content"]["paper"])
    return Recommendation(
        paper=of,
        listings=tuple(listing(item, of) for item in row["content"]["listings"]),
        score=row["score"],
        matches=tuple(Match(*values) for values in row["matches"]),
        parts=tuple(ScorePart(*values) for values in row["parts"]),
        missing=tuple(row["missing"]),
        note=row["note"],
    )


def appearance(row: Row) -> Appearance:
    """What the row of a recommendation, with its digest's slot and lowest score, says of its paper."""
    return Appearance(
        digest=row["digest"],
        slot=instant(row["slot"]),
        kind=row["kind"],
        section=row["section"],
        missing=tuple(row["missing"]),
        score=row["score"],
        lowest=row["lowest"],
    )


def judgement_row(judgement: Judgement) -> dict[str, Any]:
    """The columns of a judgement, but for its profile."""
    return {
        "paper_id": judgement.paper.id,
        "opinion": judgement.opinion,
        "at": seconds(judgement.at),
        "paper": paper_row(judgement.paper),
    }


def judgement(row: Row) -> Judgement:
    """The judgement in a row."""
    return Judgement(_kept(row["paper"]), Opinion(row["opinion"]), instant(row["at"]))


def report_row(report: SourceReport) -> dict[str, Any]:
    """The columns of a source's report."""
    return {
        "source": report.source,
        "since": seconds(report.period.since),
        "until": seconds(report.period.until),
        "complete": report.complete,
        "listed": report.listed,
        "new": report.new,
        "error": report.error,
        "notes": list(report.notes),
    }


def report(row: Row) -> SourceReport:
    """The report in a row."""
    return SourceReport(
        source=row["source"],
        period=Period(instant(row["since"]), instant(row["until"])),
        complete=row["complete"],
        listed=row["listed"],
        new=row["new"],
        error=row["error"],
        notes=tuple(row["notes"]),
    )


def digest_row(digest: Digest) -> dict[str, Any]:
    """The columns of a digest, but for its papers."""
    return {
        "id": digest.id,
        "profile": digest.profile,
        "title": digest.title,
        "slot": seconds(digest.slot),
        "issued_at": seconds(digest.issued_at),
        "since": None if digest.since is None else seconds(digest.since),
        "scanned": digest.scanned,
        "too_old": digest.too_old,
        "reports": [report_row(item) for item in digest.reports],
        "told": list(digest.told),
    }


def digest(row: Row, items: Sequence[Row]) -> Digest:
    """The digest in a row, with the rows of its papers in order."""
    kinds: dict[str, list[Recommendation]] = {"overflow": [], "waiting": [], "near_miss": []}
    sections: dict[tuple[str, SectionKind], list[Recommendation]] = {}
    for item in items:
        kind = item["kind"]
        place = kinds[kind] if kind in kinds else sections.setdefault((item["section"], kind), [])
        place.append(recommendation(item))
    return Digest(
        id=row["id"],
        profile=row["profile"],
        title=row["title"],
        slot=instant(row["slot"]),
        issued_at=instant(row["issued_at"]),
        since=optional_instant(row["since"]),
        scanned=row["scanned"],
        sections=tuple(Section(name, tuple(papers), kind) for (name, kind), papers in sections.items()),
        overflow=tuple(kinds["overflow"]),
        waiting=tuple(kinds["waiting"]),
        near_misses=tuple(kinds["near_miss"]),
        too_old=row["too_old"],
        reports=tuple(report(item) for item in row["reports"]),
        told=tuple(row["told"]),
    )


def summary(row: Row, counts: Sequence[Row]) -> Summary:
    """The summary of the digest in a row, with the counts of its sections in order."""
    return Summary(
        id=row["id"],
        profile=row["profile"],
        slot=instant(row["slot"]),
        issued_at=instant(row["issued_at"]),
        scanned=row["scanned"],
        sections=tuple(
            SectionCount(one["section"], one["papers"], one["kind"])
            for one in counts
            if one["kind"] != "overflow"
        ),
        overflow=sum(one["papers"] for one in counts if one["kind"] == "overflow"),
    )


def progress_row(profile: str, made: Progress) -> dict[str, Any]:
    """The columns of how far a profile has come."""
    return {
        "profile": profile,
        "slot": seconds(made.slot),
        "revision": made.revision,
        "local_time": made.local_time,
    }


def progress(row: Any) -> Progress:  # noqa: ANN401 - a row of SQLAlchemy's
    """How far a profile has come."""
    return Progress(instant(row.slot), row.revision, row.local_time)


def run_row(report: RunReport) -> dict[str, Any]:
    """The columns of a run."""
    row = asdict(report)
    ended = row["ended_at"]
    return row | {
        "started_at": seconds(row["started_at"]),
        "ended_at": None if ended is None else seconds(ended),
    }


def run(row: Row) -> RunReport:
    """The run in a row."""
    values = {field.name: row[field.name] for field in fields(RunReport)}
    return RunReport(
        **values | {"started_at": instant(row["started_at"]), "ended_at": optional_instant(row["ended_at"])}
    )


def delivery(row: Row) -> Delivery:
    """The delivery in a row."""
    return Delivery(
        id=row["id"],
        digest=row["digest"],
        profile=row["profile"],
        channel=row["channel"],
        recipient=row["recipient"],
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        not_before=optional_instant(row["not_before"]),
        error=row["error"],
        message=row["message"],
        lost=row["lost"],
    )
