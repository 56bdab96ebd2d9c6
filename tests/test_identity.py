"""Which papers are the same paper."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.core.identity import (
    aliases,
    arxiv_id,
    doi,
    first,
    is_bare,
    may_merge,
    merge,
    normalised_title,
    paper_id,
    same_words,
    title_id,
)
from digest.core.model import Paper, PaperId

NUMBERS = st.from_regex(r"\A(?:0[7-9]|[12][0-9])(?:0[1-9]|1[0-2])\.[0-9]{5}\Z")
OLD = st.from_regex(r"\A(?:math|hep-th|cs|q-bio)/[0-9]{7}\Z")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2503.01234", "2503.01234"),
        ("2503.01230", "2503.01230"),  # a trailing zero is a part of it
        ("2503.01234v12", "2503.01234"),
        ("arXiv:2503.01234v1", "2503.01234"),
        ("oai:arXiv.org:2604.21935v1", "2604.21935"),
        ("https://arxiv.org/abs/0704.0001", "0704.0001"),
        ("http://arxiv.org/pdf/2503.01234v2.pdf", "2503.01234"),
        ("https://huggingface.co/papers/2503.01234#community", "2503.01234"),
        ("10.48550/arXiv.2503.01234", "2503.01234"),
        ("hep-th/0408048", "hep-th/0408048"),
        ("https://arxiv.org/abs/math.GT/0309136v2", "math/0309136"),
        ("cond-mat.mtrl-sci/0309136", "cond-mat/0309136"),
        ("2513.01234", None),  # there is no thirteenth month
        ("12503.01234", None),
        ("2503.012345", None),
        ("10.1101/2026.07.13.738145", None),
        ("https://pubmed.example.gov/1234567", None),
        ("my-math/0309136", None),
        ("", None),
    ],
)
def test_an_arxiv_number_is_found_in_every_spelling(text: str, number: str | None) -> None:
    assert arxiv_id(text) == number


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("10.1016/J.NEUCOM.2020.01.001", "10.1016/j.neucom.2020.01.001"),
        ("https://doi.org/10.1101/2026.07.13.738145", "10.1101/2026.07.13.738145"),
        ("https://doi.org/10.1002%2Fabc", "10.1002/abc"),
        ("doi:10.1000/xyz.", "10.1000/xyz"),
        ("(see 10.1000/xyz.)", "10.1000/xyz"),
        ("10.1016/S0140-6736(20)30183-5", "10.1016/s0140-6736(20)30183-5"),
        ("10.1000/with(pair)", "10.1000/with(pair)"),
        ("11.1000/xyz", None),
    ],
)
def test_a_doi_is_found_without_its_resolver_and_in_lower_case(text: str, name: str | None) -> None:
    assert doi(text) == name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("$β$-OPSD: Deriving Rewards", "β-OPSD: Deriving Rewards"),
        (r"$\beta$-OPSD: Deriving Rewards", "β-OPSD: Deriving Rewards"),
        (r"\emph{Loud} and \textsc{Clear}", "Loud and Clear"),
        (r"$\Delta$-Learning with $\varepsilon$-Greedy", "Δ-learning with ε-greedy"),
        ("A Study of x^2 and H_{2}O", "A study of x² and H₂O"),
        ("Schrödinger Bridges", r"Schr\"odinger Bridges"),
        ("Schrödinger Bridges", "Schrodinger Bridges"),
        (r"Fran\c{c}ois and Jos\'{e}", "François and José"),
        ("Notes on <i>Drosophila</i>", "Notes on Drosophila"),
        ("Notes on &lt;sub class=&quot;x&quot;&gt;Drosophila&lt;/sub&gt;", "Notes on Drosophila"),
        ("R&amp;D at Scale.", "R&D at scale"),
        ("Kettle: Boiling Down\n  Contexts", "Kettle — boiling down contexts"),
        ("Σ-Mem", "σ-mem"),
        ("ΛΌΓΟΣ", "λόγος"),
        ("Ｆｕｌｌ Width", "full width"),
    ],
)
def test_two_spellings_of_a_title_are_one_title(one: str, other: str) -> None:
    assert title_id(one) == title_id(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SWE-Lancer: Can Models Earn $1 Million?", "SWE-Lancer: Can Models Earn Million?"),
        ("Thinking with <think>", "Thinking with"),
        ("When a<b and c>d", "When a d"),
        ("When a <b and c> d", "When a d"),
        (r"The \alpha Case", r"The \beta Case"),
        ("Part 1", "Part 2"),
        ("???", "!!!"),
        ("", "?"),
    ],
)
def test_what_tells_titles_apart_is_not_lost(one: str, other: str) -> None:
    assert title_id(one) != title_id(other)


@given(st.text())
def test_normalising_a_title_twice_changes_nothing(title: str) -> None:
    once = normalised_title(title)
    assert normalised_title(once) == once


@given(st.text(st.sampled_from("aB1 $\\{}^_<>&;/'\"~.βΣςé\u0301İŉ²µ\n")))
def test_normalising_what_looks_like_tex_and_markup_twice_changes_nothing(title: str) -> None:
    once = normalised_title(title)
    assert normalised_title(once) == once
    assert title_id(f" {title}\n") == title_id(title)


@given(st.text(st.characters(), max_size=50))
def test_any_text_has_an_identifier(title: str) -> None:
    assert is_bare(title_id(title + "\ud800"))


@given(NUMBERS | OLD, st.integers(1, 40))
def test_every_spelling_of_an_arxiv_paper_is_the_same_paper(number: str, version: int) -> None:
    spellings = [
        number,
        f"{number}v{version}",
        f"arXiv:{number}",
        f"https://arxiv.org/pdf/{number}v{version}.pdf",
    ]
    found = {paper_id(title=str(n), arxiv=text) for n, text in enumerate(spellings)}
    found |= {
        paper_id(title="x", doi=f"{prefix}10.48550/arXiv.{number}") for prefix in ("", "https://doi.org/")
    }
    assert found == {PaperId(f"arxiv:{number}")}


def test_the_most_trusted_identifier_wins() -> None:
    assert paper_id(title="x", arxiv="2503.01234", doi="10.1000/x") == "arxiv:2503.01234"
    assert paper_id(title="x", doi="https://doi.org/10.1000/ABC") == "doi:10.1000/abc"
    assert paper_id(title="x", arxiv="nothing", doi="nothing") == title_id("x")


def test_a_doi_that_holds_an_arxiv_like_number_is_no_arxiv_paper() -> None:
    assert paper_id(title="x", doi="10.1000/2503.01234") == "doi:10.1000/2503.01234"


def test_the_aliases_of_a_paper_are_every_name_it_may_be_met_under() -> None:
    paper = Paper(PaperId("arxiv:2503.01234"), "A Title", doi="10.1000/x")
    assert aliases(paper) == (
        "arxiv:2503.01234",
        "doi:10.48550/arxiv.2503.01234",
        "doi:10.1000/x",
        title_id("A Title"),
    )
    bare = Paper(title_id("A Title"), "A Title")
    assert aliases(bare) == (bare.id,)


def test_papers_of_one_title_are_one_only_while_one_has_no_better_name() -> None:
    known = Paper(PaperId("arxiv:2503.01234"), "Editorial")
    met = Paper(PaperId("arxiv:2503.04321"), "Editorial")
    bare = Paper(title_id("Editorial"), "Editorial")
    assert not may_merge(known, met, by_title=True)
    assert may_merge(known, met, by_title=False)
    assert may_merge(known, bare, by_title=True)
    assert may_merge(bare, met, by_title=True)
    assert may_merge(known, known, by_title=True)


def test_the_first_value_is_the_first_that_says_something() -> None:
    assert first([None, "", "a", "b"]) == "a"
    assert first([]) is None


def test_merging_keeps_the_better_name_the_whole_abstract_and_what_only_one_record_knew() -> None:
    known = Paper(
        PaperId("arxiv:2503.01234"),
        "β-Kettles",
        "Kettles boil. They do.",
        authors=("A", "B"),
        published=date(2025, 3, 4),
        doi="10.1000/x",
    )
    met = Paper(
        title_id("Kettles"), r"$\beta$-Kettles", "Kettles boil…", authors=("A",), published=date(2025, 3, 5)
    )
    assert merge(known, met) == known


def test_merging_takes_the_newer_words() -> None:
    known = Paper(title_id("Kettles"), "Kettles", "Old words.")
    met = Paper(
        PaperId("arxiv:2503.01234"), "Kettles, Revised", "New words.", organization="Example Laboratory"
    )
    assert merge(known, met) == met


def test_records_read_alike_when_only_their_spelling_differs() -> None:
    one = Paper(title_id("x"), "$β$-Kettles", "They boil.")
    assert same_words(one, Paper(title_id("x"), "β-kettles", "They  boil"))
    assert not same_words(one, Paper(title_id("x"), "β-kettles", "They do not boil"))
