"""What people see: opened in a real browser, narrow and wide, light and dark."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from digests import hostile, profile, sample
from playwright.sync_api import Browser, Route
from served import asked, composed, judged, serving
from world import SWIN_PAGE, configure, paper

from digest.core.feedback import link
from digest.core.model import Opinion
from digest.core.shelf import shelf
from digest.render import environment
from digest.render.archive import ArchiveRenderer
from digest.render.email import EmailRenderer

DIGESTS = {"sample": sample(), "hostile": hostile()}


def mail(name: str) -> str:
    renderer = EmailRenderer(
        environment(),
        sender="digest@example.org",
        base_url="https://me.example.org",
        opinion_link=partial(link, "https://me.example.org/digest", bytes(32)),
    )
    return renderer.html(profile(), DIGESTS[name])


def archive(name: str, page: str = "") -> str:
    renderer = ArchiveRenderer(environment(), base_url="https://me.example.org")
    titled = profile(title=DIGESTS[name].sections[0].interest)
    made = {one.path: one.content.decode() for one in renderer.render(titled, shelf([DIGESTS[name]]))}
    return made[page or f"{DIGESTS[name].id}.html"]


def index(name: str) -> str:
    return archive(name, "index.html")


def overview(name: str) -> str:
    renderer = ArchiveRenderer(environment(), base_url="https://me.example.org")
    titled = profile(title=DIGESTS[name].sections[0].interest)
    return renderer.overview([titled], [DIGESTS[name].summary]).content.decode()


@pytest.mark.parametrize("name", DIGESTS)
@pytest.mark.parametrize("draw", [mail, archive, index, overview])
def test_it_fits_every_screen_asks_for_nothing_and_runs_nothing(
    browser: Browser, draw: object, name: str
) -> None:
    assert callable(draw)
    html = draw(name)
    for width in (600, 360, 320):
        for scheme in ("light", "dark"):
            requests: list[str] = []

            def refuse(route: Route, seen: list[str] = requests) -> None:
                seen.append(route.request.url)
                route.abort()

            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            context.route("**/*", refuse)
            page = context.new_page()
            page.set_content(html)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("window.hacked") is None
            assert requests == []
            backdrop = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, backdrop.removeprefix("rgb(").removesuffix(")").split(","))) < 384) == (
                scheme == "dark"
            )
            context.close()


def test_the_button_behind_a_link_of_the_mail_works_without_a_script(
    browser: Browser, tmp_path: Path
) -> None:
    config = composed(tmp_path, paper("Swin for Ferns"), base_url="http://localhost:8470")
    (liked,) = (address for address in asked(config) if "/like/" in address)
    with serving(config) as server:
        context = browser.new_context(java_script_enabled=False, viewport={"width": 320, "height": 600})
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(liked.replace("http://localhost:8470", str(server.base_url).rstrip("/")))
        box = page.get_by_role("button", name="More like this").bounding_box()
        assert box is not None
        assert box["height"] >= 44
        page.get_by_role("button").click()
        assert page.get_by_role("heading").inner_text() == "Recorded"
        assert [one.opinion for one in judged(config)] == [Opinion.LIKE]
        page.get_by_role("button", name="Undo").click()
        assert page.get_by_role("heading").inner_text() == "Taken back"
        assert judged(config) == []
        assert not [text for text in complaints if "Content Security Policy" in text]
        context.close()


@pytest.mark.parametrize(
    ("form", "entry", "whole"), [("atom", "entry", "content"), ("rss", "item", "encoded")]
)
def test_a_feed_is_a_page_that_says_what_it_is_for(
    browser: Browser, tmp_path: Path, form: str, entry: str, whole: str
) -> None:
    config = configure(tmp_path)
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "digest", "run", "--config", str(config)], check=True, timeout=60)
    with serving(config) as server:
        context = browser.new_context(viewport={"width": 320, "height": 600})
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(f"{message.location['url']}: {message.text}"))
        page.goto(f"{server.base_url}feeds/me/{form}.xml".replace("//feeds", "/feeds"))
        shown = page.evaluate(
            """([entry, whole]) => {
                const style = (one, of) => getComputedStyle(one, of)
                const [item] = document.getElementsByTagName(entry)
                const title = item.getElementsByTagName("title")[0]
                const content = [...item.children].find(one => one.localName === whole)
                const about = document.querySelector("subtitle, channel > description")
                return [title.textContent, style(title).display, style(title).fontWeight,
                        style(content).display, style(about, "::after").content,
                        document.documentElement.scrollWidth]
            }""",
            [entry, whole],
        )
        context.close()
    title, is_seen, weight, is_hidden, about, width = shown
    assert title == "SwinLeaf: Shifted Windows for Counting Leaves"
    assert (is_seen, weight, is_hidden) == ("block", "700", "none")
    assert "copy the address of this page into your feed reader" in about
    assert width <= 320
    assert [text for text in complaints if "/favicon.ico:" not in text] == []  # no icon is as good
