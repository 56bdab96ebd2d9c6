"""Every page that digest knows how to read, with what is on it."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest
from documents import DATA, SHARED, check, facts, pairs, read, saved
from fuzz.mutations import PIECES
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sites import page

from digest import app
from digest.core.document import reading_document
from digest.core.model import Page
from digest.errors import LayoutError, SourceError

READERS = app.readers()
READABLE = pairs(DATA)
SERVED = sorted(SHARED.rglob("*.expected.json"))


@pytest.mark.parametrize(
    ("path", "expected"), READABLE, ids=[f"{path.parent.name}-{path.name}" for path, _ in READABLE]
)
def test_a_page_reads_as_its_document_says(path: Path, expected: Path) -> None:
    first, *others = (reader for reader in READERS if reader.recognises(saved(path)))
    assert first.name == path.parent.name
    assert all(other.generic for other in others)
    check(read(path), expected)


@pytest.mark.parametrize("expected", SERVED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_page_as_its_site_served_it_holds_what_is_known_of_it(shared: Path, expected: Path) -> None:
    name = expected.name.removesuffix(".expected.json")
    (path,) = (shared / "fixtures" / expected.parent.name).glob(f"{name}.*")
    wanted = json.loads(expected.read_text(encoding="utf-8"))
    if "error" in wanted:
        with pytest.raises(SourceError, match=re.escape(wanted["error"])):
            read(path)
    else:
        assert facts(read(path)) == wanted


def test_every_page_that_a_site_served_has_a_document(shared: Path) -> None:
    known = {path.relative_to(SHARED).as_posix().removesuffix(".expected.json") for path in SERVED}
    served = {
        path.relative_to(shared / "fixtures").with_suffix("").as_posix()
        for path in (shared / "fixtures").rglob("*")
        if path.is_file() and path.parent.name not in {"fixtures", "hf_text"}
    }
    assert served - known == set()


# --- pages that nobody expects ----------------------------------------------------------------

SAMPLES = [path.read_bytes() for path, _ in READABLE]


def spoiled(content: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for place, length, piece in changes:
        content = content[:place] + piece + content[place + length :]
    return content


SPOILED = st.builds(
    spoiled,
    st.sampled_from(SAMPLES) | st.just(b""),
    st.lists(
        st.tuples(
            st.integers(0, max(map(len, SAMPLES))),
            st.integers(0, 40),
            st.sampled_from(PIECES) | st.binary(max_size=400),
        )
    ),
)


def try_to_read(page: Page) -> None:
    """Whatever a page holds, a reader refuses it or makes something of it that can be written down."""
    for reader in READERS:
        reader.recognises(page)
        with contextlib.suppress(LayoutError):
            json.dumps(reading_document(reader.read(page)), ensure_ascii=False).encode()


@settings(max_examples=1500)
@example(b"https://lab.example/", "file:///saved/page")  # Beautiful Soup warns of it
@given(SPOILED, st.sampled_from(["file:///saved/page", "https://lab.example/page?x"]))
def test_a_page_spoiled_anywhere_raises_nothing_but_a_layout_error_in_any_reader(
    content: bytes, url: str
) -> None:
    try_to_read(page(content, url))


@given(st.binary())
def test_arbitrary_bytes_raise_nothing_but_a_layout_error_in_any_reader(content: bytes) -> None:
    try_to_read(page(content))
