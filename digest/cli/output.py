"""What people read on a terminal: short lines, two columns, colour where there is a terminal."""

from __future__ import annotations

import json

import click

_LABEL = 11


def line(label: str, text: str, *, colour: str | None = None, err: bool = False) -> None:
    """A line with a label in front: the step, then what came of it; what went wrong goes to stderr."""
    click.echo(f"{click.style(label.ljust(_LABEL), fg=colour, bold=colour is None)} {text}", err=err)


def document(value: object) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1))


def count(number: int, noun: str) -> str:
    """`1 paper`, `2 papers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
