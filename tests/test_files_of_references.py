"""BibTeX and RIS, whole and broken."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from datetime import date

import pytest
from documents import DATA
from sites import page

from digest.core.model import Paper
from digest.errors import LayoutError
from digest.ports import Reader
from digest.sources.bibtex import BibTexReader
from digest.sources.ris import RisReader

BIBTEX, RIS = BibTexReader(), RisReader()
READERS = pytest.mark.parametrize(("reader", "name"), [(BIBTEX, "export.bib"), (RIS, "export.ris")])


def bib(fields: str) -> Paper:
    (listing,) = BIBTEX.read(page(f"@article{{key, {fields}}}")).listings
    return listing.paper


def ris(*lines: str) -> Paper:
    (listing,) = RIS.read(page("\n".join(("TY  - JOUR", *lines, "ER  - ")))).listings
    return listing.paper


@READERS
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: f"\n\n{text}\n\n".encode(),
        lambda text: text.rstrip().encode(),
    ],
    ids=["CR LF", "CR", "byte order mark", "empty lines", "no last line end"],
)
def test_how_lines_end_does_not_matter(reader: Reader, name: str, change: Callable[[str], bytes]) -> None:
    text = (DATA / reader.name / name).read_text(encoding="utf-8")
    changed = page(change(text))
    assert reader.recognises(changed)
    assert reader.read(changed).listings == reader.read(page(text)).listings


def test_text_from_before_unicode_is_read() -> None:
    (listing,) = BIBTEX.read(page("@article{a, title={Größe}}".encode("latin-1"))).listings
    assert listing.paper.title == "Größe"


@pytest.mark.parametrize("reader", [BIBTEX, RIS])
@pytest.mark.parametrize(
    "content",
    ["", "\0", "@", "@reader hello, you", "Dear diary", "A paper\n\n@article{key} is cited so\n", "TY",
     "TY  - JOUR", "TYPE - X\nA  - b\n", "@user\n\nGet trending papers\n@article{a, title={x}}\n", "%\n%\n",
     "[]", "<html>", "{}"],
)  # fmt: skip
def test_other_text_is_not_recognised(reader: Reader, content: str) -> None:
    assert not reader.recognises(page(content))


@pytest.mark.parametrize(
    "begin", ["", "% a comment\n\n% more\n", '@string{a = "b"}\n', "@comment{x}\n", "@preamble(x)\n"]
)
def test_bibtex_may_open_with_what_is_no_entry(begin: str) -> None:
    assert BIBTEX.recognises(page(f"{begin}@article{{a,\n title = {{x}}}}"))


@pytest.mark.parametrize(
    ("reader", "content"), [(BIBTEX, "@article{a, year=2026}"), (RIS, "TY  - JOUR\nAU  - A\n")]
)
def test_a_file_without_a_title_is_a_layout_error(reader: Reader, content: str) -> None:
    with pytest.raises(LayoutError, match="with a title"):
        reader.read(page(content))


def test_a_broken_entry_is_named_with_its_line_and_loses_no_other(caplog: pytest.LogCaptureFixture) -> None:
    good = "@article{{{}, title={{{}}}}}\n"
    with caplog.at_level(logging.DEBUG):
        reading = BIBTEX.read(
            page(good.format("a", "One") + "@misc{b, title={Two\n" + good.format("c", "Three"))
        )
    assert [listing.paper.title for listing in reading.listings] == ["One", "Three"]
    assert reading.notes == ("the block in line 2 is broken and left out: @misc{b, title={Two",)
    assert caplog.records == []


def test_of_a_file_that_is_broken_throughout_the_first_fault_is_named() -> None:
    with pytest.raises(LayoutError) as caught:
        BIBTEX.read(page("@misc{b, title={Two\n"))
    assert (
        caught.value.remedy
        == "Export the file again; the block in line 1 is broken and left out: @misc{b, title={Two"
    )


@pytest.mark.parametrize(
    ("fields", "published"),
    [
        ("date={2026-11-19}, year={1999}", date(2026, 11, 19)),
        ("date={2026-11-19/2026-11-21}", date(2026, 11, 19)),
        ("year=2026, month=nov, day=19", date(2026, 11, 19)),
        ("year={2026}, month={November}", date(2026, 11, 1)),
        ('year="2026", month="11"', date(2026, 11, 1)),
        ('year=2026, month= dec # "~24"', date(2026, 12, 1)),
        ("year=2026, month={autumn}, day={x}", None),
        ("year={in press}", None),
        ("", None),
    ],
)
def test_the_date_of_an_entry_is_as_exact_as_its_fields(fields: str, published: date | None) -> None:
    assert bib(f"title={{x}}, {fields}").published == published


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("eprint={2611.90001}, archiveprefix={arXiv}", "arxiv:2611.90001"),
        ("eprint={arXiv:2611.90001v2}", "arxiv:2611.90001"),
        ("eprint={2611.90001}, eprinttype={arxiv}", "arxiv:2611.90001"),
        ("eprint={2611.90001}", "title:"),
        ("eprint={99990001}, eprinttype={pubmed}", "pmid:99990001"),
        ("url={https://arxiv.org/abs/2611.90001}", "arxiv:2611.90001"),
        (r"doi={10.5555/a\_b}", "doi:10.5555/a_b"),
        ("url={https://doi.org/10.5555/a}", "doi:10.5555/a"),
        (r"url={\url{https://lab.example/a\_b}}", "url:lab.example/a_b"),
        ("url={see there}", "title:"),
    ],
)
def test_an_entry_is_known_by_its_numbers(fields: str, expected: str) -> None:
    assert bib(f"title={{x}}, {fields}").id.startswith(expected)


def test_an_entry_without_an_address_leads_to_its_doi_or_to_arxiv() -> None:
    assert bib("title={x}, doi={10.5555/a}").url == "https://doi.org/10.5555/a"
    assert (
        bib("title={x}, eprint={2611.90001}, archiveprefix={arXiv}").url == "https://arxiv.org/abs/2611.90001"
    )
    assert bib("title={x}").url is None


@pytest.mark.parametrize("title", ["{{One} and {Two}}", "{{{{One} and {Two}}}}", '"{One} and " # "{Two}"'])
def test_braces_around_a_whole_title_are_dropped_and_those_within_kept(title: str) -> None:
    assert bib(f"title={title}").title == "{One} and {Two}"


def test_of_a_field_given_twice_the_last_counts() -> None:
    assert bib("title={x}, title={y}").title == "y"


@pytest.mark.parametrize(
    ("lines", "published"),
    [
        (["PY  - 2026/11/19/"], date(2026, 11, 19)),
        (["Y1  - 2026/11//winter"], date(2026, 11, 1)),
        (["PY  - 2026", "DA  - 2026-11-19"], date(2026, 11, 19)),
        (["PY  - 2026", "DA  - soon"], None),
        (["PY  - 2026/99/99"], None),
        (["PY  - "], None),
    ],
)
def test_the_date_of_a_reference_is_as_exact_as_its_tags(lines: list[str], published: date | None) -> None:
    assert ris("TI  - x", *lines).published == published


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["AN  - arXiv:2611.90001"], "arxiv:2611.90001"),
        (["UR  - https://arxiv.org/abs/2611.90001v1"], "arxiv:2611.90001"),
        (["AN  - 2611.90001"], "title:"),
        (["AN  - PMID: 99990001"], "pmid:99990001"),
        (["AN  - 99990001", "DB  - PubMed"], "pmid:99990001"),
        (["AN  - 99990001", "DB  - Scopus"], "title:"),
        (["M3  - doi: 10.5555/A"], "doi:10.5555/a"),
        (["UR  - https://lab.example/a"], "url:lab.example/a"),
        (["UR  - lab"], "title:"),
    ],
)
def test_a_reference_is_known_by_its_numbers(lines: list[str], expected: str) -> None:
    assert ris("TI  - x", *lines).id.startswith(expected)


def test_a_reference_without_an_address_leads_to_its_doi() -> None:
    assert ris("TI  - x", "DO  - 10.5555/a").url == "https://doi.org/10.5555/a"


def test_lines_before_the_first_reference_and_between_two_belong_to_none() -> None:
    text = "TI  - lost\nnor this\nTY  - JOUR\nTI  - One\nER  - \nnot of one\nTY  - JOUR\nTI  - Two\nER  - \n"
    assert [x.paper.title for x in RIS.read(page(text)).listings] == ["One", "Two"]


@pytest.mark.parametrize(
    ("reader", "content"),
    [
        (BIBTEX, "@article{" * 20_000),
        (BIBTEX, "@article{a, title={" + "{" * 100_000 + "}" * 100_000 + "}}"),
        (BIBTEX, "@article{" + " " * 100_000),
        (BIBTEX, "%\n" * 100_000),
        (RIS, "TY  - JOUR\nTI  - a\n" + "x\n" * 50_000),
        (RIS, "TY  - JOUR" + " " * 100_000),
    ],
)
def test_hostile_files_are_harmless(reader: Reader, content: str) -> None:
    reader.recognises(page(content))
    with contextlib.suppress(LayoutError):
        reader.read(page(content))
