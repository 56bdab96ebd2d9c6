"""The line from sources to deliveries, with small working fakes at both ends and the real store between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime, time
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from world import DAY, HOUR, NOON, ListSource, Shelf, digests_of, listings, paper, profile, report

from digest import pipeline
from digest.core.model import (
    Artifact,
    Channel,
    Delivery,
    DeliveryState,
    Digest,
    Interest,
    Limits,
    Opinion,
    Page,
    Period,
    Profile,
    Reading,
    Request,
    Schedule,
    SourceReport,
)
from digest.core.relevance import Words
from digest.core.shelf import Shelf as DigestShelf
from digest.core.verdict import Verdict
from digest.errors import (
    ConfigError,
    CredentialError,
    DeliveryError,
    FetchError,
    LayoutError,
    PermanentDeliveryError,
    RefusedByServerError,
    RenderError,
    StoreError,
    TransientDeliveryError,
    UncertainDeliveryError,
    UnreachableError,
)
from digest.ports import Fetcher, Plan, Source
from digest.sending import Dispatched, Pace, WayOut
from digest.store.store import Store

WEEK = 7 * DAY


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path}/digest.db")
    yield opened
    opened.close()


class Letters:
    """Composes a message that says what is in it."""

    def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        titles = ", ".join(item.paper.title for item in digest.recommendations)
        return f"{digest.id} to {recipient}: {titles}".encode()


class Lists:
    """Renders the ids of all digests of a profile into one file."""

    def render(self, profile: Profile, shelf: DigestShelf) -> Iterable[Artifact]:
        yield Artifact("list.txt", "\n".join(summary.id for summary in shelf.summaries).encode())


class Wall:
    """Publishes into memory."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def publish(self, artifacts: Iterable[Artifact]) -> int:
        before = dict(self.files)
        self.files |= {artifact.path: artifact.content for artifact in artifacts}
        return len(self.files) - len(before)

    def published(self, folder: str) -> frozenset[str]:
        return frozenset(path.removeprefix(f"{folder}/") for path in self.files if path.startswith(folder))

    def folders(self, folder: str) -> frozenset[str]:
        return frozenset(name.partition("/")[0] for name in self.published(folder) if "/" in name)

    def read(self, path: str) -> bytes:
        return self.files.get(path, b"")


class Postman:
    """Delivers into memory, or fails as told, before or after the moment of handing over."""

    def __init__(self, *failures: DeliveryError | ConfigError | CredentialError | None) -> None:
        self.failures = list(failures)
        self.delivered: list[tuple[str, bytes]] = []
        self.closed = 0

    def deliver(self, message: bytes, recipient: str, *, handing_over: Callable[[], None]) -> None:
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None and not isinstance(failure, UncertainDeliveryError):
            raise failure
        handing_over()
        if failure is not None:
            raise failure
        self.delivered.append((recipient, message))

    def close(self) -> None:
        self.closed += 1


def collect(
    store: Store,
    *sources: Source,
    fetcher: Fetcher | None = None,
    now: datetime = NOON,
    keep: Callable[[str, Page], str | None] = lambda source, _page: f"{source}.page",
    parallel: pipeline.Parallel = map,
) -> list[SourceReport]:
    shelf = fetcher or Shelf(
        {url: url.encode() for source in sources for url in getattr(source, "pages", {})}
    )
    collected = pipeline.collect(
        store, sources, shelf, now=now, lookback=3 * DAY, keep=keep, parallel=parallel
    )
    return list(collected)


def compose(
    store: Store, *profiles: Profile, at: object = NOON, send_empty: bool = False
) -> list[pipeline.Composed]:
    return list(pipeline.compose(store, profiles, {"email": Letters}, Words, now=at, send_empty=send_empty))  # type: ignore[arg-type]


def dispatch(
    store: Store,
    postman: Postman,
    *profiles: Profile,
    at: datetime = NOON,
    wall: Wall | None = None,
    channels: Sequence[Channel] = ("feeds", "archive"),
    **way: Any,  # noqa: ANN401 - any of the fields
) -> list[Dispatched]:
    board = wall or Wall()
    mail = WayOut(lambda: postman, **way)
    outputs = pipeline.Outputs({"email": mail}, dict.fromkeys(channels, Lists), lambda: board)
    return list(pipeline.dispatch(store, profiles, outputs, clock=lambda: at))


def titles(composed: pipeline.Composed) -> list[str]:
    assert composed.digest is not None
    return [item.paper.title for item in composed.digest.recommendations]


READER = profile("me", recipients=("me@example.org",), channels=("email", "feeds", "archive"))


# --- collect ----------------------------------------------------------------------------------


def test_a_source_is_first_read_for_the_lookback_and_then_since_its_last_success(store: Store) -> None:
    source = ListSource("page", {"a": [paper("Swin")]})
    collect(store, source)
    collect(store, source, now=NOON + HOUR)
    assert source.periods == [Period(NOON - 3 * DAY, NOON), Period(NOON, NOON + HOUR)]


def test_an_unchanged_page_is_not_read_again(store: Store) -> None:
    source = ListSource("page", {"a": [paper("Swin")]})
    (first,) = collect(store, source)
    (second,) = collect(store, source)
    assert (first.listed, first.new, first.complete) == (1, 1, True)
    assert (second.listed, second.new, second.complete) == (0, 0, True)


def test_a_source_that_fails_is_reported_and_the_others_go_on(store: Store) -> None:
    broken, good = ListSource("broken", {"a": []}), ListSource("good", {"b": [paper("Swin")]})
    shelf = Shelf({"a": FetchError("no answer", place="a", transient=True), "b": b"b"})
    first, second = collect(store, broken, good, fetcher=shelf)
    assert (first.error, first.complete) == ("a: no answer", False)
    assert (second.new, second.complete) == (1, True)
    assert store.last_complete("broken", NOON) is None


def test_a_page_behind_a_broken_one_is_asked_for_again_next_time(store: Store) -> None:
    class Partly(ListSource):
        def collect(self, period: Period) -> Plan:
            reading = yield from super().collect(period)
            return replace(reading, complete=False, notes=("the second page is broken",))

    source = Partly("page", {"a": [paper("Swin")]})
    (first,) = collect(store, source)
    assert first.notes == ("the second page is broken",)
    (second,) = collect(store, source)
    assert second.listed == 1


def test_a_source_may_try_another_way_when_a_page_cannot_be_had(store: Store) -> None:
    class Stubborn(ListSource):
        def collect(self, period: Period) -> Plan:
            try:
                yield Request("a")
            except FetchError:
                yield Request("b")
            return Reading("b", listings(paper("Swin"), source=self.name))

    shelf = Shelf({"a": FetchError("gone", status=410), "b": b"b"})
    (result,) = collect(store, Stubborn("page", {}), fetcher=shelf)
    assert result.new == 1


def test_a_page_that_changed_its_layout_is_kept_and_named_and_is_no_empty_day(store: Store) -> None:
    class Changed(ListSource):
        place = "a"

        def collect(self, period: Period) -> Plan:
            for url in self.pages:
                yield Request(url)
            raise LayoutError("no cards", place=self.place)

    source = Changed("page", {"a": [], "b": []})
    kept: list[Page] = []

    def keep(_source: str, page: Page) -> str | None:
        kept.append(page)
        return None if page.url == "b" else "kept/page.html"

    (result,) = collect(store, source, keep=keep)
    assert result.error == "a: no cards. The page is kept in kept/page.html"
    source.place = "nowhere"
    (result,) = collect(store, source, keep=keep)
    assert result.error == "nowhere: no cards"
    assert [page.content for page in kept] == [b"a", b"b"]
    (result,) = collect(store, Changed("page", {}), keep=keep)
    assert result.error == "a: no cards"
    (result,) = collect(
        store, Changed("page", {"file:///a": []}), fetcher=Shelf({"file:///a": b""}), keep=keep
    )
    assert len(kept) == 2


