"""`digest access`."""

from __future__ import annotations

import click

from digest.cli import options, values
from digest.cli.output import document, line, printable
from digest.errors import DigestError


@click.group(epilog="Example: digest access add ada --profile vision")
def access() -> None:
    """Who may read what `digest serve` serves."""


@access.command()
@click.argument("name")
@options.config
@click.option(
    "--profile", metavar="NAME", shell_complete=values.profiles, help="Its feeds and archive alone."
)
def add(name: str, config: str | None, profile: str | None) -> None:
    """Let somebody read, by a secret that is shown once."""
    import secrets

    from digest.app import now
    from digest.core.access import Access, hashed
    from digest.render import FEEDS

    if not name or ":" in name or not name.isprintable():  # RFC 7617, 2
        raise click.BadParameter(
            f"{printable(name)!r} holds a colon or what cannot be printed", param_hint="NAME"
        )
    app = options.load(config)
    app.profiles(profile)  # which knows whether there is such a one
    secret = secrets.token_urlsafe(32)
    with app.store() as store:
        if not store.give_access(Access(name, hashed(secret), profile, now())):
            raise DigestError(
                f"{name} has access already",
                remedy=f"For a new secret, run `digest access revoke {name}` first.",
            )
    root = app.config.serve.base_url or "http://127.0.0.1:8470"
    feed = FEEDS[app.config.feeds.formats[0]].file
    line("Access", f"{name} may read {profile or 'everything'}", colour="green")
    line("Feed", f"{root}/t/{secret}/feeds/{f'{profile}/' if profile else ''}{feed}")
    line("Pages", f"{root}/t/{secret}/{f'archive/{profile}/' if profile else ''}")
    line("Or", f"the same without /t/…, as user {name} with the password {secret}")
    line("", "This is shown once. `digest serve` now asks everybody who they are, at once.")


@access.command("list")
@options.config
@options.as_json
def list_(config: str | None, *, as_json: bool) -> None:
    """Say who may read what."""
    with options.load(config).store() as store:
        given = [one for one in store.access() if one.hash]
    if as_json:
        document([{"name": one.name, "profile": one.profile, "since": one.at.isoformat()} for one in given])
        return
    for one in given:
        line(one.name, f"{one.profile or 'everything'}, since {one.at:%d %b %Y}")
    if not given:
        line("Access", "nobody was given any")


@access.command()
@click.argument("name")
@options.config
def revoke(name: str, config: str | None) -> None:
    """Let somebody read no more, from now on."""
    with options.load(config).store() as store:
        if not store.revoke_access(name):
            raise DigestError(f"{name} has no access", remedy="`digest access list` says who has.")
    line("Revoked", name)
