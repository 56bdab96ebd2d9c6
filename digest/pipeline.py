"""The line.

    collect    every source            → papers and listings in the store
    compose    papers not yet shown    → one Digest per profile and slot, with its deliveries
    dispatch   deliveries that are due → mail, feeds, archive pages

Each step starts and ends in the store, so it can be repeated, run alone, or run elsewhere.
What is decided here is decided by `digest.core`; this module alone alternates it with the world.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, partial, reduce
from operator import or_
from typing import Any

from digest.core import slots
from digest.core.backoff import wait
from digest.core.board import Board, bits, numbers
from digest.core.match import Findings, Matcher, Outcome, evaluate
from digest.core.model import (
    Artifact,
    Channel,
    Delivery,
    DeliveryState,
    Digest,
    Interest,
    Judged,
    Judgement,
    Listing,
    Need,
    Page,
    Paper,
    PaperId,
    Period,
    PlannedDelivery,
    Profile,
    Progress,
    Reading,
    Recommendation,
    ScorePart,
    SourceReport,
    StoredPaper,
)
from digest.core.query import CompiledInterest, compile_interest
from digest.core.rank import Corpus, Ranking, corpus, popularity, score
from digest.core.related import Relative, attention, key, need, section
from digest.core.selection import Candidate, Selection, consider, is_too_old, select
from digest.core.verdict import Verdict, of_appearance, of_selection, why_not
from digest.errors import (
    ConfigError,
    CredentialError,
    DigestError,
    FetchError,
    LayoutError,
    PermanentDeliveryError,
    PluginError,
    RefusedByServerError,
    RenderError,
    StoreError,
    TransientDeliveryError,
    UncertainDeliveryError,
)
from digest.ports import Deliverer, Fetcher, Mailer, Plan, Publisher, Ranker, Renderer, Source, Store

_KEPT = 4
"""Pages of a source that are at hand when one of them turns out to be unreadable."""

_HISTORY = 20_000
"""Papers that rankers learn from, at most: the newest ones, read in about 4 s when much has changed."""

_FEWEST = 50
"""Papers that are worth learning from."""

_GROWN = 1.1
"""A lesson is learned again when a tenth more papers are stored than when it was learned."""

_SECOND_LOOK = timedelta(days=30)
"""How long a paper may be passed over and still come back, for the attention that it drew."""

_CORPUS = 1_000
"""Papers that scores are relative to: enough for stable document frequencies, cut in 0.3 s."""


@dataclass(frozen=True, slots=True)
class Composed:
    """What `compose` made for a profile."""

    profile: Profile
    digest: Digest | None  # None: nothing was new


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a profile was or was not shown a paper."""

    profile: Profile
    verdict: Verdict
    coming: Verdict | None  # what the next digest would make of it, where that is open
    recommendation: Recommendation | None  # with the score as it would be now; None: nothing speaks for it
    outcomes: tuple[tuple[Outcome, tuple[ScorePart, ...]], ...]  # of each interest
    relations: tuple[Relation, ...] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """How an interest is related to a paper, by what was learned of it."""

    interest: str
    relation: float  # as of `Judged`
    parts: tuple[ScorePart, ...]


@dataclass(frozen=True, slots=True)
class Dispatched:
    """How one delivery went."""

    delivery: Delivery
    state: DeliveryState
    error: DigestError | None = None


# --- collect ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Collected:
    """What reading one source gave."""

    report: SourceReport
    found: tuple[Listing, ...] = ()
    read: tuple[Page, ...] = ()  # without content: their validators


Parallel = Callable[[Callable[[Source], Collected], Sequence[Source]], Iterator[Collected]]
"""Reads sources with a function, one after another or side by side; results in the order of sources."""


def collect(
    store: Store,
    sources: Sequence[Source],
    fetcher: Fetcher,
    *,
    now: datetime,
    lookback: timedelta,
    keep: Callable[[str, Page], str | None],
    parallel: Parallel = map,
) -> Iterator[SourceReport]:
    """Read every source since its last success; each report is final when it comes, in the order of sources.

    A source that fails is reported and the others go on.
    `keep` puts a page aside that could not be read, and gives the place; `parallel` is how sources are
    read side by side.
    """

    def read(source: Source) -> Collected:
        period = Period(since=store.last_complete(source.name) or now - lookback, until=now)
        return _collect(source, period, fetcher, store, keep)

    for collected in parallel(read, sources):
        yield store.add(collected.found, collected.read, collected.report)


