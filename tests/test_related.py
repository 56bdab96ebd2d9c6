"""What belongs though no keyword says so, learned from stored papers, and what comes back later."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime
from email import message_from_bytes
from email.policy import default
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from digests import seen
from topics import SUBJECTS, library, written
from world import DAY, NOON, configure, digests_of, listings, paper, profile, report

from digest import app, pipeline
from digest.core.model import (
    Digest,
    Interest,
    Limits,
    Need,
    Opinion,
    Paper,
    PaperId,
    Profile,
    Recommendation,
)
from digest.core.query import compile_interest
from digest.core.related import Relative, need, section
from digest.core.relevance import Words
from digest.core.shelf import shelf
from digest.desk import MakeRanker
from digest.ports import Ranker
from digest.store.store import Store

FERNS = Interest("Ferns", keywords=("fern",))
LIBRARY = library(ferns="fern")
LONG_AGO = NOON - 20 * DAY  # the first digest does not look back so far

MATCH = written("ferns", 100, more="fern")
NEAR = written("ferns", 101, share=0.6)
OTHER = written("clocks", 100)
HALFWAY = written("ferns", 102, share=0.12)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(f"sqlite:///{tmp_path}/digest.db")) as opened:
        yield opened


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a library that came long before the first digest."""
    path = tmp_path_factory.mktemp("library") / "digest.db"
    with closing(Store(f"sqlite:///{path}")) as made:
        came(made, *LIBRARY, at=LONG_AGO)
    return path


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Iterator[Store]:
    """A store with that library."""
    copy = shutil.copy(filled, tmp_path)
    with closing(Store(f"sqlite:///{copy}")) as opened:
        yield opened


def came(store: Store, *papers: Paper, at: datetime = NOON) -> None:
    store.add(listings(*papers), (), report(at=at))


def voted(store: Store, *papers: Paper, upvotes: int, at: datetime = NOON) -> None:
    store.add([replace(one, upvotes=upvotes) for one in listings(*papers)], (), report(at=at))


def ferns(interest: Interest = FERNS, *others: Interest, **limits: object) -> Profile:
    return profile("me", interest, *others, limits=Limits(**limits))  # type: ignore[arg-type]


def draft(
    store: Store, who: Profile | None = None, ranker: MakeRanker = Words, *, at: datetime = NOON
) -> Digest:
    return pipeline.draft(store, who or ferns(), ranker, now=at)


class Letters:
    """Composes a message of nothing."""

    def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        return b""


def compose(store: Store, *who: Profile, ranker: MakeRanker = Words, at: datetime = NOON) -> Digest | None:
    """What the first of some profiles gets."""
    composed = list(pipeline.compose(store, who or [ferns()], {"email": Letters}, ranker, now=at))
    return composed[0].digest


def kinds(digest: Digest) -> dict[str, list[Paper]]:
    """The papers of each kind of section."""
    found: dict[str, list[Paper]] = {}
    for one in digest.sections:
        found.setdefault(one.kind, []).extend(item.paper for item in one.recommendations)
    return found


def related(digest: Digest) -> list[Paper]:
    return kinds(digest).get("related", [])


def item(digest: Digest, of: Paper) -> Recommendation:
    (found,) = (one for one in digest.recommendations if one.paper == of)
    return found


def explained(
    store: Store, of: Paper, who: Profile | None = None, *, at: datetime = NOON
) -> pipeline.Explanation:
    (stored,) = store.find_papers(of.id)
    return pipeline.explain(store, who or ferns(), stored, Words, now=at)


def relation(store: Store, of: Paper, who: Profile | None = None) -> float:
    (only,) = explained(store, of, who).relations
    return only.relation


# --- what is related --------------------------------------------------------------------------