class Careless(ListSource):
    def __init__(self, name: str, plan: Callable[[], object]) -> None:
        super().__init__(name, {})
        self.plan = plan

    def collect(self, period: Period) -> Plan:
        yield from ()
        return self.plan()  # type: ignore[return-value]


def _forgot() -> object:
    answer: dict[str, object] = {}
    return answer["papers"]


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (_forgot, "KeyError: 'papers'"),
        (lambda: None, "AttributeError"),
        (lambda: Reading("x", (1,)), "TypeError"),  # type: ignore[arg-type]
    ],
)
def test_a_plug_in_that_breaks_its_contract_is_named_and_the_others_go_on(
    store: Store, plan: Callable[[], object], words: str
) -> None:
    broken, good = collect(store, Careless("mine", plan), ListSource("good", {"a": [paper("Swin")]}))
    assert broken.error is not None
    assert broken.error.startswith(f"{Careless.__module__}:Careless: the source broke off with {words}")
    assert (broken.complete, good.new) == (False, 1)


def test_a_secret_that_is_missing_ends_its_source_alone(store: Store) -> None:
    def locked() -> object:
        raise CredentialError("there is no secret", remedy="Run `digest secret set key`.")

    first, second = collect(store, Careless("keyed", locked), ListSource("good", {"a": [paper("Swin")]}))
    assert first.error == "there is no secret. Run `digest secret set key`."
    assert second.new == 1


def test_a_database_that_is_gone_ends_the_run(store: Store) -> None:
    def gone() -> object:
        raise StoreError("the database does not answer")

    with pytest.raises(StoreError):
        collect(store, Careless("page", gone))


def test_sources_are_read_side_by_side_and_reported_in_their_order(store: Store) -> None:
    class Slow(ListSource):
        def collect(self, period: Period) -> Plan:
            assert both.wait(10) < 2  # only when the other one has come this far
            return (yield from super().collect(period))

    both = Barrier(2)
    sources = [Slow("one", {"a": [paper("Swin")]}), Slow("two", {"b": [paper("Swing")]})]
    with ThreadPoolExecutor(2) as pool:
        reports = collect(store, *sources, parallel=pool.map)
    assert [(report.source, report.new) for report in reports] == [("one", 1), ("two", 1)]


def test_what_may_still_come_is_read_again_though_the_reading_was_complete(store: Store) -> None:
    class Late(ListSource):
        def collect(self, period: Period) -> Plan:
            reading = yield from super().collect(period)
            return replace(reading, until=NOON - HOUR)

    source = Late("late", {"a": []})
    (result,) = collect(store, source)
    assert (result.complete, result.period.until) == (True, NOON - HOUR)
    collect(store, source, now=NOON + DAY)
    assert source.periods[1].since == NOON - HOUR


def test_a_listing_bears_the_name_that_its_source_was_given(store: Store) -> None:
    class Other(ListSource):
        def collect(self, period: Period) -> Plan:
            yield from ()
            return Reading("x", listings(paper("Swin"), source="the class's own"))

    collect(store, Other("mine", {}))
    (stored,) = store.newest_papers(1)
    assert [listing.source for listing in stored.listings] == ["mine"]


# --- compose ----------------------------------------------------------------------------------


def test_the_right_papers_and_only_those_once(store: Store) -> None:
    store.add(listings(paper("SwinLeaf"), paper("Swinging"), paper("Leaves", "With Swin.")), (), report())
    (first,) = compose(store, READER)
    assert titles(first) == ["SwinLeaf", "Leaves"]
    assert first.digest is not None
    assert first.digest.scanned == 3
    (second,) = compose(store, READER, at=NOON + HOUR)
    assert second.digest is None


def test_a_paper_that_comes_later_is_in_the_next_digest_alone(store: Store) -> None:
    store.add(listings(paper("Swin one")), (), report())
    compose(store, READER)
    store.add(listings(paper("Swin one"), paper("Swin two")), (), report())
    (second,) = compose(store, READER, at=NOON + HOUR)
    assert titles(second) == ["Swin two"]
    assert second.digest is not None
    assert second.digest.since == NOON


def test_a_paper_that_gains_a_matching_abstract_is_found_then(store: Store) -> None:
    store.add(listings(paper("Leaves", arxiv="2611.90001")), (), report())
    compose(store, READER)
    store.add(listings(paper("Leaves", "Swin, that is.", arxiv="2611.90001")), (), report())
    (second,) = compose(store, READER, at=NOON + HOUR)
    assert titles(second) == ["Leaves"]


def test_a_new_version_of_a_shown_paper_is_not_announced_again(store: Store) -> None:
    store.add(listings(paper("Swin", "One.", arxiv="2611.90001")), (), report())
    compose(store, READER)
    store.add(listings(paper("Swin, revised", "Two.", arxiv="2611.90001v2")), (), report())
    (second,) = compose(store, READER, at=NOON + HOUR)
    assert second.digest is None


def test_the_first_digest_looks_back_for_some_days_only(store: Store) -> None:
    store.add(listings(paper("Old Swin")), (), report(at=NOON - WEEK))
    store.add(listings(paper("New Swin")), (), report(at=NOON - DAY))
    (first,) = compose(store, READER)
    assert titles(first) == ["New Swin"]


def test_after_weeks_away_every_paper_is_there_once(store: Store) -> None:
    store.add(listings(paper("Swin 0")), (), report(at=NOON - 9 * WEEK))
    compose(store, READER, at=NOON - 9 * WEEK)
    for week in range(8, 0, -1):
        store.add(listings(paper(f"Swin {week}"), paper(f"Leaf {week}")), (), report(at=NOON - week * WEEK))
    (back,) = compose(store, READER)
    assert sorted(titles(back)) == [f"Swin {week}" for week in range(1, 9)]


def test_a_paper_that_two_interests_want_stands_once_with_both(store: Store) -> None:
    both = profile("me", Interest("A", keywords=("swin",)), Interest("B", keywords=("face",), weight=2.0))
    store.add(listings(paper("Swin Face"), paper("Swin"), paper("Faces")), (), report())
    (made,) = compose(store, both)
    assert made.digest is not None
    sections = {s.interest: [i.paper.title for i in s.recommendations] for s in made.digest.sections}
    assert sections == {"A": ["Swin"], "B": ["Swin Face", "Faces"]}
    assert made.digest.sections[1].recommendations[0].interests == ("B", "A")


def test_papers_beyond_the_limit_are_listed_and_not_shown_again(store: Store) -> None:
    few = replace(READER, limits=Limits(max_papers=1))
    store.add(listings(paper("Swin, Swin"), paper("A longer title that has Swin")), (), report())
    (made,) = compose(store, few)
    assert made.digest is not None
    assert len(made.digest.recommendations) == len(made.digest.overflow) == 1
    (after,) = compose(store, few, at=NOON + HOUR)
    assert after.digest is None


def test_near_misses_are_kept_with_what_they_lack(store: Store) -> None:
    strict = profile("me", Interest("Swin", keywords=("swin",), require=("face",)))
    store.add(listings(paper("Swin Face"), paper("Swin Leaf"), paper("Leaf")), (), report())
    (made,) = compose(store, strict)
    assert made.digest is not None
    assert [(n.paper.title, n.missing) for n in made.digest.near_misses] == [
        ("Swin Leaf", ("'face' is required",))
    ]


