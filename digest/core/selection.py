"""What of the matching papers a digest shows, and in which order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from digest.core.match import Findings, evaluate
from digest.core.model import Profile, Recommendation, ScorePart, Section
from digest.core.query import CompiledInterest
from digest.core.rank import Corpus, popularity, score


@dataclass(frozen=True, slots=True)
class Selection:
    """The papers of a digest."""

    sections: tuple[Section, ...]
    overflow: tuple[Recommendation, ...]
    near_misses: tuple[Recommendation, ...]


def consider(
    interests: Sequence[CompiledInterest], findings: Findings, corpus: Corpus
) -> Recommendation | None:
    """What interests make of a paper, all evidence together.

    None when nothing speaks for it. `missing` is empty exactly when at least one interest wants it.
    """
    outcomes = [evaluate(interest, findings) for interest in interests]
    wanted = [outcome for outcome in outcomes if outcome.satisfied]
    chosen = wanted or [outcome for outcome in outcomes if outcome.is_near_miss]
    if not chosen:
        return None
    parts: dict[str, float] = defaultdict(float)
    by_interest = []
    for outcome in chosen:
        own = score(outcome, findings, corpus)
        by_interest.append((-sum(part.value for part in own), outcome))
        for part in own:
            parts[part.name] += part.value
    votes = popularity(findings.listings)
    if votes is not None:
        parts[votes.name] += votes.value
    # The evidence of the interest that wants it most comes first: that is its section.
    by_interest.sort(key=lambda pair: pair[0])
    return Recommendation(
        paper=findings.paper,
        listings=tuple(findings.listings),
        score=sum(parts.values()),
        matches=tuple(match for _, outcome in by_interest for match in outcome.matches),
        parts=tuple(
            ScorePart(name, value) for name, value in sorted(parts.items(), key=lambda p: (-p[1], p[0]))
        ),
        missing=()
        if wanted
        else tuple(dict.fromkeys(m for _, outcome in by_interest for m in outcome.missing)),
    )


def order(recommendation: Recommendation) -> tuple[float, int, str]:
    """Best first; ties by the place on the page, then by identifier."""
    position = min((listing.position for listing in recommendation.listings), default=0)
    return -recommendation.score, position, recommendation.paper.id


def select(profile: Profile, considered: Iterable[Recommendation]) -> Selection:
    """Cut off at `max_papers`, and give each interest its section, in the profile's order.

    A paper that several interests want stands once, under the one that wants it most.
    """
    ranked = sorted(considered, key=order)
    wanted = [item for item in ranked if not item.missing]
    sections: dict[str, list[Recommendation]] = {interest.name: [] for interest in profile.interests}
    for item in wanted[: profile.limits.max_papers]:
        sections[item.interests[0]].append(item)
    return Selection(
        sections=tuple(Section(name, tuple(items)) for name, items in sections.items() if items),
        overflow=tuple(wanted[profile.limits.max_papers :]),
        near_misses=tuple(item for item in ranked if item.missing)[: profile.limits.near_misses],
    )
