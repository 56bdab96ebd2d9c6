"""The line.

    collect    every source            → papers and listings in the store
    compose    papers not yet shown    → one Digest per profile and slot, with its deliveries
    dispatch   deliveries that are due → mail, feeds, archive pages

Each step starts and ends in the store, so it can be repeated, run alone, or run elsewhere.
What is decided here is decided by `digest.core`; this module alone alternates it with the world.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial

from digest import publishing
from digest.core import mailbox, slots
from digest.core.match import Matcher, Outcome, evaluate
from digest.core.model import (
    Channel,
    Delivery,
    DeliveryState,
    Digest,
    Interest,
    Listing,
    Made,
    Page,
    PaperId,
    Past,
    Period,
    PlannedDelivery,
    Profile,
    Progress,
    Reading,
    Recommendation,
    Schedule,
    ScorePart,
    SourceReport,
    StoredPaper,
)
from digest.core.query import CompiledInterest, compile_interest
from digest.core.rank import score
from digest.core.selection import Selection
from digest.core.verdict import Verdict, of_appearance, of_selection, why_not
from digest.desk import Candidates, Desk, Due, MakeRanker, Relation
from digest.errors import (
    DigestError,
    FetchError,
    LayoutError,
    PermanentDeliveryError,
    PluginError,
    StoreError,
)
from digest.ports import Fetcher, Mailer, Plan, Publisher, Renderer, Source, Store
from digest.redaction import redacted
from digest.sending import OPEN, Dispatched, WayOut, send, settle

_PATIENCE = timedelta(days=2)
"""How long a source may fail before a digest is made for that alone."""

_UNTIL_SOMETHING_IS_READ = timedelta(hours=12)
"""How long a slot waits for its first source."""

_UNTIL_NOTHING_IS_SAID = timedelta(days=1)
"""How long slots wait so, one after another, until they are composed all the same."""

_AHEAD = timedelta(days=1)
"""A slot further in the future than this was composed by a clock that was wrong."""

_AT_ONCE = 10_000
"""Profiles that are looked at together."""

_WRITTEN_AT_ONCE = 200
"""Profiles that are written in one transaction, with some megabytes of mail."""

_SHELVED = 64
"""Sets of papers that are at hand."""

_KEPT = 4
"""Pages of a source that are at hand when one of them turns out to be unreadable."""


@dataclass(frozen=True, slots=True)
class Composed:
    """What `compose` made for a profile."""

    profile: Profile
    digest: Digest | None  # None: nothing was new
    waits: bool = False  # because nothing could be read for it


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a profile was or was not shown a paper."""

    profile: Profile
    verdict: Verdict
    coming: Verdict | None  # what the next digest would make of it, where that is open
    recommendation: Recommendation | None  # with the score as it would be now; None: nothing speaks for it
    outcomes: tuple[tuple[Outcome, tuple[ScorePart, ...]], ...]  # of each interest
    relations: tuple[Relation, ...] = ()


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
        period = Period(since=store.last_complete(source.name, now) or now - lookback, until=now)
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
        return Collected(SourceReport(source.name, period, complete=False, error=redacted(said)))
    except DigestError as error:
        return Collected(SourceReport(source.name, period, complete=False, error=redacted(str(error))))
    except Exception as error:  # noqa: BLE001 - a plug-in's own mistake must not end the others
        broken = PluginError(
            f"the source broke off with {type(error).__name__}: {error}",
            place=f"{type(source).__module__}:{type(source).__qualname__}",
            remedy="Its author can put that right",
        )
        return Collected(SourceReport(source.name, period, complete=False, error=redacted(str(broken))))
    report = SourceReport(
        source.name,
        replace(period, until=min(period.until, reading.until or period.until)),
        complete=reading.complete,
        listed=len(found),
        notes=tuple(map(redacted, reading.notes)),
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


def compose(
    store: Store,
    profiles: Sequence[Profile],
    mailers: Mapping[Channel, Callable[[], Mailer]],
    ranker: MakeRanker,
    *,
    now: datetime,
    sources: Container[str] | None = None,
    send_empty: bool = False,
) -> Iterator[Composed]:
    """Compose a digest for every profile whose slot has come.

    It speaks of these sources, or of all that were ever read.
    The message of every recipient is finished here and only handed over later, so that a second
    copy, if there must ever be one, has the same bytes. Some profiles at a time are written in one
    transaction, each whole. Raises RenderError before anything of the profile is written, and with
    everything of those before it.
    """
    desk: Desk | None = None
    for start in range(0, len(profiles), _AT_ONCE):
        some = profiles[start : start + _AT_ONCE]
        pasts = store.pasts([profile.name for profile in some])
        due = []
        for profile in some:
            past = _rewound(store, profile, pasts[profile.name], now)
            if (item := _due(profile, past, now)) is not None:
                due.append((item, past))
        if not due:
            continue
        items = [item for item, _ in due]
        if desk is None:
            revision = store.revision()
            desk = Desk(store, items, ranker)
            reports, failing = _reports(store, sources), store.failing_since()
            shelf = _Shelf(store, now)
        else:
            desk.expect(items)
        shelf.expect(due)
        finished: list[tuple[Composed, Made | None]] = []
        try:
            for item, past in due:
                candidates = shelf.candidates(item, past)
                selection = desk.select(item, candidates)
                made = _digest(item, past.told, selection, scanned=candidates.count, reports=reports, now=now)
                has_news = _has_news(item, candidates, selection)
                if not has_news and _may_still_come(item, made, failing):
                    finished.append((Composed(item.profile, None, waits=True), None))
                    continue
                is_wanted = has_news or (_is_first_of_its_day(item) and (send_empty or _fails_for_long(made)))
                digest = made if is_wanted else None
                planned = _plan(item.profile, digest, mailers, past.stopped) if digest else ()
                reached = _reached(item.profile, item.slot, revision)
                finished.append(
                    (Composed(item.profile, digest), Made(item.profile.name, reached, digest, planned))
                )
                if len(finished) >= _WRITTEN_AT_ONCE:
                    written, finished = finished, []
                    yield from _write(store, written)
        except DigestError:
            yield from _write(store, finished)
            raise
        yield from _write(store, finished)


def _write(store: Store, finished: Sequence[tuple[Composed, Made | None]]) -> Iterator[Composed]:
    """Write what was composed; gives what was, without what another process has composed meanwhile."""
    made = [one for _, one in finished if one is not None]
    done = iter(store.save_all(made) if made else ())
    for composed, one in finished:
        if one is None or next(done):
            yield composed


class _Shelf:
    """The papers that profiles have not considered; most of them ask for the same ones."""

    def __init__(self, store: Store, now: datetime) -> None:
        self._store = store
        self._now = now
        self._shown: Mapping[str, Container[PaperId]] = {}
        self._since = lru_cache(maxsize=_SHELVED)(self._papers_since)
        self._first = lru_cache(maxsize=_SHELVED)(self._papers_of)

    def expect(self, due: Sequence[tuple[Due, Past]]) -> None:
        """Get ready for some profiles."""
        before = [item.before.revision for item, _ in due if item.before is not None]
        names = [item.profile.name for item, _ in due if item.before is not None]
        self._shown = self._store.shown(names, revision=min(before)) if before else {}

    def candidates(self, item: Due, past: Past) -> Candidates:
        """The papers that a digest is made from."""
        profile = item.profile
        if item.before is None:
            return Candidates((), self._first(profile.limits.lookback_days, profile.sources))
        waited = self._store.waiting(profile.name, sources=profile.sources) if past.waits else ()
        new = self._since(item.before.revision, profile.sources)
        # The words of what waited or was shown may have changed meanwhile.
        kept = {stored.paper.id for stored in waited}
        if kept or profile.name in self._shown:
            marked = self._shown.get(profile.name, ())
            new = tuple(one for one in new if one.paper.id not in kept and one.paper.id not in marked)
        return Candidates(waited, new)

    def _papers_since(self, revision: int, sources: tuple[str, ...]) -> tuple[StoredPaper, ...]:
        return self._store.papers_since(revision=revision, sources=sources)

    def _papers_of(self, days: int, sources: tuple[str, ...]) -> tuple[StoredPaper, ...]:
        return self._store.papers_since(first_seen=self._now - timedelta(days=days), sources=sources)


def draft(
    store: Store,
    profile: Profile,
    ranker: MakeRanker,
    *,
    now: datetime,
    sources: Container[str] | None = None,
) -> Digest:
    """The digest that a profile would get now; writes nothing but what was learned."""
    item, past = _due_now(store, profile, now)
    candidates = _candidates(store, item, past, now)
    selection = Desk(store, [item], ranker).select(item, candidates)
    reports = _reports(store, sources)
    return _digest(item, past.told, selection, scanned=candidates.count, reports=reports, now=now)


def _reports(store: Store, sources: Container[str] | None) -> Sequence[SourceReport]:
    reports = store.latest_reports()
    return reports if sources is None else [report for report in reports if report.source in sources]


def explain(
    store: Store, profile: Profile, stored: StoredPaper, ranker: MakeRanker, *, now: datetime
) -> Explanation:
    """What a profile makes of a paper, interest by interest, and what came or will come of that."""
    item, past = _due_now(store, profile, now)
    desk = Desk(store, [item], ranker)
    findings = desk.scan(stored)
    outcomes = [evaluate(interest, findings) for interest in item.interests]
    candidate = desk.consider(item, findings)
    candidates = _candidates(store, item, past, now)
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
    item, _ = _due_now(store, profile, now)
    desk = Desk(store, [item], ranker)
    for interest in item.interests:
        lesson = desk.lesson(item, interest)
        yield interest.interest, () if lesson is None else desk.ranker.terms(lesson)


def _is_among(papers: Iterable[StoredPaper], stored: StoredPaper) -> bool:
    return any(one.paper.id == stored.paper.id for one in papers)


def search(store: Store, query: str | None) -> Iterator[StoredPaper]:
    """The stored papers that a query finds, newest first, as they are found. Raises QueryError."""
    if query is None:
        return store.each_paper()
    interest = compile_interest(Interest("search", query=query))
    matcher = Matcher([interest])
    return (
        item
        for item in store.each_paper()
        if evaluate(interest, matcher.scan(item.paper, item.listings)).satisfied
    )


def is_due(store: Store, profile: Profile, now: datetime) -> bool:
    """Whether a slot of the profile has come that was not composed yet."""
    return any_due(store, [profile], now)


def any_due(store: Store, profiles: Sequence[Profile], now: datetime) -> bool:
    """Whether one of any profile has."""
    made = store.all_progress()
    latest = lru_cache(maxsize=None)(partial(_latest, now=now))  # people share schedules
    for profile in profiles:
        before = made.get(profile.name)
        if _is_ahead(profile, before, now) or profile.schedule is None or before is None:
            return True
        slot, local_time = latest(profile.schedule)
        if slot > before.slot and local_time > before.local_time:
            return True
    return False


def _latest(schedule: Schedule, now: datetime) -> tuple[datetime, str]:
    slot = slots.latest(schedule, now)
    return slot, slots.local_time(schedule, slot)


def _is_ahead(profile: Profile, last: Progress | None, now: datetime) -> bool:
    """Whether the last slot was composed by a clock that was wrong; up to a day, it is waited for.

    Without a schedule no slot is waited for, and each is later than the last one, as feeds need it.
    """
    return profile.schedule is not None and last is not None and last.slot > now + _AHEAD


def _reached(profile: Profile, slot: datetime, revision: int) -> Progress:
    local_time = slots.local_time(profile.schedule, slot) if profile.schedule else ""
    return Progress(slot, revision, local_time)


def _rewound(store: Store, profile: Profile, past: Past, now: datetime) -> Past:
    """Let digests go on with the next slot after a clock was far ahead; nothing is shown again."""
    last = past.progress
    if last is None or profile.schedule is None or not _is_ahead(profile, last, now):
        return past
    reached = _reached(profile, slots.latest(profile.schedule, now), last.revision)
    store.rewind(profile.name, reached)
    return replace(past, progress=reached)


def _due(profile: Profile, past: Past, now: datetime) -> Due | None:
    before = past.progress
    if profile.schedule is not None:
        slot = slots.latest(profile.schedule, now)
        if before is not None and not slots.is_later(profile.schedule, slot, before):
            return None
    else:
        # Every run is a slot of its own, also within one second or when the clock was set back.
        slot = now if before is None else max(now, before.slot + timedelta(seconds=1))
    return Due(profile, _compiled(profile), slot, before, past.judgements)


def _due_now(store: Store, profile: Profile, now: datetime) -> tuple[Due, Past]:
    past = store.pasts([profile.name])[profile.name]
    return Due(profile, _compiled(profile), now, past.progress, past.judgements), past


def _compiled(profile: Profile) -> tuple[CompiledInterest, ...]:
    return tuple([compile_interest(interest) for interest in profile.interests])


def _candidates(store: Store, item: Due, past: Past, now: datetime) -> Candidates:
    shelf = _Shelf(store, now)
    shelf.expect([(item, past)])
    return shelf.candidates(item, past)


def _digest(
    item: Due,
    told: Iterable[SourceReport],
    selection: Selection,
    *,
    scanned: int,
    reports: Sequence[SourceReport],
    now: datetime,
) -> Digest:
    profile = item.profile
    own = [report for report in reports if not profile.sources or report.source in profile.sources]
    failed = {report.source for report in own if report.error}
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
        reports=tuple(own),
        told=tuple(
            before.source
            for before in told
            if before.fell_short and (before.error or before.source not in failed)
        ),
    )


