"""Addresses on huggingface.co."""

from __future__ import annotations

import re

from digest.core.identity import arxiv_id

SITE = "https://huggingface.co"
_PAPER = re.compile(
    r"(?:https?://(?:www\.)?huggingface\.co)?/papers/(\d{4}\.\d{4,5})(?:v\d+)?/?(?:[?#].*)?", re.DOTALL
)
_VOTE = re.compile(r"(?:https?://(?:www\.)?huggingface\.co)?/login\?next=%2Fpapers%2F(\d{4}\.\d{4,5})")


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