def _collect(
    source: Source, period: Period, fetcher: Fetcher, store: Store, keep: Callable[[str, Page], str | None]
) -> Collected:
    talk = _Conversation(source.name, fetcher, store, now=period.until)
    try:
        reading = talk.carry(source.collect(period))
        found = tuple(replace(listing, source=source.name) for listing in reading.listings)
    except StoreError:
        raise
    except LayoutError as error:
        page = talk.page_at(error.place)
        where = keep(source.name, page) if page else None
        said = f"{str(error).rstrip('.')}. The page is kept in {where}" if where else str(error)
        return Collected(SourceReport(source.name, period, complete=False, error=said))
    except DigestError as error:
        return Collected(SourceReport(source.name, period, complete=False, error=str(error)))
    except Exception as error:  # noqa: BLE001 - a plug-in's own mistake must not end the others
        broken = PluginError(
            f"the source broke off with {type(error).__name__}: {error}",
            place=f"{type(source).__module__}:{type(source).__qualname__}",
            remedy="Its author can put that right",
        )
        return Collected(SourceReport(source.name, period, complete=False, error=str(broken)))
    report = SourceReport(
        source.name,
        replace(period, until=min(period.until, reading.until or period.until)),
        complete=reading.complete,
        listed=len(found),
        notes=reading.notes,
    )
    # What could not be read today is asked for again, and so is everything around it.
    return Collected(report, found, tuple(talk.read) if reading.complete else ())


class _Conversation:
    """A source asks, and is given pages."""

    def __init__(self, source: str, fetcher: Fetcher, store: Store, *, now: datetime) -> None:
        self._source = source
        self._fetcher = fetcher
        self._store = store
        self._now = now
        self._last: deque[Page] = deque(maxlen=_KEPT)
        self.read: list[Page] = []

    def carry(self, plan: Plan) -> Reading:
        """Carry it to its end."""
        try:
            request = next(plan)
            while True:
                try:
                    page = self._fetcher.fetch(
                        self._store.with_validators(self._source, request), now=self._now
                    )
                except FetchError as error:
                    request = plan.throw(error)
                else:
                    if page is not None:
                        self._last.append(page)
                        # It may have been redirected.
                        self.read.append(replace(page, url=request.url, content=b""))
                    request = plan.send(page)
        except StopIteration as end:
            reading: Reading = end.value
            return reading

    def page_at(self, place: str | None) -> Page | None:
        """The page that an error speaks of, or the last one; None for a file, which is there already."""
        pages = [page for page in self._last if not page.url.startswith("file:")]
        return next((page for page in pages if page.url == place), pages[-1] if pages else None)


# --- compose ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Due:
    """A profile for which a slot has come."""

    profile: Profile
    interests: tuple[CompiledInterest, ...]
    slot: datetime
    before: Progress | None
    judgements: tuple[Judgement, ...]


MakeRanker = Callable[[], Ranker[Any]]


def compose(
    store: Store,
    profiles: Sequence[Profile],
    mailer: Callable[[], Mailer],
    ranker: MakeRanker,
    *,
    now: datetime,
    send_empty: bool = False,
) -> Iterator[Composed]:
    """Compose a digest for every profile whose slot has come, each in one transaction.

    The message of every recipient is finished here and only handed over later, so that a second
    copy, if there must ever be one, has the same bytes. Raises RenderError before anything of the
    profile is written.
    """
    due = [item for profile in profiles if (item := _due(store, profile, now)) is not None]
    if not due:
        return
    revision = store.revision()
    desk = _Desk(store, due, ranker)
    reports = store.latest_reports()
    for item in due:
        candidates = _candidates(store, item, now)
        selection = desk.select(item, candidates)
        digest: Digest | None = None
        if _has_news(item, candidates, selection) or (send_empty and _is_first_of_its_day(item)):
            digest = _digest(item, selection, scanned=candidates.count, reports=reports, now=now)
        planned = _plan(item.profile, digest, mailer) if digest else ()
        if store.save(item.profile.name, Progress(item.slot, revision), digest, planned):
            yield Composed(item.profile, digest)


