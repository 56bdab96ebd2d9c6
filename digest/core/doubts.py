"""What a profile says that is no mistake and yet may not be meant."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from digest.core.match import Matcher
from digest.core.model import Interest, Paper, PaperId, Profile
from digest.core.query import CompiledInterest, compile_interest

Doubt = tuple[str, str]
"""What is odd, and what to do about it."""


def of_profile(profile: Profile) -> Iterator[Doubt]:
    """What may not be meant by a profile."""
    channels = ", ".join(profile.channels)
    if profile.recipients and "email" not in profile.channels:
        yield (
            f"{profile.name}: its recipients get no mail, for its channels are {channels}",
            'Add "email" to `channels`, or take `recipients` out',
        )
    if profile.webhooks and "webhook" not in profile.channels:
        yield (
            f"{profile.name}: its webhooks are told nothing, for its channels are {channels}",
            'Add "webhook" to `channels`, or take `webhooks` out',
        )
    for interest in profile.interests:
        for what, remedy in _of_words(interest.keywords, interest.require, interest.exclude):
            yield f"{profile.name}, {interest.name!r}: {what}", remedy


@cache  # people want the same things
def _of_words(
    keywords: tuple[str, ...], require: tuple[str, ...], exclude: tuple[str, ...]
) -> tuple[Doubt, ...]:
    words = Interest("", keywords=keywords, require=require, exclude=exclude)
    return tuple(_doubts(compile_interest(words)))


def _doubts(interest: CompiledInterest) -> Iterator[Doubt]:
    wanted = tuple(dict.fromkeys((*interest.keywords, *interest.require)))
    if len(wanted) + len(interest.exclude) < 2:  # noqa: PLR2004 - it takes two to clash
        return
    matcher = Matcher([interest])
    # What stands in every paper that has a term, because it stands in the term.
    held = {
        term: matcher.scan(Paper(PaperId(""), term.written.removeprefix("="))).places
        for term in wanted
        if term.slop == 0 and "*" not in term.written
    }
    for number, term in enumerate(wanted):
        if term not in held:
            continue
        excluded = next(filter(held[term], interest.exclude), None)
        wider = [one for one in interest.keywords if one is not term and held[term](one)]
        # Of two that find the same, the second is one too many.
        wider = [one for one in wider if wanted.index(one) < number or one not in held or not held[one](term)]
        if excluded:
            yield (
                f"{term.written!r} never counts, because {excluded.written!r} is excluded",
                "Take one of them out, or make it narrower",
            )
        elif wider and term in interest.keywords:
            yield (
                f"{term.written!r} finds no paper that {wider[0].written!r} does not find",
                "Take one of them out, unless such papers are to count more",
            )
