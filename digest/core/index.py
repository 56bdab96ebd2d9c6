"""All phrases of all profiles, found in one pass over a text.

The phrases stand in a tree of labels. Nearly every word of a text is no phrase's first word, so a
pass costs one look-up a word, whatever the number of phrases; a text without any first word is not
even cut.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from digest.core.plain import Plain, unaccented
from digest.core.query import Labels
from digest.core.text import Edge, Text, cut_plain, words_in


class Hit(NamedTuple):
    """A place where a label sequence stands: nodes, and offsets in the plain text."""

    source: int
    target: int
    start: int
    end: int


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    pattern: Labels | None = None


class PhraseIndex:
    """Finds label sequences in texts."""

    def __init__(self, patterns: Iterable[Labels]) -> None:
        self._root = _Node()
        self._prefix_lengths: set[int] = set()
        self._foreign: set[str] = set()  # pieces of texts in which no pattern begins
        for pattern in patterns:
            node = self._root
            for label in pattern:
                node = node.children.setdefault(label, _Node())
            node.pattern = pattern
            if pattern[-1].endswith("*"):
                self._prefix_lengths.add(len(pattern[-1]) - 1)

    def scan(self, plain: Plain) -> Mapping[Labels, tuple[Hit, ...]]:
        """Every sequence that stands in the text, with all its places."""
        return self.scan_words(cut_plain(plain)) if self._begins_in(plain.text) else {}

    def _begins_in(self, plain: str) -> bool:
        """Whether a first word stands in the text: pieces known to hold none are passed over in C."""
        for piece in itertools.filterfalse(self._foreign.__contains__, plain.split()):
            for label, word in words_in(piece):
                if label in self._root.children or (self._prefix_lengths and self._starred(self._root, word)):
                    return True
            self._foreign.add(piece)
        return False

    def scan_words(self, text: Text) -> Mapping[Labels, tuple[Hit, ...]]:
        """The same in a text that has been cut."""
        plain = text.plain.text
        found: dict[Labels, dict[Hit, None]] = {}
        following: dict[int, list[Edge]] = defaultdict(list)
        for edge in text.edges:
            following[edge.source].append(edge)
        for first in text.edges:
            reached = [
                (child, first)
                for child in self._children(self._root, first.label, plain[first.start : first.end])
            ]
            while reached:
                node, last = reached.pop()
                if node.pattern is not None:
                    hit = Hit(first.source, last.target, first.start, last.end)
                    found.setdefault(node.pattern, {})[hit] = None
                if node.children:
                    reached += [
                        (child, edge)
                        for edge in following.get(last.target, ())
                        for child in self._children(node, edge.label, plain[edge.start : edge.end])
                    ]
        return {pattern: tuple(sorted(hits)) for pattern, hits in found.items()}

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