def draft(store: Store, profile: Profile, ranker: MakeRanker, *, now: datetime) -> Digest:
    """The digest that a profile would get now; writes nothing but what was learned."""
    item = _due_now(store, profile, now)
    candidates = _candidates(store, item, now)
    selection = _Desk(store, [item], ranker).select(item, candidates)
    return _digest(item, selection, scanned=candidates.count, reports=store.latest_reports(), now=now)


def explain(
    store: Store, profile: Profile, stored: StoredPaper, ranker: MakeRanker, *, now: datetime
) -> Explanation:
    """What a profile makes of a paper, interest by interest, and what came or will come of that."""
    item = _due_now(store, profile, now)
    desk = _Desk(store, [item], ranker)
    findings = desk.scan(stored)
    outcomes = [evaluate(interest, findings) for interest in item.interests]
    candidate = desk.consider(item, findings)
    candidates = _candidates(store, item, now)
    appearances = store.appearances(profile.name, stored.paper.id)
    coming: Verdict | None = None
    final = next((one for one in appearances if one.kind not in {"waiting", "near_miss"}), None)
    if final is not None:
        verdict = of_appearance(final)
    elif _is_among(candidates.waited, stored):
        verdict = of_appearance(appearances[0])
        coming = of_selection(desk.select(item, candidates), profile, stored, candidate, now)
    elif _is_among(candidates.new, stored):
        verdict = Verdict("pending")
        coming = of_selection(desk.select(item, candidates), profile, stored, candidate, now)
    elif profile.sources and not any(listing.source in profile.sources for listing in stored.listings):
        verdict = Verdict("other_sources")
    elif item.before is None:
        verdict = Verdict("before_lookback")
    elif appearances and appearances[0].kind == "near_miss":
        verdict = of_appearance(appearances[0])
    else:
        # When it was considered is not kept, but that was not before it came.
        verdict = why_not(profile, stored, candidate, stored.first_seen)
        risen = of_selection(desk.select(item, candidates), profile, stored, candidate, now)
        coming = risen if risen.state == "shown" else None  # for a second look
    return Explanation(
        profile=profile,
        verdict=verdict,
        coming=coming,
        recommendation=None if candidate is None else candidate.recommendation,
        outcomes=tuple((outcome, score(outcome, findings, desk.corpus)) for outcome in outcomes),
        relations=desk.relations(item, stored),
    )


def learned(
    store: Store, profile: Profile, ranker: MakeRanker, *, now: datetime
) -> Iterator[tuple[Interest, Sequence[tuple[str, float, str]]]]:
    """The words that were learned of each interest of a profile, what they count, and where from."""
    item = _due_now(store, profile, now)
    desk = _Desk(store, [item], ranker)
    for interest in item.interests:
        lesson = desk.lesson(item, interest)
        yield interest.interest, () if lesson is None else desk.ranker.terms(lesson)


def _is_among(papers: Iterable[StoredPaper], stored: StoredPaper) -> bool:
    return any(one.paper.id == stored.paper.id for one in papers)


def search(store: Store, query: str | None) -> tuple[StoredPaper, ...]:
    """The stored papers that a query finds, newest first. Raises QueryError."""
    stored = store.papers_since()[::-1]
    if query is None:
        return stored
    interest = compile_interest(Interest("search", query=query))
    matcher = Matcher([interest])
    return tuple(
        item for item in stored if evaluate(interest, matcher.scan(item.paper, item.listings)).satisfied
    )


def is_due(store: Store, profile: Profile, now: datetime) -> bool:
    """Whether a slot of the profile has come that was not composed yet."""
    return _due(store, profile, now) is not None


def _due(store: Store, profile: Profile, now: datetime) -> _Due | None:
    before = store.progress(profile.name)
    if profile.schedule is not None:
        slot = slots.latest(profile.schedule, now)
        if before is not None and before.slot >= slot:
            return None
    else:
        # Every run is a slot of its own, also within one second or when the clock was set back.
        slot = now if before is None else max(now, before.slot + timedelta(seconds=1))
    return _Due(profile, _compiled(profile), slot, before, store.judgements(profile.name))


def _due_now(store: Store, profile: Profile, now: datetime) -> _Due:
    before = store.progress(profile.name)
    return _Due(profile, _compiled(profile), now, before, store.judgements(profile.name))


