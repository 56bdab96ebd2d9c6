"""What relevance learns and how it ranks, over invented papers of a few subjects.

Each subject has words of its own and shares the words that all papers have; a paper holds some of both.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from digest.core.collection import Collection
from digest.core.model import Need, Paper, PaperId
from digest.core.relevance import FEWEST, Lesson, Words, learn
from digest.core.stems import STOP_WORDS

_SUBJECTS = {
    "faces": "talking face lip audio speech avatar portrait phoneme viseme mouth expression head dubbing",
    "graphs": "graph node edge neighbourhood spectral laplacian community clique walk centrality molecule",
    "robots": "robot grasp manipulation gripper arm torque contact tactile policy teleoperation dexterous",
    "proofs": "theorem proof lemma prover formal tactic lean verification logic induction axiom conjecture",
    "crops": "crop soil wheat yield irrigation field drought leaf satellite harvest fertiliser rainfall",
    "stars": "galaxy star redshift telescope survey luminosity dust spectrum halo supernova quasar orbit",
}
_COMMON = (
    "model data training performance experiments large learning framework improve quality task evaluation "
    "problem challenge existing state art across domain code available significant complex efficient design "
    "analysis process system information structure feature general representation error rate sample"
)
_EACH = 30
_FEW = 6
SETTINGS = settings(max_examples=60)


def abstract(subject: str, rng: random.Random) -> str:
    """Some sentences in the words of a subject, every other word in those of all papers."""
    own, common = _SUBJECTS[subject].split(), _COMMON.split()
    # Nobody uses all the words of a subject.
    own = rng.sample(own, 7)
    sentences = [
        " ".join(rng.choice(own if rng.random() < 0.4 else common) for _ in range(rng.randint(8, 16)))
        for _ in range(rng.randint(4, 8))
    ]
    return " ".join(f"{sentence.capitalize()}." for sentence in sentences)


def made(subject: str, number: int) -> Paper:
    rng = random.Random(f"{subject} {number}")  # noqa: S311 - the same papers each time
    title = " ".join(rng.sample(_SUBJECTS[subject].split(), 2) + rng.sample(_COMMON.split(), 3))
    return Paper(PaperId(f"x:{subject}-{number:03}"), title.capitalize(), abstract(subject, rng))


PAPERS = tuple(made(subject, number) for number in range(_EACH) for subject in _SUBJECTS)
STORED = Collection(PAPERS)
IDS = tuple(STORED.rows)


def of(subject: str, count: int = _EACH) -> tuple[PaperId, ...]:
    return tuple(PaperId(f"x:{subject}-{number:03}") for number in range(count))


def paper(name: str, title: str = "", abstract: str = "") -> Paper:
    return Paper(PaperId(f"y:{name}"), title, abstract)


def scores(need: Need, papers: Collection, *, lesson: Lesson | None = None) -> dict[PaperId, float]:
    found = (lesson or learn(need, papers)).scores(papers)
    return {one.id: float(score) for one, score in zip(papers.papers, found, strict=True)}


def score(lesson: Lesson, one: Paper) -> float:
    return float(lesson.scores(Collection([one]))[0])


def ranking(need: Need, papers: Collection, *, but: Sequence[PaperId] = ()) -> list[PaperId]:
    found = scores(need, papers)
    return sorted(found.keys() - set(but), key=lambda one: (-found[one], one))


def area(found: dict[PaperId, float], wanted: Sequence[PaperId], others: Sequence[PaperId]) -> float:
    """How often a wanted paper scores more than another."""
    return float(np.mean([[found[one] > found[other] for other in others] for one in wanted]))


WORDS = sorted({*" ".join(_SUBJECTS.values()).split(), *_COMMON.split()} - STOP_WORDS)
phrases = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
some_ids = st.lists(st.sampled_from(IDS), max_size=12, unique=True)


@st.composite
def needs(draw: st.DrawFn) -> Need:
    judged = draw(some_ids)
    cut = draw(st.integers(0, len(judged)))
    return Need(
        keywords=tuple(draw(st.lists(phrases, max_size=3))),
        text=draw(st.sampled_from(["", *(one.abstract for one in PAPERS[:6])])),
        liked=tuple(judged[:cut]),
        disliked=tuple(judged[cut:]),
        pin=tuple(draw(st.lists(st.sampled_from([*WORDS, "nowhere"]), max_size=2))),
        ban=tuple(draw(st.lists(st.sampled_from([*WORDS, "nowhere"]), max_size=2))),
    )


@given(needs(), st.sampled_from(PAPERS))
@SETTINGS
def test_the_parts_of_a_score_sum_up_to_it(need: Need, one: Paper) -> None:
    lesson = learn(need, STORED)
    assert sum(part.value for part in lesson.parts(one)) == pytest.approx(score(lesson, one), abs=1e-9)
    assert scores(need, STORED, lesson=lesson)[one.id] == pytest.approx(score(lesson, one), abs=1e-9)


@given(needs())
@SETTINGS
def test_a_lesson_is_the_same_after_it_was_stored(need: Need) -> None:
    lesson = learn(need, STORED)
    again = Lesson.load(lesson.dump())
    assert again == lesson
    assert again.scores(STORED).tolist() == lesson.scores(STORED).tolist()
    assert again.parts(PAPERS[0]) == lesson.parts(PAPERS[0])


@given(needs(), st.sampled_from(WORDS))
@SETTINGS
def test_a_banned_word_has_no_effect(need: Need, banned: str) -> None:
    keywords = tuple(keyword for keyword in need.keywords if banned not in keyword.split())
    pin = tuple(one for one in need.pin if one != banned)
    lesson = learn(replace(need, keywords=keywords, pin=pin, ban=(*need.ban, banned)), STORED)
    assert banned not in {word.shown for word in lesson.words}
    title, rest = f"About {banned}", f"A robot hears {banned} and proves {banned}."
    holding = paper("one", title, rest)
    without = paper("one", title.replace(banned, "xyzzy"), rest.replace(banned, "xyzzy"))
    assert banned not in {part.name for part in lesson.parts(holding)}
    assert score(lesson, holding) == pytest.approx(score(lesson, without), abs=1e-9)


def test_a_ban_holds_for_all_forms_of_a_word() -> None:
    lesson = learn(Need(liked=of("robots", 5), ban=("Robots",)), STORED)
    assert not {"robot", "robots"} & {word.shown for word in lesson.words}
    assert {"grasp", "gripper"} & {word.shown for word in lesson.words}


def test_a_pinned_word_counts_whatever_was_learned() -> None:
    need = Need(keywords=("talking face",), liked=of("graphs", 4))
    holding = paper("one", "A model of wheat", "Data on wheat.")
    before, after = learn(need, STORED), learn(replace(need, pin=("wheat",)), STORED)
    assert score(after, holding) > score(before, holding) + 1
    assert ("wheat", "pinned") in {(part.name, part.origin) for part in after.parts(holding)}
    assert score(after, PAPERS[0]) == pytest.approx(score(before, PAPERS[0]))


@pytest.mark.parametrize("pin", ["xyzzy", "", "…", "the"])
def test_a_pin_that_says_nothing_does_no_harm(pin: str) -> None:
    need = Need(keywords=("talking face",))
    assert scores(replace(need, pin=(pin,)), STORED) == scores(need, STORED)


@given(needs(), st.randoms(use_true_random=False))
@SETTINGS
def test_the_order_of_the_input_does_not_matter(need: Need, rng: random.Random) -> None:
    def mixed(items: Sequence[PaperId]) -> tuple[PaperId, ...]:
        return tuple(rng.sample(items, len(items)))

    other = replace(need, liked=mixed(need.liked), disliked=mixed(need.disliked))
    papers = Collection(rng.sample(PAPERS, len(PAPERS)))
    assert learn(other, papers).dump() == learn(need, STORED).dump()
    assert ranking(other, papers) == ranking(need, STORED)
    other = replace(need, keywords=tuple(rng.sample(need.keywords, len(need.keywords))))
    found, again = scores(need, STORED), scores(other, papers)
    assert all(again[one] == pytest.approx(found[one], abs=1e-6) for one in found)


@st.composite
def near_duplicates(draw: st.DrawFn) -> tuple[Paper, Paper]:
    """A paper, and the same again after a small edit."""
    one = draw(st.sampled_from(PAPERS))
    if draw(st.integers(0, 4)) == 0:
        one = replace(one, abstract="")
    title, text = one.title.split(), one.abstract.split()
    edit = draw(st.sampled_from(["none", "word", "sentence", "title", "all"]))
    if edit in {"word", "all"} and text:
        del text[draw(st.integers(0, len(text) - 1))]
    if edit in {"title", "all"}:
        title[draw(st.integers(0, len(title) - 1))] = draw(st.sampled_from(["Towards", "model", "better"]))
    abstract = " ".join(text)
    if edit in {"sentence", "all"}:
        abstract = " ".join(draw(st.permutations(abstract.split(". "))))
    # What shares nine of ten words is called a near duplicate, which a title of five words is not.
    before, after = (
        {*f"{title} {text}".lower().split()}
        for title, text in ((one.title, one.abstract), (" ".join(title), abstract))
    )
    assume(len(before & after) >= 0.9 * len(before | after))
    name = PaperId(draw(st.sampled_from(["a:copy", "z:copy"])))
    return one, replace(one, id=name, title=" ".join(title), abstract=abstract)


@given(near_duplicates(), needs(), st.sampled_from([FEWEST, 120]), st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_liking_a_paper_never_lowers_its_near_duplicate(
    twins: tuple[Paper, Paper], need: Need, count: int, rng: random.Random
) -> None:
    one, copy = twins
    judged = {*need.liked, *need.disliked}
    known = {stored.id: stored for stored in PAPERS if stored.id in judged}
    known |= {stored.id: stored for stored in rng.sample(PAPERS, count)}
    papers = Collection([*(stored for stored in known.values() if stored.id != one.id), one, copy])
    need = replace(
        need,
        liked=tuple(name for name in need.liked if name != one.id),
        disliked=tuple(name for name in need.disliked if name != one.id),
    )

    def place(need: Need) -> float:
        found = scores(need, papers)
        ahead = np.array([found[other] - found[copy.id] for other in found.keys() - {one.id, *need.disliked}])
        margin = 1e-9 * (1 + abs(found[copy.id]))
        # Of those that tie, half are ahead.
        return float((ahead > margin).sum() + (abs(ahead) <= margin).sum() / 2)

    assert place(replace(need, liked=(*need.liked, one.id))) <= place(need)


@pytest.mark.parametrize(
    "papers",
    [
        (),
        (paper("empty"),),
        (paper("title", "A talking face"),),
        (paper("abstract", "", "A talking face."),),
        (paper("a", "…"), paper("b", "", "?"), paper("c", "12 2024", "3.14")),
        (paper("a", "Sprechende Köpfe", "話す顔 говорящая голова \ud800 \0"), paper("b", "話す顔", "🙂")),
        (paper("same", "Talking face"), paper("twin", "Talking face")),
        (paper("a", "Face", "face " * 20_000), paper("b", "a" * 100_000, "<math>" * 10_000)),
    ],
)
@pytest.mark.parametrize(
    "need",
    [
        Need(),
        Need(("talking face",)),
        Need(("the of", "…", "", "2024", "話す顔", "a" * 1_000), text="A talking face"),
        Need(liked=(PaperId("y:a"), PaperId("nobody")), disliked=(PaperId("y:b"), PaperId("none"))),
        Need(
            ("face",),
            "the",
            tuple(map(PaperId, ("y:a", "y:b", "y:same"))),
            pin=("face", "x"),
            ban=("talking",),
        ),
        Need(disliked=(PaperId("y:same"), PaperId("y:empty"))),
    ],
)
def test_odd_papers_and_odd_needs_make_no_odd_numbers(papers: Sequence[Paper], need: Need) -> None:
    read = Collection(papers)
    lesson = learn(need, read)
    for seen in (read, STORED):
        assert np.isfinite(lesson.scores(seen)).all()
        assert np.isfinite(lesson.support(seen)).all()
    assert not lesson.thresholds  # so few papers teach nothing of what is related
    lesson = learn(need, STORED)
    assert np.isfinite(lesson.scores(read)).all()
    assert all(math.isfinite(threshold) and threshold > 0 for threshold in lesson.thresholds.values())
    assert Lesson.load(lesson.dump()) == lesson


@given(st.lists(st.builds(paper, st.text(max_size=5), st.text(), st.text()), max_size=5), needs(), st.text())
@SETTINGS
def test_any_text_gets_a_number(papers: list[Paper], need: Need, keyword: str) -> None:
    need = replace(need, keywords=(*need.keywords, keyword), text=keyword, pin=(keyword,), ban=())
    read = Collection([*papers, *PAPERS[:20]])
    lesson = learn(need, read)
    assert np.isfinite(lesson.scores(read)).all()
    for one in papers:
        assert sum(part.value for part in lesson.parts(one)) == pytest.approx(score(lesson, one), abs=1e-9)


@pytest.mark.parametrize("keyword", ["the of", "…", "", "-", "and/or"])
def test_a_keyword_of_no_words_adds_nothing(keyword: str) -> None:
    assert scores(Need(("talking face", keyword)), STORED) == scores(Need(("talking face",)), STORED)
    assert not any(scores(Need((keyword,)), STORED).values())


def test_judged_papers_that_nobody_knows_are_passed_over() -> None:
    need = Need(liked=of("stars", 4), disliked=of("crops", 2))
    more = replace(need, liked=(*need.liked, PaperId("nobody")), disliked=(*need.disliked, PaperId("none")))
    assert ranking(more, STORED) == ranking(need, STORED)


@cache
def with_spellings() -> Collection:
    """Papers of each way to write a word, among others."""
    ways = [
        paper(f"{way} {number}", f"A {way} {topic}", f"We train one {way} network for {topic}.")
        for way in ("multi-modal", "multimodal", "multi modal")
        for number, topic in enumerate(("retrieval", "translation"))
    ]
    return Collection([*ways, *PAPERS, paper("other", "A modal logic", "Modal logic of multi agent worlds.")])


@pytest.mark.parametrize("keyword", ["multi-modal", "multimodal", "multi modal", "Multi-Modal"])
def test_a_word_is_found_however_it_is_spelled(keyword: str) -> None:
    found = ranking(Need((keyword,)), with_spellings())
    assert {one.removeprefix("y:")[:-2] for one in found[:6]} == {"multi-modal", "multimodal", "multi modal"}


def test_the_whole_keyword_counts_more_than_half_of_it_and_a_phrase_more_than_its_words() -> None:
    filler = "and further words of a model"
    papers = Collection(
        [
            *(one for one in PAPERS if "faces" not in one.id),
            paper("phrase", f"On talking face {filler}"),
            paper("scattered", f"On face {filler} talking"),
            paper("half", f"On face {filler} speaking"),
            paper("none", f"On nothing {filler} at all"),
        ]
    )
    lesson = learn(Need(("talking face",)), papers)
    # The keyword itself, without what is learned.
    (keyword,) = lesson.keywords
    points = dict(zip((one.id for one in papers.papers), keyword.scores(papers), strict=True))
    names = [PaperId(f"y:{name}") for name in ("phrase", "scattered", "half", "none")]
    assert points[names[0]] > points[names[1]] > points[names[2]] > points[names[3]] == 0
    assert ranking(Need(("talking face",)), papers)[:3] == names[:3]


def test_a_paper_with_none_of_the_keywords_is_found_by_the_words_of_those_that_have_them() -> None:
    synonym = paper("synonym", "Lip and mouth", "A dubbing avatar: audio, phoneme, viseme and expression.")
    papers = Collection([*PAPERS, synonym])
    found = ranking(Need(("talking face",)), papers)
    unrelated = [one for one in found if "faces" not in one and one != synonym.id]
    assert found.index(synonym.id) < min(map(found.index, unrelated))
    assert scores(Need(("talking face",)), papers)[synonym.id] > 0


@cache
def with_few(subject: str) -> Collection:
    """Stored papers, of which few are on a subject; as an interest is a small part of what is new."""
    others = [one for one in PAPERS if subject not in one.id]
    return Collection([*others, *(made(subject, number) for number in range(_FEW))])


@pytest.mark.parametrize("subject", _SUBJECTS)
@pytest.mark.parametrize("by", ["keywords", "likes"])
def test_what_belongs_reaches_the_threshold_and_an_empty_day_stays_empty(subject: str, by: str) -> None:
    first, second, third, *_ = _SUBJECTS[subject].split()
    need = Need((f"{first} {second}", third)) if by == "keywords" else Need(liked=of(subject, _FEW))
    lesson = learn(need, with_few(subject))
    tomorrow = Collection(made(other, number) for other in _SUBJECTS for number in range(100, 150))
    relations = dict(zip(tomorrow.rows, lesson.relations(tomorrow), strict=True))
    related = {one for one, found in relations.items() if found >= 1}
    planted = {one for one in relations if one.startswith(f"x:{subject}-")}
    assert related <= planted
    assert len(related) >= len(planted) / 2


def test_one_shared_word_is_no_relation() -> None:
    lesson = learn(Need(("talking face",)), STORED)
    for word in [word.shown for word in lesson.words[:20]] + ["talking", "face"]:
        one = Collection([paper("one", f"{word} {word}", f"A {word} of {word}, {word} and xyzzy.")])
        assert lesson.relations(one)[0] < 1


def test_too_few_papers_teach_nothing_of_what_is_related() -> None:
    assert learn(Need(("talking face",)), Collection(PAPERS[: FEWEST - 1])).thresholds == {}
    assert learn(Need(("talking face",)), Collection(PAPERS[:FEWEST])).thresholds
    assert learn(Need(("xyzzy",)), STORED).thresholds == {}


def test_where_no_paper_has_the_keyword_only_what_stands_out_clearly_is_related() -> None:
    lesson = learn(Need(text=f"{_SUBJECTS['stars']}"), STORED)
    assert lesson.thresholds
    assert not (lesson.relations(Collection(PAPERS[:3])) >= 1).any()


@pytest.mark.parametrize("subject", _SUBJECTS)
def test_one_like_puts_its_subject_first(subject: str) -> None:
    liked = of(subject, 1)
    found = ranking(Need(liked=liked), STORED, but=liked)
    assert sum(subject in one for one in found[:10]) >= 9


@pytest.mark.parametrize("subject", _SUBJECTS)
def test_ten_likes_tell_their_subject_from_the_others(subject: str) -> None:
    found = scores(Need(liked=of(subject, 10)), STORED)
    others = [one for one in IDS if subject not in one]
    assert area(found, of(subject)[10:], others) > 0.99


def test_dislikes_push_their_subject_down() -> None:
    likes = (*of("stars", 4), *of("crops", 4))
    crops, stars, others = of("crops")[10:], of("stars")[10:], of("graphs")
    before = scores(Need(liked=likes), STORED)
    after = scores(Need(liked=of("stars", 4), disliked=of("crops", 4)), STORED)
    assert area(before, crops, others) > 0.9
    assert area(after, crops, others) < 0.2
    assert area(after, stars, others) > 0.9
    alone = scores(Need(disliked=of("crops", 1)), STORED)
    assert area(alone, others, crops) > 0.9
    keyword = scores(Need(("soil", "orbit"), disliked=of("crops", 3)), STORED)
    assert area(keyword, stars, crops) > area(scores(Need(("soil", "orbit")), STORED), stars, crops)


def test_likes_and_keywords_are_heard_together_and_more_likes_more() -> None:
    def of_stars(likes: int) -> float:
        found = scores(Need(("soil",), liked=of("stars", likes)), STORED)
        return area(found, of("stars")[15:], of("crops"))

    assert of_stars(0) < of_stars(2) < of_stars(12)
    both = scores(Need(("soil",), liked=of("stars", 5)), STORED)
    assert area(both, [*of("stars")[15:]], of("proofs")) > 0.9
    assert area(both, of("crops"), of("proofs")) > 0.9


def test_of_many_papers_a_part_is_enough_to_learn_what_is_not_wanted() -> None:
    subject = next(iter(_SUBJECTS))
    many = [paper(f"{n}", one.title, one.abstract) for n, one in enumerate(PAPERS * (3_600 // len(PAPERS)))]
    papers = Collection([*many, *PAPERS])
    found = scores(Need(liked=of(subject, 8)), papers)
    others = [one for one in IDS if subject not in one]
    assert area(found, of(subject)[8:], others) > 0.95


def test_a_pinned_word_is_said_to_be_pinned_and_not_to_be_liked() -> None:
    ranker = Words()
    lesson = ranker.learn(Need(("talking face",), pin=("viseme",)), STORED)
    one = paper("one", "A viseme for each talking face")
    assert ranker.why(lesson, one, "Faces", keywords=False) == "has viseme, which you pinned"
    assert ranker.why(lesson, PAPERS[0], "Faces", keywords=False) == ""