def test_a_paper_in_the_words_of_an_interest_stands_after_its_matches_and_says_why(store: Store) -> None:
    came(store, NEAR, OTHER, MATCH)
    digest = draft(store)
    assert [(one.kind, one.interest) for one in digest.sections] == [
        ("section", "Ferns"),
        ("related", "Related"),
    ]
    assert kinds(digest) == {"section": [MATCH], "related": [NEAR]}
    said, _, rest = item(digest, NEAR).note.removeprefix("shares ").partition(" with ")
    assert rest == "Ferns papers"
    named = said.split(", ")
    assert len(named) == 3
    assert {word.lower() for word in named} <= set(SUBJECTS["ferns"].split())
    assert all(word in f"{NEAR.title} {NEAR.abstract}" for word in named)
    assert item(digest, MATCH).note == ""
    assert item(digest, NEAR).matches == ()


def test_the_best_of_the_related_are_shown_and_no_more_than_asked_for(store: Store) -> None:
    several = [written("ferns", number, share=0.5) for number in range(200, 208)]
    came(store, *several)
    best = sorted(several, key=lambda one: -relation(store, one))
    for most in (0, 1, 3, 20):
        assert related(draft(store, ferns(related=most))) == best[:most]
    assert kinds(draft(store, ferns(related=0))) == {}


def test_nothing_is_learned_for_somebody_who_wants_nothing_of_it(store: Store) -> None:
    def never() -> Ranker[Any]:
        raise AssertionError("nobody asked for a ranker")

    came(store, NEAR, MATCH)
    assert kinds(draft(store, ferns(related=0, second_look=0), never)) == {"section": [MATCH]}


def test_a_day_without_anything_that_belongs_stays_empty(store: Store) -> None:
    came(store, *(written(subject, 100) for subject in SUBJECTS if subject != "ferns"))
    assert compose(store) is None
    came(store, NEAR, at=NOON + DAY)
    digest = compose(store, at=NOON + DAY)
    assert digest is not None
    assert kinds(digest) == {"related": [NEAR]}