def _has_news(item: Due, candidates: Candidates, selection: Selection) -> bool:
    """Whether there is something to show.

    Without a schedule every run is a slot: what waited comes the next day, or with something new, so
    that running again changes nothing.
    """
    if item.profile.schedule is not None or _is_first_of_its_day(item):
        return bool(selection.sections)
    sections = (one for section in selection.sections for one in section.recommendations)
    waited = {stored.paper.id for stored in candidates.waited}
    return any(one.paper.id not in waited for one in (*sections, *selection.overflow, *selection.waiting))


def _fails_for_long(digest: Digest) -> bool:
    """Whether a source has failed for some time and no digest has said so: silence would go on for ever."""
    return any(
        report.fell_short
        and report.source not in digest.told
        and digest.issued_at - report.period.since >= _PATIENCE
        for report in digest.reports
    )


def _may_still_come(item: Due, digest: Digest, failing: Mapping[str, datetime]) -> bool:
    """Whether nothing was read for this slot, as on a machine that has just woken and has no network yet.

    Then the slot stays due for some time, unless it has been so for long. Of a first digest, which has
    come too late for its slot anyway, that is the time for which its sources have failed.
    """
    return (
        item.profile.schedule is not None
        and (item.before is None or digest.issued_at - digest.slot < _UNTIL_SOMETHING_IS_READ)
        and bool(digest.reports)
        and all(
            report.error
            and report.period.until >= digest.slot
            and digest.issued_at - failing[report.source] < _UNTIL_NOTHING_IS_SAID
            for report in digest.reports
        )
    )


