"""Places where new papers appear: one file, or one folder, per place.

A source decides which pages it wants and what is on them; it never fetches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from urllib.parse import urlsplit
from urllib.request import url2pathname

from digest.core.model import Page, Reading
from digest.errors import LayoutError
from digest.ports import Reader

_HTML = re.compile(rb"\s*<(?:!doctype\s+html|html)", re.IGNORECASE)
_WALL = re.compile(
    rb"""<input[^>]+type\s*=\s*["']?password|awswaf|captcha"""
    rb"""|<title>[^<]*(?:log.?in|sign.?in|validate|verify|denied|just a moment)""",
    re.IGNORECASE,
)


def read_page(page: Page, readers: Iterable[Reader], *, captured_on: date | None = None) -> Reading:
    """Read a page with the first reader that recognises it.

    Raises LayoutError, which says what the page seems to be instead.
    """
    for reader in readers:
        if reader.recognises(page):
            return reader.read(page, captured_on=captured_on)
    content, place = page.content, readable(page.url)
    if not content.strip():
        raise LayoutError("there is nothing in it", place=place, remedy="Save the page again.")
    if b"\0" in content:
        raise LayoutError(
            "this is no text, HTML or JSON but binary",
            place=place,
            remedy="Save the page as HTML or text.",
        )
    if _HTML.match(content) and _WALL.search(content):
        raise LayoutError(
            "this is a page that asks to log in or to prove that one is human, and holds no papers",
            place=place,
            remedy="Open the page in a browser and save what you see there.",
        )
    raise LayoutError(
        "no papers can be found in it: this is no page that digest knows",
        place=place,
        remedy="Save the page again, whole, as HTML or as text; if it should be known, report it.",
    )


def readable(url: str) -> str:
    """An address as people write it: of a file, its path."""
    return url2pathname(urlsplit(url).path) if url.startswith("file:") else url
