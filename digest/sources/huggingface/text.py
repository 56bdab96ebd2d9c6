"""Text copies of the page: what "select all, copy" leaves of it.

Layout A has a header and cards of paragraphs: title, abstract, and who · when.
Layout B, of an older page, has a banner and then titles and abstracts in turn, a line each.
Neither holds an address, so a paper's identity is its title.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from digest.core.wire import squeezed
from digest.sources.huggingface.cards import (
    Card,
    PrintedDate,
    Sheet,
    author_count,
    date_and_comments,
    printed_date,
)

_BANNER = re.compile(
    r"\s*(?:new\s+)?(?:Get trending papers in your email inbox(?: once a day)?!?\s*)+(?:Subscribe\s*)?"
    r"(?:(?:Daily Papers|by ?AK\b.*|Daily|Weekly|Monthly|Trending Papers)\s*\n\s*)*"
)
_HEADER_LINES = 40
# Measured: abstracts have 165 characters and more, titles rarely over 180.
_LONGEST_TITLE = 250
_NOTABLE_WORDS = 4  # a shorter rest is the page's footer


def is_layout_a(text: str) -> bool:
    """Whether some line is the dot between who and when."""
    return any(True for _ in _metas(_paragraphs(text)))


def is_layout_b(text: str) -> bool:
    """Whether the text opens with the banner of the page."""
    return _BANNER.match(text) is not None


def layout_a(text: str) -> tuple[Sheet, tuple[str, ...]]:
    """The cards of layout A, and doubts about them."""
    header, body = _header(text)
    paragraphs = _paragraphs(body)
    cards: list[Card] = []
    start = 0
    for place, meta in _metas(paragraphs):
        pairs = _pairs(paragraphs[start:place], closed=True)
        # What stands before the last pair are cards that came without a line of who · when.
        cards += [Card(title, abstract) for title, abstract in pairs[:-1]]
        cards += [_card(title, abstract, *meta) for title, abstract in pairs[-1:]]
        start = place + 1
    rest = _pairs(paragraphs[start:])
    cards += [Card(title, abstract) for title, abstract in rest if _is_prose(abstract)]
    cut = [title for title, abstract in rest if not abstract and len(title.split()) >= _NOTABLE_WORDS]
    notes = tuple(f"the text ends within a card, which is left out: {title}" for title in cut)
    return Sheet("A", cards, header=header), notes


def layout_b(text: str) -> Sheet:
    """The cards of layout B."""
    header, body = _header(text)
    lines: list[str] = []
    for line in filter(str.strip, body.split("\n")):
        if lines and _continues(line) and not _is_prose(lines[-1]):
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return Sheet("B", [Card(title, abstract) for title, abstract in _pairs(lines)], header=header)


def _header(text: str) -> tuple[PrintedDate | None, str]:
    """The day the page was seen, and what follows its header."""
    lines = text.split("\n")
    for place, line in enumerate(lines[:_HEADER_LINES]):
        if line.strip() == "·":
            break
        if day := printed_date(line):
            return day, "\n".join(lines[place + 1 :])
    banner = _BANNER.match(text)
    return None, text[banner.end() :] if banner else text


def _paragraphs(text: str) -> list[str]:
    return [paragraph for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]


def _metas(paragraphs: Sequence[str]) -> Iterator[tuple[int, tuple[str, PrintedDate, int | None]]]:
    """The paragraphs of who · when, with their place."""
    for place, paragraph in enumerate(paragraphs):
        lines = [line.strip() for line in paragraph.strip().split("\n")]
        if "·" in lines:
            dot = lines.index("·")
            if when := date_and_comments(" ".join(lines[dot + 1 :])):
                yield place, (squeezed(" ".join(lines[:dot])), *when)


def _card(title: str, abstract: str, who: str, published: PrintedDate, comments: int | None) -> Card:
    authors = author_count(who)
    # A chip is copied as the text of its picture, which is the handle, and the name.
    handle, _, name = who.partition(" ")
    return Card(
        title,
        abstract,
        author_count=authors,
        organization=None if authors is not None else name or handle or None,
        published=published,
        comments=comments or 0,
    )


def _pairs(paragraphs: Sequence[str], *, closed: bool = False) -> list[tuple[str, str]]:
    """Titles with their abstracts, though an abstract may be missing or have two paragraphs.

    `closed` says that the line of who · when follows, so that the end is not a cut.
    """
    texts = [squeezed(paragraph) for paragraph in paragraphs]
    titles, abstracts = texts[::2], texts[1::2]
    if len(titles) == len(abstracts) and all(
        len(title) < min(len(abstract), _LONGEST_TITLE)
        for title, abstract in zip(titles, abstracts, strict=True)
    ):
        return list(zip(titles, abstracts, strict=True))
    found: list[tuple[str, list[str]]] = []
    for place, text in enumerate(texts):
        abstract = found[-1][1] if found else []
        following = texts[place + 1 : place + 2]
        opens = any(map(_is_prose, following)) or (abstract and (following or not closed))
        if not found or (opens and not _is_prose(text)):
            found.append((text, []))
        else:
            abstract.append(text)
    return [(title, " ".join(abstract)) for title, abstract in found]


def _is_prose(text: str) -> bool:
    """Whether a paragraph reads like a part of an abstract rather than a title."""
    text = text.rstrip()
    return len(text) >= _LONGEST_TITLE or "://" in text or (text.endswith(".") and not text.endswith(".."))


def _continues(line: str) -> bool:
    """Whether a line goes on with the title before it, which arXiv had broken."""
    return not _is_prose(line) and (line[0].isspace() or line[0].islower())