@pytest.mark.parametrize(
    ("condition", "fails", "holds"),
    [
        ({"exclude": ("shade",)}, {"title": "Shade and frond"}, {"title": "Frond and crozier"}),
        ({"require": ("hedge",)}, {}, {"title": "Frond in a hedge"}),
        ({"authors": ("Ada Frond",)}, {"authors": ("Bo Frond",)}, {"authors": ("Ada Frond",)}),
        ({"categories": ("q-bio.PE",)}, {"categories": ("cs.CV",)}, {"categories": ("q-bio.PE",)}),
        ({"query": "NOT hedge"}, {"title": "Frond in a hedge"}, {"title": "Frond"}),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else None,
)
def test_the_conditions_of_an_interest_hold_for_what_is_related(
    store: Store, condition: dict[str, Any], fails: dict[str, Any], holds: dict[str, Any]
) -> None:
    bare = replace(NEAR, title="Frond", abstract=NEAR.abstract.lower().replace("shade", "spore"))
    out = replace(bare, **fails)
    within = replace(bare, id=PaperId("doi:10.5555/within"), **holds)
    came(store, out, within)
    who = ferns(replace(FERNS, **condition))
    # Conditions narrow what the keyword finds, so that the lesson is to be learned from the same papers.
    assert {out, within} <= set(related(draft(store)))
    assert related(draft(store, who)) == [within]


def test_a_paper_that_was_judged_is_not_shown_as_related(store: Store) -> None:
    came(store, NEAR)
    for opinion, shown in ((Opinion.DISLIKE, []), (Opinion.LIKE, []), (None, [NEAR])):
        store.judge("me", [NEAR], opinion, now=NOON)
        assert related(draft(store)) == shown


def test_a_related_paper_is_shown_once_and_comes_back_from_the_store_as_it_was(store: Store) -> None:
    came(store, NEAR, MATCH)
    digest = compose(store)
    assert digest is not None
    assert related(digest) == [NEAR]
    assert digests_of(store, "me") == (digest,)
    came(store, written("ferns", 103, more="fern"), NEAR, at=NOON + DAY)
    following = compose(store, at=NOON + DAY)
    assert following is not None
    assert [one.kind for one in following.sections] == ["section"]
    verdict = explained(store, NEAR, at=NOON + DAY).verdict
    assert (verdict.state, verdict.section, verdict.digest) == ("shown", "Related", digest.id)


def test_an_interest_may_be_called_as_the_section_is(store: Store) -> None:
    came(store, NEAR, MATCH)
    digest = compose(store, ferns(replace(FERNS, name="Related")))
    assert digest is not None
    assert [(one.kind, one.interest) for one in digest.sections] == [
        ("section", "Related"),
        ("related", "Related"),
    ]
    assert digests_of(store, "me") == (digest,)


def test_a_paper_is_related_to_the_interest_that_it_is_nearest_to(empty: Store) -> None:
    came(empty, *library(ferns="fern", bread="rye"), at=LONG_AGO)
    loaf = written("bread", 101, share=0.6)
    came(empty, NEAR, loaf)
    rye = Interest("Rye", keywords=("rye",))
    for who in (ferns(FERNS, rye), ferns(rye, FERNS)):
        digest = draft(empty, who)
        assert item(digest, NEAR).note.endswith(" with Ferns papers")
        assert item(digest, loaf).note.endswith(" with Rye papers")


def test_a_paper_that_is_related_to_several_interests_names_the_nearest(store: Store) -> None:
    nearest = written("ferns", 105, share=0.8)
    came(store, nearest)
    two = FERNS, replace(FERNS, name="Dry ferns", ban=("peat", "damp"))
    relations = explained(store, nearest, ferns(*two)).relations
    assert all(one.relation > 1 for one in relations)
    name = max(relations, key=lambda one: one.relation).interest
    for who in (ferns(*two), ferns(*two[::-1])):
        assert f" with {name} papers" in item(draft(store, who), nearest).note


def test_a_paper_is_not_shown_as_related_and_as_a_near_miss(store: Store) -> None:
    came(store, NEAR)
    strict = Interest("Strict", keywords=tuple(SUBJECTS["ferns"].split()), require=("hedge",))
    digest = draft(store, ferns(FERNS, strict))
    assert related(digest) == [NEAR]
    assert digest.near_misses == ()


def test_all_words_of_a_keyword_apart_from_one_another_are_said_first(empty: Store) -> None:
    who = ferns(Interest("Ferns", keywords=("maidenhair fern",)))
    came(empty, *library(ferns="maidenhair fern"), at=LONG_AGO)
    apart = written("ferns", 310, more="fern called maidenhair", share=0.8)
    came(empty, NEAR, apart)
    digest = draft(empty, who)
    assert related(digest)[0] == apart
    note = item(digest, apart).note
    assert note.startswith("all words of “maidenhair fern”; ")
    assert note.endswith(" with Ferns papers")
    assert "all words" not in "".join(one.note for one in digest.recommendations[1:])


def test_what_has_all_words_of_a_keyword_comes_before_what_is_more_related() -> None:
    def relative(title: str, relation: float, *, is_whole: bool, score: float = 0.0) -> Relative:
        return Relative(Recommendation(paper(title), (), score, ()), relation, is_whole=is_whole)

    found = [
        relative("d", 1.5, is_whole=False, score=1.0),
        relative("c", 1.5, is_whole=False, score=2.0),
        relative("e", 1.1, is_whole=False),
        relative("b", 1.0, is_whole=True),
        relative("a", 1.2, is_whole=True),
    ]
    for order in (found, found[::-1]):
        (made,) = section("related", order, 4)
        assert [one.paper.title for one in made.recommendations] == ["a", "b", "c", "d"]


def test_the_parts_of_every_score_add_up_to_it_and_grow_with_the_weight_of_the_interest(store: Store) -> None:
    for one in (NEAR, MATCH):
        store.add([replace(listings(one)[0], upvotes=15)], (), report())
    store.judge("me", [LIBRARY[0], LIBRARY[1]], Opinion.LIKE, now=NOON)
    parts: dict[float, list[dict[str, float]]] = {}
    for weight in (1.0, 3.0):
        digest = draft(store, ferns(replace(FERNS, weight=weight)))
        assert set(kinds(digest)) == {"section", "related"}
        for found in (item(digest, MATCH), item(digest, NEAR)):
            assert sum(part.value for part in found.parts) == pytest.approx(found.score)
            parts.setdefault(weight, []).append({part.name: part.value for part in found.parts})
    for light, heavy in zip(parts[1.0], parts[3.0], strict=True):
        assert any(name.endswith((" (learned)", " (from your likes)")) for name in light)
        assert light["upvotes"] == 0.4
        assert heavy == {
            name: pytest.approx(value if name == "upvotes" else 3 * value) for name, value in light.items()
        }


def test_the_reason_stands_in_mail_archive_and_feeds(tmp_path: Path) -> None:
    config = configure(tmp_path, extra='[feeds]\nbase_url = "https://me.example.org"', profiles=())
    (tmp_path / "profiles" / "me.toml").write_text(
        'name = "me"\n[[interests]]\nname = "Ferns & <mosses>"\nkeywords = ["fern"]\n'
    )
    made = app.load(str(config), {})
    (who,) = made.profiles()
    with made.store() as store:
        store.add(listings(*LIBRARY, source="file"), (), report("file", at=LONG_AGO))
        store.add(listings(MATCH, NEAR, source="file"), (), report("file"))
        (composed,) = made.compose(store, [who], at=NOON)
    digest = composed.digest
    assert digest is not None
    note = item(digest, NEAR).note
    assert note.endswith(" with Ferns & <mosses> papers")
    files = {one.path: one.content.decode() for one in made.files(who, digest)}
    files |= {one.path: one.content.decode() for one in made.archive.render(who, shelf([digest]))}
    message = message_from_bytes(files.pop("me/digest.eml").encode(), policy=default)
    plain, html = (part.get_content() for part in message.iter_parts())
    shown = {path for path, content in files.items() if note in " ".join(unescape(unescape(content)).split())}
    for text in (plain, files["me/digest.txt"]):
        assert f"Why: {note}" in " ".join(text.split())
    for page in (html, files["me/digest.html"], files[f"{digest.id}.html"]):
        assert f"Why: {note}" in seen(page)
        after = seen(page).partition(MATCH.title)[2].partition("Related")[2]
        assert NEAR.title in after
    assert {path.rpartition("/")[2] for path in shown} >= {"rss.xml", "atom.xml", "feed.json"}


# --- likes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "opinion", "first"),
    [
        ("bread", Opinion.LIKE, "bread"),
        ("clocks", Opinion.LIKE, "clocks"),
        ("bread", Opinion.DISLIKE, "clocks"),
        ("clocks", Opinion.DISLIKE, "bread"),
    ],
)
def test_what_somebody_likes_moves_a_match_up_and_what_they_do_not_like_down(
    store: Store, subject: str, opinion: Opinion, first: str
) -> None:
    matches = {one: written(one, 500, more="fern") for one in ("bread", "clocks")}
    (second,) = matches.keys() - {first}
    came(store, *matches.values())

    def lead(digest: Digest) -> float:
        return item(digest, matches[first]).score - item(digest, matches[second]).score

    before = lead(draft(store))
    store.judge("me", [written(subject, number) for number in range(5)], opinion, now=NOON)
    digest = draft(store)
    assert kinds(digest)["section"] == [matches[first], matches[second]]
    assert lead(digest) > before
    for one in digest.recommendations:
        assert sum(part.value for part in one.parts) == pytest.approx(one.score)
    if opinion is Opinion.LIKE:
        said, _, rest = item(digest, matches[first]).note.removeprefix("shares ").partition(" with ")
        assert rest == "papers you liked"
        assert set(said.lower().split(", ")) <= set(SUBJECTS[first].split())
    assert item(digest, matches[second]).note == ""


