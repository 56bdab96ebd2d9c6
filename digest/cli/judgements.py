"""`digest like`, `digest dislike`, `digest forget` and `digest likes`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from digest.cli import fail, options, values
from digest.cli.output import count, document, line, progress, row, title

if TYPE_CHECKING:
    from digest.core.model import Opinion, Paper

_FEW = 10  # papers that are named one by one
_WIDE = 24  # of the column of ids, which a longer one leaves

# A shell offers files; nobody could choose from all ids.
_papers = click.argument("papers", nargs=-1, required=True, metavar="PAPER…", shell_complete=values.files)
_no_fetch = click.option("--no-fetch", is_flag=True, help="Look up nothing online.")


@click.command(epilog="Example: digest like 2503.01234 library.bib")
@_papers
@options.config
@options.profile
@_no_fetch
def like(papers: tuple[str, ...], config: str | None, profile: str | None, *, no_fetch: bool) -> int:
    """Say that you like papers, to get more such as they are.

    A PAPER is an arXiv id, a DOI, an address, a piece of the title of a stored paper, or a file: a library in
    BibTeX, RIS, CSL-JSON or Zotero's CSV, a page that `digest read` knows, or text with an id on each line.
    """
    from digest.core.model import Opinion

    return _judge(papers, Opinion.LIKE, config, profile, online=not no_fetch)


@click.command()
@_papers
@options.config
@options.profile
@_no_fetch
def dislike(papers: tuple[str, ...], config: str | None, profile: str | None, *, no_fetch: bool) -> int:
    """Say that you do not like papers, named as for `digest like`, to get fewer such as they are."""
    from digest.core.model import Opinion

    return _judge(papers, Opinion.DISLIKE, config, profile, online=not no_fetch)


@click.command()
@_papers
@options.config
@options.profile
def forget(papers: tuple[str, ...], config: str | None, profile: str | None) -> int:
    """Take back what you said of papers, named as for `digest like`."""
    return _judge(papers, None, config, profile, online=False)


def _judge(
    named: tuple[str, ...], opinion: Opinion | None, config: str | None, profile: str | None, *, online: bool
) -> int:
    from digest.app import now

    def announce(number: int, site: str) -> None:
        line("Looking up", f"{count(number, 'paper')} at {site}", err=True)

    app = options.load(config)
    person = app.profile(profile)
    done = "Forgotten" if opinion is None else f"{opinion.title()}d"
    with app.store() as store:
        with progress("Looking up"):
            meant = app.find_papers(
                store, person, named, online=online, forgetting=opinion is None, announce=announce
            )
        if len(meant.papers) <= _FEW:
            for paper in meant.papers:
                changed = store.judge(person.name, [paper], opinion, now=now())
                why = "nothing was said of " if opinion is None and not changed else ""
                line(done if changed else "As before", why + _named(paper))
        else:
            changed = store.judge(person.name, meant.papers, opinion, now=now())
            rest = len(meant.papers) - changed
            line(done, f"{count(changed, 'paper')}; {rest} as before")
    for note in meant.notes:
        line("Note", note, colour="yellow", err=True)
    return max((fail(error) for error in meant.missing), default=0)


def _named(paper: Paper) -> str:
    return f"{title(paper)} ({paper.id})" if paper.title else paper.id


@click.command()
@options.config
@options.profile
@options.as_json
def likes(config: str | None, profile: str | None, *, as_json: bool) -> None:
    """Show what you said of papers, in the order in which you said it."""
    from digest.core.document import paper_document

    app = options.load(config)
    person = app.profile(profile)
    with app.store() as store:
        judgements = store.judgements(person.name)
    if as_json:
        document(
            [
                paper_document(one.paper) | {"opinion": one.opinion, "at": one.at.isoformat()}
                for one in judgements
            ]
        )
        return
    if not judgements:
        line("Nothing", f"was said of any paper yet for {person.name}")
        line("", "`digest like PAPER…` says it, by id, title or address, or of a whole library in a file.")
        return
    zone = ZoneInfo(app.config.timezone)
    width = min(_WIDE, max(len(one.paper.id) for one in judgements))
    for one in judgements:
        day = f"{one.at.astimezone(zone):%Y-%m-%d}"
        row(f"{day}  {one.opinion:7}  {one.paper.id:{width}}", title(one.paper))
    liked = sum(one.opinion == "like" for one in judgements)
    click.echo(f"{liked} liked, {len(judgements) - liked} disliked", err=True)
