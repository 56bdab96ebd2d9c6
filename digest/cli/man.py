"""`digest man`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

_TITLE = '.TH DIGEST 1 "" "digest {version}" "User Commands"'
_EXIT = (
    ("0", "Done, also when nothing was new."),
    ("1", "Something failed, and is reported."),
    ("2", "The command, the configuration or a secret must be put right."),
    ("3", "Another run is active, and --no-wait was given."),
    ("130", "Stopped by a person."),
)
_ENVIRONMENT = (
    (
        "DIGEST_CONFIG",
        "The configuration, where --config is not given: a file, or a folder that holds digest.toml.",
    ),
    ("DIGEST_LOG", "How to tell what is done, where --log is not given: lines, logfmt or json."),
    ("NO_COLOR", "If it is set and not empty, nothing is coloured or bold."),
    (
        "FORCE_COLOR",
        "If it is set and not empty, and NO_COLOR is not, all is coloured, also in a pipe or a file.",
    ),
    ("TERM", 'A terminal that is "dumb" gets neither colours nor progress.'),
    ("COLUMNS", "Where lines end on a terminal, instead of its width."),
)
_FILES = (
    ("./config/digest.toml", "The configuration, if it is there."),
    (
        "~/.config/digest/digest.toml",
        "The configuration otherwise; elsewhere on macOS and Windows, or where XDG_CONFIG_HOME says.",
    ),
    ("profiles/*.toml", "Beside it, a person's request each."),
    (
        "~/.local/share/digest/",
        "What is stored, unless data_dir says otherwise: the database and kept pages.",
    ),
    ("~/.local/share/digest/public/", "Feeds and archive pages, unless output_dir says otherwise."),
)
_EXAMPLES = (
    ("See what it does, without a network, an account or a configuration:", "digest demo"),
    ("Begin, and see whether all is well:", "digest init\ndigest check --online"),
    ("Try keywords on what is stored:", 'digest try Swin "talking face"'),
    ("Send what is due, from a timer:", "digest run"),
    ("Look at today's digest without sending it:", "digest preview --open"),
)
# groff_char(7): these would be set as something else that looks better on paper.
_NAMED = {"\\": "\\(rs", "-": "\\-", "^": "\\(ha", "~": "\\(ti", "`": "\\(ga", "'": "\\(aq"}
_SEE_ALSO = ("crontab(5)", "systemd.timer(5)", "newsboat(1)")


@click.command(epilog="To read it: digest man | man -l -")
def man() -> None:
    """Print the manual page digest(1), in troff.

    It is made from the commands themselves. To keep it: digest man > ~/.local/share/man/man1/digest.1
    """
    click.echo("\n".join(_page()))


def _page() -> Iterator[str]:
    """The page, in the order of man-pages(7)."""
    from importlib.metadata import metadata

    from digest.cli import cli

    about = metadata("digest")
    yield _TITLE.format(version=_text(about["Version"]))
    yield ".SH NAME"
    yield f"digest \\- {_text(about['Summary'].rstrip('.').replace('Your', 'your', 1))}"
    yield ".SH SYNOPSIS"
    yield from (".B digest", ".RI [ option ...]", ".I command", ".RI [ argument ...]")
    yield ".SH DESCRIPTION"
    context = click.Context(cli, info_name="digest")
    yield from _described(cli)
    yield ".SH OPTIONS"
    yield from _options(cli, context)
    yield ".SH COMMANDS"
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None  # noqa: S101 - it is one of the listed
        yield from _command(command, click.Context(command, context, info_name=name))
    for title, entries in (("EXIT STATUS", _EXIT), ("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES)):
        yield f".SH {title}"
        for term, text in entries:
            yield from (".TP", f".B {_text(term)}", _text(text))
    yield ".SH EXAMPLES"
    for number, (text, code) in enumerate(_EXAMPLES):
        yield from (*([".PP"] if number else []), _text(text), ".PP", *_verbatim(code))
    yield ".SH SEE ALSO"
    for number, page in enumerate(_SEE_ALSO, 1):
        name, _, section = page.partition("(")
        yield f".BR {_text(name)} ({section}{',' if number < len(_SEE_ALSO) else ''}"


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_quoted(f'{context.command_path} {usage}')}"
    yield from _described(command)
    yield from _options(command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None  # noqa: S101 - it is one of the listed
            yield from _command(inner, click.Context(inner, context, info_name=name))


def _described(command: click.Command) -> Iterator[str]:
    r"""The help of a command; a paragraph that begins with \b stays as it is, as with click."""
    whole = "\n\n".join(inspect.cleandoc(part) for part in (command.help, command.epilog) if part)
    for number, paragraph in enumerate(whole.split("\n\n")):
        if number:  # a heading begins one of its own
            yield ".PP"
        if paragraph.startswith("\b"):
            yield from _verbatim(paragraph.removeprefix("\b").strip("\n"))
        else:
            yield _text(" ".join(paragraph.split()))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        # Arguments are named in the usage, and --help is the same everywhere.
        if record is not None and (context.parent is None or parameter.name != "help"):
            yield from (".TP", f".B {_quoted(record[0])}", _text(record[1]))


def _verbatim(code: str) -> Iterator[str]:
    yield from (".RS 4", ".nf", *map(_text, code.splitlines()), ".fi", ".RE")


def _quoted(text: str) -> str:
    """An argument of a macro."""
    return '"' + _text(text).replace('"', "\\(dq") + '"'


def _text(text: str) -> str:
    """Text that troff prints as it stands (groff_char(7)), with hyphens that can be copied."""
    text = "".join(_NAMED.get(one, one if one.isascii() else f"\\[u{ord(one):04X}]") for one in text)
    return re.sub(r"^(?=[.'])", r"\\&", text)