def test_a_mail_says_beside_the_keywords_what_likes_did(tmp_path: Path) -> None:
    made = app.load(str(configure(tmp_path)), {})
    (who,) = made.profiles()
    swin = written("ferns", 100, more="Swin")
    with made.store() as store:
        store.add(listings(*LIBRARY, source="file"), (), report("file", at=LONG_AGO))
        store.add(listings(swin, source="file"), (), report("file"))
        store.judge("me", LIBRARY[:5], Opinion.LIKE, now=NOON)
        (composed,) = made.compose(store, [who], at=NOON)
    assert composed.digest is not None
    note = item(composed.digest, swin).note
    assert note.endswith(" with papers you liked")
    assert f"Why: “Swin” in title · {note}" in " ".join(made.mailer.text(who, composed.digest).split())
    assert f"Why: Swin in title · {note}" in seen(made.mailer.html(who, composed.digest))


def test_what_only_likes_speak_for_is_related_by_them(store: Store) -> None:
    store.judge("me", LIBRARY[:5], Opinion.LIKE, now=NOON)
    came(store, NEAR)
    nothing = Interest("Nothing", keywords=("hedge",))
    digest = draft(store, ferns(nothing))
    assert related(digest) == [NEAR]
    assert item(digest, NEAR).note.endswith(" with papers you liked")


