"""What a keyword means, as cases that anyone can add to: `data/matching/*.toml`."""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digest.core.index import Hit, PhraseIndex
from digest.core.match import Matcher, Outcome, evaluate
from digest.core.model import Interest, Listing, Match, Paper, PaperId
from digest.core.names import same_person
from digest.core.plain import Plain, unaccented
from digest.core.plural import IRREGULAR, roots, singular
from digest.core.query import compile_interest, parse_keyword, parse_query
from digest.core.text import Edge, Text, cut, word_count
from digest.errors import QueryError

DATA = Path(__file__).parent / "data"


def _data(name: str) -> dict[str, Any]:
    return tomllib.loads((DATA / "matching" / f"{name}.toml").read_text(encoding="utf-8"))


CASES = [
    pytest.param(case, id=f"{file.stem}-{number}-{case['keyword']}")
    for file in sorted((DATA / "matching").glob("*.toml"))
    for number, case in enumerate(_data(file.stem).get("case", ()))
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
        assert wants(paper(text[match.start : match.end]), keywords=(keyword,))


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


@pytest.mark.parametrize("case", _data("queries")["query"], ids=lambda case: case["query"])
def test_a_query_wants_a_paper_or_not(case: dict[str, Any]) -> None:
    lists = {name: tuple(value) for name, value in case["paper"].items() if isinstance(value, list)}
    one = paper(**(case["paper"] | lists))
    listings = [Listing(one, source, None, 0) for source in case.get("sources", ())]
    assert outcome(Interest("i", query=case["query"]), one, *listings).satisfied is case["wanted"]


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
        ("author:He*", 8, "end of a word or category"),
        ("swin dif*ion", 6, "at the end of a word"),
        ("swin *former", 6, "at the end of a word"),
        ("=diffus*", 1, "exclude each other"),
        ("gan swin~2", 5, "no keyword"),
        ("gan^2 swin", 1, "no keyword"),
        ("gan AND !swin", 9, "no keyword"),
        ("gan && swin", 5, "no word"),
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
    assert excluded.against == (Match("i", "gan", "title", 5, 8),)
    assert not excluded.is_near_miss
    negated = outcome(Interest("i", query="swin AND NOT (gan OR face)"), paper("Swin GAN"))
    assert negated.missing == ("the query swin AND NOT (gan OR face)",)
    assert negated.against == excluded.against
    queried = outcome(Interest("i", query="swin AND gan"), paper("Swin"))
    assert queried.missing == ("the query swin AND gan",)
    assert not queried.is_near_miss
    nothing = outcome(Interest("i", keywords=("swin",)), paper("GAN"))
    assert nothing.missing == ("any of 'swin'",)
    assert not nothing.is_near_miss


@pytest.mark.parametrize(("wanted", "printed"), _data("authors")["same"])
def test_a_person_is_known_with_initials_accents_and_either_order(wanted: str, printed: str) -> None:
    assert same_person(wanted, printed)


@pytest.mark.parametrize(("wanted", "printed"), _data("authors")["other"])
def test_another_person_is_not_taken_for_them(wanted: str, printed: str) -> None:
    assert not same_person(wanted, printed)


# --- set algebra ------------------------------------------------------------------------------

PROVOKING = st.sampled_from([
    "Swin", "swin", "SwinV2", "V2", "v2", "CSWin", "Swing", "GAN", "GANs", "StyleGAN", "gan's", "talking",
    "Talking", "face", "Faces", "Face2Face", "talkingface", "TalkingFace", "lip-sync", "sync",
    "state-of-the-art", "β-VAE", "beta", "VAE", "VAEs", "π0", "2.5D", "D", "2", "YOLOv8", "YOLO", "C++", "C",
    "SE(3)", "扩散", "模型", "扩散模型", "Schrödinger", "Schrodinger", "body", "bodies",
])  # fmt: skip
BETWEEN = st.sampled_from([" ", " ", " ", "-", "/", ", ", ". ", "\n", " - ", "--", "", "’s ", " (", ") "])


@st.composite
def texts(draw: st.DrawFn, most: int = 12) -> str:
    words = draw(st.lists(st.tuples(PROVOKING, BETWEEN), max_size=most))
    return "".join(f"{word}{between}" for word, between in words)


@st.composite
def keywords(draw: st.DrawFn) -> str:
    words = draw(st.lists(PROVOKING, min_size=1, max_size=3))
    written = draw(st.sampled_from([" ", " ", "-", ", "])).join(words)
    if draw(st.integers(0, 9)) == 0:
        return f'"{written}"~{draw(st.integers(0, 4))}'
    if draw(st.integers(0, 9)) == 0:
        return f"={written}"
    return f"{written}*" if written[-1].isalnum() and draw(st.integers(0, 9)) == 0 else written


SOME = st.lists(keywords(), max_size=3).map(tuple)
PAPERS = st.builds(paper, texts(), texts())
QUERIES = st.recursive(
    st.builds(
        str.__add__,
        st.sampled_from(["", "title:", "abstract:"]),
        PROVOKING.filter(lambda word: "(" not in word).map('"{}"'.format),
    ),
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("(NOT {})".format, inner),
    ),
    max_leaves=5,
)


