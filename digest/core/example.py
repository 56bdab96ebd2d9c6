"""A commented example in TOML, with values put in force; everything else stays, so it is its own manual.

A table of an example is its heading and the lines below it up to an empty one; a "#" and a space take a
line out of force.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Value = str | int | bool | Sequence[str] | Mapping[str, "Value"]
Values = Mapping[str, Value]


def in_force(text: str, heading: str, values: Values, *, first: str = "") -> str:
    """The text with a table in force that has these values; other keys that were examples still are.

    `first` is how the line below the heading begins, where several tables have that heading.
    Raises LookupError if the example has no such table, or no such key in it.
    """
    lines = text.split("\n")
    start, end = _table(lines, heading, first)
    lines[start] = heading
    _set(lines, start + 1, end, values)
    return "\n".join(lines)


def on_top(text: str, values: Values) -> str:
    """The same for keys above all tables. Raises LookupError if the example has none of that name."""
    lines = text.split("\n")
    _set(lines, 0, _find(lines, 0, len(lines), "["), values)
    return "\n".join(lines)


def out_of_force(text: str, heading: str, *, first: str = "") -> str:
    """The text with a table as an example. Raises LookupError if there is no such table."""
    lines = text.split("\n")
    start, end = _table(lines, heading, first)
    lines[start:end] = [line if line.startswith("#") else f"# {line}" for line in lines[start:end]]
    return "\n".join(lines)


def followed(text: str, heading: str, values: Values, *, first: str = "") -> str:
    """The text with one more table of a kind behind that of the example."""
    lines = text.split("\n")
    _, end = _table(lines, heading, first)
    lines[end:end] = ["", heading, *(assignment(key, value) for key, value in values.items())]
    return "\n".join(lines)


def assignment(key: str, value: Value) -> str:
    """A line of TOML."""
    return f"{key} = {_toml(value)}"


def _toml(value: Value) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(assignment(key, one) for key, one in value.items())} }}"
    # JSON is TOML but for DEL, which has to be escaped (TOML 1.0, "String").
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _table(lines: Sequence[str], heading: str, first: str) -> tuple[int, int]:
    """Where a table begins and ends."""
    start = -1
    while start < 0 or not _bare(lines[start + 1]).startswith(first):
        start = _find(lines, start + 1, len(lines) - 1, heading)
    return start, lines.index("", start)


def _set(lines: list[str], start: int, end: int, values: Values) -> None:
    for key, value in values.items():
        written = assignment(key, value)
        # Of several examples of a key, the one that is made alike: `password = { keyring = …`.
        alike = written[: written.find("=", len(key) + 2) + 1] if isinstance(value, Mapping) else f"{key} ="
        at = _find(lines, start, end, alike)
        _, hash_, comment = _bare(lines[at]).partition("  # ")
        column = len(lines[at]) - len(comment) - 2  # where it stood
        lines[at] = f"{written.ljust(column - 2)}  # {comment}" if hash_ else written


def _find(lines: Sequence[str], start: int, end: int, opening: str) -> int:
    for at in range(start, end):
        if _bare(lines[at]).startswith(opening):
            return at
    raise LookupError(f"the example has no {opening}")


def _bare(line: str) -> str:
    return line.removeprefix("# ")
