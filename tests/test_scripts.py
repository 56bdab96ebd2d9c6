"""No text of a stranger runs, asks for anything or leads away, wherever Chromium is shown it.

Each line of `data/security/scripts.txt` stands in every place of a digest.
The policies of the pages are taken away first: they are there for the day when the rest fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from digests import PERIOD, digest, paper, profile
from hostile import HARMLESS
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Route
from served import answering
from world import configure, listings, report

from digest import app
from digest.core.feedback import link, stop_link
from digest.core.model import Digest, Listing, Match, Paper, Profile, Recommendation, Section, SourceReport
from digest.core.shelf import shelf
from digest.render import environment
from digest.render.archive import ArchiveRenderer
from digest.render.email import EmailRenderer
from digest.render.feed import FeedRenderer

BASE = "https://me.example.org/digest"
IN_A_MAIL = 12  # papers that it shows in full

LOOK = """() => {
  const all = [...document.querySelectorAll("*")]
  return {
    kinds: [...new Set(all.map(one => [one.namespaceURI, one.localName,
      ...one.getAttributeNames().sort(), one.getAttribute("style")].join(" ")))],
    astray: [...document.links].filter(one => !/^(https?)?:$/.test(one.protocol) || one.username)
      .map(one => one.getAttribute("href")),  // an address that is none leads nowhere
  }
}"""


def vectors() -> list[str]:
    text = (Path(__file__).parent / "data" / "security" / "scripts.txt").read_text(encoding="utf-8")
    named = {"{js}": "window.hacked=1", "{net}": "https://tracker.example/"}

    def filled(found: re.Match[str]) -> str:
        return named.get(found[0]) or chr(int(found[1], 16))

    lines = [line for line in text.split("\n") if line and not line.startswith("# ")]
    return [re.sub(r"\{js\}|\{net\}|\{U\+([0-9A-F]{4})\}", filled, line) for line in lines]


VECTORS = vectors()


class Watch:
    """A page of Chromium, and what it did that nobody wanted."""

    def __init__(self, context: BrowserContext) -> None:
        self.did: list[str] = []
        self._content = self._type = ""
        self._page = context.new_page()
        context.route("**/*", self._answer)
        context.on("page", lambda page: self.did.append(f"opened {page.url}"))
        self._page.on("dialog", self._dismiss)

    def _dismiss(self, dialog: Dialog) -> None:
        self.did.append(f"said {dialog.message}")
        dialog.dismiss()

    def _answer(self, route: Route) -> None:
        if route.request.url == f"{BASE}/shown":
            route.fulfill(body=self._content, content_type=f"{self._type}; charset=utf-8")
        elif route.request.url == f"{BASE}/feed.css":
            route.fulfill(body="* { display: block }", content_type="text/css")
        else:
            self.did.append(f"asked {route.request.url}")
            route.abort()

    def show(self, content: str, media_type: str = "text/html") -> dict[str, list[str]]:
        """Open a page without its policy; gives what it consists of."""
        self._content = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", content)
        self._type = media_type
        self._page.goto(f"{BASE}/shown")
        found: dict[str, list[str]] = self._page.evaluate(LOOK)
        self._page.wait_for_timeout(20)  # for what begins a moment later
        if any(self._hacked(self._page)):
            self.did.append("ran a script")
        if self._page.url != f"{BASE}/shown":
            self.did.append(f"went to {self._page.url}")
        return found

    def _hacked(self, page: Page) -> Iterator[bool]:
        for frame in page.frames:
            yield bool(frame.evaluate("'hacked' in window"))


@contextmanager
def watching(browser: Browser) -> Iterator[Watch]:
    context = browser.new_context()
    yield Watch(context)
    context.close()


def full(texts: Sequence[str], url: str = "") -> tuple[Profile, Digest]:
    """A digest with each text in all places of a paper of its own; `url`: their addresses, in its place."""
    items = []
    for number, text in enumerate(texts):
        addresses = dict.fromkeys(("url", "pdf_url", "code_url", "project_url", "thumbnail_url"), url or text)
        item = paper(
            number,
            title=text,
            abstract=f"{text} {text}",
            authors=(text, text),
            organization=text,
            categories=(text,),
            keywords=(text,),
            code_stars=3,
            **addresses,
        )
        evidence = (Match(text, text, "title", 0, len(text)), Match(text, text, "abstract", 0, len(text)))
        listing = Listing(item, text, PERIOD.until.date(), 0, 3, 2, announce_type=text)
        items.append(Recommendation(item, (listing,), 1.0, evidence, missing=(text,), note=text))
    made = digest(
        *(Section(text, (item,)) for text, item in zip(texts, items, strict=True)),
        overflow=tuple(items),
        near_misses=tuple(items),
        reports=tuple(
            SourceReport(text, PERIOD, complete=False, error=text, notes=(text,)) for text in texts
        ),
    )
    return profile(title=" ".join(texts)), replace(made, title=" ".join(texts))


def mails(person: Profile, issue: Digest) -> Iterable[str]:
    renderer = EmailRenderer(
        environment(),
        sender="digest@example.org",
        base_url=BASE,
        opinion_link=partial(link, BASE, bytes(32)),
        stop_link=partial(stop_link, BASE, bytes(32)),
    )
    yield renderer.html(person, issue)


def pages(person: Profile, issue: Digest) -> Iterable[str]:
    renderer = ArchiveRenderer(environment(), base_url=BASE)
    for one in renderer.render(person, shelf([issue])):
        if one.path.endswith(".html"):
            yield one.content.decode()
    yield renderer.overview([person], [issue.summary]).content.decode()


def feeds(person: Profile, issue: Digest) -> Iterable[str]:
    for one in FeedRenderer(environment(), base_url=BASE).render(person, shelf([issue])):
        if one.path in {"atom.xml", "rss.xml"}:
            yield re.sub('href="[^"]*feed.css"', 'href="feed.css"', one.content.decode())


def contents(person: Profile, issue: Digest) -> Iterable[str]:
    """What a feed reader that trusts us makes a page of."""
    for entry in ("paper", "digest"):
        renderer = FeedRenderer(environment(), base_url=BASE, entry=entry, formats=["json"])
        (document,) = (one for one in renderer.render(person, shelf([issue])) if one.path == "feed.json")
        yield "".join(item["content_html"] for item in json.loads(document.content)["items"])


def test_the_watch_sees_what_an_unescaped_page_does(browser: Browser) -> None:
    did: set[str] = set()
    with watching(browser) as watch:
        for text in VECTORS[::20]:
            watch.show(f"<!doctype html><p>{text}</p>")
            did |= {words.split()[0] for words in watch.did}
    assert did >= {"asked", "ran"}


@pytest.mark.parametrize("draw", [mails, pages, feeds, contents])
def test_no_text_of_a_paper_runs_asks_or_leads_away(browser: Browser, draw: object) -> None:
    assert callable(draw)
    media_type = "application/xml" if draw is feeds else "text/html"
    size = IN_A_MAIL if draw is mails else len(VECTORS)
    with watching(browser) as watch:
        known = {
            kind
            for url in ("https://papers.example/", "javascript:")
            for document in draw(*full([HARMLESS] * IN_A_MAIL, url))
            for kind in watch.show(document, media_type)["kinds"]
        }
        assert len(known) > 10
        for at in range(0, len(VECTORS), size):
            for document in draw(*full(VECTORS[at : at + size])):
                found = watch.show(document, media_type)
                assert set(found["kinds"]) <= known
                assert found["astray"] == []
    assert watch.did == []


def test_no_title_and_no_address_runs_in_the_pages_of_the_server(browser: Browser, tmp_path: Path) -> None:
    harmless, hostile = (paper(1, title=HARMLESS), paper(2, title=" ".join(VECTORS)))
    config = configure(tmp_path, port=25, extra=f'[serve]\nbase_url = "{BASE}"\n')
    person = tmp_path / "profiles" / "me.toml"
    text = person.read_text(encoding="utf-8").replace('"Papers for me"', json.dumps(" ".join(VECTORS)))
    made = app.load(str(config), {})
    with made.store() as store:
        store.add(listings(harmless, hostile, source="file"), [], report("file"))

    def drawn(item: Paper, address: str) -> list[str]:
        key = app.load(str(config), {}).feedback_key
        links = link(BASE, key, "me", item.id, "like"), stop_link(BASE, key, "me", address)
        with answering(config) as server:
            answers = [server.get(one.removeprefix(BASE)) for one in links]
        assert [one.status_code for one in answers] == [200, 200]
        return [one.text for one in answers]

    with watching(browser) as watch:
        known = {kind for page in drawn(harmless, "me@example.org") for kind in watch.show(page)["kinds"]}
        person.write_text(text, encoding="utf-8")
        for page in drawn(hostile, " ".join(VECTORS[:60])):
            assert set(watch.show(page)["kinds"]) <= known
    assert watch.did == []
