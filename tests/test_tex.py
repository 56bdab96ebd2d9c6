"""Titles and abstracts read well, whatever their authors and the sites between left in them."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.core.plain import Plain, undo_markup
from digest.core.tex import readable

LINES = (Path(__file__).parent / "data" / "tex" / "shown.tsv").read_text("utf-8").split("\n")
CASES = [
    tuple(line.replace("⍽", "\N{NO-BREAK SPACE}").split("\t"))
    for line in LINES
    if line and not line.startswith("#")
]
WORDS = ("lorem", "ipsum", "dolor")
MARKUP = (
    *(
        "$",
        "$$",
        "{",
        "}",
        "^",
        "_",
        "^{",
        "_{",
        "\\",
        "\\(",
        "\\)",
        "\\[",
        "\\]",
        "~",
        "--",
        "---",
        "``",
        "''",
    ),
    *(
        "\\emph{",
        "\\frac{",
        "\\sqrt{",
        "\\hat{",
        "\\mathbb{",
        "\\footnote{",
        "\\left",
        "\\times",
        "\\log",
        "\\beta",
    ),
    *(
        "&amp;",
        "&",
        "\\%",
        "\\ ",
        "\\quad",
        " ",
        ",",
        "x",
        "2",
        "\u200b",
        "https://example.org/a_b",
        "é",
        "\\'e",
    ),
)
texts = st.one_of(st.text(), st.lists(st.sampled_from(WORDS + MARKUP)).map("".join))


@pytest.mark.parametrize(("original", "shown"), CASES)
def test_a_text_is_shown_as_its_reader_would_write_it(original: str, shown: str) -> None:
    assert readable(original).text == shown


@pytest.mark.parametrize("shown", [shown for _, shown in CASES if "{" not in shown])
def test_what_is_shown_is_shown_as_it_is_when_it_comes_back(shown: str) -> None:
    """But for braces: those that were escaped group, the second time."""
    assert readable(shown).text == shown


def test_what_cannot_be_seen_is_left_out_but_for_what_joins_letters_and_emoji() -> None:
    assert readable("soft\u00adly, zero\u200bwidth, \u202eturned\u202c").text == "softly, zerowidth, turned"
    assert readable("می\u200cخواهم ❤\ufe0f").text == "می\u200cخواهم ❤\ufe0f"


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 120


@pytest.mark.parametrize(
    "text", ["", "Plain words, (all) of them: 5% – “so” it's 3-fold.", "模型 für Éric 5 times"]
)
def test_a_plain_text_is_given_back_untouched(text: str) -> None:
    assert readable(text) == Plain(text)


@given(texts)
def test_every_character_shown_knows_where_it_comes_from(original: str) -> None:
    shown = readable(original)
    if shown.starts is None or shown.ends is None:
        assert shown.text == original
        return
    assert len(shown.text) == len(shown.starts) == len(shown.ends)
    assert all(0 <= start < end <= len(original) for start, end in zip(shown.starts, shown.ends, strict=True))
    assert list(shown.starts) == sorted(shown.starts)
    assert list(shown.ends) == sorted(shown.ends)


@given(st.lists(st.sampled_from(WORDS + MARKUP)))
def test_no_word_is_lost(pieces: list[str]) -> None:
    """Its letters may be raised, accented, or parted by a parenthesis."""
    original = "".join(pieces)
    apart = unicodedata.normalize("NFKD", readable(original).text)
    shown = re.sub(r"[^A-Za-z]", "", apart)
    prose = re.sub(r"\\[A-Za-z]+", "", original)  # what is left is no name of a command
    for word in WORDS:
        assert word in shown or word not in prose


@given(texts, st.data(), st.sampled_from([readable, undo_markup]))
def test_a_stretch_of_the_original_is_found_in_what_is_shown(
    original: str, data: st.DataObject, way: type
) -> None:
    start = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(start, len(original)))
    plain: Plain = way(original)
    first, last = plain.placed(start, end)
    assert 0 <= first <= last <= len(plain.text)
    starts = plain.starts if plain.starts is not None else range(len(original))
    ends = plain.ends if plain.ends is not None else range(1, len(original) + 1)
    covered = [at for at in range(len(plain.text)) if starts[at] < end and ends[at] > start]
    assert set(covered) <= set(range(first, last))
    if start < end:
        assert covered == list(range(first, last))


@pytest.mark.parametrize(
    ("original", "marked", "shown"),
    [
        ("We use $\\beta$-VAE here", "$\\beta$-VAE", "β-VAE"),
        ("We use $\\beta$-VAE here", "VAE", "VAE"),
        ("up to 5\\% more", "5\\", "5%"),
        ("a $H_2O$ molecule", "2", "₂"),
        ("a $H_2O$ molecule", "$", ""),
        ("Fr\\'echet distance", "Fr\\'echet", "Fréchet"),
        ("as in \\cite{a} here", "\\cite{a}", ""),
        ("plain words", "words", "words"),
    ],
)
def test_evidence_is_marked_in_what_is_shown(original: str, marked: str, shown: str) -> None:
    plain = readable(original)
    start = original.index(marked)
    first, last = plain.placed(start, start + len(marked))
    assert plain.text[first:last] == shown


SINGLE = ("$", "{", "\\", "^")
OTHERS = (
    *(
        "}",
        "_",
        "~",
        "`",
        "'",
        "-",
        "&amp;",
        " ",
        "$$",
        "\\(",
        "\\[",
        "(\\cite{",
        "x^{",
        "$x^",
        "\\frac{",
        "``a",
    ),
    *(
        "\\sqrt[",
        "\\ ",
        "://",
        "http://a{",
        "{,",
        "\\left\\ ",
        "\\sqrt{\\cite{a} ",
        "\u200b",
        "\\not",
        "1times",
    ),
)


@pytest.mark.parametrize(
    ("unit", "size"), [(unit, 1_000_000) for unit in SINGLE] + [(unit, 100_000) for unit in OTHERS]
)
def test_a_million_of_anything_is_read(unit: str, size: int) -> None:
    many = unit * (size // len(unit))
    assert "lorem" in readable(f"{many} lorem").text
    assert "lorem" in readable(f"$x{many[: size // 4]}$ lorem").text


@pytest.mark.parametrize("opening", ["{", "$x^{", "\\sqrt{", "\\emph{", "\\frac{"])
def test_depth_does_no_harm(opening: str) -> None:
    depth = 100_000
    assert "lorem" in readable(opening * depth + "lorem" + "}" * depth).text
