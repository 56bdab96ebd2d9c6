"""Options that several commands share."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from digest.cli import values

if TYPE_CHECKING:
    from digest.app import App

config = click.option(
    "--config",
    metavar="FILE",
    shell_complete=values.files,
    help="The configuration; without: $DIGEST_CONFIG, ./config/digest.toml, yours.",
)
profile = click.option("--profile", metavar="NAME", shell_complete=values.profiles, help="Only this profile.")
at = click.option("--at", metavar="ISO", help="As if it were this time, such as 2026-11-20T07:00.")
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
out = click.option(
    "--out",
    metavar="DIR",
    default=None,
    type=click.Path(file_okay=False),
    help="Where to write; without: a folder here.",
)


def load(path: str | None, *, collects: bool = False) -> App:
    """The program, with the configuration that is meant. Raises ConfigError.

    `collects` has the settings of the sources checked too, which imports them.
    """
    from digest import app
    from digest.cli import log

    log.guard()
    loaded = app.load(path, os.environ)
    if collects:
        _ = loaded.sources
    return loaded


def instant(text: str | None, timezone: str) -> datetime:
    """The time of `--at`, or now; without an offset it is local time of the configuration."""
    from digest import app

    if text is None:
        return app.now()
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no time such as 2026-11-20T07:00", param_hint="--at"
        ) from error
    if given.tzinfo is None:
        given = given.replace(tzinfo=ZoneInfo(timezone))
    return given.astimezone(UTC).replace(microsecond=0)
