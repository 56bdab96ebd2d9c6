"""Where papers are judged: every paper is looked through once, for all profiles at hand.

What a profile is shown of its candidates follows from its interests, and from what a ranker has learned
of them; lessons are kept in the store.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache, reduce
from operator import or_
from typing import Any

from digest.core.board import Board, bits, numbers
from digest.core.match import Findings
from digest.core.model import (
    Judged,
    Judgement,
    Limits,
    Match,
    Need,
    Paper,
    PaperId,
    Profile,
    Progress,
    Recommendation,
    ScorePart,
    StoredPaper,
)
from digest.core.query import CompiledInterest, Term
from digest.core.rank import Corpus, Ranking, corpus, popularity, ranked
from digest.core.rank import weight as weigh
from digest.core.related import Relative, attention, key, need, section
from digest.core.selection import Candidate, Selection, Support, consider, is_too_old, select, supported
from digest.ports import Ranker, Store

_HISTORY = 20_000
"""Papers that rankers learn from, at most: the newest ones, read in some seconds when much has changed."""

_FEWEST = 50
"""Papers that are worth learning from."""

_GROWN = 1.1
"""A lesson is learned again when a tenth more papers are stored than when it was learned."""

_REMEMBERED = 1_000
"""Lessons that are at hand, and what they make of the papers of a day; more would fill the memory."""

_EVIDENCE = 1 << 15
"""Papers with their evidence that are at hand, of about 2 KB."""

_PILES = 16
"""Sets of papers that profiles choose from, at hand at a time."""

_SECOND_LOOK = timedelta(days=30)
"""How long a paper may be passed over and still come back, for the attention that it drew."""

_CORPUS = 1_000
"""Papers that scores are relative to: enough for stable document frequencies, cut in 0.3 s."""


@dataclass(frozen=True, slots=True)
class Relation:
    """How an interest is related to a paper, by what was learned of it."""

    interest: str
    relation: float  # as of `Judged`
    parts: tuple[ScorePart, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """A profile for which a slot has come."""

    profile: Profile
    interests: tuple[CompiledInterest, ...]
    slot: datetime
    before: Progress | None
    judgements: tuple[Judgement, ...]


MakeRanker = Callable[[], Ranker[Any]]
"""Makes the ranker once there is something to learn or to judge: importing numpy takes 0.1 s."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The papers that a digest is made from."""

    waited: tuple[StoredPaper, ...]  # kept by the last digest, in its order
    new: tuple[StoredPaper, ...]  # not considered yet

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.waited) + len(self.new)