def _is_first_of_its_day(item: Due) -> bool:
    """Whether no slot has come today; a second mail that says "nothing new" is a nuisance."""
    return item.before is None or item.before.slot.date() < item.slot.date()


def _plan(
    profile: Profile, digest: Digest, mailers: Mapping[Channel, Callable[[], Mailer]], stopped: Container[str]
) -> list[PlannedDelivery]:
    planned: list[PlannedDelivery] = []
    for channel in profile.channels:
        if channel not in mailers:
            planned.append(PlannedDelivery(channel))
            continue
        recipients: Iterable[str] = profile.webhooks
        if channel == "email":
            by_key = {mailbox.key(recipient): recipient for recipient in profile.recipients}
            recipients = [recipient for key, recipient in by_key.items() if key not in stopped]
        planned += [
            PlannedDelivery(channel, recipient, mailers[channel]().compose(profile, digest, recipient))
            for recipient in recipients
        ]
    return planned


# --- dispatch ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outputs:
    """The ways out, each made when it is first needed."""

    ways: Mapping[Channel, WayOut]  # of messages
    renderers: Mapping[Channel, Callable[[], Renderer]]  # of files
    publisher: Callable[[], Publisher]


def dispatch(
    store: Store, profiles: Sequence[Profile], outputs: Outputs, *, clock: Callable[[], datetime]
) -> Generator[Dispatched]:
    """Hand over everything that is due, and say how each delivery went; it may be left in between."""
    if not store.counts(*OPEN):
        return  # as at most beats of a daemon: the questions below would be half of what a beat costs
    store.recover(clock())
    by_name = {profile.name: profile for profile in profiles}
    for failed in store.listed(DeliveryState.FAILED):
        if failed.channel in outputs.renderers and failed.profile in by_name:
            store.mark(failed.id, DeliveryState.PLANNED)  # whether a disk was mended is seen by writing to it
    yield from _publish(store, by_name, outputs, clock)
    for channel, way in outputs.ways.items():
        yield from send(store, channel, way, clock)


def _publish(
    store: Store, profiles: Mapping[str, Profile], outputs: Outputs, clock: Callable[[], datetime]
) -> Iterator[Dispatched]:
    """Bring a profile's files up to date; they are made from the store, so any number of times."""
    channels = tuple(outputs.renderers)
    fresh: set[tuple[str, Channel]] = set()  # after an outage, many deliveries ask for the same files
    last = 0
    while channels and (delivery := store.claim(channels, clock(), after=last)) is not None:
        last = delivery.id
        yield settle(store, delivery, clock, partial(_refresh, store, delivery, profiles, outputs, fresh))


def _refresh(
    store: Store,
    delivery: Delivery,
    profiles: Mapping[str, Profile],
    outputs: Outputs,
    fresh: set[tuple[str, Channel]],
) -> None:
    profile, files = profiles.get(delivery.profile), (delivery.profile, delivery.channel)
    if profile is None:
        raise PermanentDeliveryError(f"the profile {delivery.profile!r} is no longer configured")
    if files not in fresh:
        renderer = outputs.renderers[delivery.channel]()
        publishing.refresh(store, profile, delivery.channel, renderer, outputs.publisher())
        fresh.add(files)
