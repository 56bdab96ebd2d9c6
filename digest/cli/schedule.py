"""`digest schedule`."""

from __future__ import annotations

import click

from digest.cli import options


@click.command()
@options.config
def schedule(config: str | None) -> None:
    """Stay, look every minute, and run whenever a digest is due."""
    from digest import schedule as heartbeat
    from digest.cli.run import tick

    app = options.load(config, collects=True)
    for profile in app.config.profiles:
        if profile.schedule is None:
            raise click.UsageError(
                f"Profile {profile.name} has no schedule: add [schedule] to {app.config.path}."
            )
    heartbeat.beat(lambda: tick(app))
