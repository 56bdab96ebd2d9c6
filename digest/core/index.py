"""All phrases of all profiles, found in one pass over a text.

The phrases stand in a tree of labels. Nearly every word of a text is no phrase's first word, so what
begins in a stretch without white space is found once and then looked up, and only where a phrase may
go on in the next stretch are both cut: a pass costs one look-up a word, whatever the number of phrases.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from operator import add
from typing import NamedTuple

from digest.core.plain import Plain, unaccented
from digest.core.plural import roots
from digest.core.query import Labels
from digest.core.text import Edge, Text, cut_plain, labels_in, own_labels, squeezed, words_in


class Hit(NamedTuple):
    """A place where a label sequence stands, as offsets in the plain text."""

    start: int
    end: int


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    pattern: Labels | None = None


class _Beginning(NamedTuple):
    """The sequences that begin in a piece, which is a stretch of text without white space."""

    within: Sequence[tuple[Labels, int, int]]  # that end in it as well, with their offsets
    going_on: AbstractSet[str]  # labels of the next piece with which others go on; `*` if any may


_FEW = 64
"""First labels of so few sequences are looked for faster letter by letter than piece by piece."""

_SHORT = 2  # letters
_MOST_SHORT = 4  # short words of a pattern; more would have too many forms

_MOST_PIECES = 1 << 17
"""Pieces that are remembered: those of some thousand papers."""


class PhraseIndex:
    """Finds label sequences in texts."""

    def __init__(self, patterns: Iterable[Labels]) -> None:
        self._root = _Node()
        self._prefix_lengths: set[int] = set()
        self._longest = 0
        self._beginnings: dict[str, _Beginning | None] = {}  # by piece
        letters: set[str] = set()
        for pattern in patterns:
            node = self._root
            for label in pattern:
                node = node.children.setdefault(label, _Node())
            node.pattern = pattern
            self._longest = max(self._longest, len(pattern))
            if pattern[-1].endswith("*"):
                self._prefix_lengths.add(len(pattern[-1]) - 1)
            if len(self._root.children) <= _FEW:
                letters.update(_needed(pattern))
        few = len(self._root.children) <= _FEW
        self._letters = letters if few else None
        self._first_letters = set().union(*map(_letters, self._root.children)) if few else None

    def scan(self, plain: Plain) -> Mapping[Labels, tuple[Hit, ...]]:
        """Every sequence that stands in the text, with all its places."""
        text = plain.text
        if self._cannot_hold_any(text):
            return {}
        pieces = text.split()
        if len(self._beginnings) > _MOST_PIECES:
            self._beginnings.clear()
        new = set(pieces).difference(self._beginnings)
        if new:
            known = self._plain_beginnings(new)
            self._beginnings.update(known)
            self._beginnings.update((piece, self._beginning(piece)) for piece in new.difference(known))
        beginnings = list(map(self._beginnings.__getitem__, pieces))
        if not any(beginnings):
            return {}
        found: dict[Labels, list[Hit]] = defaultdict(list)
        starts = _starts(text, pieces)
        begun = itertools.compress(itertools.count(), beginnings)
        for number, beginning in zip(begun, filter(None, beginnings), strict=True):
            at, hits, going_on = starts[number], beginning.within, beginning.going_on
            if going_on and number + 1 < len(pieces) and _goes_on(going_on, pieces[number + 1]):
                last = min(number + self._longest, len(pieces)) - 1
                window = cut_plain(Plain(text[at : starts[last] + len(pieces[last])]))
                hits = list(self._hits(window, len(pieces[number])))
            for pattern, start, end in hits:
                found[pattern].append(Hit(at + start, at + end))
        return {
            pattern: tuple(hits) if len(hits) == 1 else tuple(sorted(set(hits)))
            for pattern, hits in found.items()
        }

    def _cannot_hold_any(self, text: str) -> bool:
        """Whether none of the few letters that the sequences need stands in a text."""
        if self._letters is None or not text.isascii():
            return False
        return not _holds(squeezed(text.lower().replace("\n", " ")), self._letters)

    def _plain_beginnings(self, pieces: AbstractSet[str]) -> Mapping[str, _Beginning | None]:
        """What begins in most of some pieces, at little cost."""
        if self._first_letters is not None:
            return dict.fromkeys(_without(self._first_letters, list(pieces)))
        if self._prefix_lengths:
            return {}
        known: dict[str, _Beginning | None] = dict.fromkeys(own_labels(pieces))
        for word in filter(self._root.children.__contains__, known):
            node = self._root.children[word]
            within = () if node.pattern is None else ((node.pattern, 0, len(word)),)
            known[word] = _Beginning(within, node.children.keys())
        return known

    def _beginning(self, piece: str) -> _Beginning | None:
        """What begins in a piece; None, for nearly every one, if nothing does."""
        words = words_in(piece)
        nodes = [node for label, word in words for node in self._children(self._root, label, word)]
        if not nodes:
            return None
        if len(words) == 1:
            start = piece.index(words[0][1])
            end = start + len(words[0][1])
            within = [(node.pattern, start, end) for node in nodes if node.pattern is not None]
        else:
            text = cut_plain(Plain(piece))
            within = list(self._hits(text, len(piece)))
            nodes = [node for node, _, _ in self._walk(text, len(piece))]
        going_on = {label for node in nodes for label in node.children}
        if any(label.endswith("*") for label in going_on):
            going_on.add("*")
        return _Beginning(within, going_on)

    def _hits(self, text: Text, until: int) -> Iterator[tuple[Labels, int, int]]:
        """The sequences that begin before an offset, each with its own offsets."""
        for node, first, last in self._walk(text, until):
            if node.pattern is not None:
                yield node.pattern, first.start, last.end

    def _walk(self, text: Text, until: int) -> Iterator[tuple[_Node, Edge, Edge]]:
        """Where the words of a text lead to in the tree: a node, with the first and the last word."""
        plain = text.plain.text
        following: dict[int, list[Edge]] = defaultdict(list)
        for edge in text.edges:
            following[edge.source].append(edge)
        for first in text.edges:
            if first.start >= until:
                return
            reached = [
                (child, first)
                for child in self._children(self._root, first.label, plain[first.start : first.end])
            ]
            while reached:
                node, last = reached.pop()
                yield node, first, last
                if node.children:
                    reached += [
                        (child, edge)
                        for edge in following.get(last.target, ())
                        for child in self._children(node, edge.label, plain[edge.start : edge.end])
                    ]

    def _children(self, node: _Node, label: str, word: str) -> Iterable[_Node]:
        child = node.children.get(label)
        if child is not None:
            yield child
        if self._prefix_lengths:
            yield from self._starred(node, word)

    def _starred(self, node: _Node, word: str) -> list[_Node]:
        """The children for which `prefix*` stands at the beginning of the word."""
        word = word.casefold()
        forms = (word,) if word.isascii() else dict.fromkeys((word, unaccented(word)))
        return [
            node.children[start]
            for form, length in itertools.product(forms, self._prefix_lengths)
            if len(form) >= length and (start := form[:length] + "*") in node.children
        ]


def _goes_on(labels: AbstractSet[str], piece: str) -> bool:
    """Whether a sequence may go on in a piece."""
    return "*" in labels or not labels.isdisjoint(labels_in(piece))


def _starts(text: str, pieces: Sequence[str]) -> Sequence[int]:
    """The offsets of the pieces of a text, none of which is empty."""
    starts = list(map(add, itertools.accumulate(map(len, pieces), initial=0), itertools.count()))
    if starts[-1] == len(text) + 1:  # one space between any two
        return starts
    return [found.start() for found in re.finditer(r"\S+", text)]


def _needed(pattern: Labels) -> Sequence[str]:
    """Letters, some of which stand in every ASCII text with the pattern, squeezed; as long as may be."""
    by_label = list(map(_letters, pattern))
    if not all(by_label):
        return ()
    if 1 < len(pattern) <= _MOST_SHORT and all(len(label) <= _SHORT for label in pattern):
        # NeRF is Ne·RF too, and nearly every text has an "ne". Of so short a word the plural is GPs, or GP's.
        before = ((word, f"{word}s") for word in map(squeezed, pattern[:-1]))
        return ["".join(words) for words in itertools.product(*before, by_label[-1])]
    return max(by_label, key=lambda letters: min(map(len, letters)))


def _letters(label: str) -> Sequence[str]:
    """The same for a label; none if no ASCII text has it."""
    if not label.isascii():
        return ()
    return [squeezed(root) for root in ((label[:-1],) if label.endswith("*") else roots(label))]


def _without(letters: AbstractSet[str], pieces: Sequence[str]) -> set[str]:
    """The ASCII ones of some pieces that hold none of these letters, squeezed."""
    folded = squeezed("\n".join(pieces).lower()).split("\n")
    return {
        piece
        for piece, text in zip(pieces, folded, strict=True)
        if piece.isascii() and not _holds(text, letters)
    }


def _holds(text: str, letters: Iterable[str]) -> bool:
    for some in letters:  # noqa: SIM110 - twice as fast as any(), and done for every word of a profile's papers
        if some in text:
            return True
    return False
