"""Every page that digest knows how to read, with what is on it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from documents import DATA, SHARED, check, facts, pairs, read

from digest.errors import SourceError

READABLE = pairs(DATA)
SERVED = sorted(SHARED.rglob("*.expected.json"))


@pytest.mark.parametrize(
    ("page", "expected"), READABLE, ids=[f"{page.parent.name}-{page.name}" for page, _ in READABLE]
)
def test_a_page_reads_as_its_document_says(page: Path, expected: Path) -> None:
    check(read(page), expected)


@pytest.mark.parametrize("expected", SERVED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_page_as_its_site_served_it_holds_what_is_known_of_it(shared: Path, expected: Path) -> None:
    name = expected.name.removesuffix(".expected.json")
    (page,) = (shared / "fixtures" / expected.parent.name).glob(f"{name}.*")
    wanted = json.loads(expected.read_text(encoding="utf-8"))
    if "error" in wanted:
        with pytest.raises(SourceError, match=re.escape(wanted["error"])):
            read(page)
    else:
        assert facts(read(page)) == wanted


def test_every_page_that_a_site_served_has_a_document(shared: Path) -> None:
    known = {path.relative_to(SHARED).as_posix().removesuffix(".expected.json") for path in SERVED}
    served = {
        path.relative_to(shared / "fixtures").with_suffix("").as_posix()
        for path in (shared / "fixtures").rglob("*")
        if path.is_file() and path.parent.name not in {"fixtures", "hf_text"}
    }
    assert served - known == set()
