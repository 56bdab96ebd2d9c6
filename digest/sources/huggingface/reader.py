"""Which layout a page has, and its papers."""

from __future__ import annotations

import codecs
import json
import re
import warnings
from collections.abc import Sequence
from datetime import date
from typing import Any, NoReturn

from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning

from digest.core import identity, wire
from digest.core.model import Page, Reading
from digest.errors import LayoutError
from digest.sources.huggingface import captures, markup, records, text
from digest.sources.huggingface.cards import reading

_JSON = re.compile(r"\s*(?:\{\s*[\"}]|\[\s*[\[\]{\"])")
_OURS = re.compile(
    r"data-target=.DailyPapers|href=./papers/\d{4}\."
    r"|\"(?:dailyPapers|submittedOnDailyAt|upvotes|numComments)\"\s*:|Get trending papers in your email inbox"
)
_LINK = re.compile(r"huggingface\.co/papers")
# Documents that may hold such a link without being from there: JSON, feeds, e-mail, references.
_OTHERS = re.compile(r"\s*(?:[{\[]|<(?:\?xml|rss|feed|rdf)|@\w+\s*\{|TY  - |(?:[A-Z][\w-]*: [^\n]*\n){2})")
_HOSTS = {"huggingface.co", "hf.co"}
_DAILY = {None, "", "day", "daily"}  # `periodType`; the site has used both words
_DEEPEST = 300  # real pages have about 30; to search much deeper ones takes minutes
_AGAIN = "Open it in a browser, wait for the papers to show, and save it again"
_REPORT = "If it looks right in a browser, the site has changed: please report it with the page"


class HuggingFaceReader:
    """Reads Daily Papers as JSON, HTML, Markdown, a notebook's export, or a text copy."""

    name = "huggingface"
    generic = False

    def recognises(self, page: Page) -> bool:
        """Whether the page is from Hugging Face, or looks like a saved one."""
        try:
            content = _decoded(page)
        except LayoutError:
            return False
        ours = (
            identity.host(page.url) in _HOSTS
            or content.strip() == "[]"
            or _OURS.search(content)
            or text.is_layout_a(content)
        )
        linked = _LINK.search(content) and not _OTHERS.match(content)
        return bool(content.strip() and (ours or linked))

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The papers on the page. Raises LayoutError."""
        content = _decoded(page)
        if not content.strip():
            _fail(page, "the page is empty", _AGAIN)
        if _JSON.match(content):
            return self._json(page, content, captured_on)
        if content.lstrip().startswith("<"):
            return self._html(page, content, captured_on)
        return self._text(page, content, captured_on)

    def _json(self, page: Page, content: str, captured_on: date | None) -> Reading:
        wire.check_values(page)
        try:
            value = json.loads(content)
        except (ValueError, RecursionError) as error:
            _fail(page, f"the JSON is broken or cut short ({error})", _AGAIN, error)
        if isinstance(value, dict) and isinstance(value.get("dailyPapers"), list):
            return self._props(page, value, None, captured_on)
        if isinstance(value, dict) and "error" in value:
            _fail(page, f"the answer is an error: {value['error']}", _AGAIN)
        entries = value if isinstance(value, list) else [value]
        return self._records(page, "api", entries, captured_on)

    def _html(self, page: Page, content: str, captured_on: date | None) -> Reading:
        wire.check_tags(page)
        wire.check_values(page)  # of the data that it was rendered from
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)  # it is then told to be no such page
            # "html.parser" takes half a minute for 120 kB of quotes that are never closed.
            soup = BeautifulSoup(content, "lxml")
        if markup.depth(soup) > _DEEPEST:
            _fail(page, f"the HTML is nested more than {_DEEPEST} tags deep", _AGAIN)
        props = markup.props(soup)
        edition = markup.edition(soup)
        if props and props["dailyPapers"]:
            return self._props(page, props, edition, captured_on)
        sheet = markup.sheet(soup)
        if sheet.cards:
            doubts = (
                () if props else ("the page's own data is missing or cut short: its cards have no authors",)
            )
            return reading(sheet, source=self.name, captured_on=captured_on, notes=doubts)
        if not props:
            _fail(page, _why_no_cards(content), _AGAIN)
        return self._props(page, props, edition, captured_on)

    def _props(
        self, page: Page, props: dict[str, Any], edition: date | None, captured_on: date | None
    ) -> Reading:
        """The papers a page was rendered from; the page of a search, a week or a month is no edition."""
        shown = edition or wire.day(props.get("dateString")) or wire.day(props.get("date"))
        daily = not props.get("query") and not props.get("isTrending") and props.get("periodType") in _DAILY
        return self._records(
            page, "data-props", props["dailyPapers"], captured_on or shown, edition=shown if daily else None
        )

    def _records(
        self,
        page: Page,
        layout: str,
        entries: Sequence[object],
        captured_on: date | None,
        *,
        edition: date | None = None,
    ) -> Reading:
        wire.check_entries(page, len(entries))
        found = records.listings(entries, source=self.name, edition=edition)
        if entries and not found:
            _fail(page, f"none of its {len(entries)} entries is a paper with a title", _REPORT)
        notes = [] if entries or layout == "api" else ["the page says that it holds no papers"]
        if len(found) < len(entries):
            notes.append(
                f"{len(entries) - len(found)} of {len(entries)} entries have no title and are left out"
            )
        return Reading(layout, found, captured_on=captured_on, notes=tuple(notes))

    def _text(self, page: Page, content: str, captured_on: date | None) -> Reading:
        notes: tuple[str, ...] = ()
        if captures.is_markdown(content):
            sheet = captures.markdown(content)
        elif captures.is_notebook(content):
            sheet = captures.notebook(content)
        elif text.is_layout_a(content):
            sheet, notes = text.layout_a(content)
        elif text.is_layout_b(content):
            sheet = text.layout_b(content)
        else:
            _fail(
                page, "the text has neither cards with authors · date nor the banner of Daily Papers", _AGAIN
            )
        wire.check_entries(page, len(sheet.cards))
        if not any(card.title and (card.published or card.abstract) for card in sheet.cards):
            _fail(page, "the text ends before the first paper", _AGAIN)
        return reading(sheet, source=self.name, captured_on=captured_on, notes=notes)


def _decoded(page: Page) -> str:
    """The text of the page, its lines ended by LF alone."""
    wide = page.content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        content = page.content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        _fail(page, f"the page is no text in UTF-8 (byte {error.start})", _AGAIN, error)
    if "\0" in content:
        _fail(page, "the page holds binary data", _AGAIN)
    return re.sub(r"(?<!\r)\r++\n|\r", "\n", content)


def _why_no_cards(content: str) -> str:
    """What a page of HTML without papers is."""
    small = content.casefold()
    if "awswaf" in small or "captcha" in small:
        return "the page is a bot check instead of papers"
    if 'type="password"' in small:
        return "the page asks for a login instead of showing papers"
    return 'the page has neither data-target="DailyPapers" nor headings that link to papers'


def _fail(page: Page, message: str, remedy: str, cause: Exception | None = None) -> NoReturn:
    raise LayoutError(message, place=wire.readable(page.url), remedy=remedy) from cause
