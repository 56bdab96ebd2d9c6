"""`digest secret`."""

from __future__ import annotations

import os

import click

from digest.cli import values
from digest.cli.output import line

_name = click.argument("name", shell_complete=values.secrets)


@click.group(epilog="Example: digest secret set digest-smtp")
def secret() -> None:
    """Keep a password in the system's keyring; it is never printed."""


@secret.command("set")
@_name
@click.option("--value", help="Not advised: it stays in the shell's history.")
def set_(name: str, value: str | None) -> None:
    """Store a secret and read it back."""
    from digest import credentials
    from digest.redaction import Secret

    if value is None:
        credentials.look(name, environ=os.environ)  # before somebody types in vain
        value = click.prompt("Secret", hide_input=True)
    credentials.store(name, Secret(str(value)), environ=os.environ)
    line("Stored", f'{name}: write password = {{ keyring = "{name}" }}', colour="green")


@secret.command()
@_name
def test(name: str) -> None:
    """Say whether a secret can be read."""
    from digest import credentials

    credentials.resolve(credentials.CredentialReference(keyring=name), environ=os.environ)
    line("Readable", name, colour="green")


@secret.command()
@_name
def forget(name: str) -> None:
    """Remove a secret."""
    from digest import credentials

    credentials.forget(name, environ=os.environ)
    line("Forgotten", name)
