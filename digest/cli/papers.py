"""`digest papers` and `digest explain`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from digest.cli import options
from digest.cli.output import INDENT, count, document, line, printable, progress, say, title
from digest.errors import DigestError

if TYPE_CHECKING:
    from digest.core.model import Match, Paper, ScorePart, StoredPaper
    from digest.core.verdict import Verdict
    from digest.desk import Relation
    from digest.pipeline import Explanation

_AROUND = 36  # characters on both sides of a hit
_FEW = 20  # papers that one piece of a title means
_PLACES = 2  # of one keyword in one field; the others are counted


@click.command(epilog="Example: digest papers 'title:swin AND \"lip sync\"'")
@click.argument("query", required=False)
@options.config
@options.as_json
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(min=1), help="Show so many at most."
)
def papers(query: str | None, config: str | None, limit: int, *, as_json: bool) -> None:
    """Search what has been stored, in the words of `query` in a profile; newest first."""
    from digest import pipeline
    from digest.core.document import paper_document

    app = options.load(config)
    with app.store() as store:
        every = pipeline.search(store, query)
        found = list(islice(every, limit))
        if query is None:
            total = store.paper_count()
        else:
            total = len(found) + (0 if as_json else sum(1 for _ in every))
    if as_json:
        document([paper_document(stored.paper) for stored in found])
        return
    for stored in found:
        say(f"{stored.first_seen:%Y-%m-%d}  {stored.paper.id}")
        say(" " * INDENT + title(stored.paper), hang=INDENT)
    click.echo(count(total, "paper") + (f", {limit} shown" if total > limit else ""), err=True)


@click.command(epilog="Example: digest explain 2503.01234")
@click.argument("paper")
@options.config
@options.profile
@options.at
@options.as_json
def explain(paper: str, config: str | None, profile: str | None, at: str | None, *, as_json: bool) -> None:
    """Why a paper was or was not chosen, for an id, a URL or a piece of its title."""
    from digest import pipeline
    from digest.core.document import paper_document

    app = options.load(config)
    profiles = app.profiles(profile)
    moment = options.instant(at, app.config.timezone)
    with app.store() as store, progress("Explaining"):
        every = store.find_papers(paper, _FEW + 1)
        found = [
            (stored, [pipeline.explain(store, one, stored, app.ranker, now=moment) for one in profiles])
            for stored in every[:_FEW]
        ]
    if not found:
        raise DigestError(f"no stored paper is {paper!r}", remedy="`digest papers` lists what is stored.")
    if len(every) > len(found):
        remedy = "give more of the title, or an id, to see others"
        line("Note", f"these are the newest {len(found)}; {remedy}", colour="yellow", err=True)
    if as_json:
        document(
            [
                paper_document(stored.paper)
                | {
                    "first_seen": stored.first_seen.isoformat(),
                    "sources": _sources(stored),
                    "profiles": [_explanation_document(one) for one in explanations],
                }
                for stored, explanations in found
            ]
        )
        return
    zone = ZoneInfo(app.config.timezone)
    for number, (stored, explanations) in enumerate(found):
        if number:
            click.echo()
        say(click.style(title(stored.paper), bold=True), hang=2)
        seen = f"{stored.first_seen.astimezone(zone):%a %d %b %Y, %H:%M}"
        line("", f"{stored.paper.id}, first seen {seen} on {', '.join(_sources(stored))}")
        for one in explanations:
            _explain(one, stored, zone)


def _sources(stored: StoredPaper) -> list[str]:
    return list(dict.fromkeys(listing.source for listing in stored.listings))


def _explain(explanation: Explanation, stored: StoredPaper, zone: ZoneInfo) -> None:
    line(explanation.profile.name, _verdict(explanation, stored, zone))
    if explanation.coming is not None:
        line("", _coming(explanation.coming))
    if explanation.recommendation is not None:
        line("", f"score {_sum(explanation.recommendation.parts)}")
    for outcome, parts in explanation.outcomes:
        name = outcome.interest.interest.name
        if outcome.satisfied:
            line("", "  " + click.style(f"{name}: wanted, {_sum(parts)}", fg="green"))
        else:
            would = f"; would be {_sum(parts)}" if parts else ""
            line("", f"  {name}: not wanted: {'; '.join(map(_lacking, outcome.missing))}{would}")
        for place in _places(outcome.matches, stored.paper):
            line("", f"    {place}")
        for place in _places(outcome.against, stored.paper):
            line("", f"    against it: {place}")
    wanted = {outcome.interest.interest.name for outcome, _ in explanation.outcomes if outcome.satisfied}
    for relation in explanation.relations:
        if relation.interest not in wanted:
            line("", f"  related to {relation.interest}: {_related(relation)}")


def _verdict(explanation: Explanation, stored: StoredPaper, zone: ZoneInfo) -> str:
    """What became of the paper, in a sentence."""
    verdict, profile = explanation.verdict, explanation.profile
    when = f" on {verdict.slot.astimezone(zone):%a %d %b %Y, %H:%M}" if verdict.slot else ""
    match verdict.state:
        case "shown":
            return f"shown{when}, under {verdict.section} ({verdict.digest})"
        case "listed":
            return f"listed by title{when}: {_cut(verdict)} ({verdict.digest})"
        case "waiting":
            return f"waits for the next digest: {_cut(verdict)} ({verdict.digest})"
        case "pending":
            return "not considered yet"
        case "near_miss" | "below_min_score":
            return f"a near miss{when}: {'; '.join(verdict.reasons)}"
        case "too_old":
            return f"left out as too old: {'; '.join(verdict.reasons)}"
        case "not_wanted":
            return "wanted by no interest"
        case "other_sources":
            listed, read = ", ".join(_sources(stored)), ", ".join(profile.sources)
            return f"not considered: it was listed by {listed}, and the profile reads {read}"
        case "before_lookback":
            days = count(profile.limits.lookback_days, "day")
            return f"not considered: it came before the {days} that the first digest looks back"
        case "passed_over":  # pragma: no branch - the cases are all there are
            return (
                "looked at before and not chosen: the profile has changed since, "
                "or the paper came before its first digest looked back"
            )


def _coming(verdict: Verdict) -> str:
    """What the next digest would make of the paper, in a sentence."""
    match verdict.state:
        case "shown":
            return f"the next digest would show it under {verdict.section}"
        case "listed":
            return f"the next digest would list it by title: {_cut(verdict)}"
        case "waiting":
            return f"the next digest would let it wait: {_cut(verdict)}"
        case state:
            reasons = "; ".join(verdict.reasons) or "no interest wants it"
            left_out = "leave it out as too old" if state == "too_old" else "not show it"
            return f"the next digest would {left_out}: {reasons}"


def _cut(verdict: Verdict) -> str:
    """Why a wanted paper was not shown, with the scores on both sides of the cut if it was by score."""
    scores = ""
    if verdict.score is not None and verdict.lowest is not None and verdict.score < verdict.lowest:
        scores = f", with {verdict.score:.2f} where the last one shown has {verdict.lowest:.2f}"
    return "; ".join(verdict.reasons) + scores


def _related(relation: Relation) -> str:
    """How near a paper is to an interest without a keyword, in parts of what it takes."""
    reached = f"{max(0.0, relation.relation):.0%} of what it takes"
    return f"yes, {reached}: {_sum(relation.parts)}" if relation.relation >= 1 else f"no, {reached}"


def _lacking(missing: str) -> str:
    """`missing any of 'Swin'`, but `'face' is required`."""
    return missing if missing.endswith((" is required", " is excluded")) else f"missing {missing}"


def _sum(parts: Sequence[ScorePart]) -> str:
    """`3.21 = Swin 2.61 + upvotes 0.60`."""
    total = f"{sum(part.value for part in parts):.2f}"
    summands = " + ".join(f"{printable(part.name)} {part.value:.2f}" for part in parts)
    return f"{total} = {summands}" if parts else total


def _places(found: Iterable[Match], paper: Paper) -> Iterator[str]:
    """Where keywords stand, each with the words around it."""
    groups: dict[tuple[str, str], list[Match]] = {}
    for match in found:
        groups.setdefault((match.keyword, match.field), []).append(match)
    for (keyword, field), matches in groups.items():
        more = f" and {len(matches) - _PLACES} more" if len(matches) > _PLACES else ""
        quoted = " · ".join(_quoted(paper.text(match.field), match) for match in matches[:_PLACES])
        yield f"{printable(keyword)} in {field}: {quoted}{more}"


def _quoted(text: str, match: Match) -> str:
    """The words around a hit, with the hit marked."""
    start, end = max(0, match.start - _AROUND), min(len(text), match.end + _AROUND)
    # Outwards to a space; not every script has them.
    farthest = max(0, start - _AROUND)
    start = max(farthest, text.rfind(" ", farthest, start + 1) + 1)
    farthest = min(len(text), end + _AROUND)
    space = text.find(" ", end, farthest)
    end = farthest if space < 0 else space
    before, hit, after = text[start : match.start], text[match.start : match.end], text[match.end : end]
    return (
        ("…" if start else "")
        + printable(before)
        + click.style(printable(hit), bold=True, underline=True)
        + printable(after)
        + ("…" if end < len(text) else "")
    )


def _explanation_document(explanation: Explanation) -> dict[str, object]:
    recommendation = explanation.recommendation
    return {
        "profile": explanation.profile.name,
        "verdict": _verdict_document(explanation.verdict),
        "coming": None if explanation.coming is None else _verdict_document(explanation.coming),
        "score": None if recommendation is None else recommendation.score,
        "parts": [] if recommendation is None else [asdict(part) for part in recommendation.parts],
        "interests": [
            {
                "interest": outcome.interest.interest.name,
                "wanted": outcome.satisfied,
                "missing": list(outcome.missing),
                "score": sum(part.value for part in parts),
                "parts": [asdict(part) for part in parts],
                "matches": [match._asdict() for match in outcome.matches],
                "against": [match._asdict() for match in outcome.against],
            }
            for outcome, parts in explanation.outcomes
        ],
        "relations": [asdict(relation) for relation in explanation.relations],
    }


def _verdict_document(verdict: Verdict) -> dict[str, object]:
    return asdict(verdict) | {"slot": verdict.slot.isoformat() if verdict.slot else None}
