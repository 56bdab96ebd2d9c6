"""What people read on a terminal: short lines, two columns, colour where there is a terminal.

On a terminal lines end between words where it ends, measured in its cells; what is to be copied stays whole:
a path, an address, a command. Elsewhere, as in a pipe, nothing is broken or shortened, so that a script finds
all of it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, tzinfo
from threading import Event, RLock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from digest.core.model import Paper

INDENT = 12
"""Cells of a label and what stands between it and its text."""

_NARROWEST = 12  # of what is left beside an indent
_RESET = "\x1b[0m"
_CODE = re.compile(r"\x1b\[[\d;]*m")
# Controls, and what turns a line around: of a title, of the name of a file, of what a server said.
_STEERING = re.compile(
    rf"({_CODE.pattern})|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
_PIECE = re.compile(rf"{_CODE.pattern}|.", re.DOTALL)
_PARTS = re.compile(r" +|(?:`[^`]*`|[^ ])+")
_COPIED = re.compile(rf"(?:{_CODE.pattern})*(?:`|~?/|[a-z]+:[!-~]|[A-Z]:\\)")
_AS_EMOJI = "\ufe0f"  # makes the character before it two cells wide (Unicode TR 51, 2.8), in some terminals

_NAMED = 3  # of those that are awaited; more would not fit on the line
_BAR = 20  # cells
_SOON = 0.8  # seconds; what is done by then needs no bar
_AGAIN = 0.2  # seconds between two looks of it


# --- lines ------------------------------------------------------------------------------------


def line(label: str, text: str, *, colour: str | None = None, err: bool = False) -> None:
    """A line with a label in front: the step, then what came of it; what went wrong goes to stderr."""
    head = click.style(label, fg=colour, bold=colour is None) if label else ""
    gap = " " * max(1, INDENT - cells(label))
    inner = len(text) - len(text.lstrip(" "))
    say(f"{head}{gap}{text}", hang=INDENT + (min(inner, 4) + 2 if inner else 0), err=err)


def row(head: str, text: str) -> None:
    """A row of a table: its columns, and a text beside them, or below where they leave it less than half."""
    room, hang = width(), cells(head) + 2
    if room is not None and hang > room / 2:
        say(head)
        line("", text)
    else:
        say(f"{head}  {text}", hang=hang)


def say(text: str, *, hang: int = 0, err: bool = False) -> None:
    """A line; on a terminal it is broken, and goes on below its cell `hang`."""
    text = harmless(text)
    room = width(err=err)
    if room is not None and room >= _NARROWEST:
        hang = hang if room - hang >= _NARROWEST else 0
        text = "\n".join(part for one in text.split("\n") for part in wrapped(one, room, hang))
    with _undisturbed(), suppress(OSError):  # a log on a full disk holds no mail up
        click.echo(text, err=err)


def harmless(text: str) -> str:
    """The text, styled or not, without what else would steer a terminal."""
    return _STEERING.sub(lambda found: found[1] or "", text)


def width(*, err: bool = False) -> int | None:
    """The cells of a line of the terminal that is written to; None where there is none."""
    stream = sys.stderr if err else sys.stdout
    if stream is None or not stream.isatty():  # a program without a console, such as pythonw.exe, has neither
        return None
    if (columns := os.environ.get("COLUMNS", "")).isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


def coloured() -> bool:
    """Whether what is styled is printed so; `digest.cli.colour` says when."""
    context = click.get_current_context(silent=True)
    wished = context.color if context else None
    return width() is not None if wished is None else wished


def cells(text: str) -> int:
    """How many cells of a terminal a text takes, without the codes of its styles."""
    text = _CODE.sub("", text)
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def shortened(text: str, room: int) -> str:
    """A text without styles in so many cells, with "…" for what is left out."""
    return text if cells(text) <= room else f"{_cut(text, room - 1)[0].rstrip()}…"


def wrapped(text: str, room: int, hang: int = 0) -> Iterator[str]:
    """The lines of a text: each but the first begins with `hang` spaces, and styles go on across them."""
    shown, used, gap, style = "", 0, "", ""
    for found in _PARTS.findall(text):
        if found[0] == " ":
            gap = found
            continue
        part, is_whole = found, bool(_COPIED.match(found))
        while part:
            free, size = room - used - len(gap), cells(part)
            if used + len(gap) > hang and size > free and (is_whole or size <= room - hang or free < 2):  # noqa: PLR2004 - a wide character
                yield shown + (_RESET if style else "")
                shown, used, gap = " " * hang + style, hang, ""
                continue
            taken, part = (part, "") if is_whole or size <= free else _cut(part, free)
            shown, used, gap = f"{shown}{gap}{taken}", used + len(gap) + cells(taken), ""
            for code in _CODE.findall(taken):
                style = "" if code == _RESET else style + code
    yield shown


def _cut(text: str, room: int) -> tuple[str, str]:
    """What of a text has room, at least a character with all its marks, and the rest."""
    used = end = 0
    for piece in _PIECE.finditer(text):
        used += 1 if piece[0] == _AS_EMOJI else cells(piece[0])
        if used > room and end:
            break
        end = piece.end()
    return text[:end], text[end:]


# --- words ------------------------------------------------------------------------------------


def document(value: object) -> None:
    """One JSON document on standard output."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    click.echo(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


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


