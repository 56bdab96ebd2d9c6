"""A page in pieces of whole lines: those that many readers have in common, and those that are one's own.

Most of a page is equal for many, and making it is most of the work: filling in a template, and encoding
what comes out. So a template is filled in once with marks in the place of texts, and a reader's page is
what stands between the marks, encoded already, with the reader's texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from digest.core.message import SOFT, continued, escaped, quoted_printable

# Characters that no text may have which is shown (Unicode, 23.7: noncharacters).
_TEXT, _BLOCK = "\ufdd0", "\ufdd1"
_MARK = re.compile(f"({_TEXT}[0-9]+{_TEXT}|{_BLOCK}[0-9]+{_BLOCK})")


def text_mark(number: int) -> str:
    """What stands in a template for a text of one line."""
    return f"{_TEXT}{number}{_TEXT}"


def block_mark(number: int) -> str:
    """What stands in a template for pieces."""
    return f"{_BLOCK}{number}{_BLOCK}"


class Finish(NamedTuple):
    """What is done to the lines of a page; lines of ASCII stay as they are that are no longer than this."""

    lines: Callable[[str], str]
    width: int


class Piece:
    """Whole lines."""

    __slots__ = ("_encoded", "text")

    def __init__(self, text: str) -> None:
        self.text = text if text.endswith("\n") else f"{text}\n"
        self._encoded: bytes | None = None

    @property
    def encoded(self) -> bytes:
        """The lines as they stand in a message."""
        if self._encoded is None:
            self._encoded = quoted_printable(self.text)
        return self._encoded


class Pieces:
    """Pieces that stand together."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = tuple(pieces)

    @property
    def text(self) -> str:
        """Their lines."""
        return "".join([piece.text for piece in self._pieces])

    @cached_property
    def encoded(self) -> tuple[bytes, ...]:
        """The lines as they stand in a message."""
        return tuple([piece.encoded for piece in self._pieces])


Blocks = Sequence[Sequence[Pieces]]
"""What stands in the place of the marks for pieces."""


def joined(block: Iterable[Pieces]) -> str:
    """The text of pieces, without the end of its last line, which belongs to the template."""
    return "".join([pieces.text for pieces in block]).removesuffix("\n")


class _Text(int):
    """The number of a text."""


class _Block(int):
    """The number of pieces that stand together."""


_Part = str | _Text | _Block


class _Lines:
    """Lines with texts in them, or with pieces in their midst."""

    __slots__ = ("_behind", "_finish", "_first", "_is_simple", "parts", "texts")

    def __init__(self, parts: list[_Part], finish: Finish | None) -> None:
        self.parts = parts
        self.texts = [part for part in parts if isinstance(part, _Text)]
        self._finish = finish
        fixed = [""]  # what stands before, between and behind the texts
        for part in parts:
            if isinstance(part, str):
                fixed[-1] += part
            else:
                fixed.append("")
        fixed[-1] = fixed[-1].removesuffix("\n")
        self._first, *behind = map(escaped, fixed)
        self._behind = list(zip(self.texts, behind, strict=False))
        has_blocks = any(isinstance(part, _Block) for part in parts)
        self._is_simple = not has_blocks and "".join(fixed).isprintable()

    def text(self, texts: Sequence[str], blocks: Blocks = ()) -> str:
        """The lines."""
        made = "".join(
            [
                part
                if isinstance(part, str)
                else texts[part]
                if isinstance(part, _Text)
                else joined(blocks[part])
                for part in self.parts
            ]
        )
        return made if self._finish is None else f"{self._finish.lines(made[:-1])}\n"

    def encoded(self, texts: Sequence[str], values: Sequence[str] | None, blocks: Blocks) -> bytes:
        """The lines as they stand in a message; the values are the texts as of `_escaped`."""
        if values is not None and self._is_simple:
            made = [self._first]
            for number, behind in self._behind:
                made += (values[number], behind)
            line = "".join(made)
            if self._finish is None or len(line) <= self._finish.width:  # a column takes one or more
                if len(line) > SOFT:
                    line, _ = continued(line, 0)
                # A blank at the end of a line and a "." alone there are written in another way.
                if not line.endswith((" ", "\r\n.")) and line != ".":
                    return f"{line}\r\n".encode("ascii")
        return quoted_printable(self.text(texts, blocks))