def test_of_many_near_misses_the_best_are_kept(store: Store) -> None:
    strict = Interest("Swin", keywords=("swin", "leaf", "moss"), require=("face",))
    few = replace(
        profile("me", strict, Interest("Moss", ("moss",), require=("fern",))), limits=Limits(near_misses=2)
    )
    words = ("Swin", "Leaf", "Moss Leaf", "Swin Leaf Moss", "Moss", "Swin Leaf")
    store.add(listings(*map(paper, words)), (), report())
    draft = pipeline.draft(store, few, Words, now=NOON)
    assert [one.paper.title for one in draft.near_misses] == ["Swin Leaf Moss", "Moss Leaf"]
    assert draft.near_misses[0].missing == ("'face' is required", "'fern' is required")


def test_profiles_that_are_composed_together_have_near_misses_of_their_own(store: Store) -> None:
    interest = Interest("Swin", keywords=("swin",), require=("face",))
    profiles = [
        replace(profile(name, interest), sources=(source,))
        for name, source in (("a", "a"), ("b", "b"), ("c", "b"))
    ]
    for source in "ab":
        pair = (paper(f"Swin Leaf {source}"), paper(f"Swin Face {source}"))
        store.add(listings(*pair, source=source), (), report(source))
    made = compose(store, *profiles)
    assert [
        [one.paper.title for one in each.digest.near_misses] for each in made if each.digest is not None
    ] == [
        ["Swin Leaf a"],
        ["Swin Leaf b"],
        ["Swin Leaf b"],
    ]


def test_a_profile_reads_the_sources_that_it_names(store: Store) -> None:
    store.add(listings(paper("Swin a"), source="a"), (), report("a"))
    store.add(listings(paper("Swin b"), source="b"), (), report("b", complete=False))
    (made,) = compose(store, replace(READER, sources=("b",)))
    assert titles(made) == ["Swin b"]
    assert made.digest is not None
    assert [(r.source, r.complete) for r in made.digest.reports] == [("b", False)]


def test_a_digest_knows_what_the_one_before_has_told_of_sources(store: Store) -> None:
    told: list[tuple[str, ...]] = []
    whole = {0: True, 1: False, 2: False, 3: False, 4: True, 5: True}  # by day
    for day, complete in whole.items():
        at = NOON + day * DAY
        store.add((), (), report("b", at=at, complete=complete))
        found = () if day == 2 else listings(paper(f"Swin {day}"), source="a")  # that day has no digest
        store.add(found, (), report("a", at=at))
        assert pipeline.draft(store, READER, Words, now=at).told == ((), ("b",))[day in {2, 3, 4}]
        made = compose(store, READER, at=at)
        told += [one.digest.told for one in made if one.digest is not None]
    assert told == [(), (), ("b",), ("b",), ()]


def test_a_source_that_gets_worse_is_told_again(store: Store) -> None:
    told = []
    for day, error in enumerate((None, None, "no answer", "no answer", None)):
        at = NOON + day * DAY
        failed = SourceReport("b", Period(NOON, at), complete=False, error=error)
        store.add(listings(paper(f"Swin {day}"), source="a"), (), report("a", at=at))
        store.add((), (), failed)
        (made,) = compose(store, READER, at=at)
        assert made.digest is not None
        told.append(made.digest.told)
    assert told == [(), ("b",), (), ("b",), ("b",)]


def test_a_source_that_fails_for_long_is_told_even_if_nothing_else_is(store: Store) -> None:
    store.add((), (), report("a", at=NOON))
    told = []
    for day in range(1, 6):
        at = NOON + day * DAY
        failed = SourceReport("a", Period(NOON, at), complete=False, error="no answer")
        store.add((), (), failed)
        for hour in range(2):
            told += [day for one in compose(store, READER, at=at + hour * HOUR) if one.digest is not None]
    assert told == [2]


def test_an_address_that_is_given_twice_gets_one_mail(store: Store) -> None:
    store.add(listings(paper("Swin")), (), report())
    twice = replace(READER, recipients=("me@example.org", "Me <me@EXAMPLE.org>", "other@example.org"))
    compose(store, twice)
    assert [one.recipient for one in store.deliveries() if one.channel == "email"] == [
        "Me <me@EXAMPLE.org>",
        "other@example.org",
    ]


def test_a_digest_is_silent_of_sources_that_are_no_longer_configured(store: Store) -> None:
    for source in "ab":
        store.add(listings(paper(f"Swin {source}"), source=source), (), report(source))
    draft = pipeline.draft(store, READER, Words, now=NOON, sources=("b",))
    assert [one.source for one in draft.reports] == ["b"]
    assert len(draft.recommendations) == 2


def test_votes_put_the_livelier_of_two_equal_papers_first(store: Store) -> None:
    quiet, lively = listings(paper("Swin one"), paper("Swin two"))
    store.add((quiet, replace(lively, upvotes=50)), (), report())
    (made,) = compose(store, READER)
    assert titles(made) == ["Swin two", "Swin one"]
    assert made.digest is not None
    best = made.digest.recommendations[0]
    assert sum(part.value for part in best.parts) == pytest.approx(best.score)
    assert {part.name for part in best.parts} == {"Swin", "upvotes"}


def test_an_author_alone_can_be_an_interest(store: Store) -> None:
    follow = profile(
        "me", Interest("Ada", authors=("Ada Löfgren",)), Interest("All of CV", categories=("cs.CV",))
    )
    one = replace(paper("Leaves"), authors=("B. Other", "A. Lofgren"))
    store.add(listings(one, replace(paper("Roots"), categories=("cs.CV",))), (), report())
    (made,) = compose(store, follow)
    assert titles(made) == ["Leaves", "Roots"]
    assert made.digest is not None
    assert made.digest.recommendations[0].matches[0].field == "author"


def test_another_process_may_have_composed_the_slot_meanwhile(store: Store) -> None:
    daily = replace(READER, schedule=Schedule((time(7),), tuple(range(7)), "Europe/Berlin"))
    store.add(listings(paper("Swin")), (), report())
    you = replace(daily, name="you")

    class Slow(Letters):
        def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
            if profile.name == "me":
                assert [made.profile.name for made in compose(store, you)] == ["you"]
            return super().compose(profile, digest, recipient)

    made = pipeline.compose(store, [daily, you], {"email": Slow}, Words, now=NOON)
    assert [one.profile.name for one in made] == ["me"]
    assert len(store.summaries("you")) == 1


def test_what_is_remembered_of_many_profiles_is_what_is_remembered_of_each(store: Store) -> None:
    carrying = replace(READER, limits=replace(READER.limits, max_papers=1, overflow="carry"))
    people = [replace(carrying, name=f"p{n}") for n in range(4)]
    store.add(listings(paper("Swin one"), paper("Swin two")), (), report())
    compose(store, *people[:2])
    store.judge("p1", [paper("Swin one")], Opinion.LIKE, now=NOON)
    store.stop("p2", "me@example.org", now=NOON)
    pasts = store.pasts([one.name for one in people])
    assert list(pasts) == [one.name for one in people]
    for name, past in pasts.items():
        assert past.progress == store.progress(name)
        assert past.judgements == store.judgements(name)
        assert bool(past.told) == (past.progress is not None)
        assert past.stopped == frozenset(store.stopped(name))
        assert past.waits == bool(store.waiting(name))
    shown = store.shown([one.name for one in people], revision=0)
    assert {name: len(list(papers)) for name, papers in shown.items()} == {"p0": 1, "p1": 1}
    assert store.shown(["p0"], revision=store.revision()) == {}


