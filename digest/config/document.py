"""A TOML file, and where its keys stand."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from digest.errors import ConfigError

Key = str | int

_LARGEST = 1_000_000  # characters
_MOST_PARTS = 50  # of a key; the parser takes the square of them
_DEEP_KEY = re.compile(
    rf"""(?:^|[\[{{,])[ \t]*+(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{_MOST_PARTS}}}""",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Document:
    """A TOML file and where its keys stand."""

    path: Path
    values: dict[str, Any]
    lines: Mapping[tuple[Key, ...], int]

    def place(self, keys: Sequence[Key]) -> str:
        """`file:line` of a key, or of the nearest table around it."""
        for length in range(len(keys), 0, -1):
            line = self.lines.get(tuple(keys[:length]))
            if line is not None:
                return f"{self.path}:{line}"
        return str(self.path)


class _Meant(NamedTuple):
    """Patterns of what the parser says and of the line that it says it of, and what to do then."""

    said: str
    written: str
    remedy: str


_MEANT = (
    _Meant("", "[“”„‘’«»]", 'Write straight quotes: name = "me".'),
    _Meant(
        r"Cannot (declare .* twice|overwrite a value)",
        r"^\s*\[",
        "A table of which there may be several stands in two brackets each time, as [[interests]]; "
        "of any other there is one.",
    ),
    _Meant("Cannot overwrite", "", "A key stands once in its table: take one of them out."),
    _Meant(r"character '\\n'|Unterminated|Expected \"'\"", "", 'A text ends with a quote, too: name = "me".'),
    _Meant("Unescaped|hex value", "", "Write a backslash twice, or the text between '…'."),
    _Meant("Unclosed array", "", 'A list has commas between its texts, and ends with ]: ["one", "two"].'),
    _Meant("Expected '\\]", "", "The name of a table stands in brackets: [email], or [[interests]]."),
    _Meant("Expected '='|Invalid statement", "", 'A line is a key, "=" and a value: name = "me".'),
    _Meant(
        "Invalid value", "", 'A text stands in quotes: name = "me"; a number does not, nor true and false.'
    ),
)


def read_document(path: Path) -> Document:
    """Read a TOML file. Raises ConfigError."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        _check_size(path, text)
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", place=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"byte {error.start} is not UTF-8", place=str(path), remedy="Save the file as UTF-8."
        ) from error
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        place = f"{path}:{line[1]}" if line else str(path)
        said = str(error).replace("\n", "\\n")
        written = text.split("\n")[int(line[1]) - 1] if line else ""
        meant = (one for one in _MEANT if re.search(one.said, said) and re.search(one.written, written))
        remedy = next((one.remedy for one in meant), None)
        # What the parser says may quote the line, but never a whole value.
        raise ConfigError(f"this is not TOML: {said}", place=place, remedy=remedy) from error
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, a thousand brackets
        raise ConfigError(f"this TOML cannot be read: {error}", place=str(path)) from error
    return Document(path, values, _lines(text))


def _check_size(path: Path, text: str) -> None:
    """Raise ConfigError for what nobody has written."""
    if len(text) > _LARGEST:
        raise ConfigError(
            f"it has {len(text):,} characters, and no more than {_LARGEST:,} are read",
            place=str(path),
            remedy="Check that it is the right file.",
        )
    if found := _DEEP_KEY.search(text):
        line = text.count("\n", 0, found.end()) + 1
        raise ConfigError(f"a key has more than {_MOST_PARTS} parts", place=f"{path}:{line}")


_TABLE = re.compile(r"\s*(\[\[|\[)\s*([^\]]+?)\s*\]")
_KEY = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)


def _lines(text: str) -> dict[tuple[Key, ...], int]:
    """The line of every key, as far as one key stands on a line."""
    lines: dict[tuple[Key, ...], int] = {}
    table: tuple[Key, ...] = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _TABLE.match(line):
            keys = tuple(part.strip().strip("\"'") for part in found[2].split("."))
            if found[1] == "[[":
                counts[found[2]] = counts.get(found[2], -1) + 1
                table = (*keys, counts[found[2]])
            else:
                table = keys
            lines.setdefault(table, number)
        elif found := _KEY.match(line):
            lines.setdefault((*table, *(part.strip().strip("\"'") for part in found[1].split("."))), number)
    return lines