def test_a_reason_leaves_out_what_hardly_speaks_for_a_paper(store: Store) -> None:
    loaf = written("bread", 101, more="frond", share=0.9)
    came(store, loaf)
    store.judge("me", [written("bread", number) for number in range(10)], Opinion.LIKE, now=NOON)
    note = item(draft(store), loaf).note
    assert note.endswith(" with papers you liked")
    assert "Ferns" not in note


def test_a_liked_paper_need_not_be_stored_to_be_learned_from(store: Store) -> None:
    came(store, NEAR)
    nothing = ferns(Interest("Nothing", keywords=("hedge",)))
    assert related(draft(store, nothing)) == []
    elsewhere = [written("ferns", number) for number in range(700, 705)]
    store.judge("me", elsewhere, Opinion.LIKE, now=NOON)
    assert related(draft(store, nothing)) == [NEAR]


# --- lessons ----------------------------------------------------------------------------------


class Counted(Words):
    """The ranker that digest brings, with a list of what it learned."""

    def __init__(self) -> None:
        self.needs: list[Need] = []

    def learn(self, need: Need, papers: Any) -> str:  # noqa: ANN401 - its own view of papers
        self.needs.append(need)
        return super().learn(need, papers)


class Newer(Counted):
    version = "words of tomorrow"


def taught(
    store: Store, *who: Profile, ranker: type[Counted] = Counted, at: datetime = NOON
) -> list[tuple[str, ...]]:
    """The keywords of what is learned for the digests of some profiles."""
    made = ranker()
    list(pipeline.compose(store, who or [ferns()], {"email": Letters}, lambda: made, now=at))
    return [need.keywords for need in made.needs]


def test_nothing_is_learned_from_less_than_fifty_papers(empty: Store) -> None:
    papers = LIBRARY[:48]
    came(empty, *papers, at=LONG_AGO)
    came(empty, MATCH)
    assert taught(empty) == []
    assert explained(empty, MATCH).relations == ()
    came(empty, NEAR, at=NOON + DAY)
    assert taught(empty, at=NOON + DAY) == [("fern",)]


def test_a_lesson_is_kept_and_shared_by_all_who_want_the_same(store: Store) -> None:
    came(store, NEAR)
    me = ferns()
    you = replace(ferns(replace(FERNS, name="Lady ferns", weight=2.0)), name="you")
    they = replace(ferns(Interest("Moss", keywords=("moss",))), name="they")
    assert taught(store, me, you, they) == [("fern",), ("moss",)]
    came(store, written("ferns", 103, share=0.6), at=NOON + DAY)
    assert taught(store, me, you, they, at=NOON + DAY) == []
    assert [len(related(digests_of(store, name)[0])) for name in ("me", "you")] == [1, 1]


