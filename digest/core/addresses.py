"""Addresses that may be opened, and the pages of a paper."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from digest.core.lines import clean, one_line
from digest.core.model import Paper
from digest.core.tex import readable

_NOT_IN_A_FOLDER = re.compile("[^a-z0-9]+")
_NOT_ENCODED = re.compile("%(?![0-9A-Fa-f]{2})")
_URL_SAFE = "%:/?#@!$&'()*+,;=-._~"  # RFC 3986, 2.2 and 2.3; brackets stand around a host alone (3.2.2)
_LONGEST_SEARCH = 200  # characters of a title
_LONGEST_URL = 2000  # what every client takes


def http_url(url: str | None) -> str:
    """An http or https address, in ASCII and fit for an attribute; empty for anything else.

    One with a user's name is refused: `https://papers.example@evil.example/` leads to evil.example.
    """
    url = (url or "").strip()
    try:
        parts = urlsplit(url)
        _ = parts.port  # which is a number up to 65,535, or raises
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        return ""
    if len(url) > _LONGEST_URL:
        return ""
    if clean(url) != url or "\n" in url or "\t" in url:
        return ""
    # Whoever looks for an address looks for its scheme in lower case (RFC 3986, 3.1).
    host = f"{parts.scheme}://{parts.netloc}"
    rest = _NOT_ENCODED.sub("%25", url[len(host) :])
    return quote(host, safe=f"{_URL_SAFE}[]") + quote(rest, safe=_URL_SAFE)


def page(paper: Paper) -> str:
    """The paper's own page, by its DOI if no address is known; else a search for its title."""
    if known := http_url(paper.url):
        return known
    if paper.doi:
        return f"https://doi.org/{quote(paper.doi, errors='replace')}"
    title = one_line(readable(paper.title).text)[:_LONGEST_SEARCH]
    return f"https://scholar.google.com/scholar?q={quote(title, safe='')}"


def links(paper: Paper) -> tuple[tuple[str, str], ...]:
    """What a reader may open, as label and address; addresses that are not http(s) are left out."""
    stars = "" if paper.code_stars is None else f" ★ {paper.code_stars}"
    offered = (
        ("Abstract" if http_url(paper.url) or paper.doi else "Search", page(paper)),
        ("PDF", http_url(paper.pdf_url)),
        (f"Code{stars}", http_url(paper.code_url)),
        ("Project", http_url(paper.project_url)),
    )
    return tuple((label, url) for label, url in offered if url)


def joined(base_url: str | None, *path: str) -> str:
    """An address below the public one; empty if there is none."""
    base = http_url(base_url)
    return "/".join([base.rstrip("/"), *(quote(part) for part in path)]) if base else ""


def folders(names: Sequence[str]) -> dict[str, str]:
    """Names for the folders of interests, by name: "Talking face" is in `talking-face`.

    One that its folder does not spell ("C++"), or another one before it has, is told apart by its hash:
    an address should not become another interest's when they change places.
    """
    found: dict[str, str] = {}
    for name in names:
        letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        folder = _NOT_IN_A_FOLDER.sub("-", letters)[:64].strip("-")
        if folder.replace("-", " ") != name.casefold() or folder in found.values():
            unlike = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
            folder = f"{folder}-{unlike}" if folder else unlike
        found[name] = folder
    return found
