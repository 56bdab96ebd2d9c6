"""`digest papers` and `digest explain`."""

from __future__ import annotations

import click

from digest.cli import options
from digest.cli.output import count, document, line
from digest.errors import DigestError


@click.command()
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
        found = pipeline.search(store, query)
    if as_json:
        document([paper_document(stored.paper) for stored in found[:limit]])
        return
    for stored in found[:limit]:
        click.echo(f"{stored.first_seen:%Y-%m-%d}  {stored.paper.id}\n            {stored.paper.title}")
    click.echo(count(len(found), "paper") + (f", {limit} shown" if len(found) > limit else ""), err=True)


@click.command()
@click.argument("paper")
@options.config
@options.profile
def explain(paper: str, config: str | None, profile: str | None) -> None:
    """Why a paper was or was not chosen, for an id, a URL or a piece of its title."""
    from digest import pipeline
    from digest.core.highlight import segments

    app = options.load(config)
    profiles = app.profiles(profile)
    with app.store() as store:
        found = store.find_papers(paper)
        if not found:
            raise DigestError(f"no stored paper is {paper!r}", remedy="`digest papers` lists what is stored.")
        for stored in found:
            click.secho(stored.paper.title, bold=True)
            line("", f"{stored.paper.id}, first seen {stored.first_seen:%Y-%m-%d %H:%M} UTC")
            for one in profiles:
                shown = store.shown_in(one.name, stored.paper.id)
                line(one.name, f"shown in {shown}" if shown else "not shown so far")
                for outcome, parts in pipeline.judge(store, one, stored):
                    name = outcome.interest.interest.name
                    if outcome.satisfied:
                        line(
                            "",
                            f"{name}: wanted, score {sum(part.value for part in parts):.2f}",
                            colour="green",
                        )
                    else:
                        line("", f"{name}: not wanted: missing {'; '.join(outcome.missing)}")
                    for part in parts:
                        line("", f"  {part.name} {part.value:.2f}")
                    for match in outcome.matches:
                        text = stored.paper.text(match.field)
                        near = slice(max(0, match.start - 30), match.end + 30)
                        marked = "".join(
                            click.style(piece, bold=True) if hit else piece
                            for piece, hit in segments(
                                text[near], [(match.start - near.start, match.end - near.start)]
                            )
                        )
                        line("", f"  {match.keyword} in {match.field}: …{' '.join(marked.split())}…")
