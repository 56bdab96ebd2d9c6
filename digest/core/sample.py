"""A digest in which a template finds something of everything, to see whether it can be filled in."""

from __future__ import annotations

from dataclasses import replace

from digest.core.model import (
    Digest,
    Listing,
    Match,
    Paper,
    PaperId,
    Period,
    Recommendation,
    Section,
    SourceReport,
)


def with_everything(digest: Digest) -> Digest:
    """The digest with something in each part of it that a template may show."""
    paper = Paper(
        PaperId("title:sample"), "A sample", "Of an abstract.", ("A. Author",), url="https://a.example"
    )
    item = Recommendation(
        paper,
        (Listing(paper, "sample", None, 0, upvotes=1, comments=1),),
        score=1.0,
        matches=(Match("One", "sample", "title", 2, 8), Match("Two", "sample", "title", 2, 8)),
        missing=("a word",),
        note="a reason",
    )
    period = Period(digest.issued_at, digest.issued_at)
    return replace(
        digest,
        sections=(*digest.sections, Section("One", (item,)), Section("Related", (item,), "related")),
        overflow=(*digest.overflow, item),
        waiting=(item,),
        near_misses=(item,),
        too_old=1,
        reports=(
            SourceReport("one", period, complete=False, error="no answer", notes=("a note",)),
            SourceReport("two", period, complete=False),
        ),
        told=(),
    )