@given(PAPERS, QUERIES, QUERIES, QUERIES)
def test_queries_obey_the_algebra_of_sets(one: Paper, a: str, b: str, c: str) -> None:
    def same(left: str, right: str) -> bool:
        return wants(one, query=left) == wants(one, query=right)

    assert same(f"NOT ({a} AND {b})", f"NOT {a} OR NOT {b}")
    assert same(f"NOT ({a} OR {b})", f"NOT {a} AND NOT {b}")
    assert same(f"{a} AND ({b} OR {c})", f"{a} AND {b} OR {a} AND {c}")
    assert same(f"{a} OR ({b} AND {c})", f"({a} OR {b}) AND ({a} OR {c})")
    assert same(f"NOT NOT {a}", a)
    assert same(f"{a} {b}", f"{b} AND {a}")
    assert not wants(one, query=f"{a} AND NOT {a}")
    assert wants(one, query=f"{a} OR NOT {a}")
    assert wants(one, query=f"{a} AND {b}") is (wants(one, query=a) and wants(one, query=b))


@given(PAPERS, SOME, SOME, SOME, keywords())
def test_another_condition_never_adds_a_paper_and_another_keyword_never_loses_one(
    one: Paper, any_of: tuple[str, ...], all_of: tuple[str, ...], none_of: tuple[str, ...], more: str
) -> None:
    before = wants(one, keywords=any_of, require=all_of, exclude=none_of)
    assert before or not wants(one, keywords=any_of, require=all_of, exclude=(*none_of, more))
    assert before or not wants(one, keywords=any_of, require=(*all_of, more), exclude=none_of)
    if any_of and before:
        assert wants(one, keywords=(*any_of, more), require=all_of, exclude=none_of)


# --- the slow matcher -------------------------------------------------------------------------


def _stands_at(edges: Sequence[Edge], labels: tuple[str, ...], node: int, plain: str) -> Iterator[Edge]:
    """Last words of every path from a node that spells the labels."""
    for edge in edges:
        word = plain[edge.start : edge.end].casefold()
        starred = labels[0].endswith("*") and any(
            form.startswith(labels[0][:-1]) for form in (word, unaccented(word))
        )
        if edge.source == node and (edge.label == labels[0] or starred):
            if len(labels) == 1:
                yield edge
            else:
                yield from _stands_at(edges, labels[1:], edge.target, plain)


def slowly(keyword: str, original: str) -> list[tuple[int, int]]:
    """Where a keyword stands: every position is tried, with every choice of parts."""
    term, text = parse_keyword(keyword), cut(original)
    plain = text.plain.text
    starts = {edge.source: edge.start for edge in reversed(text.edges)}
    places = [
        {
            (node, last.target, starts[node], last.end)
            for labels in readings
            for node in starts
            for last in _stands_at(text.edges, labels, node, plain)
        }
        for readings in term.words
    ]
    found: set[tuple[int, int]] = set()
    for chosen in itertools.product(*places):
        pairs = list(itertools.pairwise(chosen))
        between = [len(WORD.findall(plain[a[3] : b[2]])) for a, b in pairs]
        nodes = [b[0] - a[1] for a, b in pairs]
        if sum(between) <= term.slop and all(
            0 <= left_out <= gap for left_out, gap in zip(nodes, term.gaps, strict=True)
        ):
            found.add((chosen[0][2], chosen[-1][3]))
    spans = [
        span
        for span in found
        if term.exact is None or " ".join(plain[slice(*span)].replace("'", "’").split()) == term.exact
    ]
    if len(places) > 1:  # the nearest end, and of several beginnings the closest
        spans = [span for span in spans if not any(s == span[0] and e < span[1] for s, e in spans)]
        spans = [span for span in spans if not any(s > span[0] and e == span[1] for s, e in spans)]
    result: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not result or start >= result[-1][1]:
            result.append((start, end))
    return [text.plain.span(start, end) for start, end in result]


WORD = re.compile(r"\S*[^\W_]\S*")


@given(st.lists(texts(), min_size=1, max_size=4), st.lists(keywords(), min_size=1, max_size=8))
def test_one_pass_for_all_finds_what_trying_every_position_finds(
    abstracts: list[str], wanted: list[str]
) -> None:
    interests = [compile_interest(Interest(str(number), (keyword,))) for number, keyword in enumerate(wanted)]
    matcher = Matcher(interests)
    for abstract in abstracts:
        findings = matcher.scan(paper("", abstract))
        for keyword, interest in zip(wanted, interests, strict=True):
            places = [(match.start, match.end) for match in evaluate(interest, findings).matches]
            assert places == slowly(keyword, abstract), keyword


ANYTHING = st.text(
    st.one_of(st.sampled_from("swinSVvé ßИйéσςβ’'-_/.2扩Ⅻﬁ\u0301\u00a0\u2028\x1c"), st.characters())
)


