"""Texts as they may be shown anywhere: without what breaks a page, on one line, not too long."""

from __future__ import annotations

import re

# Line separators of `str.splitlines` that are no line feed: words on both sides must not join.
_SEPARATOR = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# What XML 1.0, 2.2 forbids, the other controls, the noncharacters of Unicode (23.7), and its explicit
# directional formatting (UAX 9, 2): an override that a title leaves open would turn the rest of the line
# around.
_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
_LAST_WORD = re.compile(r"\s\S*$")


def clean(text: str) -> str:
    """The text without controls, lone surrogates and directional overrides; lines end in a line feed."""
    if text.isprintable():  # so is nearly every line, and none of those characters
        return text
    return _UNWANTED.sub("", _SEPARATOR.sub(lambda found: "\n" if found[0][0] == "\r" else " ", text))


def one_line(text: str) -> str:
    """The clean text with each run of white space as one space."""
    return " ".join(clean(text).split())


def shortened(text: str, limit: int) -> str:
    """The text if it has at most `limit` characters, else its beginning up to a word's end, and "…"."""
    if len(text) <= limit:
        return text
    return _LAST_WORD.sub("", text[: limit + 1])[:limit].rstrip(" \n,;:.") + "…"
