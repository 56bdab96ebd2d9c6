"""Evidence as people read it: where the words stand, and the one line that says why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from digest.core.model import Field, Listing, Match, Paper

Span = tuple[int, int]


class Supported(Protocol):
    """A paper and what speaks for it, such as a `Recommendation`."""

    @property
    def paper(self) -> Paper: ...  # noqa: D102
    @property
    def listings(self) -> tuple[Listing, ...]: ...  # noqa: D102
    @property
    def matches(self) -> tuple[Match, ...]: ...  # noqa: D102


_FIELDS: tuple[Field, ...] = ("title", "abstract", "keyword", "author", "organization", "category", "source")


def segments(text: str, spans: Iterable[Span]) -> tuple[tuple[str, bool], ...]:
    """The text in pieces, each with whether it is evidence; joined they are the text again.

    Spans may overlap, touch, come in any order and reach beyond the text.
    """
    pieces: list[tuple[str, bool]] = []
    at = 0
    for start, end in _merged(spans, len(text)):
        pieces += [(text[at:start], False), (text[start:end], True)]
        at = end
    pieces.append((text[at:], False))
    return tuple(piece for piece in pieces if piece[0])


def _merged(spans: Iterable[Span], length: int) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted((max(start, 0), min(end, length)) for start, end in spans):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def spans(recommendation: Supported, field: Field) -> tuple[Span, ...]:
    """Where the evidence stands in one field of the paper."""
    return tuple((match.start, match.end) for match in recommendation.matches if match.field == field)


def why(recommendation: Supported) -> tuple[tuple[str, str], ...]:
    """Each keyword that was found, once, with where: `("lip sync", "title and abstract")`.

    What was found in the title comes first.
    """
    found: dict[str, set[Field]] = {}
    for match in sorted(recommendation.matches, key=lambda match: _FIELDS.index(match.field)):
        found.setdefault(match.keyword, set()).add(match.field)
    return tuple(
        (keyword, _listed([name for name in _FIELDS if name in fields])) for keyword, fields in found.items()
    )


def _listed(words: list[Field]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