def _compiled(profile: Profile) -> tuple[CompiledInterest, ...]:
    return tuple(compile_interest(interest) for interest in profile.interests)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The papers that a digest is made from."""

    waited: tuple[StoredPaper, ...]  # kept by the last digest, in its order
    new: tuple[StoredPaper, ...]  # not considered yet

    @property
    def count(self) -> int:
        return len(self.waited) + len(self.new)


def _candidates(store: Store, item: _Due, now: datetime) -> _Candidates:
    profile = item.profile
    if item.before is None:
        first_seen = now - timedelta(days=profile.limits.lookback_days)
        return _Candidates((), store.papers_since(first_seen=first_seen, sources=profile.sources))
    waited = store.waiting(profile.name, sources=profile.sources)
    new = store.papers_since(
        revision=item.before.revision, sources=profile.sources, not_shown_to=profile.name
    )
    # Its words may have changed while it waited.
    kept = {stored.paper.id for stored in waited}
    return _Candidates(waited, tuple(stored for stored in new if stored.paper.id not in kept))


class _Desk:
    """Where papers are judged: every paper is looked through once, for all profiles."""

    def __init__(self, store: Store, due: Sequence[_Due], ranker: MakeRanker) -> None:
        self._store = store
        self._board = Board([interest for item in due for interest in item.interests])
        self._ranked: Ranking | None = None
        self._tutor = _Tutor(store, [one.paper for item in due for one in item.judgements], ranker)
        self._read: tuple[int, Any] = 0, None
        self._judged: dict[tuple[str, int], Mapping[PaperId, Judged]] = {}

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

    def select(self, item: _Due, candidates: _Candidates) -> Selection:
        """What a profile is shown of its candidates; evidence is gathered only for what it may be shown."""
        limits, board = item.profile.limits, self._board
        waited = [self._put(stored) for stored in candidates.waited]
        papers = {self._put(stored): stored for stored in candidates.new}
        old = bits(number for number, stored in papers.items() if is_too_old(stored, limits, item.slot))
        new = bits(papers) & ~old
        wanted = reduce(or_, map(board.wanted, item.interests), 0)
        nearly = [(interest, board.nearly(interest) & new & ~wanted) for interest in item.interests]
        best = self._ranking(new).best(nearly) if any(some for _, some in nearly) else []

        shown = [*numbers(wanted & new), *(number for _, number in best[: limits.near_misses])]
        selection = select(item.profile, self._considered(item, shown), waited=self._considered(item, waited))
        related = section("related", self._related(item, new & ~wanted), limits.related)
        risen = section("second_look", self._risen(item, candidates), limits.second_look)
        belonging = {one.paper.id for kind in related for one in kind.recommendations}
        return replace(
            selection,
            sections=(*selection.sections, *related, *risen),
            near_misses=tuple(one for one in selection.near_misses if one.paper.id not in belonging),
            too_old=(wanted & old).bit_count(),
        )

    def _considered(self, item: _Due, some: Iterable[int]) -> Iterator[Candidate]:
        for number in some:
            candidate = self.consider(item, self._board.findings[number])
            if candidate is not None:
                yield candidate

    # --- what is learned ----------------------------------------------------------------------

    @property
    def ranker(self) -> Ranker[Any]:
        """What learns and judges."""
        return self._tutor.ranker

    def lesson(self, item: _Due, interest: CompiledInterest) -> str | None:
        """What was learned of an interest; None where nothing is asked, or too little is stored."""
        limits = item.profile.limits
        if not (limits.related or limits.second_look or item.judgements):
            return None
        return self._tutor.lesson(need(interest, item.judgements))

    def consider(self, item: _Due, findings: Findings) -> Candidate | None:
        """What a profile makes of a paper that something speaks for, with what was learned of it."""
        candidate = consider(item.interests, findings, self.corpus)
        if candidate is None or candidate.recommendation.missing:
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

    def relations(self, item: _Due, stored: StoredPaper) -> tuple[Relation, ...]:
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

    def _related(self, item: _Due, papers: int) -> Iterator[Relative]:
        """Those of some papers that no interest wants and that belong all the same."""
        if not item.profile.limits.related:
            return
        for number, interest, lesson, judged in self._relations(item, papers, at_least=1.0):
            yield self._relative(number, interest, lesson, judged)

    def _risen(self, item: _Due, candidates: _Candidates) -> Iterator[Relative]:
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
        for number, interest, lesson, judged in self._relations(item, papers & ~wanted, at_least=_HALFWAY):
            relative = self._relative(number, interest, lesson, judged)
            yield replace(relative, recommendation=_noted(relative.recommendation))

    def _relations(
        self, item: _Due, papers: int, *, at_least: float
    ) -> Iterator[tuple[int, CompiledInterest, str, Judged]]:
        """The papers that are related to an interest, each with the interest it is related to most."""
        known = {one.paper.id for one in item.judgements}
        best: dict[int, tuple[float, int, str, Judged]] = {}
        for place, interest in enumerate(item.interests):
            allowed = self._board.allowed(interest) & papers
            lesson = self.lesson(item, interest) if allowed else None
            if lesson is None:
                continue
            judged = self._judge(lesson, papers)
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
        known, read = self._read
        if papers & ~known:
            known |= papers
            read = self.ranker.read(self._board.findings[number].paper for number in numbers(known))
            self._read = known, read
        judged = self._judged.get((lesson, known))
        if judged is None:
            if len(self._judged) >= _REMEMBERED:
                self._judged.clear()
            judged = self._judged[lesson, known] = self.ranker.judge(lesson, read)
        return judged


_REMEMBERED = 1_000
"""Lessons that are at hand, and what they make of the papers of a day: about 0.1 GB."""

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

    def __init__(self, store: Store, judged: Sequence[Paper], make: MakeRanker) -> None:
        self._store = store
        self._judged = judged
        self._make = make
        self._lessons: dict[str, str | None] = {}

    @cached_property
    def ranker(self) -> Ranker[Any]:
        """The ranker, once there is something to learn or to judge."""
        return self._make()

    @cached_property
    def _stored(self) -> int:
        return self._store.paper_count()

    @cached_property
    def _history(self) -> Any:  # noqa: ANN401 - the ranker's own view of papers
        stored = (one.paper for one in self._store.newest_papers(_HISTORY))
        return self.ranker.read((*self._judged, *stored))

    def lesson(self, need: Need) -> str | None:
        """What was learned of a need; None when there is nothing to learn, or too little to learn from."""
        if self._stored < _FEWEST or not (need.keywords or need.text or need.liked or need.disliked):
            return None
        name = key(need, self.ranker.version)
        if name not in self._lessons:
            if len(self._lessons) >= _REMEMBERED:
                self._lessons.clear()
            kept = self._store.lesson(name)
            if kept is None or self._stored > kept[0] * _GROWN:
                kept = self._stored, self.ranker.learn(need, self._history)
                self._store.keep_lesson(name, *kept)
            self._lessons[name] = kept[1]
        return self._lessons[name]


def _digest(
    item: _Due, selection: Selection, *, scanned: int, reports: Sequence[SourceReport], now: datetime
) -> Digest:
    profile = item.profile
    return Digest(
        id=f"{profile.name}-{item.slot:%Y%m%dT%H%M%SZ}",
        profile=profile.name,
        title=profile.title,
        slot=item.slot,
        issued_at=now,
        since=None if item.before is None else item.before.slot,
        scanned=scanned,
        sections=selection.sections,
        overflow=selection.overflow,
        waiting=selection.waiting,
        near_misses=selection.near_misses,
        too_old=selection.too_old,
        reports=tuple(
            report for report in reports if not profile.sources or report.source in profile.sources
        ),
    )


def _has_news(item: _Due, candidates: _Candidates, selection: Selection) -> bool:
    """Whether there is something to show.

    Without a schedule every run is a slot: what waited comes the next day, or with something new, so
    that running again changes nothing.
    """
    if item.profile.schedule is not None or _is_first_of_its_day(item):
        return bool(selection.sections)
    sections = (one for section in selection.sections for one in section.recommendations)
    waited = {stored.paper.id for stored in candidates.waited}
    return any(one.paper.id not in waited for one in (*sections, *selection.overflow, *selection.waiting))


def _is_first_of_its_day(item: _Due) -> bool:
    """Whether no slot has come today; a second mail that says "nothing new" is a nuisance."""
    return item.before is None or item.before.slot.date() < item.slot.date()


def _plan(profile: Profile, digest: Digest, mailer: Callable[[], Mailer]) -> list[PlannedDelivery]:
    planned: list[PlannedDelivery] = []
    for channel in profile.channels:
        if channel != "email":
            planned.append(PlannedDelivery(channel))
        else:
            planned += [
                PlannedDelivery(channel, recipient, mailer().compose(profile, digest, recipient))
                for recipient in profile.recipients
            ]
    return planned


# --- dispatch ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outputs:
    """The ways out, each made when it is first needed."""

    deliverer: Callable[[], Deliverer] | None  # None: no mail server is configured
    renderers: Mapping[Channel, Callable[[], Renderer]]
    publisher: Callable[[], Publisher]


_OF_THE_SERVER = (RefusedByServerError, CredentialError, ConfigError)
"""What has nothing to do with the message that happened to meet it."""


def dispatch(
    store: Store, profiles: Sequence[Profile], outputs: Outputs, *, now: datetime, resend_uncertain: bool
) -> Iterator[Dispatched]:
    """Hand over everything that is due, and say how each delivery went."""
    store.recover()
    if resend_uncertain:
        store.resend_uncertain()
    by_name = {profile.name: profile for profile in profiles}
    yield from _publish(store, by_name, outputs, now)
    if outputs.deliverer is not None:
        yield from _send(store, outputs.deliverer, now)


def _send(store: Store, make: Callable[[], Deliverer], now: datetime) -> Iterator[Dispatched]:
    with ExitStack() as stack:
        deliverer: Deliverer | None = None
        while (delivery := store.claim(("email",), now)) is not None:
            if deliverer is None:
                deliverer = make()
                stack.callback(deliverer.close)
            done = _settle(store, delivery, now, partial(_hand_over, store, delivery, deliverer))
            yield done
            if isinstance(done.error, _OF_THE_SERVER):
                return  # every other message would fare the same


def _hand_over(store: Store, delivery: Delivery, deliverer: Deliverer) -> None:
    deliverer.deliver(
        delivery.message or b"",
        delivery.recipient,
        handing_over=lambda: store.mark(delivery.id, DeliveryState.HANDING_OVER),
    )


def _publish(
    store: Store, profiles: Mapping[str, Profile], outputs: Outputs, now: datetime
) -> Iterator[Dispatched]:
    """Bring a profile's files up to date; they are made from the store, so any number of times."""
    channels = tuple(outputs.renderers)
    while channels and (delivery := store.claim(channels, now)) is not None:
        yield _settle(store, delivery, now, partial(_refresh, store, delivery, profiles, outputs))


