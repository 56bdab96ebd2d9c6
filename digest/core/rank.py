"""How well a paper answers an interest, as a sum of named parts.

BM25F (Robertson, Zaragoza, Taylor: "Simple BM25 extension to multiple weighted fields", CIKM 2004)
over keywords instead of words: how often a keyword stands in each field, weighted by field and
relative length, saturated per keyword, times how rare the keyword is among stored papers.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from digest.core.board import Board, numbers
from digest.core.match import Findings, Outcome
from digest.core.model import Field, Listing, Paper, ScorePart
from digest.core.query import CompiledInterest, Term

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
    parts: dict[str, float] = defaultdict(float)
    for term in outcome.interest.wanted:
        if findings.places(term):
            parts[term.written] += outcome.interest.interest.weight * weight(term, findings, corpus)
    return ranked(parts)


def ranked(parts: Mapping[str, float]) -> tuple[ScorePart, ...]:
    """The parts of a score by their names, largest first."""
    return tuple(
        [
            ScorePart(name, value)
            for name, value in sorted(parts.items(), key=lambda part: (-part[1], part[0]))
        ]
    )


def weight(term: Term, findings: Findings, corpus: Corpus) -> float:
    """What a term that stands in a paper adds to its score, for an interest of weight 1."""
    frequency = 0.0
    for field, count in Counter(place[0] for place in findings.places(term)).items():
        frequency += FIELD_WEIGHTS.get(field, _OTHER_FIELD) * count / _norm(field, findings, corpus)
    return corpus.rarity(term) * frequency * (_K1 + 1) / (frequency + _K1)


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


class Ranking:
    """Some papers of a board, in the order in which interests want them.

    No evidence is needed for that: what a term adds to a paper's score is the same for all interests.
    """

    def __init__(self, board: Board, corpus: Corpus, papers: int) -> None:
        self.papers = papers  # as bits
        self._board = board
        self._corpus = corpus
        self._votes: dict[int, float] = {}
        self._ties: dict[int, tuple[int, str]] = {}
        for number in numbers(papers):
            found = board.findings[number]
            votes = popularity(found.listings)
            self._votes[number] = 0.0 if votes is None else votes.value
            self._ties[number] = tie(found.paper, found.listings)
        self._weights: dict[Term, Sequence[tuple[int, float]]] = {}

    def best(self, wanted: Iterable[tuple[CompiledInterest, int]]) -> list[tuple[float, int]]:
        """The papers that interests want, given as bits, best first: score and number.

        The score is the sum of the parts that `score` and `popularity` name, up to rounding.
        """
        scores: dict[int, float] = {}
        for interest, papers in wanted:
            weight, terms = interest.interest.weight, interest.wanted
            for term in terms:
                found = self._weights.get(term)
                if found is None:
                    found = self._weights[term] = self._weigh(term)
                for number, value in found:
                    if papers >> number & 1:
                        scores[number] = scores.get(number, 0.0) + weight * value
            if interest.query is not None or not terms:  # a NOT is satisfied by no evidence
                for number in numbers(papers):
                    scores.setdefault(number, 0.0)
        votes, ties = self._votes, self._ties
        ranked = sorted([(-value - votes[number], ties[number], number) for number, value in scores.items()])
        return [(-negative, number) for negative, _, number in ranked]

    def _weigh(self, term: Term) -> Sequence[tuple[int, float]]:
        """What a term adds to the score of each of the papers in which it stands."""
        return [
            (number, weight(term, self._board.findings[number], self._corpus))
            for number in numbers(self._board.standing(term) & self.papers)
        ]


def tie(paper: Paper, listings: Iterable[Listing]) -> tuple[int, str]:
    """What decides between papers of equal score: the place on the page, then the identifier."""
    return min((listing.position for listing in listings), default=0), paper.id
