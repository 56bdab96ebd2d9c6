"""`digest completion`."""

from __future__ import annotations

import click

_ABOUT = """Print what makes a shell complete commands, options, profiles and deliveries.

Write it into the file where the shell looks for it, and open another shell:

\b
bash  ~/.local/share/bash-completion/completions/digest
zsh   ~/.zfunc/_digest, or in another folder of $fpath
fish  ~/.config/fish/completions/digest.fish

Bash must be 4.4 or newer, which that of macOS is not.
"""


@click.command(help=_ABOUT)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a shell's script."""
    from click.shell_completion import get_completion_class

    from digest.cli import cli

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has known these three from its first completion on
    source = kind(cli, {}, "digest", "_DIGEST_COMPLETE").source()
    # That of fish would end what is said of a value at its first comma.
    click.echo(source.replace('string split ","', 'string split --max 1 ","'))
