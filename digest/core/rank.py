"""How well a paper answers an interest, as a sum of named parts.

BM25F (Robertson, Zaragoza, Taylor: "Simple BM25 extension to multiple weighted fields", CIKM 2004)
over keywords instead of words: how often a keyword stands in each field, weighted by field and
relative length, saturated per keyword, times how rare the keyword is among stored papers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from digest.core.match import Findings, Outcome
from digest.core.model import Field, Listing, ScorePart
from digest.core.query import Term

FIELD_WEIGHTS: Mapping[Field, float] = {"title": 3.0, "abstract": 1.0}
_OTHER_FIELD = 1.0
_K1 = 1.2  # how soon repetition stops counting; the usual value
_B: Mapping[Field, float] = {"title": 0.3, "abstract": 0.75}  # a title's length says little
_UPVOTES = 0.1  # per doubling: 64 upvotes add 0.6, less than a keyword in a title


@dataclass(frozen=True, slots=True)
class Corpus:
    """Statistics of the stored papers that scores are relative to."""

    papers: int
    containing: Mapping[Term, int]  # papers in which a term stands
    average_length: Mapping[Field, float]  # in words

    def rarity(self, term: Term) -> float:
        """Inverse document frequency, never negative (Lucene's form)."""
        n = self.containing.get(term, 0)
        return math.log(1 + (self.papers - n + 0.5) / (n + 0.5))


def corpus(findings: Sequence[Findings], containing: Mapping[Term, int]) -> Corpus:
    """Statistics of papers, and in how many of them each term stands."""
    return Corpus(
        papers=len(findings),
        containing=containing,
        average_length={
            field: sum(found.length(field) for found in findings) / max(1, len(findings))
            for field in FIELD_WEIGHTS
        },
    )


def score(outcome: Outcome, findings: Findings, corpus: Corpus) -> tuple[ScorePart, ...]:
    """The parts of a paper's score for one interest, largest first."""
    interest = outcome.interest
    matched = {match.keyword for match in outcome.matches}
    parts: dict[str, float] = {}
    for term in interest.terms:
        if term.written not in matched or term.written in parts:
            continue
        frequency = 0.0
        for field, count in Counter(place[0] for place in findings.places(term)).items():
            frequency += FIELD_WEIGHTS.get(field, _OTHER_FIELD) * count / _norm(field, findings, corpus)
        saturated = frequency * (_K1 + 1) / (frequency + _K1)
        parts[term.written] = interest.interest.weight * corpus.rarity(term) * saturated
    return tuple(
        ScorePart(name, value) for name, value in sorted(parts.items(), key=lambda part: (-part[1], part[0]))
    )


def popularity(listings: Iterable[Listing]) -> ScorePart | None:
    """A small part for readers' votes, so that of two equal papers the livelier comes first."""
    upvotes = max((listing.upvotes or 0 for listing in listings), default=0)
    return ScorePart("upvotes", _UPVOTES * math.log2(1 + upvotes)) if upvotes > 0 else None


def _norm(field: Field, findings: Findings, corpus: Corpus) -> float:
    average = corpus.average_length.get(field)
    if not average:
        return 1.0
    b = _B[field]
    return 1 - b + b * findings.length(field) / average
