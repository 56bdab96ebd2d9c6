"""What others make of the archive: a validator of HTML, axe, and a browser in which somebody types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from digests import HOSTILE, ISSUED, chosen, digest, hostile, match, paper, profile, sample, swin, talking
from judges import AXE, LOOK, RULES, View, faint, said
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from tools import NODE, needed, node_module

from digest.core.model import Digest, Interest, Section
from digest.core.shelf import MADE, shelf
from digest.render import environment
from digest.render.archive import ArchiveRenderer

RTL = paper(
    55, title="نوافذ Swin للوجوه المتكلمة (2026)", abstract="نقدم طريقة Swin للنوافذ.", authors=("آدا", "Bo")
)
SAMPLES = (
    sample(),
    digest(Section("نوافذ", (chosen(RTL, match(RTL, "Swin")),)), issued_at=ISSUED - timedelta(days=1)),
    digest(issued_at=ISSUED - timedelta(days=2)),
    *(
        digest(
            Section("Swin", tuple(swin(one) for one in range(at % 5))),
            Section("Talking face", (talking(9),)),
            issued_at=ISSUED - timedelta(days=30 * at),
        )
        for at in range(1, 15)
    ),
)
PAGES = {
    "overview": "index.html",
    "profile": "archive/swin/index.html",
    "digest": f"archive/swin/{SAMPLES[0].id}.html",
    "right to left": f"archive/swin/{SAMPLES[1].id}.html",
    "empty digest": f"archive/swin/{SAMPLES[2].id}.html",
    "hostile profile": "archive/hostile/index.html",
    "hostile digest": f"archive/hostile/{hostile().id}.html",
    "profile without digests": "archive/none/index.html",
}
VIEWS = {
    f"{width} px {scheme}": View(width, scheme) for width in (1200, 600, 320) for scheme in ("light", "dark")
}


@cache
def archive() -> Mapping[str, str]:
    """A whole archive: a person's, one with nothing but hostile texts and one without digests."""
    renderer = ArchiveRenderer(environment(), base_url="https://me.example.org/digest")
    named = tuple(Interest(text, ("Swin",)) for text in HOSTILE)
    digests: dict[str, tuple[Digest, ...]] = {
        "swin": SAMPLES,
        "hostile": (replace(hostile(), profile="hostile"),),
        "none": (),
    }
    people = [profile(), replace(profile("hostile", title=HOSTILE[0]), interests=named), profile("none")]
    made = {
        f"archive/{person.name}/{artifact.path}": artifact.content.decode()
        for person in people
        for artifact in renderer.render(person, shelf(digests[person.name]))
        if artifact.path != MADE
    }
    newest = sorted(
        (one.summary for one in sum(digests.values(), ())), key=lambda one: one.slot, reverse=True
    )
    return made | {"index.html": renderer.overview(people, newest).content.decode()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive as it lies on a disk."""
    made = tmp_path_factory.mktemp("archive")
    for path, text in archive().items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_text(text, encoding="utf-8")
    return made


def test_it_is_valid_html(folder: Path, tmp_path: Path) -> None:
    program = node_module("html-validate") / "bin" / "html-validate.mjs"
    verdict = tmp_path / "verdict.json"
    said(
        needed("node"), str(program), "--config", str(NODE / "htmlvalidate.mjs"),
        f"--formatter=json={verdict}", *(str(folder / path) for path in PAGES.values()),
        home=tmp_path,
    )  # fmt: skip
    assert [
        (Path(file["filePath"]).relative_to(folder), message["line"], message["ruleId"], message["message"])
        for file in json.loads(verdict.read_text(encoding="utf-8"))
        for message in file["messages"]
    ] == []


class Visit:
    """A page opened from the disk, what it asked for and what the browser complained of."""

    def __init__(self, browser: Browser, folder: Path, view: View, *, scripts: bool = True) -> None:
        self.context = browser.new_context(
            viewport={"width": view.width, "height": 900},
            color_scheme=view.scheme,
            java_script_enabled=scripts,
        )
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._folder = folder
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", self._complained)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _complained(self, message: ConsoleMessage) -> None:
        self.complaints.append(message.text)

    def open(self, path: str) -> Page:
        self.page.goto((self._folder / path).as_uri())
        return self.page


@pytest.fixture(scope="module", params=VIEWS)
def visit(request: pytest.FixtureRequest, browser: Browser, folder: Path) -> Iterator[Visit]:
    made = Visit(browser, folder, VIEWS[request.param])
    yield made
    made.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_read_it_everywhere(visit: Visit, name: str) -> None:
    visit.requests.clear()
    page = visit.open(PAGES[name])
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
    folded = "[...document.querySelectorAll('details')].forEach((one) => { one.open = true; })"
    page.evaluate(folded)
    assert {what: where for what, where in page.evaluate(LOOK).items() if where} == {}
    page.evaluate((node_module("axe-core") / "axe.min.js").read_text(encoding="utf-8"))
    assert page.evaluate(AXE, list(RULES)) == []
    assert visit.requests == [page.url]
    assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["overview", "profile", "digest"])
def test_every_word_stands_out_as_it_is_painted(browser: Browser, name: str, scheme: str) -> None:
    text = archive()[PAGES[name]].replace("<details>", "<details open>")
    shown = re.sub(r'<a class="skip".*?</a>', "", text)  # which is painted when it has the focus alone
    assert faint(browser, shown, View(600, scheme)) == []


def test_the_box_filters_papers_by_all_words(browser: Browser, folder: Path) -> None:
    visit = Visit(browser, folder, VIEWS["600 px light"])
    page = visit.open(PAGES["digest"])
    box, shown = page.get_by_label("Filter papers"), page.locator(".item:visible")
    assert page.get_by_role("status").inner_text() == ""
    assert shown.count() == 7
    box.fill("SWIN  blink")
    assert shown.count() == 1
    assert "Whisper to Wink" in shown.inner_text()
    assert page.get_by_role("status").inner_text() == "1 of 7 shown"
    assert page.locator("h2:visible").all_inner_texts() == ["Talking face 1 paper", "Sources"]
    box.fill("swing bridges")  # of a near miss
    assert page.locator("h2:visible").all_inner_texts() == ["Nearly 1 paper", "Sources"]
    box.fill("nothing of the kind")
    assert shown.count() == 0
    assert page.get_by_role("status").inner_text() == "0 of 7 shown"
    box.fill("")
    assert shown.count() == 7
    visit.context.close()


def test_the_box_filters_digests_whatever_the_accents(browser: Browser, folder: Path) -> None:
    visit = Visit(browser, folder, VIEWS["600 px light"])
    page = visit.open(PAGES["profile"])
    page.get_by_label("Filter digests").fill("fríday november 2026")
    shown = page.locator(".item:visible")
    assert shown.count() == 1
    assert shown.inner_text().startswith("Friday, 20 November 2026")
    assert page.locator("h2:visible").all_inner_texts() == ["November 2026"]
    page.keyboard.press("Escape")
    assert page.locator("h2:visible").count() > 1
    visit.context.close()


def test_a_box_for_one_paper_is_not_shown(browser: Browser, folder: Path) -> None:
    visit = Visit(browser, folder, VIEWS["600 px light"])
    assert visit.open(PAGES["right to left"]).get_by_role("searchbox").count() == 0
    assert visit.complaints == []
    visit.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_without_a_script_or_on_paper_there_is_no_box(browser: Browser, folder: Path, name: str) -> None:
    visit = Visit(browser, folder, VIEWS["600 px light"], scripts=False)
    page = visit.open(PAGES[name])
    assert page.get_by_role("searchbox").count() == 0
    assert page.locator("h1").is_visible()
    visit.context.close()
    visit = Visit(browser, folder, VIEWS["600 px light"])
    page = visit.open(PAGES[name])
    page.emulate_media(media="print")
    for hidden in ("[type=search]", "nav", ".skip"):
        assert not page.locator(f"{hidden}:visible").count()
    assert page.locator(".item:visible").count() == page.locator(".item").count()
    visit.context.close()


def test_on_paper_each_title_is_followed_by_its_address(browser: Browser, folder: Path) -> None:
    visit = Visit(browser, folder, VIEWS["600 px light"])
    page = visit.open(PAGES["digest"])
    page.emulate_media(media="print")
    after = "(links) => links.map((link) => getComputedStyle(link, '::after').content)"
    found = page.locator(".item .paper").evaluate_all(after)
    assert found[0] == '" https://papers.example/abs/2611.00001"'
    assert found.count("none") == 2  # searches for a title
    visit.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_keyboard_reaches_everything_and_shows_where_it_is(
    browser: Browser, folder: Path, name: str
) -> None:
    visit = Visit(browser, folder, VIEWS["600 px light"])
    page = visit.open(PAGES[name])
    wanted = page.locator("a:visible, input:visible, summary:visible").count()
    focused = page.locator(":focus-visible")
    for step in range(wanted):
        page.keyboard.press("Tab")
        assert focused.evaluate("(one) => getComputedStyle(one).outlineStyle") == "solid", step
        assert focused.evaluate("(one) => one.getBoundingClientRect().left") >= 0
    page.keyboard.press("Tab")
    expect(focused).to_have_count(0)
    page.evaluate("document.body.focus()")
    page.keyboard.press("Tab")
    assert focused.inner_text() == "Skip to the content"
    page.keyboard.press("Enter")
    page.wait_for_url("**#main")
    visit.context.close()


def test_a_title_from_right_to_left_reads_so(browser: Browser, folder: Path) -> None:
    visit = Visit(browser, folder, VIEWS["600 px light"])
    page = visit.open(PAGES["right to left"])
    direction = "(one) => getComputedStyle(one).direction"
    assert page.locator("h3").evaluate(direction) == "rtl"
    assert page.locator("article > p[dir]").first.evaluate(direction) == "rtl"
    assert page.locator("h1").evaluate(direction) == "ltr"
    visit.context.close()


def test_bars_are_as_high_as_their_numbers_say(browser: Browser, folder: Path) -> None:
    visit = Visit(browser, folder, VIEWS["600 px light"])
    page = visit.open(PAGES["profile"])
    heights = page.locator("svg rect").evaluate_all(
        "(bars) => bars.map((bar) => [bar.textContent, bar.getBoundingClientRect().height])"
    )
    tallest = max(height for _, height in heights)
    for title, height in heights:
        papers = int(title.split(": ")[1].split()[0])
        assert abs(height - tallest * papers / 3) < 1, title
    visit.context.close()