class Desk:
    """Where papers are judged: every paper is looked through once, for all profiles."""

    def __init__(self, store: Store, due: Sequence[Due], ranker: MakeRanker) -> None:
        self._store = store
        self._board = Board()
        self._ranked: Ranking | None = None
        self._tutor = _Tutor(store, ranker)
        self._read: tuple[int, Any] = 0, None
        self._item: Due | None = None
        self._lessons: dict[CompiledInterest, str | None] = {}  # of that item
        self._judged = lru_cache(maxsize=_REMEMBERED)(self._judge_read)
        self._piles: dict[int, _Pile] = {}
        self._known: dict[tuple[int, float, tuple[Term, ...]], tuple[Support, Candidate]] = {}
        self._weights: dict[tuple[int, Term], float] = {}
        self.expect(due)

    def expect(self, due: Sequence[Due]) -> None:
        """Get ready for more profiles."""
        self._board.expect(interest for item in due for interest in item.interests)
        self._tutor.meet([one.paper for item in due for one in item.judgements])

    @cached_property
    def corpus(self) -> Corpus:
        """What scores are relative to; not needed on a day without papers."""
        newest = [self._put(stored) for stored in self._store.newest_papers(_CORPUS)]
        return corpus([self._board.findings[number] for number in newest], self._board.counts(newest))

    def _ranking(self, papers: int) -> Ranking:
        """How papers on the board compare; most profiles ask for the same papers."""
        known = 0 if self._ranked is None else self._ranked.papers
        if self._ranked is None or papers & ~known:
            self._ranked = Ranking(self._board, self.corpus, papers | known)
        return self._ranked

    def scan(self, stored: StoredPaper) -> Findings:
        """What stands in a paper."""
        return self._board.findings[self._put(stored)]

    def _put(self, stored: StoredPaper) -> int:
        return self._board.put(stored.paper, stored.listings)

    def select(self, item: Due, candidates: Candidates) -> Selection:
        """What a profile is shown of its candidates; evidence is gathered only for what it may be shown."""
        profile, board = item.profile, self._board
        limits = profile.limits
        pile = self._pile(candidates.new)
        old = 0 if limits.max_age_days is None else pile.too_old(limits, item.slot)
        new = pile.papers & ~old
        wants = [board.wanted(interest) for interest in item.interests]
        wanted = reduce(or_, wants, 0)
        shown: list[Candidate] = []
        if wanted & new:
            shown += [self._wanted(item, wants, number) for number in numbers(wanted & new)]
        others = new & ~wanted
        nearly = [
            (interest, near)
            for interest in item.interests
            if interest.require and (near := board.nearly(interest) & others)
        ]
        if nearly:
            best = self._ranking(new).best(nearly)[: limits.near_misses]
            shown += [self._nearly(nearly, number) for _, number in best]
        waited = self._considered(item, map(self._put, candidates.waited)) if candidates.waited else ()
        selection = select(profile, shown, waited=waited)
        too_old = (wanted & old).bit_count()
        if not (too_old or limits.related or limits.second_look):
            return selection
        related = section("related", self._related(item, others, new), limits.related)
        risen = section("second_look", self._risen(item, candidates), limits.second_look)
        belonging = {one.paper.id for kind in related for one in kind.recommendations}
        return replace(
            selection,
            sections=(*selection.sections, *related, *risen),
            near_misses=tuple(one for one in selection.near_misses if one.paper.id not in belonging),
            too_old=too_old,
        )

    def _pile(self, papers: tuple[StoredPaper, ...]) -> _Pile:
        """Papers as they were put on the board for other profiles, if they were."""
        found = self._piles.get(id(papers))
        if found is None or found.stored is not papers:
            if len(self._piles) >= _PILES:
                self._piles.clear()
            found = _Pile(papers, {self._put(stored): stored for stored in papers})
            self._piles[id(papers)] = found
        return found

    def _wanted(self, item: Due, wants: Sequence[int], number: int) -> Candidate:
        """What `consider` gives for a paper that some interests are known to want."""
        chosen = [one for one, papers in zip(item.interests, wants, strict=True) if papers >> number & 1]
        candidate = self._supported(chosen, number)
        return self._with_lesson(item, candidate)

    def _nearly(self, nearly: Iterable[tuple[CompiledInterest, int]], number: int) -> Candidate:
        """The same where no interest wants it and some want it but for one keyword."""
        chosen = [interest for interest, papers in nearly if papers >> number & 1]
        return self._supported(chosen, number, are_near=True)

    def _supported(
        self, interests: Sequence[CompiledInterest], number: int, *, are_near: bool = False
    ) -> Candidate:
        """The evidence for a paper."""
        supports = []
        for compiled in interests:
            terms = tuple([term for term in compiled.wanted if self._board.standing(term) >> number & 1])
            missing = self._board.lacking(compiled, number) if are_near else ()
            name = compiled.interest.name
            support, candidate = self._evidence(number, compiled.interest.weight, terms)
            supports.append(Support(name, _named(support.matches, name), support.parts, missing))
        if len(supports) > 1:
            return supported(self._board.findings[number], supports)
        found, only = candidate.recommendation, supports[0]
        recommendation = Recommendation(
            found.paper, found.listings, found.score, only.matches, found.parts, only.missing
        )
        return Candidate(recommendation, (only.interest,))

    def _evidence(self, number: int, weight: float, terms: tuple[Term, ...]) -> tuple[Support, Candidate]:
        """What words have to say for a paper, whatever the interest is called: nearly always, it is known."""
        key = number, weight, terms
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _EVIDENCE:
                self._known.clear()
            support = self._support(number, weight, terms)
            found = self._known[key] = support, supported(self._board.findings[number], [support])
        return found

    def _support(self, number: int, weight: float, terms: tuple[Term, ...]) -> Support:
        findings = self._board.findings[number]
        weights = self._weights
        parts: dict[str, float] = {}
        matches: list[Match] = []
        for term in terms:
            value = weights.get((number, term))
            if value is None:
                value = weights[number, term] = weigh(term, findings, self.corpus)
            parts[term.written] = parts.get(term.written, 0.0) + weight * value
            matches += [
                Match("", term.written, name, start, end) for name, start, end in findings.places(term)
            ]
        return Support("", tuple(dict.fromkeys(matches)), ranked(parts))

    def _considered(self, item: Due, some: Iterable[int]) -> Iterator[Candidate]:
        for number in some:
            candidate = self.consider(item, self._board.findings[number])
            if candidate is not None:
                yield candidate

    # --- what is learned ----------------------------------------------------------------------

    @property
    def ranker(self) -> Ranker[Any]:
        """What learns and judges."""
        return self._tutor.ranker

    def lesson(self, item: Due, interest: CompiledInterest) -> str | None:
        """What was learned of an interest; None where nothing is asked, or too little is stored."""
        if not _asks(item):
            return None
        if item is not self._item:
            self._item, self._lessons = item, {}
        if interest not in self._lessons:  # it is asked for with every paper, and judgements may be many
            self._lessons[interest] = self._tutor.lesson(need(interest, item.judgements))
        return self._lessons[interest]

    def consider(self, item: Due, findings: Findings) -> Candidate | None:
        """What a profile makes of a paper that something speaks for, with what was learned of it."""
        candidate = consider(item.interests, findings, self.corpus)
        if candidate is None or candidate.recommendation.missing:
            return candidate
        return self._with_lesson(item, candidate)

    def _with_lesson(self, item: Due, candidate: Candidate) -> Candidate:
        if not _asks(item):
            return candidate
        first = candidate.interests[0]
        interest = next(one for one in item.interests if one.interest.name == first)
        lesson = self.lesson(item, interest)
        if lesson is None:
            return candidate
        found = candidate.recommendation
        added = _weighted(interest, self.ranker.explain(lesson, found.paper, keywords=False), part=_LEARNED)
        why = self.ranker.why(lesson, found.paper, first, keywords=False)
        return replace(candidate, recommendation=_with(found, added, why))

    def relations(self, item: Due, stored: StoredPaper) -> tuple[Relation, ...]:
        """How each interest is related to a paper."""
        paper = 1 << self._put(stored)
        made = []
        for interest in item.interests:
            lesson = self.lesson(item, interest)
            if lesson is not None:
                judged = self._judge(lesson, paper).get(stored.paper.id, Judged(0.0))
                parts = _weighted(interest, self.ranker.explain(lesson, stored.paper, keywords=True))
                made.append(Relation(interest.interest.name, judged.relation, parts))
        return tuple(made)

    def _related(self, item: Due, papers: int, new: int) -> Iterator[Relative]:
        """Those of some new papers that no interest wants and that belong all the same."""
        if not item.profile.limits.related:
            return
        for number, interest, lesson, judged in self._relations(item, papers, new, at_least=1.0):
            yield self._relative(number, interest, lesson, judged)

    def _risen(self, item: Due, candidates: Candidates) -> Iterator[Relative]:
        """Papers that were passed over, though not by much, and have drawn attention since."""
        if item.before is None or not item.profile.limits.second_look:
            return
        risen = self._store.risen(
            item.profile.name,
            before=item.before.revision,
            first_seen=item.slot - _SECOND_LOOK,
            sources=item.profile.sources,
        )
        current = {stored.paper.id for stored in (*candidates.waited, *candidates.new)}
        known = current | {one.paper.id for one in item.judgements}
        papers = bits(
            self._put(stored)
            for stored in risen
            if stored.paper.id not in known and not is_too_old(stored, item.profile.limits, item.slot)
        )
        wanted = reduce(or_, map(self._board.wanted, item.interests), 0) & papers
        for candidate in self._considered(item, numbers(wanted)):
            yield Relative(_noted(candidate.recommendation), math.inf, is_whole=True)
        others = papers & ~wanted
        for number, interest, lesson, judged in self._relations(item, others, papers, at_least=_HALFWAY):
            relative = self._relative(number, interest, lesson, judged)
            yield replace(relative, recommendation=_noted(relative.recommendation))

    def _relations(
        self, item: Due, papers: int, among: int, *, at_least: float
    ) -> Iterator[tuple[int, CompiledInterest, str, Judged]]:
        """The papers that are related to an interest, each with the interest it is related to most.

        They are judged among others that more profiles ask for, so that those are read once for all.
        """
        known = {one.paper.id for one in item.judgements}
        best: dict[int, tuple[float, int, str, Judged]] = {}
        for place, interest in enumerate(item.interests):
            allowed = self._board.allowed(interest) & papers
            lesson = self.lesson(item, interest) if allowed else None
            if lesson is None:
                continue
            judged = self._judge(lesson, among)
            for number in numbers(allowed):
                paper = self._board.findings[number].paper.id
                its = judged.get(paper)  # a ranker may have nothing to say of a paper
                if its is not None and its.relation >= at_least and paper not in known:
                    found = best.get(number)
                    if found is None or its.relation > found[0]:
                        best[number] = its.relation, place, lesson, its
        for number, (_, place, lesson, its) in best.items():
            yield number, item.interests[place], lesson, its

    def _relative(self, number: int, interest: CompiledInterest, lesson: str, judged: Judged) -> Relative:
        findings = self._board.findings[number]
        name = interest.interest.name
        parts = _weighted(interest, self.ranker.explain(lesson, findings.paper, keywords=True))
        why = self.ranker.why(lesson, findings.paper, name, keywords=True)
        if judged.whole:
            why = "; ".join(filter(None, (f"all words of “{judged.whole}”", why)))
        bare = Recommendation(findings.paper, tuple(findings.listings), 0.0, ())
        votes = popularity(findings.listings)
        found = _with(bare, parts if votes is None else (*parts, votes), why)
        return Relative(found, judged.relation, is_whole=bool(judged.whole))

    def _judge(self, lesson: str, papers: int) -> Mapping[PaperId, Judged]:
        """What becomes of some papers, or of more; most profiles ask for the same ones."""
        known, _ = self._read
        if papers & ~known:
            known |= papers
            papers_read = (self._board.findings[number].paper for number in numbers(known))
            self._read = known, self.ranker.read(papers_read)
        return self._judged(lesson, known)

    def _judge_read(self, lesson: str, _known: int) -> Mapping[PaperId, Judged]:
        return self.ranker.judge(lesson, self._read[1])


