"""`digest demo`."""

from __future__ import annotations

from pathlib import Path

import click

from digest.cli import options
from digest.cli.output import count, line, title


@click.command(epilog="Example: digest demo --out trial")
@options.out
def demo(out: str | None) -> None:
    """Run the whole line on a bundled sample page: no network, no account, no configuration."""
    from digest import app

    folder = Path(out or "digest-demo").absolute()
    for profile, digest in app.demo(folder, at=app.now()):
        papers = count(len(digest.recommendations), "paper")
        line("Composed", f"{profile.name}: {papers} of {digest.scanned}, because of {profile.title}")
        for item in digest.recommendations:
            line("", title(item.paper))
        line("", f"mail: {folder / profile.name / 'digest.html'}")
        line("", f"feed: {folder / 'feeds' / profile.name / 'atom.xml'}")
    line("Open", (folder / "index.html").as_uri(), colour="green")
