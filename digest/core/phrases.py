"""The words for what a digest shows, whatever form it takes.

Days and numbers are written as in English, whatever the locale.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from digest.core.chart import Row
from digest.core.highlight import Supported
from digest.core.lines import shortened
from digest.core.model import Digest, Paper, Profile, SectionKind, SourceReport, Summary

_WITHIN_A_FACT = re.compile("(?<=[^·]) (?=[0-9])|(?<=[0-9▲]) (?=[^·])")
_LONGEST_NAME = 80  # characters of an interest in a line with others
_LONGEST_NOTE = 300
_NAMED_AUTHORS = 3
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_KINDS: dict[SectionKind, str] = {
    "related": "Not found by a keyword, but by words that go with it.",
    "second_look": "Perhaps missed: passed over at first, and noticed by others since.",
}
_SOURCES = {
    "arxiv": "arXiv",
    "biorxiv": "bioRxiv",
    "europepmc": "Europe PMC",
    "huggingface": "Hugging Face",
    "medrxiv": "medRxiv",
    "openalex": "OpenAlex",
    "openreview": "OpenReview",
    "pubmed": "PubMed",
}


def day(value: date) -> str:
    """A date as "20 Nov 2026", whatever the locale."""
    return f"{short_day(value)} {value.year}"


def short_day(value: date) -> str:
    """A date as "20 Nov"."""
    return f"{value.day} {_MONTHS[value.month - 1][:3]}"


def month(value: date) -> str:
    """The month of a date as "November 2026"."""
    return f"{_MONTHS[value.month - 1]} {value.year}"


def weekday(value: date) -> str:
    """A date as "Friday, 20 November 2026"."""
    return f"{_DAYS[value.weekday()]}, {value.day} {_MONTHS[value.month - 1]} {value.year}"


def quantity(number: int, noun: str) -> str:
    """A number with its noun: "1 paper", "6 papers"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def source_label(name: str) -> str:
    """How a source is called: "huggingface" is "Hugging Face", "my-feed" is "My Feed"."""
    return _SOURCES.get(name) or name.replace("-", " ").replace("_", " ").title()


def byline(paper: Paper) -> tuple[str, str]:
    """The authors in two parts: names, the beginning of `paper.text("author")`, and what follows them.

    `("A, B, C", " and 7 more")`, `("", "7 authors")`; the organization stands at the end of the second.
    """
    names = paper.authors if len(paper.authors) <= _NAMED_AUTHORS + 1 else paper.authors[:_NAMED_AUTHORS]
    more = max(paper.author_count or 0, len(paper.authors)) - len(names)
    rest = ""
    if more:
        rest = f" and {more} more" if names else quantity(more, "author")
    if paper.organization:
        rest += f" · {paper.organization}" if names or rest else paper.organization
    return ", ".join(names), rest


def badges(recommendation: Supported) -> tuple[str, ...]:
    """Where the paper was listed, each source once: "Hugging Face · ▲ 41 · 3 comments"."""
    made = []
    for source in dict.fromkeys(listing.source for listing in recommendation.listings):
        listings = [listing for listing in recommendation.listings if listing.source == source]
        upvotes = max(listing.upvotes or 0 for listing in listings)
        comments = max(listing.comments or 0 for listing in listings)
        parts = [source_label(source)]
        if upvotes:
            parts.append(f"▲ {upvotes}")
        if comments:
            parts.append(quantity(comments, "comment"))
        made.append(" · ".join(parts))
    return tuple(made)


def dated(recommendation: Supported) -> str:
    """The day of a paper: when it was published, or else listed first."""
    listed = (listing.listed_on for listing in recommendation.listings if listing.listed_on)
    known = recommendation.paper.published or min(listed, default=None)
    return day(known) if known else "undated"


def facts(recommendation: Supported) -> str:
    """The day of a paper and where it was listed, in one line that breaks between facts alone."""
    line = " · ".join((dated(recommendation), *badges(recommendation)))
    return _WITHIN_A_FACT.sub("\u00a0", line)


def counts(digest: Digest | Summary) -> tuple[int, tuple[str, ...]]:
    """How many papers there are, and where: `(6, ("Swin 4", "2 by title"))`."""
    if isinstance(digest, Digest):
        sections = [(section.interest, len(section.recommendations)) for section in digest.sections]
        titles = len(digest.overflow)
    else:
        sections = [(section.interest, section.papers) for section in digest.sections]
        titles = digest.overflow
    shown = [f"{shortened(name, _LONGEST_NAME)} {papers}" for name, papers in sections if papers]
    total = sum([papers for _, papers in sections], titles)
    return total, (*shown, *([f"{titles} by title"] if titles else []))


