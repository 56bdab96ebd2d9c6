r"""Text cut into words, so that what a person means by a keyword is found where it stands.

A text becomes a small graph. Its nodes are the places between words, numbered from 0; an `Edge` is
a word that leads from one node to the next. A word stands there twice: cut at hyphens, slashes,
letter-digit changes and the humps of CamelCase (`Swin·V·2`), and whole (`swinv2`), as one longer
edge over the same nodes. A phrase is a path along edges.

Labels are compared, never texts: NFKC, case folded, plural and possessive endings undone, free of
TeX wrappers and entities. Every edge keeps its place in the text as it was given.

Between the words of a sentence nodes follow on another. A comma, colon or bracket leaves out one
node and the end of a sentence leaves out many, so that no phrase runs across them.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from digest.core.plural import singular

SENTENCE_GAP = 100
"""Nodes left out at the end of a sentence: more than any `"near words"~n` may span."""

_LONGEST_RUN = 4
"""Humps joined into one label at most: `Swin·V·2·B` is one name, a base sequence is not."""


class Edge(NamedTuple):
    """A word of a text: its label, the nodes it joins, and its place in the cleaned text."""

    label: str
    source: int
    target: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Text:
    """A text cut into words."""

    original: str
    cleaned: str
    edges: tuple[Edge, ...]  # in the order of their start; of several, the shortest first
    _starts: Sequence[int] | None  # offset in `original` of each character of `cleaned`
    _ends: Sequence[int] | None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the original text of a stretch of the cleaned one."""
        if self._starts is None or self._ends is None:
            return start, end
        return self._starts[start], self._ends[end - 1]


# --- cleaning ---------------------------------------------------------------------------------

