r"""Text cut into words, so that what a person means by a keyword is found where it stands.

A text becomes a small graph. Its nodes are the places between words, numbered from 0; an `Edge` is
a word that leads from one node to the next. A word stands there twice: cut at hyphens, slashes,
letter-digit changes and the humps of CamelCase (`Swin·V·2`), and whole (`swinv2`), as one longer
edge over the same nodes. A phrase is a path along edges.

Labels are compared, never texts: NFKC, case folded, plural and possessive endings undone, free of
TeX wrappers and entities. Every edge keeps its place in the text as it was given.

A word of a text that has accents or a Greek letter of its own stands there once more, written
plainly, and a keyword's words do not. So accents are ignored on request, and the request is to write
none: `Schrodinger` finds "Schrödinger" and `beta-VAE` finds "β-VAE", while `Schrödinger` and `β-VAE`
find only themselves. Letters that only look accented stay what they are (`й`, `が`).

Between the words of a sentence nodes follow one another. A comma, colon, bracket or dash leaves out
one node and the end of a sentence leaves out many, so that no phrase runs across them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from digest.core.plain import GREEK, MARKS, Plain, unaccented, undo_markup
from digest.core.plural import IRREGULAR, singular

SENTENCE_GAP = 100
"""Nodes left out at the end of a sentence: more than any `"near words"~n` may span."""

_LONGEST_RUN = 4
"""Humps joined into one label at most: `Swin·V·2·B` is one name, a base sequence is not."""


class Edge(NamedTuple):
    """A word of a text: its label, the nodes it joins, and its place in the plain text."""

    label: str
    source: int
    target: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Text:
    """A text cut into words."""

    plain: Plain
    edges: tuple[Edge, ...]  # in the order of their start; of several, the shortest first


# --- cutting ----------------------------------------------------------------------------------

_HYPHENS = "\\-\u2010\u2011\u2012\u2013\u2212"
_LETTERS = rf"[^\W_]+(?:[{MARKS}]+[^\W_]*)*"
_WORD = rf"{_LETTERS}(?:['’]{_LETTERS})*(?:\+\+|[+#]+(?![^\W_]))?"
_COMPOUND = re.compile(rf"{_WORD}(?:(?:[{_HYPHENS}/_]|(?<=\d)\.(?=\d)){_WORD})*")
_JOINT = re.compile(rf"[{_HYPHENS}/_]")
# Between two words of one phrase: white space, hyphens, quotation marks and what markup leaves behind,
# but no mark that stands alone (`Talking - Faces`), and no em dash, nor what TeX writes for one.
# Brackets inside a name belong to it: SE(3)-equivariant.
_MARKS_BETWEEN = rf"{_HYPHENS}/_'\"“”‘’«»*`^|\\+#"
_ADJACENT = re.compile(
    rf"(?=[\s{_MARKS_BETWEEN}]*\Z)(?!.*\s[{_MARKS_BETWEEN}]+\s|.*---)|[(\[]\Z|[)\]]+[{_HYPHENS}/_]?\Z",
    re.DOTALL,
)
_SENTENCE_END = re.compile(r"[.!?;。！？](?:['\"”’)\]]*)(?:\s|\Z)")

_LATIN_HUMPS = re.compile(
    r"""[A-Z]{2,}s(?![a-z])       # the plural of an acronym: GANs, LLMs
      | (?<=[a-z])[A-Z]s(?![a-z]) # also behind a hump: ViTs
      | [A-Z]{2,}(?=v[0-9])       # a name before its version: YOLO·v·8, swin·v·2, but conv·2
      | [A-Z]?[a-z]{3,}(?<!con)(?=v[0-9])
      | [A-Z]+(?=[A-Z][a-z])      # an acronym before a word: CS·Win
      | (?<![A-Za-z])[A-Za-z][+#]+(?![A-Za-z]) # C++ and C# are not C
      | [A-Z]?[a-z]+ | [A-Z]+ | [0-9]+(?:\.[0-9]+)* | [+#]+""",
    re.VERBOSE,
)
# Scripts written without spaces between words, and Hangul, whose particles are glued to the word.
_UNSPACED = re.compile(
    "[\u3005-\u3007\u3021-\u3029\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\uff66-\uff9d\U00020000-\U0003134f]"
)


def word_count(plain: str) -> int:
    """How many words are printed; of a script without spaces each character is one."""
    unspaced = 0 if plain.isascii() else len(_UNSPACED.findall(plain))
    return len(plain.split()) + unspaced


def _character_class(character: str) -> str:
    """A stand-in from ASCII, so that one rule about humps serves every alphabet."""
    if character in "sv.+#":
        return character
    if character.isdecimal():
        return "0"
    if character.isupper() or character.istitle():
        return "A"
    return "a"


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


# A Greek letter among letters that are not Greek, or alone, is read by its name.
_LONE_GREEK = re.compile(r"(?<![α-ω])[α-ω](?![α-ω])")


@lru_cache(maxsize=1 << 12)
def _plainly(label: str) -> str:
    """A label as somebody writes it who has no accents and no Greek on the keyboard."""
    return _LONE_GREEK.sub(lambda found: GREEK[found[0]], unaccented(label))


_NODES = itemgetter(Edge._fields.index("source"), Edge._fields.index("target"))


class _Cut(NamedTuple):
    """A compound's parts: label, first and last node, offsets; counted from the compound's start."""

    parts: tuple[Edge, ...]
    plainly: tuple[Edge, ...]  # those of them that can be written more plainly
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
    plainly: list[Edge] = []

    def join(first: int, last: int, start: int, end: int) -> None:
        word = _JOINT.sub("", compound[start:end])
        # The S of Swin-S is a name of its own, no plural.
        label = word.casefold() if compound[end - 2 : end].lower() == "-s" else _label(word)
        edges.append(Edge(label, first, last, start, end))
        if not label.isascii() and (plain := _plainly(label)) not in ("", label):
            plainly.append(Edge(plain, first, last, start, end))

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
    return _Cut(tuple(sorted(edges, key=_NODES)), tuple(plainly), nodes[-1])


def cut(original: str, *, keyword: bool = False) -> Text:
    """Cut a text into words, or a keyword, which stands for itself alone."""
    return cut_plain(undo_markup(original), keyword=keyword)


def cut_plain(plain: Plain, *, keyword: bool = False) -> Text:
    """Cut what is free of markup already."""
    text = plain.text
    edges: list[Edge] = []
    node = at = 0
    for found in _COMPOUND.finditer(text):
        start, end = found.span()
        if at and text[at:start] != " " and not _ADJACENT.match(text, at, start):
            node += SENTENCE_GAP if _SENTENCE_END.search(text, at, start) else 1
        parts, plainly, length = _cut(found[0])
        if plainly and not keyword:
            parts = tuple(sorted(parts + plainly, key=_NODES))
        for label, source, target, first, last in parts:
            edges.append(Edge(label, node + source, node + target, start + first, start + last))
        node += length
        at = end
    return Text(plain, tuple(edges))


# Two thirds of the distinct pieces of abstracts are a word that has one hump and one label.
_ONE_WORD = re.compile(r"[A-Za-z]?[a-z]+\Z")


def words_in(piece: str) -> Sequence[tuple[str, str]]:
    """The labels of a stretch of plain text without white space, each with the word it stands for.

    No word has white space in it, so the labels of a text are those of its pieces.
    """
    bare = piece.strip('.,:;()"')
    if _ONE_WORD.match(bare):
        return ((singular(bare.casefold()), bare),)
    return [
        (edge.label, compound[edge.start : edge.end])
        for compound in _COMPOUND.findall(piece)
        for edges in _cut(compound)[:2]
        for edge in edges
    ]


@lru_cache(maxsize=1 << 16)
def labels_in(piece: str) -> frozenset[str]:
    """The labels alone."""
    return frozenset(label for label, _ in words_in(piece))


# About half of the distinct pieces of abstracts.
_LOWER_CASE = re.compile(r"(?<![^ ])[a-z]*[a-rt-z](?![^ ])")


def own_labels(pieces: Iterable[str]) -> set[str]:
    """Those of some pieces that are a word which is its own label; found all at once, in C."""
    return {*_LOWER_CASE.findall(" ".join(pieces))} - IRREGULAR.keys()


_DELETED = str.maketrans("", "", " \t\v\f\r\x1c\x1d\x1e\x1f-/_'\"*`^|\\+#()[]")


def squeezed(text: str) -> str:
    """A folded ASCII text in which the words of every phrase stand side by side; its lines stay apart."""
    return text.translate(_DELETED)
