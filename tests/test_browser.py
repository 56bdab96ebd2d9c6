"""What people see: opened in a real browser, narrow and wide, light and dark."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from digests import hostile, profile, sample
from playwright.sync_api import Browser, Route, sync_playwright

from digest.render import environment
from digest.render.archive import ArchiveRenderer
from digest.render.email import EmailRenderer

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DIGESTS = {"sample": sample(), "hostile": hostile()}


def mail(name: str) -> str:
    renderer = EmailRenderer(environment(), sender="digest@example.org", base_url="https://me.example.org")
    return renderer.html(profile(), DIGESTS[name])


def archive(name: str) -> str:
    renderer = ArchiveRenderer(environment(), base_url="https://me.example.org")
    return next(iter(renderer.render(profile(), [DIGESTS[name]]))).content.decode()


def index(name: str) -> str:
    renderer = ArchiveRenderer(environment(), base_url="https://me.example.org")
    return list(renderer.render(profile(title=DIGESTS[name].sections[0].interest), [DIGESTS[name]]))[
        -1
    ].content.decode()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium must be there in CI")
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@pytest.mark.parametrize("name", DIGESTS)
@pytest.mark.parametrize("draw", [mail, archive, index])
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