def heartbeat(digest: Digest | Summary) -> str:
    """The digest in one line: "6 papers of 412 · Swin 4 · Talking face 2"."""
    return " · ".join(beats(digest))


def beats(digest: Digest | Summary) -> list[str]:
    """The parts of the heartbeat."""
    total, parts = counts(digest)
    if not total:
        return [f"No new papers among {digest.scanned}" if digest.scanned else "No new papers"]
    return [f"{quantity(total, 'paper')} of {digest.scanned}", *parts]


def tally(row: Row, days: Iterable[date]) -> str:
    """A row of a chart in words: "4 papers: 3 on 19 Nov, 1 on 20 Nov"."""
    found = ", ".join(
        f"{papers} on {short_day(day)}" for papers, day in zip(row.papers, days, strict=True) if papers
    )
    return f"{quantity(row.total, 'paper')}: {found}" if found else "no papers"


def gaps(digest: Digest) -> tuple[SourceReport, ...]:
    """The sources that fell short and have not for the digest before, which would have told it."""
    return tuple(
        report for report in digest.reports if report.fell_short and report.source not in digest.told
    )


def shortfall(report: SourceReport) -> str:
    """How a source fell short: "read in part, 12 papers listed; page 3 was missing"."""
    said = (
        f"could not be read: {shortened(report.error, _LONGEST_NOTE)}"
        if report.error
        else f"read in part, {quantity(report.listed, 'paper')} listed"
    )
    return "; ".join([said, *(shortened(note, _LONGEST_NOTE) for note in report.notes)])


def changes(digest: Digest) -> str:
    """A sentence for each way in which sources fell short, or no longer do; empty if nothing changed.

    A source that fails for several digests is named once, and once again when it is back.
    """
    fresh = gaps(digest)
    back = [report for report in digest.reports if not report.fell_short and report.source in digest.told]
    return " ".join(
        said.format(", ".join(source_label(report.source) for report in reports))
        for said, reports in (
            ("Could not be read: {}.", [report for report in fresh if report.error]),
            ("Read in part: {}.", [report for report in fresh if not report.error]),
            ("What is missing comes when it can be read.", fresh),
            ("Read in full again, with what was missing: {}.", back),
        )
        if reports
    )


def coverage(digest: Digest) -> str:
    """What the digest rests on: "all 3 sources complete · 1 day", "2 of 3 sources complete · 4 days"."""
    parts = []
    if number := len(digest.reports):
        complete = sum(1 for report in digest.reports if not report.fell_short)
        whole = f"{ {1: 'source', 2: 'both sources'}.get(number, f'all {number} sources') } complete"
        parts.append(whole if complete == number else f"{complete} of {quantity(number, 'source')} complete")
    if digest.since is not None:
        parts.append(quantity(max(_days(digest.since, digest.issued_at), 1), "day"))
    return " · ".join(parts)


def catching_up(digest: Digest) -> str:
    """How far a digest reaches back, if that is more than the usual day; else empty."""
    if digest.since is None or not counts(digest)[0]:
        return ""
    days = _days(digest.since, digest.issued_at)
    return f"These {days} days at once, since {day(digest.since)}" if days > 1 else ""


def _days(since: datetime, until: datetime) -> int:
    return round((until - since) / timedelta(days=1))


def waiting(digest: Digest) -> str:
    """How many papers wait for the next digest, in a sentence; empty if none does."""
    number = len(digest.waiting)
    return f"{number} more {'waits' if number == 1 else 'wait'} for the next digest." if number else ""


def too_old(digest: Digest) -> str:
    """How many papers were left out for their age, in a sentence; empty if none was."""
    left_out = quantity(digest.too_old, "more paper")
    return f"{left_out} left out for age (max_age_days)." if digest.too_old else ""


def explained(kind: SectionKind) -> str:
    """What papers have in common that stand together for another reason than an interest."""
    return _KINDS.get(kind, "")


def due(profile: Profile, digest: Digest | Summary) -> datetime:
    """When the digest was due, in the profile's own time zone."""
    return due_in(profile.schedule.timezone if profile.schedule else None, digest.slot)


def due_in(timezone: str | None, slot: datetime) -> datetime:
    """A slot as the clock of a time zone shows it."""
    return slot.astimezone(ZoneInfo(timezone)) if timezone else slot
