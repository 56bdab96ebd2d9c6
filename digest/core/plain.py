r"""Text freed of its markup, with the way back to where each character stood.

Titles and abstracts come with TeX (`\emph{x}`, `$\beta$`), entities and ligatures.
What is compared is plain, and what is shown and marked is the text as it was given.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain text; `starts` and `ends` are each character's offsets in the original, if they differ."""

    text: str
    starts: Sequence[int] | None = None
    ends: Sequence[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the original of a stretch of the plain text."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


_PLAIN = re.compile(r"[^\x80-\U0010ffff\\${}&~]*\Z")
_GREEK = {
    unicodedata.name(letter).rsplit(" ", 1)[-1].lower().replace("lamda", "lambda"): letter
    for letter in "αβγδεζηθικλμνξοπρστυφχψω"
}
_SYMBOLS = {
    **_GREEK,
    **{name.title(): letter.upper() for name, letter in _GREEK.items()},
    **{f"var{name}": letter for name, letter in _GREEK.items()},
    "ss": "ß", "ae": "æ", "oe": "œ", "o": "ø", "l": "ł", "i": "i", "aa": "å", "times": "×",
}  # fmt: skip
_ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "c": "\u0327", "k": "\u0328", "d": "\u0323",
}  # fmt: skip
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_CLEAN = re.compile(
    r"""
    (?P<entity>&(?:\#\d{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)
  | (?P<accent>\\(?:[`'^~=."]\s*\{?|[uHvcdkr]\s*\{\s*|[uHvcdkr]\s+)(?P<letter>\\?[A-Za-z])\}?)
  | \\(?P<command>[A-Za-z]+)\*?
  | \\(?P<escaped>[^A-Za-z])
  | (?P<dropped>[${}])
  | (?P<tie>~)
  | (?P<cluster>[^\x00-\x7f][\u0300-\u036f]*|[A-Za-z][\u0300-\u036f]+)
    """,
    re.VERBOSE,
)


def _replacement(found: re.Match[str]) -> str:
    """What stands in the cleaned text for a piece of markup or a character beyond ASCII."""
    match found.lastgroup:
        case "entity":
            return unicodedata.normalize("NFKC", html.unescape(found[0]))
        case "accent" | "letter":
            mark = _ACCENTS[found["accent"][1]]
            return unicodedata.normalize("NFKC", found["letter"].lstrip("\\") + mark)
        case "command":
            # A wrapper (`\emph{x}`) vanishes; a symbol without a character stands for a space.
            wraps = found.string[found.end() : found.end() + 1] == "{"
            return _SYMBOLS.get(found["command"], "" if wraps else " ")
        case "escaped":
            return found["escaped"]
        case "dropped":
            return ""
        case "tie":
            return " "
        case _:
            return "" if found[0] in _INVISIBLE else unicodedata.normalize("NFKC", found[0])


def undo_markup(original: str) -> Plain:
    """The text without TeX wrappers, entities and invisible characters, in NFKC."""
    if _PLAIN.match(original):
        return Plain(original)
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for found in _CLEAN.finditer(original):
        start, end = found.span()
        pieces.append(original[at:start])
        starts.extend(range(at, start))
        ends.extend(range(at + 1, start + 1))
        replacement = _replacement(found)
        pieces.append(replacement)
        starts.extend([start] * len(replacement))
        ends.extend([end] * len(replacement))
        at = end
    pieces.append(original[at:])
    starts.extend(range(at, len(original)))
    ends.extend(range(at + 1, len(original) + 1))
    return Plain("".join(pieces), starts, ends)


# Named one by one, because `<think>` is a word in a title and `a <b and c> d` is mathematics.
_ATTRIBUTES = r"(?:\s+[\w:-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>]+))*\s*/?>"
_INLINE = re.compile(
    rf"</?(?:a|abbr|b|big|cite|code|em|font|i|inf|italic|kbd|mark|q|s|scp|small|span|strong|sub|sup|tt|u|var|wbr"
    rf"|(?:jats|mml):(?!p\b|sec\b|title\b|list)[a-z-]+|m(?:ath|row|i|o|n|sup|sub|text|space|frac|sqrt)){_ATTRIBUTES}",
    re.IGNORECASE,
)
_BLOCK = re.compile(
    rf"</?(?:article|aside|blockquote|br|dd|div|dl|dt|figure|figcaption|footer|h[1-6]|header|hr|img|li|main|ol|p|pre"
    rf"|section|svg|table|tbody|td|th|thead|tr|ul|jats:(?:p|sec|title|list|list-item)){_ATTRIBUTES}|<!--.*?-->"
    r"|<(script|style)\b.*?</\1\s*>",
    re.IGNORECASE | re.DOTALL,
)


def untagged(text: str) -> str:
    """The text without the tags of HTML, JATS and MathML that publishers put into it."""
    return _INLINE.sub("", _BLOCK.sub(" ", text)) if "<" in text else text