def _refresh(store: Store, delivery: Delivery, profiles: Mapping[str, Profile], outputs: Outputs) -> None:
    profile = profiles.get(delivery.profile)
    if profile is None:
        raise PermanentDeliveryError(f"the profile {delivery.profile!r} is no longer configured")
    folder = f"{delivery.channel}/{profile.name}"
    artifacts = outputs.renderers[delivery.channel]().render(profile, store.digests(profile.name))
    outputs.publisher().publish(
        Artifact(f"{folder}/{artifact.path}", artifact.content) for artifact in artifacts
    )


def _settle(store: Store, delivery: Delivery, now: datetime, act: Callable[[], None]) -> Dispatched:
    """Do it, and write down how it went."""
    state, not_before = DeliveryState.SENT, None
    error: DigestError | None = None
    try:
        act()
    except UncertainDeliveryError as lost:
        state, error = DeliveryState.UNCERTAIN, lost
    except TransientDeliveryError as later:
        error = later
        pause = wait(delivery.attempts, f"{delivery.digest}/{delivery.recipient}")
        state = DeliveryState.FAILED if pause is None else DeliveryState.DEFERRED
        not_before = None if pause is None else now + pause
    except _OF_THE_SERVER as waits:
        state, error = DeliveryState.DEFERRED, waits  # until the next run, when somebody may have mended it
    except RenderError as waits:
        state, error, not_before = DeliveryState.DEFERRED, waits, now + timedelta(seconds=1)  # likewise
    except DigestError as refused:
        state, error = DeliveryState.FAILED, refused
    store.mark(delivery.id, state, error=None if error is None else str(error), not_before=not_before)
    return Dispatched(delivery, state, error)
