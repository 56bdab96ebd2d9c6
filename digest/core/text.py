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

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from digest.core.plain import Plain, undo_markup
from digest.core.plural import singular

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
    length: int  # in words, cut at every hump


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
    plain = undo_markup(original)
    text = plain.text
    edges: list[Edge] = []
    node = at = count = 0
    for found in _COMPOUND.finditer(text):
        start, end = found.span()
        if at and text[at:start] != " " and not _ADJACENT.match(text, at, start):
            node += SENTENCE_GAP if _SENTENCE_END.search(text, at, start) else 1
        parts, length = _cut(found[0])
        for label, source, target, first, last in parts:
            edges.append(Edge(label, node + source, node + target, start + first, start + last))
        node += length
        count += length
        at = end
    return Text(plain, tuple(edges), count)
