"""Which of the matching papers a digest shows, in which order, and what keeps the others out."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import DAY, NOON, listings, paper, profile, report

from digest import pipeline
from digest.core.board import Board
from digest.core.model import Digest, Interest, Limits, Listing, Paper, Profile, StoredPaper
from digest.core.query import compile_interest
from digest.core.rank import corpus
from digest.core.relevance import Words
from digest.core.selection import Candidate, Selection, consider, day, is_too_old, select
from digest.errors import RenderError
from digest.store.store import Store

pytestmark = pytest.mark.no_cover  # what is counted takes twice the time, and other tests cover it


A = Interest("A", keywords=("swin",))
B = Interest("B", keywords=("face",))


def considered(who: Profile, found: Sequence[Listing]) -> list[Candidate]:
    interests = [compile_interest(interest) for interest in who.interests]
    board = Board(interests)
    numbers = [board.put(listing.paper, [listing]) for listing in found]
    findings = [board.findings[number] for number in numbers]
    statistics = corpus(findings, board.counts(numbers))
    return [candidate for one in findings if (candidate := consider(interests, one, statistics)) is not None]


def chosen(who: Profile, *titles: str) -> Selection:
    return select(who, considered(who, listings(*map(paper, titles))))


def shown(selection: Selection) -> dict[str, list[str]]:
    return {
        section.interest: [item.paper.title for item in section.recommendations]
        for section in selection.sections
    }


def test_a_paper_of_which_nothing_is_there_is_no_near_miss(tmp_path: Path) -> None:
    who = profile("me", Interest("S", require=("swin",)))
    with closing(Store(f"sqlite:///{tmp_path}/digest.db")) as store:
        store.add(listings(paper("Leaves"), paper("Swin")), (), report())
        digest = pipeline.draft(store, who, Words, now=NOON)
    assert [item.paper.title for item in digest.recommendations] == ["Swin"]
    assert digest.near_misses == ()


def test_equal_papers_stand_as_on_the_page_and_then_by_identifier() -> None:
    one, two, three = (paper("Swin", arxiv=f"2611.9000{number}") for number in (1, 2, 3))
    found = [Listing(two, "b", None, 1), Listing(three, "a", None, 0), Listing(one, "a", None, 1)]
    for several in (found, found[::-1]):
        (section,) = select(profile(), considered(profile(), several)).sections
        assert [item.paper for item in section.recommendations] == [three, one, two]


def test_the_quota_of_an_interest_leaves_room_for_the_others() -> None:
    who = profile("me", replace(A, max_papers=1), B, limits=Limits(max_papers=4))
    selection = chosen(who, "Swin swin swin", "Swin swin leaf", "Swin on leaves", "A face", "My face")
    assert shown(selection) == {"A": ["Swin swin swin"], "B": ["A face", "My face"]}
    assert [(item.paper.title, *item.missing) for item in selection.overflow] == [
        ("Swin swin leaf", "beyond max_papers 1 of 'A'"),
        ("Swin on leaves", "beyond max_papers 1 of 'A'"),
    ]


def test_a_paper_that_two_interests_want_goes_where_there_is_room() -> None:
    who = profile("me", replace(A, max_papers=1), replace(B, weight=0.01))
    selection = chosen(who, "Swin swin swin", "Swin face leaf")
    assert shown(selection) == {"A": ["Swin swin swin"], "B": ["Swin face leaf"]}
    assert selection.sections[1].recommendations[0].interests == ("A", "B")


def test_a_paper_below_the_least_score_is_a_near_miss_that_says_so() -> None:
    who = profile(limits=Limits(min_score=99.0))
    selection = chosen(who, "Swin", "Leaf")
    assert (selection.sections, selection.overflow) == ((), ())
    (nearly,) = selection.near_misses
    assert nearly.missing == (f"score {int(nearly.score * 100) / 100:.2f} is below min_score 99.0",)


def test_a_score_just_below_is_not_rounded_up_to_it() -> None:
    (one,) = considered(profile(), listings(paper("Swin")))
    almost = replace(one, recommendation=replace(one.recommendation, score=0.9999))
    (nearly,) = select(profile(limits=Limits(min_score=1.0)), [almost]).near_misses
    assert nearly.missing == ("score 0.99 is below min_score 1.0",)
    exactly = replace(one, recommendation=replace(one.recommendation, score=1.0))
    assert select(profile(limits=Limits(min_score=1.0)), [exactly]).near_misses == ()


def test_only_so_many_near_misses_are_kept_the_best_of_them() -> None:
    who = profile("me", replace(A, require=("face",)), limits=Limits(near_misses=1))
    selection = chosen(who, "Swin leaf leaf", "Swin swin leaf")
    assert [item.paper.title for item in selection.near_misses] == ["Swin swin leaf"]


def test_an_interest_that_only_excludes_has_its_section() -> None:
    who = profile("me", Interest("No faces", query="NOT face"))
    assert shown(chosen(who, "Leaf", "A face")) == {"No faces": ["Leaf"]}


@pytest.mark.parametrize(
    ("published", "listed", "counts"),
    [
        (date(2026, 1, 2), date(2026, 3, 4), date(2026, 1, 2)),
        (None, date(2026, 3, 4), date(2026, 3, 4)),
        (None, None, NOON.date()),
    ],
)
def test_the_age_counts_from_publication_or_else_from_the_first_sight(
    published: date | None, listed: date | None, counts: date
) -> None:
    one = replace(paper("Swin"), published=published)
    found = tuple(
        Listing(one, "page", when, 0) for when in (None, listed, date(2026, 12, 1) if listed else None)
    )
    assert day(StoredPaper(one, found, NOON)) == counts


def test_the_greatest_age_is_still_young_enough() -> None:
    limits = Limits(max_age_days=7)
    ages = {
        days: is_too_old(
            StoredPaper(replace(paper("Swin"), published=NOON.date() - days * DAY), (), NOON), limits, NOON
        )
        for days in (-1, 0, 7, 8)
    }
    assert ages == {-1: False, 0: False, 7: False, 8: True}
    assert not is_too_old(
        StoredPaper(replace(paper("Swin"), published=date(1900, 1, 1)), (), NOON), Limits(), NOON
    )


# --- nothing lost, nothing twice --------------------------------------------------------------

# A word of each interest, or of both, or of none, so many times.
TITLES = st.tuples(st.sampled_from(["swin", "face", "swin face", "leaf"]), st.integers(1, 4))
LIMITS = st.builds(
    Limits, max_papers=st.integers(1, 4), overflow=st.sampled_from(["list", "carry"]), near_misses=st.just(0)
)
QUOTAS = st.none() | st.integers(1, 3)


def sample(kind: str, times: int, number: int) -> Paper:
    """A paper whose score grows with `times`, however common its words are."""
    words = [*kind.split() * times, *["word"] * 8][:8]
    return paper(" ".join(words) + f" {number}", arxiv=f"2611.{number:05}")


@given(st.lists(TITLES, max_size=12), LIMITS, QUOTAS, QUOTAS, st.randoms(use_true_random=False))
def test_every_wanted_paper_has_one_place_within_the_limits_whatever_the_order_of_reading(
    titles: list[tuple[str, int]], limits: Limits, first: int | None, second: int | None, chance: Random
) -> None:
    who = profile("me", replace(A, max_papers=first), replace(B, max_papers=second), limits=limits)
    candidates = considered(who, listings(*(sample(*title, number) for number, title in enumerate(titles))))
    made = select(who, candidates)
    shuffled = list(candidates)
    chance.shuffle(shuffled)
    assert select(who, shuffled) == made
    sections = {section.interest: section.recommendations for section in made.sections}
    placed = [item for items in sections.values() for item in items]
    everything = [*placed, *made.overflow, *made.waiting]
    assert sorted(item.paper.id for item in everything) == sorted(
        c.recommendation.paper.id for c in candidates
    )
    assert len(placed) <= limits.max_papers
    for interest in who.interests:
        assert len(sections.get(interest.name, ())) <= (interest.max_papers or limits.max_papers)
    # Nobody is left outside while there is room.
    free = {
        i.name for i in who.interests if i.max_papers is None or len(sections.get(i.name, ())) < i.max_papers
    }
    if len(placed) < limits.max_papers:
        assert not any(free & set(item.interests) for item in (*made.overflow, *made.waiting))


class Letters:
    """Composes a message of nothing."""

    def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        return b""


class Torn:
    """Fails, as if the run were killed before anything was written."""

    def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        raise RenderError("killed")


@given(
    st.lists(st.tuples(st.lists(TITLES, max_size=5), st.booleans()), max_size=6),
    st.integers(1, 3),
    QUOTAS,
    QUOTAS,
)
@settings(max_examples=40)
def test_what_is_carried_comes_once_and_the_better_of_a_day_never_later(
    days: list[tuple[list[tuple[str, int]], bool]], most: int, first: int | None, second: int | None
) -> None:
    who = profile(
        "me",
        replace(A, max_papers=first),
        replace(B, max_papers=second),
        limits=Limits(max_papers=most, overflow="carry", near_misses=0),
        recipients=("me@example.org",),
        channels=("email",),
    )
    came: dict[str, tuple[int, str, int]] = {}
    went: list[tuple[str, int]] = []
    with tempfile.TemporaryDirectory() as folder, closing(Store(f"sqlite:///{folder}/digest.db")) as store:
        for today in itertools.count():
            at = NOON + today * DAY
            titles, killed = days[today] if today < len(days) else ([], False)
            found = [sample(*title, number=100 * today + place) for place, title in enumerate(titles)]
            came |= {
                one.id: (today, kind, times)
                for one, (kind, times) in zip(found, titles, strict=True)
                if kind != "leaf"
            }
            store.add(listings(*found), (), report(at=at))
            if killed:
                with suppress(RenderError):
                    list(pipeline.compose(store, [who], {"email": Torn}, Words, now=at))
            (made,) = pipeline.compose(store, [who], {"email": Letters}, Words, now=at)
            if made.digest is not None:
                went += [(item.paper.id, today) for item in made.digest.recommendations]
            elif today >= len(days):
                break
    assert sorted(one for one, _ in went) == sorted(came)
    when = dict(went)
    for one, other in itertools.permutations(came, 2):
        (day_of_one, kind, times), (day_of_other, other_kind, fewer) = came[one], came[other]
        if (day_of_one, kind) == (day_of_other, other_kind) and times > fewer:
            assert when[one] <= when[other]
