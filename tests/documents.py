"""Pages and what is to be found on them, as pairs of files: `x.json` and `x.expected.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sites import page

from digest import app
from digest.core.document import reading_document
from digest.core.model import Page, Reading
from digest.sources import read_page

DATA = Path(__file__).resolve().parent / "data"
SHARED = DATA / "shared"
"""Documents of pages that sites served, which are not ours to hand on: numbers and dates alone."""


def saved(path: Path) -> Page:
    """A file as a page."""
    return page(path.read_bytes(), path.as_uri())


def read(path: Path) -> Reading:
    """What the first reader that knows the page finds on it."""
    return read_page(saved(path), app.readers())


def pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Each page below a folder, and the document of what is expected of it; not of pages kept elsewhere."""
    found = []
    for expected in sorted(folder.rglob("*.expected.json")):
        if SHARED in expected.parents:
            continue
        stem = expected.name.removesuffix(".expected.json")
        (page,) = (item for item in expected.parent.glob(f"{stem}.*") if item != expected)
        found.append((page, expected))
    return found


def check(reading: Reading, expected: Path) -> None:
    """Compare a reading with its document, on the keys that the document has."""
    wanted = json.loads(expected.read_text(encoding="utf-8"))
    found: dict[str, Any] = reading_document(reading)
    papers = [
        {key: paper[key] for key in keys}
        for paper, keys in zip(found["papers"], wanted["papers"], strict=True)
    ]
    assert {**{key: found[key] for key in wanted}, "papers": papers} == wanted


_COUNTED = ("title", "abstract")
_FACTS = (
    "id", "identifiers", "doi", "listed_on", "announce_type", "published", "updated", "categories", "url",
    "pdf_url", "code_url", "upvotes", "comments",
)  # fmt: skip


def facts(reading: Reading) -> dict[str, Any]:
    """What may be said of a document that is not ours: numbers, dates and how much there is of the rest."""
    document: dict[str, Any] = reading_document(reading)
    return {
        "layout": document["layout"],
        "captured_on": document["captured_on"],
        "complete": document["complete"],
        "papers": [
            {name: paper[name] for name in _FACTS if paper[name] not in (None, [])}
            | {"authors": len(paper["authors"])}
            | {f"{name}_words": len(paper[name].split()) for name in _COUNTED}
            for paper in document["papers"]
        ],
    }
