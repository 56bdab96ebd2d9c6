"""A page in pieces of whole lines: those that many readers have in common, and those that are one's own.

Most of a page is equal for many, and making it is most of the work: filling in a template, and encoding
what comes out. So a template is filled in once with marks in the place of texts, and a reader's page is
what stands between the marks, encoded already, with the reader's texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from digest.core.message import quoted_printable

# Characters that no text may have which is shown (Unicode, 23.7: noncharacters).
_TEXT, _BLOCK = "\ufdd0", "\ufdd1"
_MARK = re.compile(f"({_TEXT}[0-9]+{_TEXT}|{_BLOCK}[0-9]+{_BLOCK})")


def text_mark(number: int) -> str:
    """What stands in a template for a text of one line."""
    return f"{_TEXT}{number}{_TEXT}"


def block_mark(number: int) -> str:
    """What stands in a template for pieces."""
    return f"{_BLOCK}{number}{_BLOCK}"


class _Text(int):
    """The number of a text."""


class _Block(int):
    """The number of pieces that stand together."""


class Piece:
    """Whole lines."""

    def __init__(self, text: str) -> None:
        self.text = text if text.endswith("\n") else f"{text}\n"
        self.size = len(self.text.encode())  # bytes
        self._encoded: bytes | None = None

    @property
    def encoded(self) -> bytes:
        """The lines as they stand in a message."""
        if self._encoded is None:
            self._encoded = quoted_printable(self.text)
        return self._encoded


def joined(pieces: Sequence[Piece]) -> str:
    """The text of pieces, without the end of its last line, which belongs to the template."""
    return "".join(piece.text for piece in pieces).removesuffix("\n")


class Frame:
    """A template that was filled in with marks; `finish` is done to the lines that it gives."""

    def __init__(self, text: str, finish: Callable[[str], str]) -> None:
        self._finish = finish
        self._parts: list[Piece | _Block | list[str | _Text | _Block]] = []
        for line in text.removesuffix("\n").split("\n"):
            parts = [_part(part) for part in _MARK.split(f"{line}\n") if part]
            last = self._parts[-1] if self._parts else None
            match parts:
                case [str()] if isinstance(last, Piece):
                    self._parts[-1] = Piece(f"{last.text}{finish(line)}\n")
                case [str()]:
                    self._parts.append(Piece(f"{finish(line)}\n"))
                case [_Block() as block, "\n"]:
                    self._parts.append(block)
                case _ if isinstance(last, list):
                    last += parts
                case _:
                    self._parts.append(parts)

    def filled(self, texts: Sequence[str], blocks: Sequence[Sequence[Piece]]) -> Iterator[Piece]:
        """The page with these in the place of the marks of their numbers."""
        for part in self._parts:
            if isinstance(part, Piece):
                yield part
            elif isinstance(part, _Block):
                yield from blocks[part]
            else:
                filled = [
                    texts[item]
                    if isinstance(item, _Text)
                    else item
                    if isinstance(item, str)
                    else joined(blocks[item])
                    for item in part
                ]
                yield Piece(self._finish("".join(filled)))


def _part(part: str) -> str | _Text | _Block:
    if part[0] == _TEXT:
        return _Text(part[1:-1])
    return _Block(part[1:-1]) if part[0] == _BLOCK else part