def _named(matches: Iterable[Match], interest: str) -> tuple[Match, ...]:
    return tuple([Match(interest, *match[1:]) for match in matches])


def _asks(item: Due) -> bool:
    """Whether a profile wants anything of what is learned."""
    return bool(item.profile.limits.related or item.profile.limits.second_look or item.judgements)


class _Pile:
    """Papers on the board that many profiles are shown some of."""

    def __init__(self, stored: tuple[StoredPaper, ...], by_number: Mapping[int, StoredPaper]) -> None:
        self.stored = stored
        self.papers = bits(by_number)
        self._by_number = by_number
        self._old: dict[tuple[int | None, date], int] = {}

    def too_old(self, limits: Limits, slot: datetime) -> int:
        """Those that are too old, as bits."""
        key = limits.max_age_days, slot.date()
        if key not in self._old:
            self._old[key] = bits(
                number for number, stored in self._by_number.items() if is_too_old(stored, limits, slot)
            )
        return self._old[key]


_HALFWAY = 0.5
"""The relation of a paper that was passed over, but not by much."""

_LEARNED = 1 / 3
"""What learned words count beside keywords that match: a ranker counts each of their words and pairs."""


def _weighted(
    interest: CompiledInterest, parts: Iterable[ScorePart], *, part: float = 1.0
) -> tuple[ScorePart, ...]:
    return tuple(ScorePart(one.name, one.value * part * interest.interest.weight) for one in parts)


