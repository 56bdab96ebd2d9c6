"""Where papers come from, as a person says it: `huggingface`, `arxiv:cs.CV,cs.SD`, an address, a folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlsplit

from digest.errors import ConfigError

SITES = ("huggingface", "arxiv", "biorxiv", "medrxiv")

_ADDRESS = re.compile(r"(?:https?|feed)://", re.IGNORECASE)
_SITE = re.compile(rf"({'|'.join(SITES)})(?:[:\s]\s*(.*))?", re.IGNORECASE)
_WITH_CATEGORIES = re.compile(r"[a-z]+rxiv[:\s]", re.IGNORECASE)
_CATEGORY = re.compile(r"[A-Za-z][A-Za-z -]*(?:\.[A-Za-z-]+)?")
_PART = re.compile(r'"[^"]*"|[^,"]+')
_HUGGING_FACE = re.compile(r"/papers(?:/(date|week|month|trending)(?:/.*)?)?/?")
_PAGES = {"week": "weekly", "month": "monthly", "trending": "trending"}
_ARXIV = re.compile(r"/(?:list|archive|rss|atom)/([A-Za-z.+-]+)(?:/.*)?")
_RXIV_HOST = re.compile(r"(?:www\.|connect\.)?(biorxiv|medrxiv)\.org")
_RXIV = re.compile(r"(?:/content/early/recent)?/?|/collection/([a-z-]+)/?|/(?:bio|med)rxiv_xml\.php")


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
        return _at_address(text)
    site = _SITE.fullmatch(text)
    if not site:
        return Origin("file", {"paths": [text]})
    kind, between = site[1].lower(), r"[,\s]+" if site[1].lower() == "arxiv" else r"\s*,\s*"
    categories = [name for name in re.split(between, site[2] or "") if name]
    if kind == "arxiv" and not categories:
        raise ConfigError("arXiv has many categories", remedy="Write such as arxiv:cs.CV,cs.SD.")
    if kind == "huggingface" and categories:
        raise ConfigError("Hugging Face has no categories", remedy="Write huggingface alone.")
    return _daily_papers("daily") if kind == "huggingface" else _preprints(kind, categories)


def _at_address(text: str) -> Origin:
    """The site whose page it is, which is read by better ways, or a feed."""
    if re.search(r"\s", text):
        raise ConfigError("an address has no spaces", remedy="Put commas between several.")
    try:
        address = urlsplit(text)
        host = address.hostname or "feed"
    except ValueError as error:  # such as a bracket that is never closed
        raise ConfigError(f'"{text}" is no address', remedy="Copy it from the browser.") from error
    rxiv, path = _RXIV_HOST.fullmatch(host), address.path
    if host.removeprefix("www.") in {"huggingface.co", "hf.co"} and re.match(r"/papers\b", path):
        return _on_hugging_face(address)
    if re.fullmatch(r"(?:.+\.)?arxiv\.org", host) and (found := _ARXIV.fullmatch(path)):
        return _preprints("arxiv", found[1].split("+"))
    if rxiv and (found := _RXIV.fullmatch(path)):
        # A "+" between subjects is a space by then, and an underscore is one within a name.
        subjects = dict(parse_qsl(address.query)).get("subject", "all").split()
        names = [found[1].replace("-", " ")] if found[1] else [one.replace("_", " ") for one in subjects]
        return _preprints(rxiv[1], [] if "all" in names else names)
    return Origin("feed", {"name": host.removeprefix("www."), "url": text})


def _on_hugging_face(address: SplitResult) -> Origin:
    found = _HUGGING_FACE.fullmatch(address.path)
    if not found or "q" in dict(parse_qsl(address.query)):
        what = "the address of a search" if found else "no list of papers"
        raise ConfigError(f"this is {what}", remedy="Write huggingface: topics say what is wanted of it.")
    return _daily_papers(_PAGES.get(found[1], "daily"))


def _daily_papers(page: str) -> Origin:
    return Origin("huggingface", {"pages": [page]})


def _preprints(kind: str, categories: Sequence[str]) -> Origin:
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
            both = {
                key: list(dict.fromkeys((*before[key], *more)))
                for key, more in origin.settings.items()
                if key in before
            }
            found[origin.kind] = Origin(origin.kind, both)
        else:
            found[origin.kind] = origin
    return list(found.values())
