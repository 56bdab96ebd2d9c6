"""What a keyword means, as cases that anyone can add to: `data/matching/*.toml`."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.core.match import Matcher, Outcome, evaluate
from digest.core.model import Interest, Listing, Paper, PaperId
from digest.core.names import same_person
from digest.core.query import compile_interest, parse_query
from digest.core.text import cut
from digest.errors import QueryError

CASES = [
    pytest.param(case, id=f"{file.stem}-{number}-{case['keyword']}")
    for file in sorted((Path(__file__).parent / "data" / "matching").glob("*.toml"))
    for number, case in enumerate(tomllib.loads(file.read_text(encoding="utf-8"))["case"])
]


def outcome(interest: Interest, paper: Paper, *listings: Listing) -> Outcome:
    compiled = compile_interest(interest)
    return evaluate(compiled, Matcher([compiled]).scan(paper, listings))


def paper(title: str = "", abstract: str = "", **values: Any) -> Paper:  # noqa: ANN401 - as Paper has them
    return Paper(PaperId("title:x"), title, abstract, **values)


def wants(paper_: Paper, **values: Any) -> bool:  # noqa: ANN401 - as Interest has them
    return outcome(Interest("interest", **values), paper_).satisfied


@pytest.mark.parametrize("case", CASES)
def test_a_keyword_finds_exactly_these_places(case: dict[str, Any]) -> None:
    text = case["text"]
    found = outcome(Interest("i", keywords=(case["keyword"],)), paper(text)).matches
    assert [text[match.start : match.end] for match in found] == case["finds"]


WORDS = st.lists(
    st.sampled_from(["Swin", "V2", "talking", "Faces", "GANs", "β", "扩散", "x"]), min_size=1, max_size=3
)


@given(st.text(), WORDS, st.text())
def test_evidence_slices_to_something_that_reads_as_the_keyword(
    before: str, words: list[str], after: str
) -> None:
    keyword = " ".join(words)
    text = f"{before} \n{keyword}\n {after}"
    found = outcome(Interest("i", keywords=(keyword,)), paper(text))
    assert found.satisfied
    for match in found.matches:
        assert outcome(Interest("i", keywords=(keyword,)), paper(text[match.start : match.end])).satisfied


@given(st.text())
def test_any_text_can_be_cut_and_every_place_lies_in_it(text: str) -> None:
    for edge in (result := cut(text)).edges:
        start, end = result.plain.span(edge.start, edge.end)
        assert 0 <= start < end <= len(text)
        assert edge.source < edge.target


@given(st.text(), st.text(min_size=1))
def test_an_exclusion_never_adds_a_paper(text: str, excluded: str) -> None:
    try:
        narrowed = wants(paper(text), keywords=("swin",), exclude=(excluded,))
    except QueryError:
        return
    assert wants(paper(text), keywords=("swin",)) or not narrowed


def test_keywords_are_alternatives_and_the_other_lists_are_conditions() -> None:
    one = paper("Swin for faces", "A talking head.", categories=("cs.CV",), authors=("Ada Löfgren",))
    assert wants(one, keywords=("gan", "swin"))
    assert wants(one, keywords=("swin",), require=("face", "talking head"))
    assert not wants(one, keywords=("swin",), require=("face", "body"))
    assert not wants(one, keywords=("swin",), exclude=("head",))
    assert wants(one, keywords=("swin",), categories=("cs.*",), authors=("Lofgren, A.",))
    assert not wants(one, keywords=("swin",), categories=("eess.*",))
    assert not wants(one, keywords=("swin",), authors=("Grace Hopper",))


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("title:swin", True),
        ("title:head", False),
        ("abstract:head", True),
        ("swin AND head", True),
        ("swin head", True),
        ("swin AND gan", False),
        ("gan OR swin", True),
        ("swin AND NOT gan", True),
        ("swin -head", False),
        ("NOT (gan OR body)", True),
        ('title:swin AND ("lip sync" OR talking-head) AND NOT facebook', True),
        ('"talking head"~2', True),
        ("title:(swin face)", True),
        ("category:cs.CV", True),
        ("category:cs", True),
        ("category:c", False),
        ('author:"A. Löfgren"', True),
        ("organization:acme", True),
        ("keyword:attention", True),
        ("source:huggingface", True),
        ("source:arxiv", False),
    ],
)
def test_a_query_combines_terms_and_fields(query: str, *, holds: bool) -> None:
    one = paper(
        "Swin for faces",
        "A talking head.",
        categories=("cs.LG", "cs.CV"),
        authors=("Grace Hopper", "Ada Löfgren"),
        organization="Acme Research",
        keywords=("attention",),
    )
    listing = Listing(one, "huggingface", None, 0)
    assert outcome(Interest("i", query=query), one, listing).satisfied is holds


@pytest.mark.parametrize(
    ("query", "column", "says"),
    [
        ("swin AND", 9, "ends where a keyword should be"),
        ("AND swin", 1, "'AND' stands where a keyword should be"),
        ("(swin OR gan", 1, "never closed"),
        ("swin)", 5, "closes nothing"),
        ('swin "talking face', 6, "never closed"),
        ("titel:swin", 1, "Did you mean title:?"),
        ("zzz:swin", 1, "Fields are title"),
        ("swin AND ...", 10, "no word"),
        ('category:""', 10, "nothing to look for"),
    ],
)
def test_a_mistake_in_a_query_is_shown_with_a_caret(query: str, column: int, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(query)
    text, shown, caret = str(caught.value).split("\n")
    assert says in text
    assert shown.strip() == query
    assert caret.index("^") - 4 == column - 1


@pytest.mark.parametrize("keyword", ["", "...", "=", "*", "a.*", '"talking" face', '"talking'])
def test_a_keyword_without_a_word_is_refused(keyword: str) -> None:
    with pytest.raises(QueryError):
        compile_interest(Interest("i", keywords=(keyword,)))


def test_every_field_can_be_asked_for() -> None:
    one = paper("Title", "Abstract", authors=("A B", "C D"), organization="Acme", categories=("x.Y",))
    assert one.text("author") == "A B, C D"
    assert one.text("category") == "x.Y"
    assert one.text("source") == ""
    assert paper().text("organization") == ""
    assert wants(one, query='author:"C D" AND category:x.* AND organization:acme')
    assert wants(one, query='"title abstract"~3 OR "acme nothing"~2 OR title')
    assert not wants(one, query='"abstract title"~3')
    assert not wants(one, query='"abstract nothing"~3')


def test_matches_name_interest_keyword_and_field() -> None:
    found = outcome(
        Interest("Faces", keywords=("swin",), authors=("K. He",)),
        paper("Swin", authors=("A B", "Kaiming He")),
    )
    assert [(m.interest, m.keyword, m.field, m.start, m.end) for m in found.matches] == [
        ("Faces", "swin", "title", 0, 4),
        ("Faces", "K. He", "author", 5, 15),
    ]


def test_what_is_missing_is_said_and_one_missing_condition_is_a_near_miss() -> None:
    near = outcome(Interest("i", keywords=("swin",), require=("face",)), paper("Swin"))
    assert near.missing == ("'face' is required",)
    assert near.is_near_miss
    far = outcome(Interest("i", keywords=("swin",), require=("face", "body")), paper("Swin"))
    assert not far.is_near_miss
    excluded = outcome(Interest("i", keywords=("swin",), exclude=("gan",)), paper("Swin GAN"))
    assert excluded.missing == ("'gan' is excluded",)
    assert not excluded.is_near_miss
    queried = outcome(Interest("i", query="swin AND gan"), paper("Swin"))
    assert queried.missing == ("the query swin AND gan",)
    assert not queried.is_near_miss
    nothing = outcome(Interest("i", keywords=("swin",)), paper("GAN"))
    assert nothing.missing == ("any of 'swin'",)
    assert not nothing.is_near_miss


@pytest.mark.parametrize(
    ("wanted", "printed", "same"),
    [
        ("Kaiming He", "Kaiming He", True),
        ("K. He", "Kaiming He", True),
        ("Kaiming He", "K. He", True),
        ("He, Kaiming", "Kaiming He", True),
        ("Kaiming He", "He, K.", True),
        ("He", "Kaiming He", True),
        ("Kaiming He", "He", False),
        ("Kaiming He", "Yang He", False),
        ("Erwin Schrodinger", "Erwin Schrödinger", True),
        ("Łukasz Kaiser", "Lukasz Kaiser", True),
        ("Geoffrey Hinton", "Geoffrey E. Hinton", True),
        ("van den Oord, Aaron", "Aäron van den Oord", True),
        ("Oord", "Aäron van den Oord", True),
        ("", "Kaiming He", False),
        ("He", "", False),
    ],
)
def test_a_person_is_known_with_initials_accents_and_either_order(
    wanted: str, printed: str, *, same: bool
) -> None:
    assert same_person(wanted, printed) is same


def test_on_the_text_copies_swin_finds_only_swin(shared: Path) -> None:
    papers = json.loads(
        (shared / "fixtures/hf_text/search_002_old_layout.expected.json").read_text(encoding="utf-8")
    )
    swin = Interest("Swin", keywords=("Swin",))
    for entry in papers["papers"]:
        one = paper(entry["title"], entry["abstract"])
        text = f"{one.title}\n{one.abstract}"
        found = outcome(swin, one)
        for match in found.matches:
            assert one.text(match.field)[match.start : match.end].casefold().startswith("swin")
        # Whatever holds the letters and is not found holds them inside another word.
        if not found.satisfied and "swin" in text.casefold():
            assert "cswin" in text.casefold() or "swing" in text.casefold()