def _with(found: Recommendation, added: Iterable[ScorePart], why: str) -> Recommendation:
    """A recommendation with more parts to its score."""
    parts = (*found.parts, *added)
    return replace(found, parts=parts, score=sum(part.value for part in parts), note=why)


def _noted(found: Recommendation) -> Recommendation:
    """A recommendation of a paper that drew attention."""
    return replace(found, note=" · ".join(filter(None, (attention(found.listings), found.note))))


class _Tutor:
    """What a ranker has learned of needs; kept in the store until there is more to learn from."""

    def __init__(self, store: Store, make: MakeRanker) -> None:
        self._store = store
        self._judged: list[Paper] = []
        self._make = make
        self._history: Any = None  # papers, as the ranker reads them
        self.lesson = lru_cache(maxsize=_REMEMBERED)(self._lesson)

    @cached_property
    def ranker(self) -> Ranker[Any]:
        """The ranker, once there is something to learn or to judge."""
        return self._make()

    @cached_property
    def _stored(self) -> int:
        return self._store.paper_count()

    def meet(self, judged: Sequence[Paper]) -> None:
        """Take papers into account that somebody has judged."""
        if judged:
            self._judged += judged
            self._history = None

    def _lesson(self, need: Need) -> str | None:
        """What was learned of a need; None when there is nothing to learn, or too little to learn from."""
        if self._stored < _FEWEST or not (need.keywords or need.text or need.liked or need.disliked):
            return None
        name = key(need, self.ranker.version)
        kept = self._store.lesson(name)
        if kept is None or self._stored > kept[0] * _GROWN:
            if self._history is None:
                stored = (one.paper for one in self._store.newest_papers(_HISTORY))
                self._history = self.ranker.read((*self._judged, *stored))
            kept = self._stored, self.ranker.learn(need, self._history)
            # Each like makes another need, and nobody asks for the lesson of the one before.
            self._store.keep_lesson(name, *kept, outdated=int(self._stored / _GROWN))
        return kept[1]
