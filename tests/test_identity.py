"""Which papers are the same paper."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields, replace
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import report

from digest.core.identity import (
    aliases,
    arxiv_id,
    doi,
    first,
    identifiers,
    is_bare,
    may_merge,
    merge,
    normalised_title,
    paper_id,
    same_words,
    title_id,
)
from digest.core.model import Listing, Paper, PaperId
from digest.store.store import Store

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


def test_an_address_at_arxiv_is_the_paper_and_not_one_of_its_versions() -> None:
    first, second = (identifiers(title=f"{n}", url=f"https://arxiv.org/abs/2503.01234v{n}") for n in (1, 2))
    assert first[0] == second[0] == "arxiv:2503.01234"
    assert identifiers(title="a", url="https://example.org/2503.01234")[0] == "url:example.org/2503.01234"


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


def test_one_preprint_has_two_prefixes_and_any_number_of_versions() -> None:
    for text in (
        "10.64898/2026.07.13.738145",
        "https://www.biorxiv.org/content/10.1101/2026.07.13.738145v2?rss=1",
        "https://www.medrxiv.org/content/10.64898/2026.07.13.738145v1.full.pdf",
    ):
        (name,) = identifiers(title="x", doi=text)
        found = aliases(Paper(name, "x"))
        assert {"doi:10.1101/2026.07.13.738145", "doi:10.64898/2026.07.13.738145"} <= set(found)


def test_a_paper_has_an_identifier_of_every_place_that_knows_it() -> None:
    found = identifiers(
        title="x",
        url="HTTPS://WWW.Example.org/paper/7/?utm_source=mail&page=2&af=R#top",
        openalex="https://openalex.org/W42",
        corpus=99,
        openreview="https://openreview.net/forum/aB3-_xYz",
        pmid="12345678",
        doi="https://doi.org/10.1000/ABC?rss=1",
        arxiv="2503.01234v2",
    )
    assert found == (
        "arxiv:2503.01234", "doi:10.1000/abc", "pmid:12345678", "openreview:aB3-_xYz", "corpus:99",
        "openalex:W42", "url:example.org/paper/7?page=2",
    )  # fmt: skip


def test_what_is_no_identifier_counts_as_absent() -> None:
    found = identifiers(
        title="x", arxiv=3, doi={}, pmid="PMC1", openreview="?", corpus="x", openalex="A1", url="http://[::1"
    )
    assert found == (title_id("x"),)
    assert identifiers(title="x", url="mailto:me@example.org") == (title_id("x"),)
    assert identifiers(title="x", url=7) == (title_id("x"),)


LONG = "Counting the leaves of invented trees"


def record(name: str, title: str = LONG, *authors: str, **values: Any) -> Paper:  # noqa: ANN401 - fields of a paper
    return Paper(PaperId(name) if name else title_id(title), title, authors=authors, **values)


@pytest.mark.parametrize(
    ("known", "met"),
    [
        (record("arxiv:2503.01234", "Editorial"), record("", "Editorial")),
        (record("", "Editorial"), record("arxiv:2503.01234", "Editorial")),
        (record("arxiv:2503.01234", LONG, "Ada Leaf"), record("doi:10.1000/x", LONG, "Leaf, A.", "B. Twig")),
        (record("arxiv:2503.01234"), record("openreview:aBcDeFgH")),
        (record("url:one.example.org/7"), record("url:two.example.org/9")),
        (record("", "Editorial", "Ada Leaf"), record("", "Editorial", "A. Leaf")),
    ],
)
def test_records_of_one_title_are_one_paper_where_nothing_contradicts_it(known: Paper, met: Paper) -> None:
    assert may_merge(known, met, by_title=True)


@pytest.mark.parametrize(
    ("known", "met"),
    [
        (record("arxiv:2503.01234"), record("arxiv:2503.04321")),
        (record("url:journal.example.org/1"), record("url:journal.example.org/2")),
        (record("arxiv:2503.01234", identifiers=("doi:10.1000/x",)), record("doi:10.1000/y")),
        (record("arxiv:2503.01234", LONG, "Ada Leaf"), record("doi:10.1000/x", LONG, "Bo Twig")),
        (record("", "Editorial", "Ada Leaf"), record("url:example.org/1", "Editorial", "Bo Twig")),
        (record("doi:10.1000/x", "Editorial"), record("pmid:1", "Editorial")),
    ],
)
def test_records_of_one_title_are_two_papers_where_something_does(known: Paper, met: Paper) -> None:
    assert not may_merge(known, met, by_title=True)
    assert may_merge(known, met, by_title=False)


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


def test_the_words_of_the_later_version_win_whichever_comes_first() -> None:
    first = record("arxiv:2503.01234", "Kettles", abstract="Kettles boil water in a while.")
    later = replace(first, title="Kettles, Revised", abstract="Kettles boil it.", updated=date(2025, 5, 1))
    assert merge(first, later).title == merge(later, first).title == "Kettles, Revised"
    assert merge(first, later).abstract == merge(later, first).abstract == "Kettles boil it."


def test_a_title_cut_short_does_not_replace_a_whole_one() -> None:
    whole = record("doi:10.1000/x")
    short = record("doi:10.1000/x", f"{LONG[:20]}…")
    assert merge(whole, short).title == merge(short, whole).title == LONG


def test_a_teaser_does_not_replace_an_abstract() -> None:
    whole = record("doi:10.1000/x", abstract="Leaves were counted by hand, by machine and by their shadows.")
    teaser = record("url:example.org/x", abstract="How many leaves?")
    assert merge(whole, teaser).abstract == merge(teaser, whole).abstract == whole.abstract


def test_merging_keeps_every_identifier_and_category() -> None:
    one = record("doi:10.1000/x", categories=("q-bio.PE",), identifiers=("pmid:1", "mine:7"), author_count=3)
    other = record("arxiv:2503.01234", categories=("cs.CV", "q-bio.PE"), author_count=2)
    merged = merge(one, other)
    assert merged.id == "arxiv:2503.01234"
    assert merged.identifiers == ("doi:10.1000/x", "pmid:1", "mine:7")
    assert merged.categories == ("q-bio.PE", "cs.CV")
    assert merged.author_count == 3
    assert merge(record(""), one).id == "doi:10.1000/x"


WORDS = st.sampled_from(["", "Leaves.", "Leaves fall.", "Leaves fall in the autumn of every year.", "Trees…"])
PAPERS = st.builds(
    Paper,
    id=st.sampled_from(["arxiv:2503.01234", "doi:10.1000/x", "pmid:1", title_id(LONG)]).map(PaperId),
    title=st.sampled_from([LONG, LONG.upper(), f"${LONG}$"]),
    abstract=WORDS,
    authors=st.sampled_from([(), ("Ada Leaf",), ("Ada Leaf", "Bo Twig")]),
    url=st.sampled_from([None, "https://example.org/1"]),
    published=st.sampled_from([None, date(2025, 3, 4), date(2025, 3, 5)]),
    updated=st.sampled_from([None, date(2025, 4, 4), date(2025, 5, 5)]),
    categories=st.sampled_from([(), ("cs.CV",), ("cs.CV", "cs.LG")]),
    doi=st.sampled_from([None, "10.1000/x"]),
)


def test_records_read_alike_when_only_their_spelling_differs() -> None:
    one = Paper(title_id("x"), "$β$-Kettles", "They boil.")
    assert same_words(one, Paper(title_id("x"), "β-kettles", "They  boil"))
    assert not same_words(one, Paper(title_id("x"), "β-kettles", "They do not boil"))


@given(PAPERS, PAPERS)
def test_merging_loses_nothing_and_merging_again_changes_nothing(known: Paper, met: Paper) -> None:
    merged = merge(known, met)
    assert merge(merged, met) == merge(merged, merged) == merged
    for field in fields(Paper):
        if getattr(known, field.name) or getattr(met, field.name):
            assert getattr(merged, field.name)
    assert set(aliases(merged)) >= (set(aliases(known)) | set(aliases(met))) - {title_id(LONG)}


PLACES = (
    Listing(
        record("arxiv:2503.01234", "$\\beta$-Leaves: Counting by Shadow", "Ada Leaf", "Bo Twig"),
        "arxiv",
        None,
        0,
    ),
    Listing(record("", "β-Leaves: Counting by Shadow"), "saved", None, 0),
    Listing(record("doi:10.1000/x", "beta-Leaves: Counted by Their Shadows", "A. Leaf"), "crossref", None, 0),
    Listing(record("pmid:7", "Beta-leaves", identifiers=("doi:10.1000/x",)), "pubmed", None, 0),
    Listing(
        record("arxiv:2503.01234", "Leaves", identifiers=("doi:10.1000/x", "corpus:5")), "semantic", None, 0
    ),
)
"""One paper as five places show it; only together do they tell that it is one."""


@settings(max_examples=30)
@given(st.permutations(PLACES), st.sets(st.integers(1, 4)))
def test_in_whatever_order_its_places_are_read_a_paper_is_one_with_all_it_has(
    order: Sequence[Listing], cuts: set[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(Store(f"sqlite:///{folder}/digest.db")) as store:
        for start, end in pairwise(sorted({0, *cuts, len(order)})):
            store.add(order[start:end], (), report())
        (stored,) = store.papers_since()
    assert stored.paper.id == "arxiv:2503.01234"
    assert set(stored.paper.identifiers) == {"doi:10.1000/x", "pmid:7", "corpus:5"}
    assert stored.paper.authors == ("Ada Leaf", "Bo Twig")
    assert {listing.source for listing in stored.listings} == {listing.source for listing in PLACES}
