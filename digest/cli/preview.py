"""`digest preview`."""

from __future__ import annotations

from pathlib import Path

import click

from digest.cli import options, values
from digest.cli.output import count, line, progress


@click.command(epilog="Example: digest preview --open")
@click.argument("profile", required=False, shell_complete=values.profiles)
@options.config
@options.at
@options.out
@click.option("--open", "open_", is_flag=True, help="Open the mail in the browser.")
def preview(profile: str | None, config: str | None, at: str | None, out: str | None, *, open_: bool) -> None:
    """Write what each profile would get now, from what is stored; records nothing."""
    app = options.load(config)
    folder = Path(out or "digest-preview").absolute()
    moment = options.instant(at, app.config.timezone)
    profiles = app.profiles(profile)
    with progress("Composing", total=len(profiles)) as done:
        for digest, written in app.preview(profiles, folder, at=moment):
            page = written / "digest.html"
            line(digest.profile, f"{count(len(digest.recommendations), 'paper')} of {digest.scanned}: {page}")
            done(digest.profile)
            if open_:
                click.launch(page.as_uri())
