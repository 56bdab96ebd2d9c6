"""What of the matching papers a digest shows, and in which order."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from operator import attrgetter, itemgetter
from typing import NamedTuple

from digest.core.match import Findings, evaluate
from digest.core.model import Limits, Match, Profile, Recommendation, ScorePart, Section, StoredPaper
from digest.core.query import CompiledInterest
from digest.core.rank import Corpus, popularity, score, tie


@dataclass(frozen=True)
class Candidate:
    """A paper that something speaks for."""

    recommendation: Recommendation  # its `missing` says what keeps it out, if anything does
    interests: tuple[str, ...]  # that want it, or nearly; the one that wants it most comes first

    @cached_property
    def order(self) -> tuple[float, int, str]:
        """Best first."""
        return order(self.recommendation)


class Support(NamedTuple):
    """What an interest has to say for a paper that it wants, or nearly."""

    interest: str
    matches: tuple[Match, ...]
    parts: tuple[ScorePart, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """The papers of a digest, as the fields of `Digest` say."""

    sections: tuple[Section, ...]
    overflow: tuple[Recommendation, ...]
    waiting: tuple[Recommendation, ...]
    near_misses: tuple[Recommendation, ...]
    too_old: int = 0


def consider(interests: Sequence[CompiledInterest], findings: Findings, corpus: Corpus) -> Candidate | None:
    """What interests make of a paper, all evidence together.

    None when nothing speaks for it. `missing` is empty exactly when at least one interest wants it.
    """
    outcomes = [evaluate(interest, findings) for interest in interests]
    wanted = [outcome for outcome in outcomes if outcome.satisfied]
    chosen = wanted or [outcome for outcome in outcomes if outcome.is_near_miss]
    if not chosen:
        return None
    return supported(
        findings,
        [
            Support(
                outcome.interest.interest.name,
                outcome.matches,
                score(outcome, findings, corpus),
                outcome.missing,
            )
            for outcome in chosen
        ],
    )


def supported(findings: Findings, supports: Iterable[Support]) -> Candidate:
    """A paper with all that interests have to say for it; none says what is missing if one wants it."""
    parts: dict[str, float] = defaultdict(float)
    by_interest = []
    for support in supports:
        for part in support.parts:
            parts[part.name] += part.value
        by_interest.append((-sum([part.value for part in support.parts]), support))
    votes = popularity(findings.listings)
    if votes is not None:
        parts[votes.name] += votes.value
    # The evidence of the interest that wants it most comes first: that is its section.
    by_interest.sort(key=itemgetter(0))
    recommendation = Recommendation(
        paper=findings.paper,
        listings=tuple(findings.listings),
        score=sum(parts.values()),
        matches=tuple([match for _, support in by_interest for match in support.matches]),
        parts=tuple(
            [ScorePart(name, value) for name, value in sorted(parts.items(), key=lambda p: (-p[1], p[0]))]
        ),
        missing=tuple(dict.fromkeys([m for _, support in by_interest for m in support.missing])),
    )
    # An interest that only excludes wants papers without any evidence.
    names = dict.fromkeys([support.interest for _, support in by_interest])
    return Candidate(recommendation, tuple(names))


def order(recommendation: Recommendation) -> tuple[float, int, str]:
    """Best first; ties by the place on the page, then by identifier."""
    return -recommendation.score, *tie(recommendation.paper, recommendation.listings)


def day(stored: StoredPaper) -> date:
    """The day a paper counts its age from: published, or else listed first, or else seen first."""
    listed = (listing.listed_on for listing in stored.listings if listing.listed_on)
    return stored.paper.published or min(listed, default=stored.first_seen.date())


def is_too_old(stored: StoredPaper, limits: Limits, slot: datetime) -> bool:
    """Whether a paper is older than `max_age_days` on the day of a slot."""
    return limits.max_age_days is not None and day(stored) < slot.date() - timedelta(limits.max_age_days)


def held(candidate: Candidate, limits: Limits) -> Candidate:
    """The candidate, kept out if it is wanted but below `min_score`."""
    found = candidate.recommendation
    if found.missing or found.score >= limits.min_score:
        return candidate
    # Rounded down, so that 0.996 is not said to be below 1.0 as "1.00".
    reason = f"score {math.floor(found.score * 100) / 100:.2f} is below min_score {limits.min_score}"
    return replace(candidate, recommendation=replace(found, missing=(reason,)))


def select(
    profile: Profile, considered: Iterable[Candidate], *, waited: Iterable[Candidate] = ()
) -> Selection:
    """Fill the sections, in the profile's order, up to the limits of the profile and of its interests.

    A paper that several interests want stands once, under the one that wants it most and has room.
    `waited` are papers that an earlier digest kept for this one, in their order: they come before the
    others, whatever their score is now, so that none waits for ever.
    """
    limits = profile.limits
    earlier = list(waited)
    new = [held(item, limits) for item in considered]
    if not earlier and not new:
        return _NOTHING
    if len(new) > 1:
        new.sort(key=attrgetter("order"))
    wanted = [item for item in (*earlier, *new) if not item.recommendation.missing]
    out = [item.recommendation for item in (*earlier, *new) if item.recommendation.missing]
    sections: dict[str, list[Recommendation]] = {interest.name: [] for interest in profile.interests}
    quotas = {interest.name: interest.max_papers for interest in profile.interests}
    beyond: list[Recommendation] = []
    room = limits.max_papers
    for item in wanted:
        name = next((name for name in item.interests if _has_room(sections[name], quotas[name])), None)
        if room and name is not None:
            sections[name].append(item.recommendation)
            room -= 1
        else:
            full = f" of {item.interests[0]!r}" if room else ""
            limit = quotas[item.interests[0]] if room else limits.max_papers
            reason = f"beyond max_papers {limit}{full}"
            beyond.append(replace(item.recommendation, missing=(reason,)))
    return Selection(
        sections=tuple(
            [
                Section(name, tuple(sorted(items, key=order) if earlier else items))
                for name, items in sections.items()
                if items
            ]
        ),
        overflow=tuple(beyond) if limits.overflow == "list" else (),
        waiting=tuple(beyond) if limits.overflow == "carry" else (),
        near_misses=tuple(sorted(out, key=order) if earlier else out)[: limits.near_misses],
    )


_NOTHING = Selection((), (), (), ())


def _has_room(items: Sequence[Recommendation], quota: int | None) -> bool:
    return quota is None or len(items) < quota
