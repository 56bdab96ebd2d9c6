"""BibTeX, as reference managers and publishers export it.

    text → blocks → entries → Listings

A block that breaks the grammar is named in a note and loses no other.
Titles keep their TeX, which is undone where papers are compared; names lose it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date

from bibtexparser.entrypoint import parse_string
from bibtexparser.middlewares.names import (
    InvalidNameError,
    parse_single_name_into_parts,
    split_multiple_persons_names,
)
from bibtexparser.model import DuplicateBlockKeyBlock, DuplicateFieldKeyBlock, Entry, ParsingFailedBlock

from digest.core import identity, wire
from digest.core.model import Listing, Page, Paper, Reading
from digest.core.plain import undo_markup
from digest.errors import LayoutError

logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)  # what it would log, the notes say

_BEGINNING = r"@\s*+(?P<kind>[A-Za-z]++)\s*+[{(]\s*+[^\s,{}()\"#%'=]*+\s*+"
_BLOCK = re.compile(rf"{_BEGINNING}(?P<after>[,=]?)")
_OPENING = re.compile(r"@\w*+[ \t]*+[{(]")  # what the parser takes for a block
_ENTRY = re.compile(rf"^[ \t]*+{_BEGINNING},", re.MULTILINE)
_PREAMBLES = ("comment", "preamble", "string")
_JOIN = re.compile(r'"\s*#\s*"')  # "a" # "b"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = re.compile("|".join(_MONTHS))
_TEX_ADDRESS = re.compile(r"^\\(?:url|href)\s*\{([^{}]*)\}.*$")
_MOST_BRACES = 3  # pairs around a whole value
_LONGEST_QUOTE = 60  # characters of a broken block


class BibTexReader:
    """Reads files of BibTeX."""

    name = "bibtex"
    generic = False

    def recognises(self, page: Page) -> bool:
        """Whether the page begins with a block of BibTeX, after comments."""
        lines = _decoded(page.content).lstrip().split("\n")
        text = "\n".join(lines[_comments(lines) :]).lstrip()
        first = _BLOCK.match(text)
        if not first or not _ENTRY.search(text):
            return False
        return first["after"] == "," or first["kind"].lower() in _PREAMBLES

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The entries that have a title. Raises LayoutError if there is none."""
        text = _decoded(page.content)
        wire.check_entries(page, sum(1 for _ in _OPENING.finditer(text)))
        library = parse_string(text)
        entries: list[Entry] = []
        notes: list[str] = []
        for block in library.blocks:
            if isinstance(block, DuplicateBlockKeyBlock | DuplicateFieldKeyBlock):
                # Two entries of one key are two papers, and of two titles the last one counts.
                kept = block.ignore_error_block
            else:
                kept = block
            if isinstance(kept, Entry):
                entries.append(kept)
            elif isinstance(kept, ParsingFailedBlock):
                beginning = wire.squeezed(kept.raw or "")[:_LONGEST_QUOTE]
                notes.append(
                    f"the block in line {(kept.start_line or 0) + 1} is broken and left out: {beginning}"
                )
        papers = [paper for entry in entries if (paper := _paper(_fields(entry)))]
        if not papers:
            raise LayoutError(
                "it holds no BibTeX entry with a title",
                place=wire.readable(page.url),
                remedy="Export the file again" + (f"; {notes[0]}" if notes else ""),
            )
        if untitled := len(entries) - len(papers):
            notes.append(f"{untitled} of {len(entries)} entries have no title and are left out")
        listings = tuple(Listing(paper, self.name, None, position) for position, paper in enumerate(papers))
        return Reading("bibtex", listings, notes=tuple(notes))


def _decoded(content: bytes) -> str:
    """The text; files from before Unicode are Latin-1."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _comments(lines: list[str]) -> int:
    """How many lines of `%` stand before the first block, as JabRef and Mendeley write them."""
    return next((n for n, line in enumerate(lines) if line.strip() and not line.startswith("%")), len(lines))


def _fields(entry: Entry) -> Mapping[str, str]:
    """The fields of an entry by their names in lower case, the last of each."""
    return {field.key.lower(): _value(field.value) for field in entry.fields if isinstance(field.value, str)}


def _value(text: str) -> str:
    """A value without what encloses it, on one line."""
    text = wire.squeezed(text)
    if text.startswith('"') and text.endswith('"'):  # the parser leaves what `#` joins as it is
        text = _JOIN.sub("", text[1:-1])
    for _ in range(_MOST_BRACES):
        if not _is_enclosed(text):
            break
        text = text[1:-1].strip()
    return text


def _is_enclosed(text: str) -> bool:
    """Whether the brace that opens a text closes at its end."""
    depth = 0
    for character in text[:-1]:
        depth += (character == "{") - (character == "}")
        if not depth:
            return False
    return text.endswith("}")


def _paper(fields: Mapping[str, str]) -> Paper | None:
    title = fields.get("title", "")
    if not title:
        return None
    url = wire.web_address(_TEX_ADDRESS.sub(r"\1", fields.get("url", "")).replace("\\", ""))
    eprint = fields.get("eprint", "")
    archive = fields.get(
        "archiveprefix", fields.get("eprinttype", "arxiv" if "arxiv" in eprint.lower() else "")
    )
    doi = identity.first(identity.doi(fields.get(name, "").replace("\\", "")) for name in ("doi", "url"))
    arxiv = identity.arxiv_id(eprint) if archive.lower() == "arxiv" else identity.arxiv_id_at(url)
    names = identity.identifiers(
        title=title,
        arxiv=arxiv,
        doi=doi,
        pmid=fields.get("pmid") or (eprint if archive.lower() == "pubmed" else None),
        url=url,
    )
    return Paper(
        id=names[0],
        identifiers=names[1:],
        title=title,
        abstract=wire.prose(fields.get("abstract")) or "",
        authors=tuple(_people(fields.get("author", ""))),
        url=identity.first(
            (
                url,
                f"https://doi.org/{doi}" if doi else None,
                f"https://arxiv.org/abs/{arxiv}" if arxiv else None,
            )
        ),
        published=_published(fields),
        doi=doi,
        keywords=tuple(filter(None, map(str.strip, re.split("[;,]", fields.get("keywords", ""))))),
    )


def _people(text: str) -> Iterator[str]:
    """The names in a list joined by `and`, given names first."""
    for name in split_multiple_persons_names(text):
        turned = name
        with suppress(InvalidNameError):
            turned = parse_single_name_into_parts(name).merge_first_name_first
        yield undo_markup(turned).text


def _published(fields: Mapping[str, str]) -> date | None:
    """The date of BibLaTeX, or year, month and day of BibTeX; a month may be a name or a number."""
    given = wire.day(fields.get("date", "").partition("/")[0])
    if given:
        return given
    month = fields.get("month", "").lower()
    named = _MONTH.search(month)
    number = str(_MONTHS.index(named[0]) + 1) if named else month
    year, day = fields.get("year", ""), fields.get("day", "")
    return wire.day(f"{year}-{number}-{day}") or wire.day(f"{year}-{number}")