@given(st.lists(texts() | ANYTHING, min_size=1, max_size=4), st.lists(keywords() | ANYTHING, max_size=8))
@example(["Diffusión, β-VAEs.", "(diffusers)", "SwinV2s"], ["diffus*", "beta-VAE", "=V2", '"vae x"~3'])
@example(["NeRF. Ne-RFs", "ne\nrf's", "The NEs' RF, a NE's \"RF\""], ["NeRF", "Ne RF"])
@example(["C# AI, SE(3)-A", "c#-ai's se (3) a", "SE( 3)a"], ["C# AI", "SE(3) A", "C++"])
@example(["2 3 4 5 6", "AIs s 3D"], ["2 3 4 5 6", "AI 3D", "AI s"])
def test_no_short_cut_through_a_text_passes_by_a_keyword(originals: list[str], wanted: list[str]) -> None:
    patterns: list[tuple[str, ...]] = []
    for keyword in wanted:
        with suppress(QueryError):
            patterns += parse_keyword(keyword).patterns
    others = [(f"other{'x' * n}", "word") for n in range(100)]
    for index in (PhraseIndex(patterns), PhraseIndex([*patterns, *others])):  # for one profile, and for many
        for text in map(cut, originals):
            expected = {pattern: found for pattern in patterns if (found := paths(text, pattern))}
            assert index.scan(text.plain) == expected
            assert index.scan(text.plain) == expected  # also when its words are known
            # Each word of the text alone is searched for, too: hardly any keyword of chance stands in it.
            for edge in text.edges:
                assert (edge.label,) in PhraseIndex([(edge.label,)]).scan(text.plain)


def paths(text: Text, pattern: tuple[str, ...]) -> tuple[Hit, ...]:
    """Where labels follow one another, found by trying every edge."""

    def fits(edge: Edge, label: str) -> bool:
        word = text.plain.text[edge.start : edge.end].casefold()
        if label.endswith("*"):
            return any(form.startswith(label[:-1]) for form in (word, unaccented(word)))
        return edge.label == label

    reached = [(edge, edge) for edge in text.edges if fits(edge, pattern[0])]
    for label in pattern[1:]:
        reached = [
            (first, edge)
            for first, last in reached
            for edge in text.edges
            if edge.source == last.target and fits(edge, label)
        ]
    return tuple(sorted({Hit(first.start, last.end) for first, last in reached}))


@given(
    st.sampled_from(sorted(IRREGULAR))
    | st.from_regex(r"[a-z]{1,6}(s|is|us|yses|theses|ies|sses|xes|y|es|ics)?", fullmatch=True)
)
def test_a_word_holds_a_root_of_its_singular(word: str) -> None:
    assert any(root in word for root in roots(singular(word)))


def test_an_index_forgets_words_before_they_are_too_many() -> None:
    index = PhraseIndex([("swin",), *((f"other{'x' * n}",) for n in range(100))])
    for last in "xyz":
        words = " ".join("".join(letters) + last for letters in itertools.product("abcd", repeat=8))
        assert index.scan(Plain(f"{words} Swin")) == {("swin",): (Hit(len(words) + 1, len(words) + 5),)}


@given(texts(), keywords())
def test_places_of_a_keyword_lie_in_the_text_in_order_and_apart(text: str, keyword: str) -> None:
    at = 0
    for match in outcome(Interest("i", (keyword,)), paper(text)).matches:
        assert at <= match.start < match.end <= len(text)
        assert slowly(keyword, text[match.start : match.end]) == [(0, match.end - match.start)]
        at = match.end


@given(keywords().filter(lambda keyword: keyword[0] not in '="' and keyword[-1] != "*"))
def test_a_keyword_finds_itself(keyword: str) -> None:
    assert wants(paper(f"On {keyword}, again"), keywords=(keyword,))


# --- reviewed by eye --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reviewed",
    tomllib.loads((DATA / "reviewed/hf_text.toml").read_text(encoding="utf-8"))["copy"],
    ids=lambda reviewed: f"{reviewed['name']}-{reviewed['keyword']}",
)
def test_on_the_text_copies_a_keyword_finds_the_papers_that_a_person_finds(
    shared: Path, reviewed: dict[str, Any]
) -> None:
    copy = shared / f"fixtures/hf_text/{reviewed['name']}.expected.json"
    papers = json.loads(copy.read_text(encoding="utf-8"))["papers"]
    found = {
        position
        for position, entry in enumerate(papers)
        if wants(paper(entry["title"], entry["abstract"]), keywords=(reviewed["keyword"],))
    }
    assert found == set(map(int, reviewed["found"]))
    assert not found & set(map(int, reviewed["not"]))


def test_words_are_counted_as_printed_and_characters_where_no_spaces_are_written() -> None:
    assert word_count("Swin-V2 sees (all) the faces.") == 5
    assert word_count("扩散模型 works") == 6
    assert word_count("") == 0
