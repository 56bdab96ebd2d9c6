"""What became of a paper: in a digest, or before it came to one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from digest.core.model import Appearance, Profile, Recommendation, StoredPaper
from digest.core.selection import Candidate, Selection, day, held, is_too_old

State = Literal[
    "shown",  # in a section
    "listed",  # by title
    "waiting",  # for the next digest
    "pending",  # not considered yet
    "near_miss",
    "too_old",
    "below_min_score",
    "not_wanted",
    "other_sources",  # listed by none of the profile's
    "before_lookback",  # of the first digest, which is still to come
    "passed_over",  # though wanted by the profile as it is now
]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a paper."""

    state: State
    digest: str | None = None  # Digest.id
    slot: datetime | None = None  # of that digest
    section: str = ""  # the name of an interest
    reasons: tuple[str, ...] = ()
    score: float | None = None  # when the digest was composed
    lowest: float | None = None  # the lowest score in its sections


_STATES: Mapping[str, State] = {
    "section": "shown",
    "related": "shown",
    "second_look": "shown",
    "overflow": "listed",
    "waiting": "waiting",
    "near_miss": "near_miss",
}


def of_appearance(one: Appearance) -> Verdict:
    """What a digest made of a paper."""
    return Verdict(_STATES[one.kind], one.digest, one.slot, one.section, one.missing, one.score, one.lowest)


def of_selection(
    selection: Selection, profile: Profile, stored: StoredPaper, candidate: Candidate | None, slot: datetime
) -> Verdict:
    """What the next digest would make of a paper."""
    shown = [one for section in selection.sections for one in section.recommendations]
    lowest = min((one.score for one in shown), default=None)
    places: list[tuple[State, str, tuple[Recommendation, ...]]] = [
        *(("shown", section.interest, section.recommendations) for section in selection.sections),
        ("listed", "", selection.overflow),
        ("waiting", "", selection.waiting),
    ]
    for state, section, papers in places:
        for one in papers:
            if one.paper.id == stored.paper.id:
                return Verdict(state, section=section, reasons=one.missing, score=one.score, lowest=lowest)
    return why_not(profile, stored, candidate, slot)


def why_not(profile: Profile, stored: StoredPaper, candidate: Candidate | None, slot: datetime) -> Verdict:
    """Why a paper is in no digest."""
    if candidate is None:
        return Verdict("not_wanted")
    if candidate.recommendation.missing:
        return Verdict("near_miss", reasons=candidate.recommendation.missing)
    if is_too_old(stored, profile.limits, slot):
        return Verdict(
            "too_old", reasons=(f"{day(stored)}, and max_age_days is {profile.limits.max_age_days}",)
        )
    low = held(candidate, profile.limits).recommendation.missing
    return Verdict("below_min_score", reasons=low) if low else Verdict("passed_over")
