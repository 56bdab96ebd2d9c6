"""Evidence keeps its place and the text keeps its letters."""

from __future__ import annotations

from digests import chosen, match, paper
from hypothesis import given
from hypothesis import strategies as st

from digest.core.highlight import segments, spans, why
from digest.core.model import Match

SPAN = st.tuples(st.integers(-5, 40), st.integers(-5, 40))


@given(st.text(max_size=30), st.lists(SPAN))
def test_pieces_join_to_the_text(text: str, evidence: list[tuple[int, int]]) -> None:
    assert "".join(piece for piece, _ in segments(text, evidence)) == text


@given(st.text(max_size=30), st.lists(SPAN))
def test_a_letter_is_marked_if_and_only_if_a_span_holds_it(
    text: str, evidence: list[tuple[int, int]]
) -> None:
    marks = [is_evidence for piece, is_evidence in segments(text, evidence) for _ in piece]
    assert marks == [any(start <= at < end for start, end in evidence) for at in range(len(text))]


def test_spans_that_overlap_or_touch_are_one_mark() -> None:
    assert segments("talking face models", [(8, 12), (0, 9), (12, 19), (3, 3)]) == (
        ("talking face models", True),
    )


def test_a_keyword_is_named_once_with_every_field_and_titles_come_first() -> None:
    item = paper(
        title="Talking Face", abstract="Lip sync for a talking face; a talking face.", authors=("A. Talking",)
    )
    evidence = (
        match(item, "lip sync", field="abstract"),
        Match("Faces", "talking face", "abstract", 15, 27),
        Match("Faces", "talking face", "abstract", 31, 43),
        match(item, "talking face"),
        Match("Faces", "talking", "author", 3, 10),
        Match("Faces", "talking", "abstract", 15, 22),
        Match("Faces", "talking", "title", 0, 7),
    )
    recommendation = chosen(item, *evidence)
    assert why(recommendation) == (
        ("talking face", "title and abstract"),
        ("talking", "title, abstract and author"),
        ("lip sync", "abstract"),
    )
    assert spans(recommendation, "title") == ((0, 12), (0, 7))


def test_without_evidence_there_is_no_reason() -> None:
    assert why(chosen(paper())) == ()
