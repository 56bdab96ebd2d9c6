"""What all layouts share: clean text, and addresses on huggingface.co."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from digest.core.identity import arxiv_id

SITE = "https://huggingface.co"
_PAPER = re.compile(
    r"(?:https?://(?:www\.)?huggingface\.co)?/papers/(\d{4}\.\d{4,5})(?:v\d+)?/?(?:[?#].*)?", re.DOTALL
)
_FORBIDDEN = re.compile(r"[\x00-\x08\x0e-\x1b\x7f\ud800-\udfff\ufffe\uffff]")  # not allowed in XML 1.0, 2.2
_VOTE = re.compile(r"(?:https?://(?:www\.)?huggingface\.co)?/login\?next=%2Fpapers%2F(\d{4}\.\d{4,5})")


def squeezed(text: str) -> str:
    """The text on one line, without characters that no feed may hold.

    Titles and abstracts kept arXiv's hard line breaks until November 2025.
    """
    return " ".join(_FORBIDDEN.sub("", text).split())


def paper_number(href: str) -> str | None:
    """The arXiv number of the paper that a link leads to."""
    found = _PAPER.fullmatch(href.strip())
    return arxiv_id(found[1]) if found else None


def paper_voted_on(href: str) -> str | None:
    """The arXiv number of the paper that somebody who is not logged in would vote for by a link."""
    found = _VOTE.fullmatch(href.strip())
    return arxiv_id(found[1]) if found else None


def paper_url(number: str | None) -> str | None:
    """The page of a paper."""
    return number and f"{SITE}/papers/{number}"


def pdf_url(number: str | None) -> str | None:
    """The PDF of a paper, at arXiv."""
    return number and f"https://arxiv.org/pdf/{number}"


def web_address(text: str | None) -> str | None:
    """An http(s) address without the white space that people type into and around it, else None."""
    address = "".join((text or "").split())
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme in {"http", "https"} and parts.hostname else None
