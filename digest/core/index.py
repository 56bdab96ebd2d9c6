"""All phrases of all profiles, found in one pass over a text.

The phrases stand in a tree of labels. Nearly every word of a text is no phrase's first word, so a
pass costs one look-up a word, whatever the number of phrases.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from digest.core.plain import unaccented
from digest.core.query import Labels
from digest.core.text import Edge, Text


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
        for pattern in patterns:
            node = self._root
            for label in pattern:
                node = node.children.setdefault(label, _Node())
            node.pattern = pattern
            if pattern[-1].endswith("*"):
                self._prefix_lengths.add(len(pattern[-1]) - 1)

    def scan(self, text: Text) -> Mapping[Labels, tuple[Hit, ...]]:
        """Every sequence that stands in the text, with all its places."""
        found: dict[Labels, dict[Hit, None]] = {}
        following: dict[int, list[Edge]] = defaultdict(list)
        for edge in text.edges:
            following[edge.source].append(edge)
        for first in text.edges:
            reached = [(child, first) for child in self._children(self._root, first, text)]
            while reached:
                node, last = reached.pop()
                if node.pattern is not None:
                    hit = Hit(first.source, last.target, first.start, last.end)
                    found.setdefault(node.pattern, {})[hit] = None
                if node.children:
                    reached += [
                        (child, edge)
                        for edge in following.get(last.target, ())
                        for child in self._children(node, edge, text)
                    ]
        return {pattern: tuple(sorted(hits)) for pattern, hits in found.items()}

    def _children(self, node: _Node, edge: Edge, text: Text) -> Iterable[_Node]:
        child = node.children.get(edge.label)
        if child is not None:
            yield child
        if self._prefix_lengths:
            word = text.plain.text[edge.start : edge.end].casefold()
            forms = (word,) if word.isascii() else dict.fromkeys((word, unaccented(word)))
            for form, length in itertools.product(forms, self._prefix_lengths):
                child = node.children.get(form[:length] + "*") if len(form) >= length else None
                if child is not None:
                    yield child
