"""A page in pieces of whole lines: those that many readers have in common, and those that are one's own.

Most of a page is equal for many, and making it is most of the work: filling in a template, and encoding
what comes out. So a template is filled in once with marks in the place of texts, and a reader's page is
what stands between the marks, encoded already, with the reader's texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence

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


class _Text(int):
    """The number of a text."""


class _Block(int):
    """The number of pieces that stand together."""


class Piece:
    """Whole lines."""

    __slots__ = ("_encoded", "_size", "text")

    def __init__(self, text: str) -> None:
        self.text = text if text.endswith("\n") else f"{text}\n"
        self._size: int | None = None
        self._encoded: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of the text."""
        if self._size is None:
            self._size = len(self.text.encode())
        return self._size

    @property
    def encoded(self) -> bytes:
        """The lines as they stand in a message."""
        if self._encoded is None:
            self._encoded = quoted_printable(self.text)
        return self._encoded


class Line(Piece):
    """Lines of one page alone: what they have in common with others is encoded already."""

    __slots__ = ("_run", "_texts")

    def __init__(self, run: _Run, texts: Sequence[str]) -> None:
        self._run = run
        self._texts = texts
        self._size = None
        self._encoded = None

    @property
    def text(self) -> str:  # type: ignore[override] # it is put together where it is asked for
        """The lines."""
        texts = self._texts
        return "".join([part if isinstance(part, str) else texts[part] for part in self._run.parts])

    @property
    def encoded(self) -> bytes:
        """The lines as they stand in a message."""
        found = self._run.encoded(self._texts)
        return quoted_printable(self.text) if found is None else found

    @property
    def size(self) -> int:
        """Bytes of the text."""
        return self._run.size(self._texts)


class _Run:
    """Lines with texts in them."""

    def __init__(self, parts: Iterable[str | _Text]) -> None:
        self.parts: list[str | _Text] = []
        for part in parts:
            if self.parts and isinstance(part, str) and isinstance(last := self.parts[-1], str):
                self.parts[-1] = last + part
            else:
                self.parts.append(part)
        # For each part by the column it begins at: what it is, encoded, and where it ends.
        self._at: list[dict[int, tuple[str, int]]] = [{} for _ in self.parts]
        always = [part for part in self.parts if isinstance(part, str)]
        self._size = len("".join(always).encode())
        self._texts = [part for part in self.parts if isinstance(part, _Text)]
        lines = "".join([part if isinstance(part, str) else _TEXT for part in self.parts]).split("\n")
        self._is_simple = escaped("".join(always)).replace("\n", "").isprintable() and not any(
            map(_is_odd, lines)
        )

    def size(self, texts: Sequence[str]) -> int:
        """Bytes of the lines."""
        text = "".join([texts[part] for part in self._texts])
        return self._size + (len(text) if text.isascii() else len(text.encode()))

    def encoded(self, texts: Sequence[str]) -> bytes | None:
        """The lines as they stand in a message, or None if a text is no simple one."""
        if not self._is_simple:
            return None
        made = []
        column = 0
        for part, at in zip(self.parts, self._at, strict=True):
            if isinstance(part, str):
                found = at.get(column)
                if found is None:
                    found = at[column] = _continued(part, column)
                text, column = found
            else:
                text = texts[part]
                if not text.isascii() or "=" in text:
                    text = escaped(text)
                if not text.isprintable():
                    return None
                if column + len(text) <= SOFT:
                    column += len(text)
                else:
                    text, column = continued(text, column)
            made.append(text)
        encoded = "".join(made)
        return None if "=\r\n.\r" in encoded else encoded.encode("ascii")


def _is_odd(line: str) -> bool:
    """Whether a line may end in a blank, or be a "." alone, with texts in the place of their marks."""
    is_short = len(line.replace(_TEXT, "")) <= 1
    return line[-1:] in (" ", "\t", _TEXT) or (is_short and _TEXT in line) or line == "."


def _continued(text: str, column: int) -> tuple[str, int]:
    lines: list[str] = []
    for line in escaped(text).split("\n"):
        made, column = continued(line, 0 if lines else column)
        lines.append(made)
    return "\r\n".join(lines), column


def joined(pieces: Iterable[Piece]) -> str:
    """The text of pieces, without the end of its last line, which belongs to the template."""
    return "".join([piece.text for piece in pieces]).removesuffix("\n")


class Frame:
    """A template that was filled in with marks; `finish` is done to the lines that it gives, if to any.

    With `apart` it is for many pages, and the lines in which a text of these numbers stands are pieces
    of their own, as is what stands before, between and behind them.
    """

    def __init__(
        self, text: str, finish: Callable[[str], str] | None = None, *, apart: Collection[int] | None = None
    ) -> None:
        self._finish = finish
        self._parts: list[Piece | _Block | _Run | list[str | _Text | _Block]] = []
        is_apart = False
        for line in text.removesuffix("\n").split("\n"):
            parts = [_part(part) for part in _MARK.split(f"{line}\n") if part]
            last = self._parts[-1] if self._parts and not is_apart else None
            is_apart = any(isinstance(part, _Text) and part in (apart or ()) for part in parts)
            match parts:
                case [str()] if isinstance(last, Piece):
                    self._parts[-1] = Piece(f"{last.text}{self._finished(line)}\n")
                case [str()] if apart is None:
                    self._parts.append(Piece(f"{self._finished(line)}\n"))
                case [_Block() as block, "\n"]:
                    self._parts.append(block)
                case _ if isinstance(last, list) and not is_apart:
                    last += parts
                case _:
                    self._parts.append(parts)
        if finish is None and apart is None:
            self._parts = [_run(part) if isinstance(part, list) else part for part in self._parts]

    def _finished(self, text: str) -> str:
        return text if self._finish is None else self._finish(text)

    def filled(self, texts: Sequence[str], blocks: Sequence[Iterable[Piece]] = ()) -> list[Piece]:
        """The page with these in the place of the marks of their numbers."""
        pieces: list[Piece] = []
        for part in self._parts:
            if isinstance(part, _Run):
                pieces.append(Line(part, texts))
            elif isinstance(part, Piece):
                pieces.append(part)
            elif isinstance(part, _Block):
                pieces += blocks[part]
            else:
                filled = [
                    item
                    if isinstance(item, str)
                    else texts[item]
                    if isinstance(item, _Text)
                    else joined(blocks[item])
                    for item in part
                ]
                pieces.append(Piece(self._finished("".join(filled))))
        return pieces

    def filled_in_common(self, texts: Sequence[str], kept: Kept) -> list[Piece]:
        """The same where there are no blocks, and each piece is that of every page with the same texts."""
        pieces: list[Piece] = []
        for number, part in enumerate(self._parts):
            if not isinstance(part, list):
                assert isinstance(part, Piece)  # noqa: S101 - there are no blocks
                pieces.append(part)
                continue
            key = (self, number, *[texts[item] for item in part if isinstance(item, _Text)])
            piece = kept.get(key)
            if piece is None:
                filled = [texts[item] if isinstance(item, _Text) else str(item) for item in part]
                piece = Piece(self._finished("".join(filled)))
                kept.put(key, piece)
            pieces.append(piece)
        return pieces


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


def _run(parts: list[str | _Text | _Block]) -> _Run | list[str | _Text | _Block]:
    simple = [part for part in parts if not isinstance(part, _Block)]
    return _Run(simple) if len(simple) == len(parts) else parts


def _part(part: str) -> str | _Text | _Block:
    if part[0] == _TEXT:
        return _Text(part[1:-1])
    return _Block(part[1:-1]) if part[0] == _BLOCK else part