_PLAIN = re.compile(r"[^\x80-\U0010ffff\\${}&~]*\Z")
_GREEK = {
    unicodedata.name(chr(code)).rsplit(" ", 1)[-1].lower().replace("lamda", "lambda"): chr(code)
    for code in (*range(0x3B1, 0x3C2), *range(0x3C3, 0x3CA))
}
_SYMBOLS = _GREEK | {
    "ss": "ß", "ae": "æ", "oe": "œ", "o": "ø", "l": "ł", "i": "i", "aa": "å",
    "varepsilon": "ε", "vartheta": "θ", "varphi": "φ", "varrho": "ρ", "varsigma": "σ",
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


def _clean(original: str) -> tuple[str, Sequence[int] | None, Sequence[int] | None]:
    """The text without markup, and for each of its characters where it came from."""
    if _PLAIN.match(original):
        return original, None, None
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
    return "".join(pieces), starts, ends


# --- cutting ----------------------------------------------------------------------------------

_HYPHENS = "\\-\u2010\u2011\u2012\u2013\u2212"
_WORD = r"[^\W_]+(?:['’][^\W_]+)*(?:[+#]+(?![^\W_]))?"
_COMPOUND = re.compile(rf"{_WORD}(?:(?:[{_HYPHENS}/_]|(?<=\d)\.(?=\d)){_WORD})*")
_JOINT = re.compile(rf"[{_HYPHENS}/_.]")
# Between two words of one phrase: white space, hyphens, quotation marks and what markup leaves behind.
_ADJACENT = re.compile(rf"[\s{_HYPHENS}/_'\"“”‘’«»*`^|\\+#]*\Z")
_SENTENCE_END = re.compile(r"[.!?;。！？](?:['\"”’)\]]*)(?:\s|\Z)")

_LATIN_HUMPS = re.compile(
    r"""[A-Z]{2,}s(?![a-z])       # the plural of an acronym: GANs, LLMs
      | (?<=[a-z])[A-Z]s(?![a-z]) # also behind a hump: ViTs
      | [A-Z]+(?=[A-Z][a-z])      # an acronym before a word: CS·Win
      | [A-Z]?[a-z]+ | [A-Z]+ | [0-9]+ | [+#]+""",
    re.VERBOSE,
)
# Scripts written without spaces between words, and Hangul, whose particles are glued to the word.
_UNSPACED = re.compile(
    "[\u3005-\u3007\u3021-\u3029\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\uff66-\uff9d\U00020000-\U0003134f]"
)


def _character_class(character: str) -> str:
    """A stand-in from ASCII, so that one rule about humps serves every alphabet."""
    if character in "+#":
        return character
    if character.isdecimal():
        return "0"
    if character.isupper() or character.istitle():
        return "A"
    return "s" if character == "s" else "a"


def _humps(word: str, offset: int) -> Iterator[tuple[int, int]]:
    """Where a word without joints is cut, as offsets."""
    if _UNSPACED.search(word):
        at = 0
        for found in _UNSPACED.finditer(word):
            if at < found.start():
                yield from _humps(word[at : found.start()], offset + at)
            yield offset + found.start(), offset + found.end()
            at = found.end()
        if at < len(word):
            yield from _humps(word[at:], offset + at)
        return
    classes = word if word.isascii() else "".join(map(_character_class, word))
    for found in _LATIN_HUMPS.finditer(classes):
        yield offset + found.start(), offset + found.end()


@lru_cache(maxsize=1 << 16)
def _label(word: str) -> str:
    """The form in which words are compared."""
    folded = word.casefold().replace("'", "’")
    folded = folded.removesuffix("’s").removesuffix("’").replace("’", "").replace("ς", "σ")
    if len(word) == 3 and word.endswith("s") and word[:2].isupper():  # noqa: PLR2004 - LMs, VMs
        return folded[:2]
    return singular(folded)


class _Cut(NamedTuple):
    """A compound's parts: label, first and last node, offsets; counted from the compound's start."""

    parts: tuple[Edge, ...]
    length: int


@lru_cache(maxsize=1 << 16)
def _cut(compound: str) -> _Cut:
    """Cut a compound into its humps, and join neighbours again into every name they may spell."""
    components: list[list[tuple[int, int]]] = []
    at = 0
    for joint in (*(found.start() for found in _JOINT.finditer(compound)), len(compound)):
        component = compound[at:joint]
        if "'" in component or "’" in component:
            components.append([(at, joint)])  # don't, l’Hôpital, Swin's
        else:
            components.append(list(_humps(component, at)))
        at = joint + 1

    edges: list[Edge] = []

    def join(first: int, last: int, start: int, end: int) -> None:
        word = _JOINT.sub("", compound[start:end])
        # The S of Swin-S is a name of its own, no plural.
        label = word.casefold() if compound[end - 2 : end].lower() == "-s" else _label(word)
        edges.append(Edge(label, first, last, start, end))

    nodes = [0]  # of each component's start
    for humps in components:
        base, count = nodes[-1], len(humps)
        nodes.append(base + count)
        for i in range(count):
            join(base + i, base + i + 1, *humps[i])
            if not _UNSPACED.match(compound, humps[i][0]):
                longest = count if i == 0 else min(count, i + _LONGEST_RUN)
                for j in range(i + 2, longest + 1):
                    if j - i <= _LONGEST_RUN or j == count:
                        join(base + i, base + j, humps[i][0], humps[j - 1][1])
    for i in range(len(components)):
        for j in range(i + 2, min(len(components), i + 3) + 1):
            if j - i in (2, len(components)):  # lip-sync, or a whole compound of three
                join(nodes[i], nodes[j], components[i][0][0], components[j - 1][-1][1])
    return _Cut(tuple(sorted(edges, key=lambda edge: (edge.source, edge.target))), nodes[-1])


def cut(original: str) -> Text:
    """Cut a text into words."""
    cleaned, starts, ends = _clean(original)
    edges: list[Edge] = []
    node = at = 0
    for found in _COMPOUND.finditer(cleaned):
        start, end = found.span()
        if at and cleaned[at:start] != " " and not _ADJACENT.match(cleaned, at, start):
            node += SENTENCE_GAP if _SENTENCE_END.search(cleaned, at, start) else 1
        parts, length = _cut(found[0])
        for label, source, target, first, last in parts:
            edges.append(Edge(label, node + source, node + target, start + first, start + last))
        node += length
        at = end
    return Text(original, cleaned, tuple(edges), starts, ends)
