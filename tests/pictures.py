"""The pictures of the README: a mail of `data/mails`, pages of an archive, and terminals.

python tests/pictures.py
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

from digests import ISSUED, profile, sample
from mails import FOLDER
from playwright.sync_api import sync_playwright
from terminals import pages as terminals

from digest.core.model import Digest
from digest.core.shelf import shelf
from digest.render import environment
from digest.render.archive import ArchiveRenderer

PICTURES = Path(__file__).parent / "data" / "pictures"
NAMES = ("chromium", "chromium-browser", "google-chrome")
_STYLES = re.compile(r"<style>.*?</style>| class=\"[^\"]*\"", re.DOTALL)


def six_weeks() -> Iterator[Digest]:
    """A digest for each working day, the newest first, no two alike."""
    dice = Random(6)  # noqa: S311 - the same picture each time
    for day in range(42):
        at = ISSUED - timedelta(days=day)
        sections = [
            replace(one, recommendations=one.recommendations * dice.randint(0, 3))
            for one in sample().sections
        ]
        if at.weekday() < 5:
            yield replace(
                sample(),
                id=f"swin-{at:%Y%m%d}",
                slot=at.replace(second=0),
                issued_at=at,
                since=at - timedelta(days=1),
                sections=tuple(sections) if day else sample().sections,
            )


if __name__ == "__main__":
    page = (FOLDER / "everything.html").read_text(encoding="utf-8")
    pages = {
        made.path: made.content.decode()
        for made in ArchiveRenderer(environment(), base_url=None).render(profile(), shelf(six_weeks()))
    }
    newest = pages[f"swin-{ISSUED:%Y%m%d}.html"]
    shown = {
        "mail-600-light": (600, "light", page),
        "mail-360-light": (360, "light", page),
        "mail-600-dark": (600, "dark", page),
        "mail-360-dark": (360, "dark", page),
        "mail-360-bare": (360, "light", _STYLES.sub("", page)),  # as programs show it that drop the head
        "archive-800-light": (800, "light", pages["index.html"]),
        "archive-800-dark": (800, "dark", newest),
    }
    with sync_playwright() as playwright:
        chromium = next(filter(None, map(shutil.which, NAMES)))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (width, scheme, html) in shown.items():
            context = browser.new_context(
                viewport={"width": width, "height": 1200 if "mail" in name else 800},
                color_scheme=scheme,  # type: ignore[arg-type]  # one of its words
            )
            opened = context.new_page()
            opened.set_content(html)
            opened.screenshot(path=PICTURES / f"{name}.png")
            context.close()
        opened = browser.new_page(viewport={"width": 800, "height": 100})
        for name, html in terminals().items():
            opened.set_content(html)
            opened.screenshot(path=PICTURES / f"terminal-{name}.png", full_page=True)
        browser.close()
