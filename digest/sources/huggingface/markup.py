"""The page as HTML: the JSON it was rendered from, else the cards that stand in it."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

from bs4 import BeautifulSoup, NavigableString, Tag

from digest.core import wire
from digest.core.wire import squeezed, web_address
from digest.sources.huggingface.cards import (
    Card,
    Sheet,
    author_count,
    count,
    date_and_comments,
    first,
    printed_date,
)
from digest.sources.huggingface.links import paper_number

_EDITION = re.compile(r"/papers(?:/date/|\?date=)(\d{4}-\d{2}-\d{2})")
_SELECTION = re.compile(r"[?&]q=|/papers/(?:trending|week|month)\b")
_ACCOUNT = re.compile(r"(?:https://huggingface\.co)?/[\w.-]+")


def depth(page: BeautifulSoup) -> int:
    """How deeply the tags of the page are nested."""
    depths = {id(page): 0}
    for tag in page.find_all():
        depths[id(tag)] = 1 + depths[id(tag.parent)]
    return max(depths.values())


def props(page: BeautifulSoup) -> dict[str, Any] | None:
    """What the page was rendered from, or None where that is missing or cut short."""
    value = _attribute(page.find(attrs={"data-target": "DailyPapers"}), "data-props")
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("dailyPapers"), list) else None


def edition(page: BeautifulSoup) -> date | None:
    """The day whose edition the page's own address says it is."""
    found = _EDITION.search(_address(page))
    return wire.day(found[1]) if found else None


def sheet(page: BeautifulSoup) -> Sheet:
    """The cards of the page, each paper once though a card holds a wide and a narrow copy."""
    found: dict[str, Card] = {}
    articles: set[int] = set()
    for link in page.select("h2 a[href], h3 a[href], h4 a[href]"):
        number = paper_number(_attribute(link, "href"))
        title = squeezed(link.get_text())
        if number and title and number not in found:
            article = link.find_parent("article")
            # Of an article that holds several papers nothing is said of the others.
            card = link if article is None or id(article) in articles else article
            articles.add(id(article))
            found[number] = _card(card, title, number)
    times = [time for time in page.select("time[datetime]") if not time.find_parent("article")]
    days = [day for time in times if (day := wire.day(_attribute(time, "datetime")))]
    day = edition(page) or next(iter(days), None)
    printed = ((tag, printed_date(_own_text(tag))) for tag in page.select("div, span"))
    return Sheet(
        "cards",
        list(found.values()),
        header=first(day for tag, day in printed if day and not tag.find_parent("article")),
        shown_on=day,
        edition=None if _SELECTION.search(_address(page)) else day,
    )


def _card(card: Tag, title: str, number: str) -> Card:
    """What the card prints around the title.

    Classes come and go, so that texts are told by their form and links by where they lead.
    """
    texts = [_own_text(tag) for tag in card.select("div, span, li, a, time")]
    dates = [found for text in texts if (found := date_and_comments(text))]
    remarks = (count(link.get_text()) for link in card.select('a[href$="#community"]'))
    boxes = (box.parent.get_text(" ") for box in card.select('input[type="checkbox"]') if box.parent)
    votes = (count(squeezed(text).removeprefix("Upvote")) for text in boxes)
    code = card.select_one('a[href^="https://github.com/"]')
    stars = squeezed(code.get_text(" ")).split(" ")[-1] if code else ""
    paragraph = card.find("p")
    return Card(
        title,
        squeezed(paragraph.get_text()) if paragraph else "",
        number=number,
        author_count=first(author_count(text) for text in texts),
        organization=first(_chip(link) for link in card.select("a[href]")),
        published=dates[0][0] if dates else None,
        comments=first(remarks),
        upvotes=first(votes),
        code_url=web_address(_attribute(code, "href")),
        code_stars=count(stars),
        thumbnail_url=web_address(_attribute(card.select_one('img[src*="thumbnails"]'), "src")),
    )


def _own_text(tag: Tag) -> str:
    """The text of a tag without that of the tags in it, and without Svelte's comments."""
    return squeezed("".join(child for child in tag.children if type(child) is NavigableString))


def _chip(link: Tag) -> str | None:
    """The name of an organization: a link to its account, with its picture described by its handle."""
    picture = link.find("img", alt=True)
    if not _ACCOUNT.fullmatch(_attribute(link, "href")) or not _attribute(picture, "alt"):
        return None
    return squeezed(link.get_text()) or None


def _address(page: BeautifulSoup) -> str:
    return _attribute(page.find("meta", property="og:url"), "content")


def _attribute(tag: object, name: str) -> str:
    value = tag.get(name) if isinstance(tag, Tag) else None
    return value if isinstance(value, str) else ""
