"""The page as tools save it: a notebook's export to text with addresses, and a crawler's Markdown.

Both keep the links, so that papers have their numbers and cards their votes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from itertools import pairwise, takewhile

from digest.core.wire import day as day_of
from digest.core.wire import squeezed
from digest.sources.huggingface.cards import (
    Card,
    PrintedDate,
    Sheet,
    author_count,
    count,
    date_and_comments,
    printed_date,
)
from digest.sources.huggingface.links import paper_number, paper_voted_on

_EDITION_LINK = re.compile(r"/papers/date/(\d{4}-\d{2}-\d{2})\b")
_LINK = re.compile(r"(?P<heading>#{1,6} )?\[(?P<text>.+)\]\((?P<href>[^()\s]+)\)", re.DOTALL)
_PICTURE = re.compile(r"!\[[^\[\]]*\]\([^()]*\)")
_REMARKS = re.compile(r"\[([^\[\]]+)\]\([^\s()]+#community\)$")
_BREAK = re.compile(r"(?<!\\)\\+(?=[\n ])")  # a hard line break
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def is_notebook(text: str) -> bool:
    """Whether addresses stand on lines of their own, the one for voting before each title."""
    return any(paper_voted_on(line) for line in _lines(text))


def is_markdown(text: str) -> bool:
    """Whether headings link to papers."""
    return any(_paper_heading(block) for block in _blocks(text))


def notebook(text: str) -> Sheet:
    """The cards of a notebook's export."""
    lines = _lines(text)
    starts = [place for place, line in enumerate(lines) if paper_voted_on(line)]
    # The line before a card's first holds its votes.
    cards = [
        _exported(lines[start - 1 : end - 1])
        for start, end in pairwise([*starts, len(lines) + 1])
        if end > start + 1  # a line on which nothing follows is no card
    ]
    header = lines[: starts[0]]
    return Sheet(
        "notebook",
        [card for card in cards if card.title],
        header=_first_date(header),
        seen_after=_linked_edition(header),
    )


def markdown(text: str) -> Sheet:
    """The cards of a crawler's Markdown."""
    blocks = _blocks(text)
    starts = [place for place, block in enumerate(blocks) if _paper_heading(block)]
    cards = [_crawled(blocks[start - 1 : end]) for start, end in pairwise([*starts, len(blocks)])]
    header = blocks[: starts[0]]
    return Sheet("markdown", cards, header=_first_date(header), seen_after=_linked_edition(header))


def _exported(lines: Sequence[str]) -> Card:
    """A card of lines: votes, where to vote, title, link, abstract, link, who, ·, when, comments, link."""
    votes, vote, *rest = lines
    number = paper_voted_on(vote)
    title = list(takewhile(lambda line: paper_number(line) != number, rest))
    rest = rest[len(title) + 1 :]
    abstract = list(takewhile(lambda line: paper_number(line) != number and line not in {"[", "·"}, rest))
    rest = rest[len(abstract) :]
    who = [
        line for line in takewhile(lambda line: line != "·", rest) if line != "[" and not _is_address(line)
    ]
    when = rest[rest.index("·") + 1 :] if "·" in rest else []
    printed = date_and_comments(when[0]) if when else None
    remarks = [count(line) for line, link in pairwise(when) if link.endswith("#community")]
    chip = squeezed(" ".join(who)).split("](")[0]
    authors = author_count(chip)
    return Card(
        squeezed(" ".join(title)),
        squeezed(" ".join(abstract)),
        number=number,
        author_count=authors,
        organization=None if authors is not None else chip or None,
        published=printed[0] if printed else None,
        comments=remarks[0] if remarks else 0,
        upvotes=count(votes.removeprefix("[-]")),
    )


def _crawled(blocks: Sequence[str]) -> Card:
    """A card of blocks: votes, heading, abstract, who, ·, when with comments; each but the dot a link."""
    votes, heading, *rest = blocks
    number, title = _paper_heading(heading) or (None, "")
    links = [
        link for block in takewhile(lambda block: block != "·", rest) if (link := _LINK.fullmatch(block))
    ]
    own = [_plain(link["text"]) for link in links if paper_number(link["href"]) == number]
    authors = [total for text in own if (total := author_count(text.lstrip("- "))) is not None]
    chips = [_plain(link["text"]) for link in links if link["text"].startswith("![")]
    when = rest[rest.index("·") + 1] if "·" in rest[:-1] else ""
    printed = date_and_comments(_REMARKS.sub("", when))
    remarks = _REMARKS.search(when)
    vote = _LINK.fullmatch(votes)
    return Card(
        title,
        " ".join(text for text in own if author_count(text.lstrip("- ")) is None),
        number=number,
        author_count=authors[0] if authors else None,
        organization=chips[0] if chips else None,
        published=printed[0] if printed else None,
        comments=count(remarks[1]) if remarks else 0,
        upvotes=count(vote["text"]) if vote and paper_voted_on(vote["href"]) == number else None,
    )


def _paper_heading(block: str) -> tuple[str, str] | None:
    """The number and the title of a heading that links to a paper."""
    link = _LINK.fullmatch(block)
    number = paper_number(link["href"]) if link and link["heading"] else None
    return (number, _plain(link["text"])) if link and number else None


def _plain(text: str) -> str:
    """Markdown without pictures, hard line breaks and escapes."""
    return squeezed(_ESCAPE.sub(r"\1", _BREAK.sub(" ", _PICTURE.sub("", text))))


def _lines(text: str) -> list[str]:
    return ["", *filter(None, map(str.strip, text.split("\n")))]  # a card may open the text, without votes


def _blocks(text: str) -> list[str]:
    return ["", *filter(None, map(str.strip, re.split(r"\n\s*\n", text)))]


def _is_address(line: str) -> bool:
    return line.startswith(("http://", "https://"))


def _first_date(header: Sequence[str]) -> PrintedDate | None:
    return next((day for part in header if (day := printed_date(part))), None)


def _linked_edition(header: Sequence[str]) -> date | None:
    """The newest edition that the page links to, which is the one before its own."""
    days = (day_of(found) for part in header for found in _EDITION_LINK.findall(part))
    return max((day for day in days if day), default=None)
