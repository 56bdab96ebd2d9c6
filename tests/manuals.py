"""What the manuals say: their blocks by language, the code within their lines, their tables and links."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MANUALS = ("README.md", "CONTRIBUTING.md", "SECURITY.md")

_FENCED = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
_INLINE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    file: str
    line: int  # of its fence, from 1
    language: str
    text: str

    def __str__(self) -> str:
        """Its place."""
        return f"{self.file}:{self.line}"


@cache
def text(file: str) -> str:
    """A manual."""
    return (ROOT / file).read_text(encoding="utf-8")


@cache
def fenced(file: str) -> tuple[Block, ...]:
    """The blocks of a manual."""
    return tuple(
        Block(file, text(file)[: one.start()].count("\n") + 1, one["language"], textwrap.dedent(one["text"]))
        for one in _FENCED.finditer(text(file))
    )


def blocks(*languages: str) -> list[Block]:
    """The blocks of all manuals in these languages, or in any."""
    found = (one for file in MANUALS for one in fenced(file))
    return [one for one in found if not languages or one.language in languages]


def prose(file: str) -> str:
    """A manual without its blocks."""
    return _FENCED.sub("", text(file))


def code(said: str) -> list[str]:
    """The code within lines."""
    return [found[2].replace(r"\|", "|").strip() for found in _INLINE.finditer(said)]


def section(title: str, file: str = "README.md") -> str:
    """What stands below a heading, up to the next of its rank or a higher one."""
    found = re.search(
        rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,6}} |\Z)", text(file), re.DOTALL | re.MULTILINE
    )
    assert found, f"{file} has no section {title!r}"
    return found[2]


def rows(said: str) -> Iterator[list[str]]:
    """The cells of the tables of a text, without heads."""
    for table in re.findall(r"(?:^\|.*\n)+", said + "\n", re.MULTILINE):
        for row in table.splitlines()[2:]:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


def links(file: str) -> list[str]:
    """Where a manual leads."""
    return _LINK.findall(prose(file))


def anchors(file: str) -> set[str]:
    """The names by which headings are linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(file), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