class Broken(Letters):
    """Composes no message for one profile."""

    def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        if profile.name == "p3":
            raise RenderError("the template failed")
        return super().compose(profile, digest, recipient)


@pytest.mark.parametrize("at_once", [(2, 2), (3, 1), (10, 4)])
def test_a_mail_that_cannot_be_made_takes_none_with_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, at_once: tuple[int, int]
) -> None:
    monkeypatch.setattr("digest.pipeline._AT_ONCE", at_once[0])
    monkeypatch.setattr("digest.pipeline._WRITTEN_AT_ONCE", at_once[1])
    people = [replace(READER, name=f"p{n}", schedule=DAILY) for n in range(6)]
    store.add(listings(paper("Swin")), (), report())
    done = []
    with pytest.raises(RenderError):
        done += list(pipeline.compose(store, people, {"email": Broken}, Words, now=NOON))
    assert sorted(store.all_progress()) == ["p0", "p1", "p2"]
    others = [one for one in people if one.name != "p3"]
    made = pipeline.compose(store, others, {"email": Broken}, Words, now=NOON)
    assert [one.profile.name for one in made] == ["p4", "p5"]
    assert pipeline.any_due(store, people, NOON)
    assert not pipeline.any_due(store, others, NOON)


DAILY = Schedule((time(7),), tuple(range(7)), "Europe/Berlin")


