r"""Text freed of its markup, with the way back to where each character stood.

Titles and abstracts come with TeX (`\emph{x}`, `$\beta$`), entities and ligatures.
What is compared is plain, and what is shown and marked is the text as it was given.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_left, bisect_right
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

    def placed(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the plain text that shows a stretch of the original, empty where nothing does.

        A piece that was converted as a whole is shown as a whole.
        """
        if self.starts is None or self.ends is None:
            return start, end
        first = bisect_right(self.ends, start)
        return first, max(first, bisect_left(self.starts, end))


MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u0900-\u0963\u0971-\u0df3\u0e31-\u0e4e\u0f71-\u0f84\u102b-\u103e"
    "\u17b4-\u17d3\u3099\u309a"
)
"""What follows a letter and belongs to its word, for a character class: accents, vowel signs, points."""

# Accents of Latin and Greek letters and of the Cyrillic ё, and the points of Hebrew and Arabic.
# A breve makes another letter of и, and a mark another syllable of か.
_ACCENTED = re.compile(r"(?<=[a-zA-ZΑ-Ωα-ωЕе])[\u0300-\u036f]+|[\u0591-\u05c7\u064b-\u065f\u0670]+")
_WITHOUT_ACCENT = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)


def unaccented(folded: str) -> str:
    """A case-folded text without accents; strokes and ligatures, which Unicode keeps whole, included."""
    marked = unicodedata.normalize("NFD", folded.translate(_WITHOUT_ACCENT))
    return unicodedata.normalize("NFC", _ACCENTED.sub("", marked))


# Of ASCII, all but $ & \ { } ~. Python 3.11 takes 2 ms to compile a class that ends with U+10FFFF.
_ORDINARY = r"\x00-#%'-\[\]-z|\x7f"
_PLAIN = re.compile(rf"[{_ORDINARY}]*\Z")
GREEK = {
    letter: unicodedata.name(letter).rsplit(" ", 1)[-1].lower().replace("lamda", "lambda")
    for letter in "αβγδεζηθικλμνξοπρστυφχψω"
}
"""The names of the Greek letters, which are TeX's too."""

SYMBOLS = {
    **{name: letter for letter, name in GREEK.items()},
    **{name.title(): letter.upper() for letter, name in GREEK.items()},
    **{f"var{name}": letter for letter, name in GREEK.items()},
    "ell": "l", "times": "×",
}  # fmt: skip
# Letters of their own, which like declarations swallow the space that ends their name.
LETTERS = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł",
    "aa": "å", "AA": "Å", "i": "i", "j": "j",
    "bf": "", "em": "", "it": "", "rm": "", "sc": "", "sf": "", "sl": "", "tt": "",
}  # fmt: skip
_ESCAPED = {
    **dict.fromkeys("\\,;: \n", " "),
    **dict.fromkeys("-!/()[]", ""),  # where a word may be broken, and where mathematics begins
}
ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "c": "\u0327", "k": "\u0328", "d": "\u0323",
}  # fmt: skip
ENTITY = r"&(?:\#\d{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
ACCENT = r"""\\(?:[`'^~=."]\s*\{?|[uHvcdkr]\s*\{\s*|[uHvcdkr]\s+)(?P<letter>\\?[A-Za-z])\}?"""
KEY = r"\\(?:cite[a-z]*|(?:eq|auto)?ref|label)\*?(?:\[[^\[\]]{0,80}\]){0,2}\{[^{}]{0,400}\}"
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff]"
)
# NFKC would glue these to the word before: SWIN™ is no SWINTM.
_SIGNS = {"™": " ", "℠": " "}
# The first line is for speed alone: most places are refused by one look at one character.
_CLEAN = re.compile(
    rf"""
    (?=[^{_ORDINARY}]|[A-Za-z][\u0300-\u036f])(?:
    (?P<entity>{ENTITY})
  | (?P<accent>{ACCENT})
  | \\(?P<letters>ss|ae|AE|oe|OE|aa|AA|[oOlLij]|bf|em|it|rm|sc|sf|sl|tt)(?![A-Za-z])(?:\s+|\{{\}})?
  | (?P<key>{KEY})
  | \\(?P<command>[A-Za-z]+)\*?
  | \\(?P<escaped>[^A-Za-z])
  | (?P<dropped>[${{}}])
  | (?P<tie>~)
  | (?P<cluster>[\u1100-\u115f][\u1160-\u11a7][\u11a8-\u11ff]?
      | [^\x00-\x7f][\u0300-\u036f\u3099\u309a\uff9e\uff9f]* | [A-Za-z][\u0300-\u036f]+)
    )""",
    re.VERBOSE,
)


def _replacement(found: re.Match[str]) -> str:
    """What stands in the cleaned text for a piece of markup or a character beyond ASCII."""
    match found.lastgroup:
        case "entity":
            return _character(html.unescape(found[0]))
        case "accent" | "letter":
            mark = ACCENTS[found["accent"][1]]
            return unicodedata.normalize("NFKC", found["letter"].lstrip("\\") + mark)
        case "letters":
            return LETTERS[found["letters"]]
        case "key":
            return ""
        case "command":
            # A wrapper (`\emph{x}`) vanishes; a symbol without a character stands for a space.
            wraps = found.string[found.end() : found.end() + 1] == "{"
            return SYMBOLS.get(found["command"], "" if wraps else " ")
        case "escaped":
            return _ESCAPED.get(found["escaped"], _character(found["escaped"]))
        case "dropped":
            return ""
        case "tie":
            return " "
        case _:
            return _character(found[0])


def _character(shown: str) -> str:
    plain = unicodedata.normalize("NFKC", _SIGNS.get(shown, shown)).replace("ʼ", "’")
    return _INVISIBLE.sub("", plain)


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
    rf"|section|svg|table|tbody|td|th|thead|tr|ul|jats:(?:p|sec|title|list|list-item)){_ATTRIBUTES}",
    re.IGNORECASE,
)
# What is not shown, and what ends it.
_UNSEEN = re.compile(r"<(?:(!--)|(script)\b|(style)\b)", re.IGNORECASE)
_ENDS = tuple(re.compile(end, re.IGNORECASE) for end in ("-->", r"</script\s*>", r"</style\s*>"))


def untagged(text: str) -> str:
    """The text without the tags of HTML, JATS and MathML that publishers put into it."""
    return _INLINE.sub("", _BLOCK.sub(" ", _without_unseen(text))) if "<" in text else text


def _without_unseen(text: str) -> str:
    """The text without comments, scripts and styles; one that never ends is none.

    That is looked for once: a single expression would look anew from every beginning to the end of the text.
    """
    pieces: list[str] = []
    endless: set[int] = set()
    at = 0
    for found in _UNSEEN.finditer(text):
        kind = (found.lastindex or 1) - 1
        if found.start() < at or kind in endless:
            continue
        if end := _ENDS[kind].search(text, found.end()):
            pieces += (text[at : found.start()], " ")
            at = end.end()
        else:
            endless.add(kind)
    return "".join((*pieces, text[at:]))