# --- progress ---------------------------------------------------------------------------------


@contextmanager
def progress(label: str, names: Sequence[str] = (), *, total: int = 0) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal while something takes long; call what it gives with the name of each that is done.

    Without names and a total it counts. It needs no code but the return of the carriage, which a "dumb"
    terminal may lack, so it is the same without colours; lines that are printed meanwhile stand above it.
    """
    global _bar  # noqa: PLW0603 - there is one terminal
    if width(err=True) is None or os.environ.get("TERM") == "dumb" or _bar is not None:
        yield lambda _name: None
        return
    with _Bar(label, names, total or len(names)) as _bar:
        try:
            yield _bar.advance
        finally:
            _bar = None


class _Bar:
    """One line at the foot of what is printed."""

    def __init__(self, label: str, names: Sequence[str], total: int) -> None:
        self._label, self._total = label, total
        self._waiting = dict.fromkeys(names)
        self._done = self._shown = 0
        self._begun = monotonic()
        self._guard, self._end = RLock(), Event()
        self._thread = Thread(target=self._keep_drawing, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._erase()

    def advance(self, name: str) -> None:
        with self._guard:
            self._done += 1
            self._waiting.pop(name, None)

    @contextmanager
    def away(self) -> Iterator[None]:
        with self._guard:
            was_shown = self._erase()
            yield
            if was_shown:
                self._draw()

    def _keep_drawing(self) -> None:
        pause = _SOON
        while not self._end.wait(pause):
            pause = _AGAIN
            with self._guard:
                self._draw()

    def _draw(self) -> None:
        text = shortened(self._text(), (width(err=True) or 80) - 1)
        used = cells(text)
        self._write(f"\r{text}{' ' * (self._shown - used)}")
        self._shown = used

    def _text(self) -> str:
        parts = [self._label]
        if self._total:
            full = min(_BAR, _BAR * self._done // self._total)
            parts.append(f"{'█' * full}{'░' * (_BAR - full)} {self._done}/{self._total}")
        elif self._done:
            parts.append(f"{self._done} done")
        if waiting := list(self._waiting):
            more = f" and {len(waiting) - _NAMED} more" if len(waiting) > _NAMED else ""
            parts.append(f"waiting for {', '.join(waiting[:_NAMED])}{more}")
        return printable("  ".join((*parts, f"{monotonic() - self._begun:.0f} s")))

    def _erase(self) -> int:
        if was_shown := self._shown:
            self._write(f"\r{' ' * was_shown}\r")
            self._shown = 0
        return was_shown

    def _write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()


_bar: _Bar | None = None


@contextmanager
def _undisturbed() -> Iterator[None]:
    """While something else is printed."""
    if _bar is None:
        yield
    else:
        with _bar.away():
            yield