def test_many_profiles_get_what_each_would_get_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They differ in what they ask for, in where they look, and in how far they have come."""
    monkeypatch.setattr("digest.pipeline._AT_ONCE", 4)
    interests = [Interest(name, keywords=(name,)) for name in ("Swin", "lip sync", "face", "Swin face")]
    people = [
        replace(
            READER,
            name=f"p{n}",
            schedule=DAILY,
            interests=tuple(interests[n % 3 : n % 3 + 1 + n % 2]),
            sources=("page",) if n % 5 == 0 else (),
            limits=replace(READER.limits, max_papers=1 + n % 2, overflow="carry" if n % 3 else "list"),
        )
        for n in range(11)
    ]

    def days(store: Store, groups: Sequence[Sequence[Profile]]) -> dict[str, list[Digest | None]]:
        made = defaultdict(list)
        for day in range(4):
            found = [paper(f"Swin {n} of day {day} for a face, lip sync") for n in range(3)]
            known = [] if day == 0 else [paper("Swin 0 of day 0 for a face, lip sync", abstract=f"New {day}")]
            store.add(listings(*found, *known), (), report())
            for group in groups:
                # Some miss a day.
                some = [one for one in group if (int(one.name[1:]) + day) % 4]
                at = NOON + day * DAY
                for one in pipeline.compose(store, some, {"email": Letters}, Words, now=at):
                    made[one.profile.name].append(one.digest)
        return made

    together = days(Store(f"sqlite:///{tmp_path / 'a.db'}"), [people])
    alone = days(Store(f"sqlite:///{tmp_path / 'b.db'}"), [[one] for one in people])
    assert together == alone
    assert len(together) == len(people)


def test_a_schedule_composes_each_slot_once_and_catches_up_with_the_latest(store: Store) -> None:
    daily = replace(READER, schedule=Schedule((time(7),), tuple(range(7)), "Europe/Berlin"))
    store.add(listings(paper("Swin")), (), report())
    (made,) = compose(store, daily)
    assert made.digest is not None
    assert made.digest.id == "me-20261120T060000Z"
    assert compose(store, daily, at=NOON + HOUR) == []
    store.add(listings(paper("Swin two")), (), report())
    (next_,) = compose(store, daily, at=NOON + 5 * DAY)
    assert next_.digest is not None
    assert next_.digest.id == "me-20261125T060000Z"


def test_a_slot_waits_for_a_machine_that_has_just_woken_to_find_its_network(store: Store) -> None:
    daily = replace(READER, schedule=Schedule((time(7),), tuple(range(7)), "UTC"))
    seven = NOON - 5 * HOUR
    sources = ListSource("a", {"a": []}), ListSource("b", {"b": [paper("Swin")]})
    nobody = FetchError("no network", transient=True)
    collect(store, *sources, fetcher=Shelf({"a": nobody, "b": nobody}), now=seven)
    for at in (seven, seven + 11 * HOUR):
        assert compose(store, daily, at=at, send_empty=True) == [pipeline.Composed(daily, None, waits=True)]
        assert pipeline.is_due(store, daily, at)
    collect(store, *sources, fetcher=Shelf({"a": nobody, "b": b"b"}), now=seven + HOUR)
    (made,) = compose(store, daily, at=seven + HOUR)
    assert titles(made) == ["Swin"]


def test_but_not_for_ever(store: Store) -> None:
    daily = replace(READER, schedule=Schedule((time(7),), tuple(range(7)), "UTC"))
    seven = NOON - 5 * HOUR
    store.add(listings(paper("Swin")), (), report("a", at=seven - DAY))
    assert len(compose(store, daily, at=seven - DAY)) == 1
    collect(store, ListSource("a", {"a": []}), fetcher=Shelf({"a": FetchError("no network")}), now=seven)
    (made,) = compose(store, daily, at=seven + 12 * HOUR, send_empty=True)
    assert made.digest is not None
    assert [report.error for report in made.digest.reports] == ["no network"]


def test_a_first_digest_waits_for_something_to_read_however_late_it_is(store: Store) -> None:
    daily = replace(READER, schedule=Schedule((time(7),), tuple(range(7)), "UTC"))
    source, late = ListSource("a", {"a": [paper("Swin")]}), NOON + 11 * HOUR
    collect(store, source, fetcher=Shelf({"a": FetchError("a typing mistake")}), now=late)
    assert compose(store, daily, at=late) == [pipeline.Composed(daily, None, waits=True)]
    collect(store, source, fetcher=Shelf({"a": b"a"}), now=late + HOUR / 2)
    (made,) = compose(store, daily, at=late + HOUR / 2)
    assert titles(made) == ["Swin"]


def test_a_source_that_stays_away_is_told_though_each_slot_might_have_waited(store: Store) -> None:
    daily = replace(READER, schedule=Schedule((time(7),), tuple(range(7)), "UTC"))
    source = ListSource("a", {"a": []})
    told = []
    for day in range(5):
        for hour in (8, 18):
            at = NOON + day * DAY + (hour - 12) * HOUR
            collect(store, source, fetcher=Shelf({"a": FetchError("503")}), now=at)
            told += [made.digest.id for made in compose(store, daily, at=at) if made.digest]
    assert told == ["me-20261121T070000Z"]


def test_whoever_flies_west_has_one_digest_a_day(store: Store) -> None:
    berlin = replace(READER, schedule=Schedule((time(7),), tuple(range(7)), "Europe/Berlin"))
    new_york = replace(berlin, schedule=Schedule((time(7),), tuple(range(7)), "America/New_York"))
    store.add(listings(paper("Swin")), (), report())
    assert len(compose(store, berlin, at=NOON - 6 * HOUR)) == 1
    store.add(listings(paper("Swin two")), (), report())
    assert compose(store, new_york, at=NOON + HOUR) == []
    (next_,) = compose(store, new_york, at=NOON + DAY)
    assert titles(next_) == ["Swin two"]


def test_a_profile_is_due_when_its_next_slot_has_come(store: Store) -> None:
    daily = replace(READER, schedule=DAILY)
    six = NOON - 6 * HOUR  # seven in Berlin
    assert pipeline.is_due(store, daily, six)
    assert len(compose(store, daily, at=six)) == 1
    assert not pipeline.is_due(store, daily, six)
    assert not pipeline.is_due(store, daily, six + 23 * HOUR)
    assert pipeline.is_due(store, daily, six + DAY)


def test_after_a_clock_was_years_ahead_digests_go_on_with_the_next_slot(store: Store) -> None:
    daily = replace(READER, schedule=Schedule((time(7),), tuple(range(7)), "UTC"))
    store.add(listings(paper("Swin")), (), report())
    assert len(compose(store, daily, at=NOON + 4000 * DAY)) == 1
    store.add(listings(paper("Swin two")), (), report())
    assert pipeline.is_due(store, daily, NOON)
    assert compose(store, daily) == []
    assert not pipeline.is_due(store, daily, NOON)
    (next_,) = compose(store, daily, at=NOON + DAY)
    assert titles(next_) == ["Swin two"]


def test_an_empty_digest_is_sent_only_if_that_is_wished(store: Store) -> None:
    assert compose(store, READER) == [pipeline.Composed(READER, None)]
    (made,) = compose(store, READER, at=NOON + DAY, send_empty=True)
    assert titles(made) == []
    (again,) = compose(store, READER, at=NOON + DAY + HOUR, send_empty=True)
    assert again.digest is None


def test_without_a_schedule_every_run_is_a_slot_whatever_the_clock_says(store: Store) -> None:
    for number, at in enumerate((NOON, NOON, NOON - DAY)):
        store.add(listings(paper(f"Swin {number}")), (), report())
        (made,) = compose(store, READER, at=at)
        assert titles(made) == [f"Swin {number}"]


def test_a_template_that_fails_leaves_nothing_behind(store: Store) -> None:
    class Torn(Letters):
        def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
            raise RenderError("no such name", place="email.html.j2:3")

    store.add(listings(paper("Swin")), (), report())
    with pytest.raises(RenderError):
        list(pipeline.compose(store, [READER], {"email": Torn}, Words, now=NOON))
    assert store.progress("me") is None
    (made,) = compose(store, READER)
    assert titles(made) == ["Swin"]


def test_a_draft_is_what_would_come_and_writes_nothing(store: Store) -> None:
    store.add(listings(paper("Swin")), (), report())
    drafted = pipeline.draft(store, READER, Words, now=NOON)
    assert [item.paper.title for item in drafted.recommendations] == ["Swin"]
    assert store.progress("me") is None


def explained(store: Store, profile: Profile, title: str, *, at: datetime = NOON) -> pipeline.Explanation:
    (stored,) = store.find_papers(title)
    return pipeline.explain(store, profile, stored, Words, now=at)


def test_an_explanation_names_every_interest_with_its_parts(store: Store) -> None:
    two = profile("me", Interest("A", keywords=("swin",)), Interest("B", keywords=("face",)))
    store.add(listings(paper("Swin")), (), report())
    (wanted, parts), (other, none) = explained(store, two, "Swin").outcomes
    assert wanted.satisfied
    assert [part.name for part in parts] == ["swin"]
    assert other.missing == ("any of 'face'",)
    assert none == ()


def test_an_explanation_says_what_will_come_and_what_came(store: Store) -> None:
    limits = Limits(max_papers=1, min_score=0.2, max_age_days=9)
    few = replace(READER, limits=limits, interests=(Interest("Swin", ("Swin",), require=("leaf",)),))
    old = replace(paper("Swin and an old leaf"), published=NOON.date() - 10 * DAY)
    store.add(
        listings(paper("Swin Leaf"), paper("Words on a Swin with a leaf"), paper("Swin"), paper("Fern"), old),
        (),
        report(),
    )
    store.add(listings(paper("A weak leaf", "A Swin " + "of many words " * 400)), (), report())
    ahead = [
        ("Swin Leaf", "shown", ()),
        ("Words on a Swin", "listed", ("beyond max_papers 1",)),
        ("old leaf", "too_old", ("2026-11-10, and max_age_days is 9",)),
        ("Fern", "not_wanted", ()),
    ]
    for title, state, reasons in ahead:
        explanation = explained(store, few, title)
        assert explanation.verdict == Verdict("pending")
        assert explanation.coming is not None
        assert (explanation.coming.state, explanation.coming.reasons) == (state, reasons)
    (made,) = compose(store, few)
    assert made.digest is not None
    assert made.digest.too_old == 1
    behind = [(title, state) for title, state, _ in ahead]
    for title, state in behind:
        explanation = explained(store, few, title, at=NOON + DAY)
        assert (explanation.verdict.state, explanation.coming) == (state, None)
    shown = explained(store, few, "Swin Leaf").verdict
    assert (shown.digest, shown.slot, shown.section) == (made.digest.id, NOON, "Swin")
    assert shown.score == shown.lowest


def test_an_explanation_of_what_kept_a_paper_out(store: Store) -> None:
    store.add(listings(paper("Swin of old")), (), report(at=NOON - WEEK))
    store.add(listings(paper("Swin"), paper("Fern with swin", "Tall.")), (), report())
    store.add(listings(paper("Swin elsewhere"), source="other"), (), report("other"))
    here = replace(READER, sources=("page",))
    assert explained(store, here, "Swin elsewhere").verdict.state == "other_sources"
    assert explained(store, here, "Swin of old").verdict.state == "before_lookback"
    strict = replace(here, limits=Limits(min_score=99.0))
    coming = explained(store, strict, "Fern").coming
    assert coming is not None
    assert coming.state == "below_min_score"
    assert coming.reasons[0].endswith("is below min_score 99.0")
    compose(store, strict)
    assert explained(store, strict, "Fern").verdict.state == "below_min_score"
    assert explained(store, here, "Fern").verdict.state == "passed_over"
    needy = replace(strict, interests=(Interest("Swin", ("Swin",), require=("moss",)),))
    nearly = explained(store, needy, "Fern").verdict
    assert (nearly.state, nearly.digest, nearly.reasons) == ("near_miss", None, ("'moss' is required",))


def test_a_near_miss_is_explained_with_the_digest_that_named_it(store: Store) -> None:
    pairs = profile("me", Interest("Pairs", ("Swin",), require=("leaf",)))
    store.add(listings(paper("Swin Leaf"), paper("Swin alone")), (), report())
    (made,) = compose(store, pairs)
    assert made.digest is not None
    verdict = explained(store, pairs, "Swin alone", at=NOON + DAY).verdict
    assert (verdict.state, verdict.digest) == ("near_miss", made.digest.id)
    assert verdict.reasons == ("'leaf' is required",)


# --- what waits -------------------------------------------------------------------------------

PATIENT = replace(READER, limits=Limits(max_papers=1, overflow="carry"))


def test_papers_beyond_the_limit_can_wait_for_the_next_digest(store: Store) -> None:
    store.add(listings(paper("Swin, Swin, Swin"), paper("Swin, Swin, fern")), (), report())
    (first,) = compose(store, PATIENT)
    assert first.digest is not None
    assert titles(first) == ["Swin, Swin, Swin"]
    assert first.digest.overflow == ()
    assert [item.paper.title for item in first.digest.waiting] == ["Swin, Swin, fern"]
    assert digests_of(store, "me") == (first.digest,)
    waiting = explained(store, PATIENT, "fern", at=NOON + DAY)
    assert (waiting.verdict.state, waiting.verdict.digest) == ("waiting", first.digest.id)
    assert waiting.coming is not None
    assert waiting.coming.state == "shown"
    # What waited comes before what is new, and better.
    store.add(listings(paper("More Swin, Swin, Swin")), (), report())
    again = explained(store, PATIENT, "More", at=NOON + DAY).coming
    assert again is not None
    assert again.state == "waiting"
    (second,) = compose(store, PATIENT, at=NOON + DAY)
    assert titles(second) == ["Swin, Swin, fern"]
    assert second.digest is not None
    assert second.digest.scanned == 2
    (third,) = compose(store, PATIENT, at=NOON + 2 * DAY)
    assert titles(third) == ["More Swin, Swin, Swin"]
    (after,) = compose(store, PATIENT, at=NOON + 3 * DAY)
    assert after.digest is None


def test_without_a_schedule_what_waits_does_not_come_by_running_again(store: Store) -> None:
    store.add(listings(*(paper(f"Swin {number}") for number in range(4))), (), report())
    compose(store, PATIENT)
    (again,) = compose(store, PATIENT, at=NOON + HOUR)
    assert again.digest is None
    store.add(listings(paper("Late Swin")), (), report())
    (with_news,) = compose(store, PATIENT, at=NOON + 2 * HOUR)
    assert len(titles(with_news)) == 1
    assert with_news.digest is not None
    assert len(with_news.digest.waiting) == 3


def test_with_a_schedule_it_comes_with_the_next_slot(store: Store) -> None:
    twice = replace(PATIENT, schedule=Schedule((time(7), time(19)), tuple(range(7)), "UTC"))
    store.add(listings(paper("Swin 1"), paper("Swin 2")), (), report())
    (morning,) = compose(store, twice)
    (evening,) = compose(store, twice, at=NOON + 8 * HOUR)
    assert sorted([*titles(morning), *titles(evening)]) == ["Swin 1", "Swin 2"]


def test_what_waits_grows_neither_too_old_nor_too_weak(store: Store) -> None:
    young = replace(PATIENT, limits=replace(PATIENT.limits, max_age_days=2, min_score=0.1))
    fresh = [replace(paper(f"Swin {number}"), published=NOON.date()) for number in range(2)]
    store.add(listings(*fresh), (), report())
    compose(store, young)
    # A hundred others have made the word common, and its score small.
    store.add(
        listings(*(paper(f"Swinging Swin {number}") for number in range(100)), source="other"),
        (),
        report("other"),
    )
    here = replace(young, sources=("page",), limits=replace(young.limits, min_score=2.0))
    (made,) = compose(store, here, at=NOON + 5 * DAY)
    assert titles(made) == ["Swin 1"]


def test_what_waits_leaves_with_the_interest_that_wanted_it(store: Store) -> None:
    store.add(listings(paper("Swin 1"), paper("Swin 2 and a fern")), (), report())
    compose(store, PATIENT)
    ferns = replace(PATIENT, interests=(Interest("Moss", ("moss",)),))
    gone = explained(store, ferns, "Swin 2", at=NOON + DAY)
    assert gone.coming == Verdict("not_wanted")
    store.add(listings(paper("Moss")), (), report())
    (made,) = compose(store, ferns, at=NOON + DAY)
    assert titles(made) == ["Moss"]
    assert made.digest is not None
    assert made.digest.waiting == ()


def test_a_paper_whose_words_change_while_it_waits_is_there_once(store: Store) -> None:
    store.add(listings(paper("Swin Swin"), paper("Swin 2", arxiv="2611.90002")), (), report())
    compose(store, PATIENT)
    store.add(listings(paper("Swin 2", "Now with an abstract.", arxiv="2611.90002")), (), report())
    (made,) = compose(store, PATIENT, at=NOON + DAY)
    assert titles(made) == ["Swin 2"]
    assert made.digest is not None
    assert (made.digest.scanned, made.digest.waiting) == (1, ())


def test_a_list_again_after_carrying_loses_nothing(store: Store) -> None:
    store.add(listings(*(paper(f"Swin {number}") for number in range(4))), (), report())
    compose(store, PATIENT)
    listing = replace(PATIENT, limits=Limits(max_papers=1))
    (made,) = compose(store, listing, at=NOON + DAY)
    assert made.digest is not None
    assert (len(made.digest.recommendations), len(made.digest.overflow)) == (1, 2)


def test_stored_papers_are_searched_in_the_words_of_queries(store: Store) -> None:
    store.add(listings(paper("Swin"), paper("Faces")), (), report())
    assert [s.paper.title for s in pipeline.search(store, None)] == ["Faces", "Swin"]
    assert [s.paper.title for s in pipeline.search(store, "title:swin OR body")] == ["Swin"]


# --- dispatch ---------------------------------------------------------------------------------


@pytest.fixture
def composed(store: Store) -> Store:
    store.add(listings(paper("Swin")), (), report())
    compose(store, READER)
    return store


def test_every_channel_gets_its_own(composed: Store) -> None:
    postman, wall = Postman(), Wall()
    done = dispatch(composed, postman, READER, wall=wall)
    assert [(d.delivery.channel, d.state) for d in done] == [
        ("feeds", "sent"),
        ("archive", "sent"),
        ("email", "sent"),
    ]
    assert postman.delivered == [("me@example.org", b"me-20261120T120000Z to me@example.org: Swin")]
    assert postman.closed == 1
    assert sorted(wall.files) == ["archive/me/list.txt", "feeds/me/list.txt"]


def test_nothing_is_handed_over_twice(composed: Store) -> None:
    postman = Postman()
    dispatch(composed, postman, READER)
    assert dispatch(composed, postman, READER) == []
    assert len(postman.delivered) == 1


def test_what_is_refused_for_now_waits_and_comes_later(composed: Store) -> None:
    postman = Postman(TransientDeliveryError("450 greylisted"))
    (done,) = dispatch(composed, postman, READER, channels=())
    assert (done.state, str(done.error)) == (DeliveryState.DEFERRED, "450 greylisted")
    assert dispatch(composed, postman, READER, channels=(), at=NOON + HOUR / 60) == []
    (again,) = dispatch(composed, postman, READER, channels=(), at=NOON + HOUR)
    assert again.state == DeliveryState.SENT


def test_after_a_day_of_refusals_it_is_given_up_and_visible(composed: Store) -> None:
    postman = Postman(*[TransientDeliveryError("450 later")] * 30)
    states = [
        done.state
        for hours in range(0, 100, 6)
        for done in dispatch(composed, postman, READER, channels=(), at=NOON + hours * HOUR)
    ]
    assert states == [DeliveryState.DEFERRED] * 9 + [DeliveryState.FAILED]
    (failed,) = composed.deliveries(DeliveryState.FAILED)
    assert failed.error == f"450 later. Given up after 10 attempts; `digest outbox retry {failed.id}`."


def test_what_is_refused_for_good_is_not_tried_again(composed: Store) -> None:
    postman = Postman(PermanentDeliveryError("550 no such user"))
    (done,) = dispatch(composed, postman, READER, channels=())
    assert done.state == DeliveryState.FAILED
    assert dispatch(composed, postman, READER, channels=(), at=NOON + WEEK) == []


@pytest.mark.parametrize(
    "error", [RefusedByServerError("535 no"), CredentialError("no secret"), ConfigError("no host")]
)
def test_a_refused_login_stops_the_round_and_loses_nothing(
    store: Store, error: DeliveryError | ConfigError | CredentialError
) -> None:
    two = replace(READER, recipients=("a@example.org", "b@example.org"), channels=("email",))
    store.add(listings(paper("Swin")), (), report())
    compose(store, two)
    postman = Postman(error)
    (done,) = dispatch(store, postman, two)
    assert done.state == DeliveryState.DEFERRED
    assert [d.state for d in dispatch(store, postman, two, at=NOON + HOUR)] == ["sent", "sent"]


def test_while_there_is_no_way_to_the_server_one_is_tried_and_none_given_up(store: Store) -> None:
    two = replace(READER, recipients=("a@example.org", "b@example.org"), channels=("email",))
    store.add(listings(paper("Swin")), (), report())
    compose(store, two)
    postman = Postman(*[UnreachableError("no connection")] * 100)
    for hours in range(100):
        (done,) = dispatch(store, postman, two, at=NOON + hours * HOUR)
        assert done.state == DeliveryState.DEFERRED
    assert [d.state for d in dispatch(store, Postman(), two, at=NOON + 101 * HOUR)] == ["sent", "sent"]


def test_without_a_network_each_mail_waits_some_minutes(composed: Store) -> None:
    nobody = Postman(UnreachableError("no connection"))
    dispatch(composed, nobody, READER, channels=())
    assert dispatch(composed, Postman(), READER, channels=(), at=NOON + HOUR / 60) == []
    assert len(dispatch(composed, Postman(), READER, channels=(), at=NOON + HOUR / 12)) == 1


@pytest.fixture
def crowd(store: Store) -> Profile:
    """A profile of five readers, whose mails wait."""
    readers = replace(
        READER, recipients=tuple(f"{name}@example.org" for name in "abcde"), channels=("email",)
    )
    store.add(listings(paper("Swin")), (), report())
    compose(store, readers)
    return readers


def test_a_run_hands_over_no_more_than_it_may_and_the_next_one_goes_on(store: Store, crowd: Profile) -> None:
    postman = Postman()
    for expected in (2, 2, 1, 0):
        assert len(dispatch(store, postman, crowd, pace=Pace(per_run=2))) == expected
    assert [name for name, _ in postman.delivered] == [f"{name}@example.org" for name in "abcde"]


def test_a_day_hands_over_no_more_than_it_may_however_many_runs_it_has(store: Store, crowd: Profile) -> None:
    postman, pace = Postman(), Pace(per_day=2, per_run=5)
    sent = [
        len(dispatch(store, postman, crowd, pace=pace, at=NOON + hours * HOUR))
        for hours in (0, 1, 23, 24, 49)
    ]
    assert sent == [2, 0, 0, 2, 1]


def test_messages_are_spread_over_the_minute(store: Store, crowd: Profile) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return False

    pace = Pace(per_minute=20, pause=pause)
    dispatch(store, Postman(), crowd, pace=pace)
    assert pauses == [3.0] * 4


def test_between_two_messages_the_work_may_be_left(store: Store, crowd: Profile) -> None:
    postman = Postman()
    outputs = pipeline.Outputs({"email": WayOut(lambda: postman)}, {}, Wall)
    with closing(pipeline.dispatch(store, [crowd], outputs, clock=lambda: NOON)) as done:
        assert next(done).state == "sent"
    assert (len(postman.delivered), postman.closed) == (1, 1)
    assert len(dispatch(store, postman, crowd)) == 4


def test_a_webhook_that_cannot_be_reached_does_not_hold_up_the_others(store: Store) -> None:
    hooks = replace(READER, channels=("webhook",), webhooks=("a", "b"))
    store.add(listings(paper("Swin")), (), report())
    list(pipeline.compose(store, [hooks], {"webhook": Letters}, Words, now=NOON))
    postman = Postman(UnreachableError("no connection"))
    outputs = pipeline.Outputs({"webhook": WayOut(lambda: postman)}, {}, Wall)
    done = list(pipeline.dispatch(store, [hooks], outputs, clock=lambda: NOON))
    assert [(d.delivery.recipient, d.state) for d in done] == [("a", "deferred"), ("b", "sent")]


class Box:
    """A mailbox that holds some messages, or cannot be looked into."""

    def __init__(self, *held: str, error: DeliveryError | None = None) -> None:
        self.held, self.error = held, error
        self.asked: list[str] = []

    def holds(self, message_id: str) -> bool:
        self.asked.append(message_id)
        if self.error:
            raise self.error
        return message_id in self.held

    def close(self) -> None:
        self.asked.append("closed")


class Posted(Letters):
    """Composes messages with a Message-ID."""

    def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        return f"Message-ID: <{recipient}>\r\n\r\n".encode() + super().compose(profile, digest, recipient)


@pytest.fixture
def lost(store: Store) -> Postman:
    """Two mails whose answers were lost."""
    two = replace(READER, recipients=("a@example.org", "b@example.org"), channels=("email",))
    store.add(listings(paper("Swin")), (), report())
    list(pipeline.compose(store, [two], {"email": Posted}, Words, now=NOON))
    postman = Postman(*[UncertainDeliveryError("the answer was lost")] * 2)
    dispatch(store, postman, two, channels=())
    return postman


@pytest.mark.parametrize(("resends", "second"), [(True, ["sent", "sent"]), (False, ["sent"])])
def test_a_mail_whose_answer_was_lost_is_looked_for_before_it_is_sent_again(
    store: Store, lost: Postman, *, resends: bool, second: list[str]
) -> None:
    box = Box("<a@example.org>")
    done = dispatch(store, lost, READER, at=NOON + HOUR, channels=(), mailbox=lambda: box, resends=resends)
    assert [d.state for d in done] == second
    assert [name for name, _ in lost.delivered] == (["b@example.org"] if resends else [])
    assert box.asked == ["<a@example.org>", "<b@example.org>", "closed"]
    assert len(store.deliveries(DeliveryState.UNCERTAIN)) == 2 - len(second)


def test_a_mail_may_take_some_minutes_to_the_mailbox(store: Store, lost: Postman) -> None:
    box = Box()
    assert dispatch(store, lost, READER, channels=(), at=NOON + HOUR / 30, mailbox=lambda: box) == []
    assert (box.asked, lost.delivered) == ([], [])


def test_while_nobody_can_look_nothing_is_sent_again(store: Store, lost: Postman) -> None:
    box = Box(error=RefusedByServerError("no such folder"))
    (done,) = dispatch(store, lost, READER, channels=(), at=NOON + HOUR, mailbox=lambda: box)
    assert (done.state, str(done.error)) == ("uncertain", "no such folder")
    assert lost.delivered == []


def test_a_lost_answer_is_resent_with_the_same_bytes(composed: Store) -> None:
    postman = Postman(UncertainDeliveryError("the answer was lost"))
    (done,) = dispatch(composed, postman, READER, channels=())
    assert done.state == DeliveryState.UNCERTAIN
    (again,) = dispatch(composed, postman, READER, channels=())
    assert again.delivery.message == done.delivery.message
    assert len(postman.delivered) == 1


def test_a_server_that_loses_every_answer_gets_three_copies_and_then_somebody_decides(
    composed: Store,
) -> None:
    postman = Postman(*[UncertainDeliveryError("the answer was lost")] * 100)
    copies = []
    for minutes in range(120):
        dispatch(composed, postman, READER, channels=(), at=NOON + minutes * HOUR / 60)
        copies.append(100 - len(postman.failures))
    assert [copies.index(number) for number in (1, 2, 3)] == [0, 1, 11]
    assert copies[-1] == 3
    (held,) = composed.deliveries(DeliveryState.UNCERTAIN)
    assert held.lost == 3
    composed.plan_again(held.id)
    assert len(dispatch(composed, Postman(), READER, channels=(), at=NOON + DAY)) == 1


def test_a_server_that_has_put_a_mail_off_before_may_still_lose_an_answer(composed: Store) -> None:
    later = [TransientDeliveryError("451 later")] * 3
    postman = Postman(*later, UncertainDeliveryError("the answer was lost"))
    states = [
        done.state
        for hours in range(0, 12, 3)
        for done in dispatch(composed, postman, READER, channels=(), at=NOON + hours * HOUR)
    ]
    assert states == ["deferred"] * 3 + ["uncertain"]
    (again,) = dispatch(composed, postman, READER, channels=(), at=NOON + 9 * HOUR)
    assert again.state == "sent"


def test_what_cannot_be_written_down_is_left_to_the_next_run(
    composed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_over = composed.hand_over

    def busy(_delivery: Delivery) -> bool:
        raise StoreError("the database is busy")

    monkeypatch.setattr(composed, "hand_over", busy)
    postman = Postman()
    with pytest.raises(StoreError):
        dispatch(composed, postman, READER, channels=())
    assert postman.delivered == []
    monkeypatch.setattr(composed, "hand_over", hand_over)
    assert [done.state for done in dispatch(composed, postman, READER, channels=())] == ["sent"]


@pytest.mark.parametrize(("failures", "copies"), [(2, 1), (3, 2)])
def test_that_a_mail_was_sent_is_written_down_if_that_can_be_done_at_all(
    composed: Store, monkeypatch: pytest.MonkeyPatch, failures: int, copies: int
) -> None:
    mark, left = composed.mark, [StoreError("the database is busy")] * failures

    def busy(delivery: int, state: DeliveryState, **values: Any) -> None:  # noqa: ANN401 - any of its values
        if state == DeliveryState.SENT and left:
            raise left.pop()
        mark(delivery, state, **values)

    monkeypatch.setattr(composed, "mark", busy)
    postman = Postman()
    with suppress(StoreError):
        dispatch(composed, postman, READER, channels=())
    dispatch(composed, postman, READER, channels=())
    assert len(postman.delivered) == copies
    assert len(set(postman.delivered)) == 1


def test_a_run_that_was_believed_dead_does_not_hand_over_what_another_one_has_taken(composed: Store) -> None:
    class Slow(Postman):
        """Takes so long that its lease ends, and another run takes over."""

        def deliver(self, message: bytes, recipient: str, *, handing_over: Callable[[], None]) -> None:
            composed.recover(NOON + DAY)
            assert [done.state for done in dispatch(composed, quick, READER, channels=())] == ["sent"]
            super().deliver(message, recipient, handing_over=handing_over)

    slow, quick = Slow(), Postman()
    (done,) = dispatch(composed, slow, READER, channels=())
    assert str(done.error) == "another run has taken it over"
    assert (len(quick.delivered), slow.delivered) == (1, [])
    assert [one.state for one in composed.deliveries() if one.channel == "email"] == ["sent"]


def test_a_setting_that_is_wrong_is_told_and_the_mail_waits(composed: Store) -> None:
    def broken() -> Postman:
        raise ConfigError("no certificates can be read")

    outputs = pipeline.Outputs({"email": WayOut(broken)}, {}, Wall)
    (done,) = pipeline.dispatch(composed, [READER], outputs, clock=lambda: NOON)
    assert (done.state, str(done.error)) == ("deferred", "no certificates can be read")
    assert len(dispatch(composed, Postman(), READER, channels=())) == 1


def test_whoever_is_told_to_stop_within_a_pause_sends_no_more(store: Store, crowd: Profile) -> None:
    postman = Postman()
    pace = Pace(per_minute=1, pause=lambda _: True)
    assert len(dispatch(store, postman, crowd, pace=pace)) == 1
    assert len(dispatch(store, postman, crowd)) == 4


def test_or_it_is_held_until_somebody_decides(composed: Store) -> None:
    postman = Postman(UncertainDeliveryError("the answer was lost"))
    dispatch(composed, postman, READER, channels=(), resends=False)
    assert dispatch(composed, postman, READER, channels=(), resends=False) == []
    assert [d.state for d in composed.deliveries(DeliveryState.UNCERTAIN)] == ["uncertain"]


TWO = replace(READER, recipients=("Me <me@Example.ORG>", "you@example.org"))


def test_who_has_stopped_the_mail_is_not_written_to_and_the_rest_goes_on(store: Store) -> None:
    store.add(listings(paper("Swin")), (), report())
    store.stop("me", "me@example.org", now=NOON)
    store.stop("other", "you@example.org", now=NOON)
    compose(store, TWO)
    postman = Postman()
    done = dispatch(store, postman, TWO)
    assert [(d.delivery.channel, d.state) for d in done] == [
        ("feeds", "sent"),
        ("archive", "sent"),
        ("email", "sent"),
    ]
    assert [recipient for recipient, _ in postman.delivered] == ["you@example.org"]


def test_a_mail_that_was_stopped_while_it_waited_is_not_sent(store: Store) -> None:
    class Hurried(Postman):
        """Serves the first recipient while the second one stops the mail."""

        def deliver(self, message: bytes, recipient: str, *, handing_over: Callable[[], None]) -> None:
            super().deliver(message, recipient, handing_over=handing_over)
            store.stop("me", "you@example.org", now=NOON)

    store.add(listings(paper("Swin")), (), report())
    compose(store, TWO)
    postman = Hurried()
    done = dispatch(store, postman, TWO, channels=())
    assert [(d.state, d.error) for d in done] == [("sent", None), ("stopped", None)]
    assert [recipient for recipient, _ in postman.delivered] == ["Me <me@Example.ORG>"]
    assert dispatch(store, postman, TWO, channels=()) == []


def test_a_second_copy_is_not_sent_to_who_has_stopped_the_mail(composed: Store) -> None:
    postman = Postman(UncertainDeliveryError("the answer was lost"))
    dispatch(composed, postman, READER, channels=())
    composed.stop("me", "me@example.org", now=NOON)
    (again,) = dispatch(composed, postman, READER, channels=())
    assert (again.state, postman.delivered) == ("stopped", [])


def test_files_of_a_profile_that_is_gone_fail_visibly(composed: Store) -> None:
    done = dispatch(composed, Postman(), profile("other"), channels=("feeds",))
    assert [(d.delivery.channel, d.state) for d in done] == [("feeds", "failed"), ("email", "sent")]


def test_after_an_outage_the_files_of_a_profile_are_made_once(composed: Store) -> None:
    class Counting(Lists):
        made = 0

        def render(self, profile: Profile, shelf: DigestShelf) -> Iterable[Artifact]:
            Counting.made += 1
            return super().render(profile, shelf)

    composed.add(listings(paper("More Swin")), (), report())
    compose(composed, READER, at=NOON + DAY)
    outputs = pipeline.Outputs({}, {"feeds": Counting}, Wall)
    done = list(pipeline.dispatch(composed, [READER], outputs, clock=lambda: NOON + DAY))
    assert [one.state for one in done] == ["sent", "sent"]
    assert Counting.made == 1


def test_a_template_that_fails_holds_the_files_back_until_it_is_mended(composed: Store) -> None:
    class Torn(Lists):
        def render(self, profile: Profile, shelf: DigestShelf) -> Iterable[Artifact]:
            raise RenderError("no such name", place="archive.html.j2:3")

    torn = pipeline.Outputs({}, {"archive": Torn}, Wall)
    (done,) = pipeline.dispatch(composed, [READER], torn, clock=lambda: NOON)
    assert (done.state, str(done.error)) == ("deferred", "archive.html.j2:3: no such name")
    (again,) = dispatch(composed, Postman(), READER, at=NOON + HOUR, channels=("archive",))[:1]
    assert (again.delivery.channel, again.state) == ("archive", "sent")


def test_without_a_mail_server_mail_waits(composed: Store) -> None:
    outputs = pipeline.Outputs({}, {}, Wall)
    assert list(pipeline.dispatch(composed, [READER], outputs, clock=lambda: NOON)) == []
    assert {d.state for d in composed.deliveries()} == {"planned"}
