"""What people read on a terminal: short lines, two columns, colour where there is a terminal."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from digest.core.model import Paper

_LABEL = 11
_NAMED = 3  # of those that are awaited; more would not fit on the line


def line(label: str, text: str, *, colour: str | None = None, err: bool = False) -> None:
    """A line with a label in front: the step, then what came of it; what went wrong goes to stderr."""
    with suppress(OSError):  # a log on a full disk holds no mail up
        click.echo(f"{click.style(label.ljust(_LABEL), fg=colour, bold=colour is None)} {text}", err=err)


def paragraph(label: str, text: str, *, colour: str | None = None) -> None:
    """A line that is broken where the terminal ends; where there is none, it is one line."""
    room = shutil.get_terminal_size().columns - _LABEL - 1
    if sys.stdout.isatty() and room >= _LABEL:
        text = f"\n{' ' * (_LABEL + 1)}".join(textwrap.wrap(text, room, break_on_hyphens=False))
    line(label, text, colour=colour)


def document(value: object) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1))


def count(number: int, noun: str) -> str:
    """`1 paper`, `2 papers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def moment(at: datetime, now: datetime, zone: tzinfo) -> str:
    """`today 07:00`, `Mon 23 Nov, 07:00`: a time as somebody in that zone says it."""
    local, today = at.astimezone(zone), now.astimezone(zone)
    near = {-1: "yesterday", 0: "today", 1: "tomorrow"}.get((local.date() - today.date()).days)
    if near:
        return f"{near} {local:%H:%M}"
    return f"{local:%a %d %b, %H:%M}" if local.year == today.year else f"{local:%d %b %Y, %H:%M}"


def span(length: timedelta) -> str:
    """`3 hours`: about how long something takes."""
    seconds = length.total_seconds()
    for unit, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 1.5 * unit:
            return count(round(seconds / unit), name)
    return count(round(seconds), "second")


def printable(text: str) -> str:
    """The text on one line, without what would steer a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def title(paper: Paper) -> str:
    """A paper's title on one line, as a person reads it."""
    from digest.core.tex import readable

    return printable(readable(paper.title).text)


@contextmanager
def progress(label: str, names: Sequence[str]) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal while several things are done side by side; call what it gives with each name."""
    # A program without a console, such as pythonw.exe, has no stderr.
    if sys.stderr is None or not sys.stderr.isatty() or len(names) < 2:  # noqa: PLR2004 - one has no progress
        yield lambda _name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    waiting = dict.fromkeys(names)

    def shown() -> str:
        first, rest = list(waiting)[:_NAMED], len(waiting) - _NAMED
        return f"waiting for {', '.join(first)}" + (f" and {rest} more" if rest > 0 else "")

    columns = (TextColumn(label), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.fields[waiting]}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(label, total=len(names), waiting=shown())

        def done(name: str) -> None:
            waiting.pop(name, None)
            bar.update(task, advance=1, waiting=shown())

        yield done
