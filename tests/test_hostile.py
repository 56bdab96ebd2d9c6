"""Whatever a page puts into a paper, the mail is harmless, readable and itself.

Each text of `data/hostile.json` stands in each place.
The yardstick is the same mail with a harmless text there.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from functools import cache, partial
from urllib.parse import urlsplit

import pytest
from digests import CORPUS, PERIOD, addresses, chosen, digest, paper, profile, seen
from hostile import GIANT, HARMLESS, ORDINARY, PLACES, addressed, person, skeleton
from playwright.sync_api import Browser, Dialog, Route

from digest.core.feedback import link
from digest.core.lines import one_line
from digest.core.model import Match, Section, SourceReport
from digest.core.tex import readable
from digest.render import environment
from digest.render.email import BUDGET, EmailRenderer, subject

BASE = "https://me.example.org/digest"
READER = "Rea Der <reader@example.org>"
RENDERER = EmailRenderer(
    environment(),
    sender="Digest <digest@example.org>",
    base_url=BASE,
    opinion_link=partial(link, BASE, bytes(32)),
)


def composed(place: str, text: str) -> bytes:
    return RENDERER.compose(person(place, text), PLACES[place](text), READER)


def read(finished: bytes) -> tuple[EmailMessage, str, str]:
    """The message with its plain text and its HTML."""
    message = message_from_bytes(finished, policy=default)
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    return message, str(plain.get_content()).replace("\r\n", "\n"), str(html.get_content())


def subjects(finished: bytes) -> set[str]:
    """The subject as both of Python's parsers read it."""
    older = message_from_bytes(finished)["Subject"].replace("\r\n", "")
    newer = str(message_from_bytes(finished, policy=default)["Subject"])
    return {str(make_header(decode_header(older))), newer}


@cache
def yardstick(place: str) -> tuple[dict[str, str], list[tuple[object, ...]]]:
    """Headers and skeleton of the mail with a harmless text in a place."""
    message, _, html = read(composed(place, HARMLESS))
    return dict(message.items()), skeleton(html)


@pytest.mark.parametrize("name", ORDINARY)
@pytest.mark.parametrize("place", PLACES)
def test_a_hostile_text_is_shown_and_changes_nothing_else(place: str, name: str) -> None:
    hostile = CORPUS[name]
    finished = composed(place, hostile.text)
    message, plain, html = read(finished)
    headers, expected = yardstick(place)

    assert finished == RENDERER.compose_plainly(
        person(place, hostile.text), PLACES[place](hostile.text), READER
    )
    assert skeleton(html) == expected
    assert len(html.encode()) <= BUDGET
    is_papers = place in {"title", "abstract", "author", "tail"}
    text, words = (readable(text).text if is_papers else text for text in (hostile.text, hostile.words))
    beginning = one_line(text)[:100]
    expected_words = [beginning] if hostile.words == hostile.text else words.split()
    for shown in (seen(html), one_line(plain)):
        assert [words for words in expected_words if words not in shown] == []
    assert not {
        f"U+{ord(character):04X}"
        for character in plain
        if (unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\t")
        or "\u202a" <= character <= "\u202e"
        or "\u2066" <= character <= "\u2069"
    }
    assert [name for name, _ in message.items()] == list(headers)
    assert message_from_bytes(finished).keys() == list(headers)
    assert subjects(finished) == {subject(PLACES[place](hostile.text))}
    assert {name for name, value in message.items() if headers[name] != value} <= {"Subject"}
    assert not [part.defects for part in message.walk() if part.defects]


@pytest.mark.parametrize("name", GIANT)
@pytest.mark.parametrize("place", PLACES)
def test_a_giant_text_is_cut_and_the_mail_still_comes(place: str, name: str) -> None:
    message, plain, html = read(composed(place, CORPUS[name].text))
    sizes = {"html": len(html.encode()), "plain": len(plain.encode())}
    assert max(sizes.values()) <= BUDGET, sizes
    assert list(message.keys()) == list(yardstick(place)[0])
    assert {entry[0] for entry in skeleton(html)} <= {entry[0] for entry in yardstick("tail")[1]} | {
        entry[0] for entry in yardstick(place)[1]
    }


@pytest.mark.parametrize("name", CORPUS)
def test_only_addresses_of_the_web_are_linked(name: str) -> None:
    text = CORPUS[name].text

    def made(url: str) -> tuple[str, str]:
        tail = (chosen(paper(2, url=url)),)
        issue = digest(Section("Swin", (chosen(paper(**addressed(url))),)), overflow=tail, near_misses=tail)
        return read(RENDERER.compose(profile(), issue, READER))[1:]

    plain, html = made(text)
    linked = addresses(html)
    assert set(re.findall(r"https?://\S+", plain, re.IGNORECASE)) == set(linked)
    for address in linked:
        assert re.fullmatch(r"https?://[!-~]+", address, re.IGNORECASE)
        assert not re.search(r"[<>\"\\^`{|}]", address)
        parts = urlsplit(address)
        assert parts.hostname
        assert parts.username is None  # `https://known.example@elsewhere.example` leads elsewhere
        assert parts.port is None or parts.port < 65536
    harmless = made("https://papers.example/")[1]
    assert {entry[0] for entry in skeleton(html)} == {entry[0] for entry in skeleton(harmless)}


def test_a_browser_runs_none_of_it_and_sees_the_same_page(browser: Browser) -> None:
    """The browser has the last word on what is markup, and on where an address leads."""
    look = """() => ({
      elements: [...document.querySelectorAll("*")].map(
        (one) => [one.localName, one.getAttributeNames().sort().join(" ")].join(" ")),
      hacked: window.hacked ?? null,
      dead: [...document.links].filter((link) => !/^https?:$/.test(link.protocol) || !link.hostname)
        .map((link) => link.getAttribute("href")),
    })"""
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    def dismiss(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    context = browser.new_context()
    context.route("**/*", refuse)
    page = context.new_page()
    page.on("dialog", dismiss)

    def opened(text: str, url: str) -> dict[str, object]:
        item = paper(title=text, abstract=text, authors=(text,), organization=text, **addressed(url))
        issue = digest(
            Section(text, (chosen(item, Match(text, text, "title", 0, len(text))),)),
            overflow=(chosen(paper(2, title=text)),),
            reports=(SourceReport("arxiv", PERIOD, complete=False, error=text, notes=(text,)),),
        )
        page.set_content(RENDERER.html(profile(title=text), replace(issue, title=text)))
        found: dict[str, object] = page.evaluate(look)
        return found

    address = "https://papers.example/"
    expected = opened(HARMLESS, address)
    assert [name for name in ORDINARY if opened(CORPUS[name].text, address) != expected] == []
    linked = {name: opened(HARMLESS, hostile.text) for name, hostile in CORPUS.items() if hostile.address}
    assert {name: found["hacked"] for name, found in linked.items() if found["hacked"]} == {}
    assert {name: found["dead"] for name, found in linked.items() if found["dead"]} == {}
    assert asked == []
    context.close()
