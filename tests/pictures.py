"""The pictures of the README: a mail of `data/mails` as a browser shows it.

python tests/pictures.py
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from mails import FOLDER
from playwright.sync_api import sync_playwright

PICTURES = Path(__file__).parent / "data" / "pictures"
NAMES = ("chromium", "chromium-browser", "google-chrome")
_STYLES = re.compile(r"<style>.*?</style>| class=\"[^\"]*\"", re.DOTALL)

if __name__ == "__main__":
    page = (FOLDER / "everything.html").read_text(encoding="utf-8")
    shown = {
        "mail-600-light": (600, "light", page),
        "mail-360-light": (360, "light", page),
        "mail-600-dark": (600, "dark", page),
        "mail-360-dark": (360, "dark", page),
        "mail-360-bare": (360, "light", _STYLES.sub("", page)),  # as programs show it that drop the head
    }
    with sync_playwright() as playwright:
        chromium = next(filter(None, map(shutil.which, NAMES)))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (width, scheme, html) in shown.items():
            context = browser.new_context(
                viewport={"width": width, "height": 1200},
                color_scheme=scheme,  # type: ignore[arg-type]  # one of its words
            )
            opened = context.new_page()
            opened.set_content(html)
            opened.screenshot(path=PICTURES / f"{name}.png")
            context.close()
        browser.close()