def _escaped(texts: Sequence[str]) -> Sequence[str] | None:
    """Texts as of `message.escaped`; None if one of them has controls or more than a line."""
    together = "".join(texts)
    if not together.isprintable():
        return None
    is_simple = together.isascii() and "=" not in together
    return texts if is_simple else [escaped(text) for text in texts]


class Frame:
    """A template that was filled in with marks; `finish` is done to the lines that it gives, if to any.

    With `apart` it is for many pages, and the lines in which a text of these numbers stands are pieces
    of their own, as is what stands before, between and behind them.
    """

    def __init__(
        self, text: str, finish: Finish | None = None, *, apart: Collection[int] | None = None
    ) -> None:
        def group(numbered: tuple[int, list[_Part]]) -> object:
            number, parts = numbered
            if apart is not None:
                return number if any(isinstance(one, _Text) and one in apart for one in parts) else None
            return None if all(isinstance(one, str) for one in parts) else number

        lines = [
            [_part(part) for part in _MARK.split(f"{line}\n") if part]
            for line in text.removesuffix("\n").split("\n")
        ]
        self._parts: list[Piece | _Block | _Lines] = []
        for _, grouped in groupby(enumerate(lines), group):
            match [part for _, line in grouped for part in line]:
                case [_Block() as block, "\n"]:
                    self._parts.append(block)
                case parts if all(isinstance(part, str) for part in parts):
                    self._parts.append(Piece(_Lines(parts, finish).text(())))
                case parts:
                    self._parts.append(_Lines(parts, finish))

    def text(self, texts: Sequence[str], blocks: Blocks = ()) -> str:
        """The page with these in the place of the marks of their numbers."""
        return "".join(
            [
                part.text
                if isinstance(part, Piece)
                else part.text(texts, blocks)
                if isinstance(part, _Lines)
                else "".join([pieces.text for pieces in blocks[part]])
                for part in self._parts
            ]
        )

    def encoded(self, texts: Sequence[str], blocks: Blocks = ()) -> list[bytes]:
        """The lines of the page as they stand in a message."""
        made: list[bytes] = []
        values = _escaped(texts)
        for part in self._parts:
            if isinstance(part, Piece):
                made.append(part.encoded)
            elif isinstance(part, _Lines):
                made.append(part.encoded(texts, values, blocks))
            else:
                for pieces in blocks[part]:
                    made += pieces.encoded
        return made

    def in_common(self, texts: Sequence[str], kept: Kept) -> Pieces:
        """The page where it has no blocks; each piece is that of every page with the same texts."""
        pieces: list[Piece] = []
        for number, part in enumerate(self._parts):
            if isinstance(part, _Lines):
                key = (self, number, *[texts[one] for one in part.texts])
                piece = kept.get(key)
                if piece is None:
                    piece = Piece(part.text(texts))
                    kept.put(key, piece)
                pieces.append(piece)
            elif isinstance(part, Piece):  # pragma: no branch - there are no blocks
                pieces.append(part)
        return Pieces(pieces)


class Kept:
    """Pieces at hand, by what they were made of, in so many bytes; those asked for again stay longest."""

    def __init__(self, room: int) -> None:
        self._room = room // 2
        self._size = 0
        self._young: dict[object, Piece] = {}
        self._old: dict[object, Piece] = {}

    def get(self, key: object) -> Piece | None:
        """The piece, if it is at hand."""
        found = self._young.get(key)
        if found is None and (found := self._old.pop(key, None)) is not None:
            self.put(key, found)
        return found

    def put(self, key: object, piece: Piece) -> None:
        """Keep a piece."""
        self._size += 3 * len(piece.text) + _OVERHEAD  # what it was made of, its text, and encoded
        if self._size > self._room:
            self._young, self._old, self._size = {}, self._young, 0
        self._young[key] = piece


_OVERHEAD = 500  # bytes, of a piece and its key


def _part(part: str) -> _Part:
    if part[0] == _TEXT:
        return _Text(part[1:-1])
    return _Block(part[1:-1]) if part[0] == _BLOCK else part
