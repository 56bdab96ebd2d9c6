"""`digest schedule`."""

from __future__ import annotations

from contextlib import nullcontext

import click
from click.core import ParameterSource

from digest.cli import options
from digest.cli.serve import served, serving


@click.command()
@options.config
@click.option("--serve", is_flag=True, help="Answer over HTTP meanwhile, as `digest serve` does.")
@served
def schedule(config: str | None, host: str, port: int, *, serve: bool, public: bool) -> None:
    """Stay, look every minute, and run whenever a digest is due."""
    from digest import schedule as heartbeat
    from digest.cli.run import tick

    given = click.get_current_context().get_parameter_source
    for option in () if serve else ("host", "port", "public"):
        if given(option) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{option} needs --serve.")
    app = options.load(config, collects=True)
    for profile in app.config.profiles:
        if profile.schedule is None:
            raise click.UsageError(
                f"Profile {profile.name} has no schedule: add [schedule] to {app.config.path}."
            )
    answering = serving(app, host, port, public=public) if serve else nullcontext(heartbeat.told_to_stop())
    with answering as stop:
        heartbeat.beat(lambda: tick(app), stop=stop)
