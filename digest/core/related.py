"""The papers of a digest that no keyword finds: related ones, and those that drew attention later."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from digest.core.model import Judgement, Listing, Need, Opinion, Recommendation, Section, SectionKind
from digest.core.query import CompiledInterest, Term
from digest.core.selection import order

RELATED = "Related"
SECOND_LOOK = "Second look"
_DECORATION = re.compile(r'^=|"|~\d+$|\*$')


def need(interest: CompiledInterest, judgements: Iterable[Judgement] = ()) -> Need:
    """What a ranker is to learn for an interest of somebody who has judged papers."""
    asked = interest.interest
    found = tuple(_words(term) for term in interest.keywords)
    others = (term for term in interest.wanted if term not in interest.keywords)
    by_opinion: dict[Opinion, list[Judgement]] = {opinion: [] for opinion in Opinion}
    for judgement in judgements:
        by_opinion[judgement.opinion].append(judgement)
    return Need(
        keywords=found,
        text=" ".join(_words(term) for term in others if {"title", "abstract"} & set(term.fields)),
        liked=tuple(sorted(one.paper.id for one in by_opinion[Opinion.LIKE])),
        disliked=tuple(sorted(one.paper.id for one in by_opinion[Opinion.DISLIKE])),
        pin=asked.pin,
        ban=asked.ban,
    )


def _words(term: Term) -> str:
    return _DECORATION.sub("", term.written)


def key(need: Need, version: str) -> str:
    """What tells one lesson from another: the same for everybody who wants the same."""
    return hashlib.sha256(json.dumps([version, *astuple(need)]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Relative:
    """A paper that belongs to an interest though no keyword says so."""

    recommendation: Recommendation
    relation: float  # as of `Judged`
    is_whole: bool  # all words of a keyword stand in it


def section(kind: SectionKind, found: Iterable[Relative], limit: int) -> tuple[Section, ...]:
    """The best of them, as a section, or none."""
    ranked = sorted(found, key=lambda one: (not one.is_whole, -one.relation, order(one.recommendation)))
    chosen = tuple(one.recommendation for one in ranked[:limit])
    heading = RELATED if kind == "related" else SECOND_LOOK
    return (Section(heading, chosen, kind),) if chosen else ()


def attention(listings: Sequence[Listing]) -> str:
    """What is said of a paper that drew attention."""
    upvotes = max((listing.upvotes or 0 for listing in listings), default=0)
    return f"▲ {upvotes} since it was passed over"
