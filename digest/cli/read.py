"""`digest read`."""

from __future__ import annotations

from datetime import datetime

import click

from digest.cli import fail, options, values
from digest.cli.output import count, document, progress, row, say, title
from digest.errors import DigestError


@click.command(epilog='Example: digest read "Daily Papers.html" https://example.org/feed.xml')
@click.argument("files", nargs=-1, required=True, metavar="FILE…", shell_complete=values.files)
@options.as_json
@click.option(
    "--captured-on",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="The day the page was saved, for pages that print dates without a year.",
)
def read(files: tuple[str, ...], captured_on: datetime | None, *, as_json: bool) -> int:
    """Show what papers a saved page, feed or URL holds; stores nothing."""
    from digest import app
    from digest.core.document import reading_document

    code = 0
    documents: list[object] = []
    for file in files:
        try:
            with progress("Reading"):
                reading = app.read(file, captured_on=captured_on.date() if captured_on else None)
        except DigestError as error:
            code = max(code, fail(error))
            continue
        if as_json:
            documents.append(reading_document(reading))
            continue
        captured = f", captured on {reading.captured_on}" if reading.captured_on else ""
        say(f"{file}: {count(len(reading.listings), 'paper')} (layout {reading.layout}{captured})", hang=2)
        for note in reading.notes:
            say("  " + click.style(note, fg="yellow"), hang=4)
        for listing in reading.listings:
            paper = listing.paper
            day = paper.published.isoformat() if paper.published else " " * 10
            row(f"  {day}", title(paper))
    if as_json and documents:
        document(documents[0] if len(files) == 1 else {"pages": documents})
    return code
