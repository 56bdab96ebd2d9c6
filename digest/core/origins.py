"""Where papers come from, as a person says it: `huggingface`, `arxiv:cs.CV,cs.SD`, an address, a folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from digest.errors import ConfigError

SITES = ("huggingface", "arxiv", "biorxiv", "medrxiv")

_ADDRESS = re.compile(r"(?:https?|feed)://", re.IGNORECASE)
_SITE = re.compile(rf"({'|'.join(SITES)})(?:[:\s]\s*(.*))?", re.IGNORECASE)
_WITH_CATEGORIES = re.compile(r"[a-z]+rxiv[:\s]", re.IGNORECASE)
_CATEGORY = re.compile(r"[A-Za-z][A-Za-z -]*(?:\.[A-Za-z-]+)?")
_PART = re.compile(r'"[^"]*"|[^,"]+')


class Origin(NamedTuple):
    """A source: its kind, and what its table says beside that."""

    kind: str
    settings: Mapping[str, str | Sequence[str]]


def split(text: str) -> list[str]:
    """The parts of a list with commas; those of quotation marks and between categories separate nothing."""
    parts: list[str] = []
    for part in (found[0].strip() for found in _PART.finditer(text)):
        is_more = _CATEGORY.fullmatch(part) and not _SITE.fullmatch(part)
        if is_more and parts and _WITH_CATEGORIES.match(parts[-1]):
            parts[-1] += f",{part}"
        elif part.strip('"'):
            parts.append(part.strip('"'))
    return parts


def parse(text: str) -> Origin:
    """The source that is meant; what is neither a site nor an address is a path. Raises ConfigError."""
    if _ADDRESS.match(text):
        name = (urlsplit(text).hostname or "feed").removeprefix("www.")
        return Origin("feed", {"name": name, "url": text})
    site = _SITE.fullmatch(text)
    if not site:
        return Origin("file", {"paths": [text]})
    kind, between = site[1].lower(), r"[,\s]+" if site[1].lower() == "arxiv" else r"\s*,\s*"
    categories = [name for name in re.split(between, site[2] or "") if name]
    if kind == "arxiv" and not categories:
        raise ConfigError("arXiv has many categories", remedy="Write such as arxiv:cs.CV,cs.SD.")
    if kind == "huggingface" and categories:
        raise ConfigError("Hugging Face has no categories", remedy="Write huggingface alone.")
    return Origin(kind, {"categories": categories} if categories else {})


def merged(origins: Sequence[Origin]) -> list[Origin]:
    """The same sources, those of a kind as one; feeds each with a name of its own."""
    found: dict[str, Origin] = {}
    for origin in origins:
        if origin.kind == "feed":
            name, number = str(origin.settings["name"]), 1
            while name in found:
                number += 1
                name = f"{origin.settings['name']}-{number}"
            found[name] = Origin("feed", {**origin.settings, "name": name})
        elif origin.kind in found:
            before = found[origin.kind].settings
            # One that names no categories means all of them.
            both = {key: [*before[key], *more] for key, more in origin.settings.items() if key in before}
            found[origin.kind] = Origin(origin.kind, both)
        else:
            found[origin.kind] = origin
    return list(found.values())