def test_a_lesson_is_learned_again_when_a_tenth_more_papers_are_stored(store: Store) -> None:
    came(store, NEAR)
    stored = store.paper_count()
    assert taught(store) == [("fern",)]
    more = [written("kites", number) for number in range(100, 100 + stored // 10)]
    came(store, *more, at=NOON + DAY)
    assert taught(store, at=NOON + DAY) == []
    came(store, OTHER, at=NOON + 2 * DAY)
    assert store.paper_count() > stored * 1.1
    assert taught(store, at=NOON + 2 * DAY) == [("fern",)]
    came(store, written("kites", 99), at=NOON + 3 * DAY)
    assert taught(store, at=NOON + 3 * DAY) == []


def test_another_like_or_another_ranker_learns_anew_and_what_was_known_before_is_known_still(
    store: Store,
) -> None:
    def days() -> Iterator[datetime]:
        for number in range(9):
            at = NOON + number * DAY
            came(store, written("kites", 200 + number), at=at)
            yield at

    day = days()
    assert taught(store, at=next(day)) == [("fern",)]
    for opinion in (Opinion.LIKE, Opinion.DISLIKE):
        store.judge("me", [LIBRARY[0]], opinion, now=NOON)
        assert taught(store, at=next(day)) == [("fern",)]
    store.judge("me", [LIBRARY[0]], None, now=NOON)
    assert taught(store, at=next(day)) == []
    assert taught(store, ferns(replace(FERNS, pin=("shade",))), at=next(day)) == [("fern",)]
    assert taught(store, ferns(replace(FERNS, exclude=("shade",))), at=next(day)) == []
    assert taught(store, ranker=Newer, at=next(day)) == [("fern",)]
    assert taught(store, ranker=Newer, at=next(day)) == []


def test_an_interest_without_a_wish_in_words_is_learned_from_likes_alone(store: Store) -> None:
    who = ferns(Interest("No ferns", query="NOT fern"), Interest("Bo", authors=("Bo Frond",)))
    came(store, NEAR)
    assert taught(store, who) == []
    store.judge("me", LIBRARY[:1], Opinion.LIKE, now=NOON)
    came(store, OTHER, at=NOON + DAY)
    assert taught(store, who, at=NOON + DAY) == [()]


@pytest.mark.parametrize(
    ("asked", "keywords", "text"),
    [
        ({"keywords": ("fern", "Tree fern")}, ("fern", "Tree fern"), ""),
        ({"keywords": ("=Fern", '"tree fern"~3', "spor*")}, ("Fern", "tree fern", "spor"), ""),
        ({"query": '(fern OR "tree fern"~2) AND NOT moss'}, (), "fern tree fern"),
        ({"keywords": ("fern",), "require": ("spore", "fern")}, ("fern",), "spore"),
        ({"keywords": ("fern",), "authors": ("Bo Frond",), "categories": ("cs.CV",)}, ("fern",), ""),
    ],
)
def test_what_is_learned_is_what_is_wanted_as_plain_words(
    asked: dict[str, Any], keywords: tuple[str, ...], text: str
) -> None:
    found = need(compile_interest(Interest("Ferns", **asked)))
    assert (found.keywords, found.text) == (keywords, text)


# --- second look ------------------------------------------------------------------------------


@pytest.fixture
def lively(empty: Store) -> Store:
    """The library, with some upvotes for each paper from the first."""
    voted(empty, *LIBRARY, upvotes=3, at=LONG_AGO)
    return empty


def passed_over(store: Store, *papers: Paper, who: Profile | None = None) -> None:
    """Papers come without upvotes, a digest is made without them, and then they have many."""
    voted(store, *papers, upvotes=0)
    digest = compose(store, who or ferns())
    assert digest is None or not digest.recommendations
    voted(store, *papers, upvotes=50, at=NOON + DAY)


def second_look(store: Store, who: Profile | None = None, *, at: datetime = NOON + DAY) -> list[Paper]:
    return kinds(draft(store, who, at=at)).get("second_look", [])


def test_a_paper_that_was_passed_over_comes_once_when_it_draws_attention(lively: Store) -> None:
    voted(lively, HALFWAY, upvotes=0)
    assert 0.5 < relation(lively, HALFWAY) < 1
    assert compose(lively) is None
    assert compose(lively, at=NOON + DAY) is None
    voted(lively, HALFWAY, upvotes=50, at=NOON + 2 * DAY)
    digest = compose(lively, at=NOON + 2 * DAY)
    assert digest is not None
    assert [(one.kind, one.interest) for one in digest.sections] == [("second_look", "Second look")]
    (one,) = digest.recommendations
    assert one.paper == HALFWAY
    attention, _, words = one.note.partition(" · ")
    assert attention == "▲ 50 since it was passed over"
    assert words.endswith(" with Ferns papers")
    assert sum(part.value for part in one.parts) == pytest.approx(one.score)
    assert digests_of(lively, "me") == (digest,)
    verdict = explained(lively, HALFWAY, at=NOON + 3 * DAY).verdict
    assert (verdict.state, verdict.section, verdict.slot) == ("shown", "Second look", NOON + 2 * DAY)
    voted(lively, HALFWAY, upvotes=90, at=NOON + 3 * DAY)
    assert compose(lively, at=NOON + 3 * DAY) is None


def test_second_look_has_a_limit_and_can_be_switched_off(lively: Store) -> None:
    several = [written("ferns", number, share=0.12) for number in range(400, 403)]
    passed_over(lively, *several)
    assert len(second_look(lively)) == 3
    assert len(second_look(lively, ferns(second_look=2))) == 2
    assert second_look(lively, ferns(second_look=0)) == []


def test_only_what_was_nearly_related_gets_a_second_look(lively: Store) -> None:
    passed_over(lively, OTHER, HALFWAY)
    assert second_look(lively) == [HALFWAY]
    word = HALFWAY.title.split()[0]
    assert second_look(lively, ferns(replace(FERNS, exclude=(word,)))) == []
    lively.judge("me", [HALFWAY], Opinion.DISLIKE, now=NOON)
    assert second_look(lively) == []


def test_a_match_that_scored_too_little_gets_a_second_look_before_the_others(lively: Store) -> None:
    who = ferns(min_score=99.0, near_misses=0)
    passed_over(lively, HALFWAY, MATCH, who=who)
    assert second_look(lively, who) == [MATCH, HALFWAY]
    found = item(draft(lively, who, at=NOON + DAY), MATCH)
    assert found.note == "▲ 50 since it was passed over"
    assert [match.keyword for match in found.matches] == ["fern"]
    lively.judge("me", [MATCH], Opinion.DISLIKE, now=NOON)
    assert MATCH not in second_look(lively, who)


def test_attention_does_not_make_a_paper_younger(lively: Store) -> None:
    who = ferns(max_age_days=7)
    old = replace(MATCH, published=date(2026, 11, 1))
    passed_over(lively, old, who=who)
    assert second_look(lively, who) == []
    assert second_look(lively, ferns()) == [old]


def test_a_paper_is_too_long_ago_for_a_second_look_after_a_month(lively: Store) -> None:
    passed_over(lively, HALFWAY)
    assert second_look(lively, at=NOON + 29 * DAY) == [HALFWAY]
    assert second_look(lively, at=NOON + 31 * DAY) == []


def test_a_paper_that_waits_or_is_new_gets_no_second_look(lively: Store) -> None:
    who = ferns(max_papers=1, overflow="carry")
    one, other = MATCH, written("ferns", 104, more="fern")
    voted(lively, one, other, upvotes=0)
    first = compose(lively, who)
    assert first is not None
    (waiting,) = first.waiting
    voted(lively, waiting.paper, NEAR, upvotes=50, at=NOON + DAY)
    assert kinds(draft(lively, who, at=NOON + DAY)) == {"section": [waiting.paper], "related": [NEAR]}
