"""Arguments → calls; errors → exit codes and advice; nothing else.

Exit codes: 0 done, also when nothing was new; 1 something failed and is reported; 2 the user must fix
the configuration or a secret; 3 another run is active and `--no-wait` was given.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from digest.errors import BusyError, ConfigError, CredentialError, DigestError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Where each command stands; its module is imported when it is called.
_COMMANDS = {
    "demo": "demo",
    "init": "init",
    "run": "run",
    "collect": "run",
    "compose": "run",
    "dispatch": "run",
    "read": "read",
    "preview": "preview",
    "try": "try_",
    "explain": "papers",
    "papers": "papers",
    "like": "judgements",
    "dislike": "judgements",
    "forget": "judgements",
    "likes": "judgements",
    "terms": "terms",
    "rank": "rank",
    "check": "check",
    "status": "status",
    "outbox": "outbox",
    "secret": "secret",
    "schedule": "schedule",
    "serve": "serve",
    "access": "access",
    "completion": "completion",
    "man": "man",
}
_HELP = {
    "demo": "Try it now: a bundled page, no network, no configuration.",
    "init": "Write a commented configuration.",
    "run": "Collect, compose, dispatch: everything that is due.",
    "collect": "Read the sources into the store.",
    "compose": "Compose the digests that are due.",
    "dispatch": "Hand over what is waiting.",
    "read": "What papers a saved page or URL holds.",
    "preview": "Today's digest as files; records nothing.",
    "try": "What keywords would have found; records nothing.",
    "explain": "Why a paper was or was not chosen.",
    "papers": "Search what has been stored.",
    "like": "More papers such as these, or as those of a library.",
    "dislike": "Fewer papers such as these.",
    "forget": "Take back what was said of papers.",
    "likes": "What was said of papers.",
    "terms": "The words that were learned of an interest.",
    "rank": "Rank papers of a file, without a store.",
    "check": "Configuration, paths, secrets, mail server; sends nothing.",
    "status": "Last and next runs, sources, deliveries that need you.",
    "outbox": "Deliveries, and what to do about those that failed.",
    "secret": "Keep a password in the system's keyring.",
    "schedule": "Stay and run whenever a digest is due.",
    "serve": "Feeds, archive pages and health over HTTP.",
    "access": "Who may read what is served.",
    "completion": "What makes a shell complete commands.",
    "man": "The manual page.",
}


_MANY = 200_000
"""New objects between two looks for cycles among them, of which a run makes nearly none.

Of a run's CPU, Python's 700 cost a tenth, and 50,000 a twentieth.
"""


class _LazyGroup(click.Group):
    """Commands whose modules are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"digest.cli.{_COMMANDS[cmd_name]}")
        # A word of Python's own, such as `try`, is followed by an underscore (PEP 8).
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(module, name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(name, _COMMANDS, n=1)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # The group's own would import every command for its help.
        from click.shell_completion import CompletionItem

        commands = [
            CompletionItem(name, help=text) for name, text in _HELP.items() if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_HELP.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`digest demo` shows what it is about; `digest init` begins. `digest man | man -l -` tells all.",
)
@click.version_option(package_name="digest")
def cli() -> None:
    """Your own Daily Papers: new papers, filtered by what you care about."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code."""
    # What people read and like is nobody else's business: database, logs, kept pages, mails as files.
    os.umask(0o077)
    gc.set_threshold(_MANY)
    # Or Python would look for cycles in all that ends with it anyway: a tenth of a run's CPU, or a fifth.
    atexit.register(gc.freeze)
    try:
        code = cli.main(arguments, prog_name="digest", standalone_mode=False, color=colour())
    except DigestError as error:
        code = fail(error)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        code = 130
    except OSError as error:  # of the machine, such as no room for what is printed
        code = fail(DigestError(f"this cannot be done: {error.strerror}", place=error.filename))
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:  # the interpreter would try once more, and end with a code of its own
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code or 0)


def colour() -> bool | None:
    """Whether to print colours and other styles; None: each stream does where it is a terminal.

    As Python does (https://docs.python.org/3/using/cmdline.html#using-on-controlling-color): NO_COLOR
    (https://no-color.org) before FORCE_COLOR (https://force-color.org) before TERM=dumb.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return False if os.environ.get("TERM") == "dumb" else None


def fail(error: DigestError) -> int:
    """Say what went wrong, and give the exit code for it."""
    from digest.cli.output import harmless
    from digest.redaction import redacted

    with suppress(OSError):  # as in `output.line`
        click.echo(
            f"{click.style('digest:', fg='red')} {harmless(redacted(str(error)))}", err=True, color=colour()
        )
    return exit_code(error)


def exit_code(error: DigestError) -> int:
    """The exit code that an error means."""
    if isinstance(error, ConfigError | CredentialError):
        return 2
    return 3 if isinstance(error, BusyError) else 1
