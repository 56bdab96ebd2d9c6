"""`digest try`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from digest.cli import options, values
from digest.cli.output import INDENT, cells, coloured, count, document, line, progress, say, shortened, width

if TYPE_CHECKING:
    from digest.core.backtest import Backtest, Day, Doubt, Hit
    from digest.core.model import Field

_SHOWN = 20
_FOREIGN = 5  # of the hits to look at first
_NARROWEST = 24
_NAME = 32  # cells of the column of keywords on a terminal, and what stands behind it
_NUMBERS = 14
_HEIGHT = 3  # of the chart, in lines
_SCALE = 21  # what stands to the right of it: "  12 hits in 31 days"
_BLOCKS = " ▁▂▃▄▅▆▇█"
_SPACE = re.compile(r"\s+")


@click.command("try", epilog='Example: digest try Swin "talking face" =SAM --exclude survey --days 90')
@click.argument("keywords", metavar="KEYWORD…", nargs=-1)
@click.option("--query", metavar="QUERY", help="Words combined, as `query` in a profile.")
@click.option("--exclude", metavar="KEYWORD", multiple=True, help="What a paper must not have; repeatable.")
@click.option(
    "--profile",
    metavar="NAME|FILE.toml",
    shell_complete=values.profiles,
    help="All interests of a profile, instead of keywords.",
)
@click.option(
    "--days",
    default=30,
    show_default=True,
    type=click.IntRange(1, 36_500),
    help="How far to look back.",
)
@click.option("--all", "everything", is_flag=True, help=f"Show every title, not {_SHOWN} at most.")
@options.config
@options.at
@options.as_json
def try_(  # noqa: PLR0913 - as many as the command has options
    keywords: tuple[str, ...],
    query: str | None,
    exclude: tuple[str, ...],
    profile: str | None,
    days: int,
    config: str | None,
    at: str | None,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    """What keywords would have found in what is stored, and what looks false in it; records nothing.

    A KEYWORD is one of `keywords = […]` in a profile.
    """
    from digest.core.model import Interest, Profile

    if (profile is None) == (not keywords and query is None):
        raise click.UsageError('Say what to try: keywords, --query "…", or --profile alone.')
    if profile is not None and exclude:
        raise click.UsageError("--exclude goes with keywords; a profile has its own.")
    app = options.load(config)
    interest = Interest(query or ", ".join(keywords), keywords=keywords, exclude=exclude, query=query)
    tried = app.trial(profile) if profile is not None else Profile("try", "try", (interest,))
    with progress("Trying"):
        result = app.backtest(tried, at=options.instant(at, app.config.timezone), days=days)
    if as_json:
        document(_document(result))
    elif not result.papers:
        _nothing(result)
    else:
        _Report(result).print(len(result.hits) if everything else _SHOWN)


def _nothing(result: Backtest) -> None:
    if result.newest is None:
        line("Nothing", "is stored yet: `digest collect` reads your sources.")
        return
    line("Nothing", f"is stored of the last {count(len(result.days), 'day')}.")
    away = (result.days[-1].day - result.newest).days + 1
    line("", f"The newest paper is of {result.newest}" + (f": --days {away}." if away > 0 else "."))


# --- for people -------------------------------------------------------------------------------


class _Report:
    """The result for people; evidence is *starred* where nothing is coloured."""

    def __init__(self, result: Backtest) -> None:
        self._result = result
        self._width = max(_NARROWEST, (width() or 80) - INDENT)

    def print(self, limit: int) -> None:
        result = self._result
        found = f"{len(result.hits)} of {count(result.papers, 'paper')} in {count(len(result.days), 'day')}"
        line("Hits", found + _rate(result.days))
        if result.hits:
            self._hits(limit)
            self._keywords()
        for nowhere in result.nowhere:
            near = f"; did you mean {' or '.join(nowhere.near)}?" if nowhere.near else ""
            line("Nowhere", f"{_printable(nowhere.keyword)} stands in no paper{near}", colour="yellow")
        for interest in result.interests:
            for doubt in interest.doubts:
                self._doubt(doubt)
        if result.hits and result.overlaps:
            self._overlaps()

    def _hits(self, limit: int) -> None:
        for text in _chart(self._result.days, self._width):
            line("", text)
        click.echo()
        for hit in self._result.hits[:limit]:
            self._hit(hit)
        if len(self._result.hits) > limit:
            line("", f"… and {len(self._result.hits) - limit} more: --all shows every one")

    def _hit(self, hit: Hit) -> None:
        from digest.core.backtest import surroundings
        from digest.core.highlight import segments
        from digest.core.tex import readable

        spans: dict[Field, list[tuple[int, int]]] = {}
        for match in hit.matches:
            if match.field != "source":  # which is no part of the paper
                spans.setdefault(match.field, []).append((match.start, match.end))
        title = readable(hit.paper.title)
        marks = [title.placed(start, end) for start, end in spans.get("title", ())]
        self._marked(f"{hit.day}", segments(title.text, marks))
        if spans and "title" not in spans:
            field = "abstract" if "abstract" in spans else next(iter(spans))
            text = hit.paper.text(field)
            start, end = surroundings(text, *min(spans[field]), self._width - len(f"{field}: …  …"))
            pieces = segments(text[start:end], [(a - start, b - start) for a, b in spans[field]])
            before, after = f"{field}: {'… ' if start else ''}", " …" if end < len(text) else ""
            self._marked("", [(before, False), *pieces, (after, False)], dim=True)

    def _marked(self, label: str, pieces: Iterable[tuple[str, bool]], *, dim: bool = False) -> None:
        def shown(piece: str, *, is_evidence: bool) -> str:
            text = _printable(piece)
            if is_evidence:
                return click.style(text, fg="green", bold=True) if is_coloured else f"*{text}*"
            return click.style(text, dim=True) if dim else text

        is_coloured = coloured()
        text = "".join(shown(piece, is_evidence=is_evidence) for piece, is_evidence in pieces)
        say(f"{label:{INDENT}}{text}", hang=INDENT)

    def _keywords(self) -> None:
        rows: list[tuple[str, int, int, str]] = []
        for interest in self._result.interests:
            is_part = len(self._result.interests) > 1 or not interest.keywords
            if is_part:
                rows.append((interest.interest, interest.hits, interest.only, ""))
            for keyword in interest.keywords:
                refused = keyword.papers - keyword.hits
                note = f"   in {count(refused, 'paper')} more, ruled out by the rest" if refused else ""
                rows.append(("  " * is_part + keyword.keyword, keyword.hits, keyword.only, note))
        if len(rows) == 1 and not rows[0][-1]:
            return
        click.echo()
        names = [_printable(name) for name, *_ in rows]
        if width() is not None:
            names = [shortened(name, min(_NAME, self._width - _NUMBERS)) for name in names]
        widest = max(map(cells, names))
        line("Keyword" if len(rows) == 1 else "Keywords", f"{'':{widest}}  hits  lost without it")
        for name, (_, hits, only, note) in zip(names, rows, strict=True):
            line("", f"{name}{' ' * (widest - cells(name))} {hits:5}  {only:5}{note}")

    def _doubt(self, doubt: Doubt) -> None:
        click.echo()
        what = f"{_printable(doubt.keyword)}: these share the fewest words with its other hits"
        line("Look first", what, colour="yellow")
        for foreign in doubt.foreign[:_FOREIGN]:
            words = f" ({', '.join(foreign.words)})" if foreign.words else ""
            self._marked("", [(foreign.hit.paper.title + words, False)])
        if len(doubt.foreign) > _FOREIGN:
            line("", f"… and {len(doubt.foreign) - _FOREIGN} more")
        if doubt.exclude:
            words = ", ".join(f'"{word}"' for word in doubt.exclude)
            line("", f"exclude = [{words}] would drop {doubt.excluded} of these and no other hit")

    def _overlaps(self) -> None:
        click.echo()
        label, hits = "You have", count(len(self._result.hits), "hit")
        for overlap in self._result.overlaps:
            if overlap.hits:
                line(label, f"{overlap.hits} of the {hits} in {overlap.profile}: {overlap.interest}")
                label = ""
        line("New", f"{count(self._result.new, 'hit')} that no interest has yet")


def _rate(days: Sequence[Day]) -> str:
    """How many hits a day brings that brings papers at all: a weekend is no dry spell."""
    busy, hits = sum(day.papers > 0 for day in days), sum(day.hits for day in days)
    if not hits:
        return ""
    often = f"{round(hits / busy)} a day" if round(hits / busy) else f"one in {round(busy / hits)} days"
    return f", about {often}" + (f" ({count(busy, 'day')} brought papers)" if busy < len(days) else "")


def _chart(days: Sequence[Day], width: int) -> Iterator[str]:
    """Hits a day as bars, several days to a bar where there is no room; a dot is a day without a hit."""
    size = -(-len(days) // (width - _SCALE))
    bars = [days[at : at + size] for at in range(0, len(days), size)]
    hits = [sum(day.hits for day in bar) for bar in bars]
    highest = max(hits)
    eighths = [-(-8 * _HEIGHT * number // highest) for number in hits]
    for row in reversed(range(_HEIGHT)):
        cells = [_BLOCKS[max(0, min(8, height - 8 * row))] for height in eighths]
        if row == 0:
            cells = [
                "·" if cell == " " and any(day.papers for day in bar) else cell
                for cell, bar in zip(cells, bars, strict=True)
            ]
        scale = f"  {count(highest, 'hit')}" + (f" in {count(size, 'day')}" if size > 1 else "")
        yield ("".join(cells) + (scale if row == _HEIGHT - 1 else "")).rstrip()
    form = "%d %b" if days[0].day.year == days[-1].day.year else "%d %b %Y"
    first, last = days[0].day.strftime(form), days[-1].day.strftime(form)
    dates = f"{first}{last:>{max(len(bars) - len(first), len(last) + 1)}}" if len(days) > 1 else first
    yield f"{dates}  · papers, no hit" if "·" in cells else dates


def _printable(text: str) -> str:
    """On one line, and without anything that a terminal would obey."""
    return _SPACE.sub(" ", "".join(c if c.isprintable() else " " for c in text))


# --- for programs -----------------------------------------------------------------------------


def _document(result: Backtest) -> dict[str, object]:
    from digest.core.document import paper_document

    return {
        "papers": result.papers,
        "days": [{"day": day.day.isoformat(), "papers": day.papers, "hits": day.hits} for day in result.days],
        "hits": [
            paper_document(hit.paper)
            | {
                "day": hit.day.isoformat(),
                "interests": list(hit.interests),
                "matches": [match._asdict() for match in hit.matches],
                "known": [{"profile": profile, "interest": interest} for profile, interest in hit.known],
            }
            for hit in result.hits
        ],
        "interests": [
            {
                "interest": report.interest,
                "hits": report.hits,
                "only": report.only,
                "keywords": [asdict(keyword) for keyword in report.keywords],
                "doubts": [
                    {
                        "keyword": doubt.keyword,
                        "foreign": [
                            {"id": foreign.hit.paper.id, "words": list(foreign.words)}
                            for foreign in doubt.foreign
                        ],
                        "exclude": list(doubt.exclude),
                        "excluded": doubt.excluded,
                    }
                    for doubt in report.doubts
                ],
            }
            for report in result.interests
        ],
        "nowhere": [{"keyword": nowhere.keyword, "near": list(nowhere.near)} for nowhere in result.nowhere],
        "overlaps": [asdict(overlap) for overlap in result.overlaps],
        "new": result.new,
    }
