"""Many interests met with many papers at once: the same as each with each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.core.board import Board, bits, numbers
from digest.core.identity import title_id
from digest.core.match import Matcher, evaluate
from digest.core.model import Interest, Listing, Paper
from digest.core.query import CompiledInterest, compile_interest
from digest.core.rank import Ranking, corpus
from digest.core.selection import consider, order

KEYWORDS = ["Swin", "talking face", "GAN", "=SAM", "diffus*", '"lip face"~2', "SwinV2", "Schrodinger", "扩散"]
NAMES = ["Kaiming He", "He", "K. He", "O'Brien", "Li, Jian-Fei", "Brien", "Jian-Fei Li", "Martin King, Jr."]
CATEGORIES = ["cs.CV", "cs.*", "cs", "q-bio.PE", "cs.C*"]
QUERIES = [
    "swin AND NOT face", 'title:swin OR "talking face"', "NOT gan", "author:He AND (sam OR gan)",
    "category:cs.CV AND diffus*", "source:arxiv", "swin -face",
]  # fmt: skip
WORDS = [
    "Swin",
    "SwinV2",
    "talking",
    "faces",
    "lip",
    "GANs",
    "SAM",
    "sam",
    "diffusion",
    "Schrödinger",
    "扩散",
]


def some(values: list[str], most: int = 2) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=most).map(tuple)


def listing(
    number: int, title: str, abstract: str, authors: tuple[str, ...], categories: tuple[str, ...], source: str
) -> Listing:
    paper = Paper(title_id(f"{number}"), title, abstract, authors=authors, categories=categories)
    return Listing(paper, source, None, 0)


TEXTS = st.lists(st.sampled_from([*WORDS, "."]), max_size=6).map(" ".join)
LISTINGS = st.builds(
    listing,
    st.integers(0, 6),
    TEXTS,
    TEXTS,
    some(NAMES),
    some(["cs.CV", "cs.LG", "q-bio.PE"]),
    st.sampled_from(["arxiv", "feed"]),
)
INTERESTS = st.builds(
    Interest,
    name=st.just("i"),
    keywords=some(KEYWORDS, 3),
    require=some(KEYWORDS),
    exclude=some(KEYWORDS),
    authors=some(NAMES),
    categories=some(CATEGORIES),
    query=st.none() | st.sampled_from(QUERIES),
).map(compile_interest)


@given(st.lists(INTERESTS, max_size=4), st.lists(LISTINGS, max_size=5))
def test_all_at_once_is_as_each_with_each(interests: list[CompiledInterest], listings: list[Listing]) -> None:
    board = Board(interests)
    first: dict[int, Listing] = {}
    for item in listings:
        first.setdefault(board.put(item.paper, [item]), item)
    for interest in interests:
        matcher = Matcher([interest])
        outcomes = {n: evaluate(interest, matcher.scan(item.paper, [item])) for n, item in first.items()}
        wanted, nearly = board.wanted(interest), board.nearly(interest)
        assert {n for n in first if wanted >> n & 1} == {n for n in first if outcomes[n].satisfied}
        assert {n for n in first if nearly >> n & 1} == {n for n in first if outcomes[n].is_near_miss}
        assert max(wanted, nearly).bit_length() <= len(first)


@given(st.lists(INTERESTS, max_size=3), st.lists(LISTINGS, max_size=5))
def test_a_term_is_counted_in_the_papers_that_hold_it(
    interests: list[CompiledInterest], listings: list[Listing]
) -> None:
    board = Board(interests)
    half = sorted({board.put(item.paper, [item]) for item in listings})[::2]
    terms = {term for interest in interests for term in interest.terms}
    holding = {term: sum(bool(board.findings[n].places(term)) for n in half) for term in terms}
    assert board.counts(half) == {term: count for term, count in holding.items() if count}


@given(st.lists(INTERESTS, min_size=1, max_size=4), st.lists(LISTINGS, max_size=6))
def test_papers_are_ranked_without_evidence_as_they_are_with_it(
    interests: list[CompiledInterest], listings: list[Listing]
) -> None:
    board = Board(interests)
    papers = bits(board.put(item.paper, [item]) for item in listings)
    statistics = corpus(board.findings, board.counts(numbers(papers)))
    found = {n: consider(interests, board.findings[n], statistics) for n in numbers(papers)}
    wanted = [(interest, board.wanted(interest)) for interest in interests]
    candidates = {
        n: one.recommendation
        for n, one in found.items()
        if one is not None and not one.recommendation.missing
    }
    ranked = Ranking(board, statistics, papers).best(wanted)
    assert {n: pytest.approx(score) for score, n in ranked} == {n: one.score for n, one in candidates.items()}
    by_rounded_score = [(round(-score, 9), *order(candidates[n])[1:]) for score, n in ranked]
    assert by_rounded_score == sorted(by_rounded_score)


def test_papers_without_any_evidence_are_ranked_by_votes_and_place() -> None:
    interest = compile_interest(Interest("i", exclude=("gan",)))
    negated = compile_interest(Interest("i", query="NOT gan"))
    board = Board([interest, negated])
    for place, (title, votes) in enumerate((("Swin", 0), ("Face", 0), ("GAN", 9), ("Moss", 7))):
        paper = Paper(title_id(title), title)
        board.put(paper, [Listing(paper, "page", None, place, upvotes=votes)])
    for one in (interest, negated):
        wanted = board.wanted(one)
        ranked = Ranking(board, corpus(board.findings, {}), wanted).best([(one, wanted)])
        assert [number for _, number in ranked] == [3, 0, 1]


def test_a_query_is_decided_for_all_papers_at_once() -> None:
    papers = [Paper(title_id(title), title) for title in ("Swin and face", "Swin", "Face", "Gan")]
    queries = {
        "swin AND NOT face": [1],
        "swin OR gan": [0, 1, 3],
        "NOT (swin OR face)": [3],
        "face": [0, 2],
    }
    for query, wanted in queries.items():
        interest = compile_interest(Interest("i", query=query))
        board = Board([interest])
        numbers = [board.put(paper) for paper in papers]
        assert [number for number in numbers if board.wanted(interest) >> number & 1] == wanted


@given(
    st.lists(INTERESTS, min_size=2, max_size=6), st.lists(LISTINGS, max_size=6), st.sampled_from([2, 1 << 18])
)
def test_interests_that_come_later_find_what_they_would_have_found_at_once(
    interests: list[CompiledInterest], listings: list[Listing], most_terms: int
) -> None:
    at_once, growing = Board(interests), Board()
    numbers_of = [board.put(one.paper, [one]) for one in listings for board in (at_once, growing)]
    half = [number for number in numbers_of[::2] if number % 2]
    counts = growing.counts(half)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("digest.core.board._MOST_TERMS", most_terms)
        for interest in interests:
            growing.expect([interest])
            assert growing.wanted(interest) == at_once.wanted(interest)
            assert growing.nearly(interest) == at_once.nearly(interest)
            for ours, theirs in zip(growing.findings, at_once.findings, strict=True):
                assert evaluate(interest, ours) == evaluate(interest, theirs)
    if most_terms > len(interests):
        assert counts == at_once.counts(half)
        assert len(counts) == len(list(counts))
