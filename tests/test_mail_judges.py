"""What others make of the mail: validators, readers without a screen or a style sheet, and a filter of spam.

Each judge knows rules that are not written down here; what it must overlook is listed with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import pytest
from digests import digest, hostile, large, profile, sample
from judges import AXE, LOOK, RULES, View, faint, said
from playwright.sync_api import Browser, Page
from tools import NODE, needed, node_module

from digest.core.feedback import link
from digest.render import environment
from digest.render.email import EmailRenderer

REVIEWED = Path(__file__).resolve().parent / "data" / "mail_programs.json"
DIGESTS = {
    "sample": sample(),
    "hostile": hostile(),
    "empty": digest(),
    "60 papers": large(60),
    "300 papers": large(300),
}
MAILS = [(name, asking) for name in DIGESTS for asking in (False, True)]
# WCAG 2.2, A and AA, and what axe advises beside it.
# What a server puts in front; addresses of RFC 3849, because those of RFC 5737 are a rule of SpamAssassin's.
DELIVERED = b"""\
Return-Path: <digest@example.org>
Delivered-To: reader@example.net
Received: from mail.example.org (mail.example.org [IPv6:2001:db8:1::7])
\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))
\tby mx.example.net (Postfix) with ESMTPS id 4F2Q1x0sKz
\tfor <reader@example.net>; Fri, 20 Nov 2026 06:00:09 +0000 (UTC)
Received: from home.example.org (home.example.org [IPv6:2001:db8:2::14])
\tby mail.example.org (Postfix) with ESMTPSA id 4F2Q1w6pLm
\tfor <reader@example.net>; Fri, 20 Nov 2026 06:00:07 +0000 (UTC)
""".replace(b"\n", b"\r\n")


def renderer(*, asking: bool) -> EmailRenderer:
    base = "https://me.example.org/digest"
    return EmailRenderer(
        environment(),
        sender="Digest <digest@example.org>",
        base_url=base,
        opinion_link=partial(link, base, bytes(32)) if asking else None,
    )


@cache
def html(name: str, *, asking: bool = True) -> str:
    return renderer(asking=asking).html(profile(), DIGESTS[name])


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The HTML of every mail as a file."""
    made = [
        (tmp_path / f"{name}{' asking' * asking}.html", html(name, asking=asking)) for name, asking in MAILS
    ]
    for path, text in made:
        path.write_text(text, encoding="utf-8")
    return [str(path) for path, _ in made]


def test_it_is_valid_html(files: list[str], tmp_path: Path) -> None:
    program = node_module("html-validate") / "bin" / "html-validate.mjs"
    config = NODE / "htmlvalidate.mjs"
    verdict = tmp_path / "verdict.json"  # by a pipe it would arrive cut off
    said(
        needed("node"), str(program), "--config", str(config), f"--formatter=json={verdict}", *files,
        home=tmp_path,
    )  # fmt: skip
    assert [
        f"{Path(file['filePath']).name}:{message['line']}: {message['ruleId']}: {message['message']}"
        for file in json.loads(verdict.read_text(encoding="utf-8"))
        for message in file["messages"]
    ] == []


def test_what_mail_programs_lack_has_been_reviewed(files: list[str], tmp_path: Path) -> None:
    """A finding that is new wants a reason why it does no harm, or another way of writing it."""
    node_module("caniemail")
    found = json.loads(said(needed("node"), str(NODE / "caniemail.mjs"), *files, home=tmp_path))
    reviewed = json.loads(REVIEWED.read_text(encoding="utf-8"))
    assert all(finding["reason"] for level in reviewed.values() for finding in level.values())
    assert found == {
        level: {feature: finding["clients"].split() for feature, finding in findings.items()}
        for level, findings in reviewed.items()
    }


def without_style(text: str) -> str:
    """As Gmail shows it to accounts of other providers: the style sheet and the classes are gone."""
    return re.sub(r' class="[^"]*"', "", re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL))


def in_outlook(text: str) -> str:
    """As Outlook for Windows shows it, which reads conditional comments and no greatest widths."""
    opened = re.sub(r"<!--\[if mso\]>(.*?)<!\[endif\]-->", r"\1", text, flags=re.DOTALL)
    return without_style(re.sub(r"max-width:[^;\"]*;?", "", opened))


VIEWS = {
    **{
        f"{width} px {scheme}": View(width, scheme)
        for width in (600, 360, 320)
        for scheme in ("light", "dark")
    },
    "without style": View(360, change=without_style),
    "forced dark": View(360, change=without_style, forced_dark=True),
    "Outlook": View(900, change=in_outlook),
}

# What axe leaves out: it excuses every link that stands in a line of text from WCAG 2.2, 2.5.8.
# What is painted, where axe believes the style sheet: the least and the greatest luminance around each word
# (WCAG 2.2, 1.4.3). Strokes are thin, so the ratio that is found is at most the true one.


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A page with axe in it, which `set_content` leaves there."""
    context = browser.new_context()
    context.route("**/*", lambda route: route.abort())
    opened = context.new_page()
    opened.evaluate((node_module("axe-core") / "axe.min.js").read_text(encoding="utf-8"))
    yield opened
    context.close()


def verdict(page: Page, text: str, view: View) -> dict[str, list[str]]:
    """Whatever is wrong with a page in a view."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.set_viewport_size({"width": view.width, "height": 900})
    page.emulate_media(color_scheme=view.scheme)
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setAutoDarkModeOverride", {"enabled": True} if view.forced_dark else {})
    page.set_content(view.change(text))
    found: dict[str, list[str]] = page.evaluate(LOOK)
    found["axe"] = page.evaluate(AXE, list(RULES))
    session.detach()
    return {what: where for what, where in (found | {"requests": requests}).items() if where}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("name", "asking"), MAILS)
def test_everybody_can_read_it_everywhere(page: Page, name: str, asking: bool, view: str) -> None:  # noqa: FBT001 - a parameter
    assert verdict(page, html(name, asking=asking), VIEWS[view]) == {}


@pytest.mark.parametrize("view", ["360 px light", "360 px dark", "forced dark"])
def test_words_stand_out_from_what_is_behind_them(browser: Browser, view: str) -> None:
    """A program that darkens mails by itself changes colours that no style sheet names."""
    assert faint(browser, html("sample"), VIEWS[view]) == []


def test_a_mail_that_is_hard_to_read_is_noticed(page: Page) -> None:
    """A judge who finds nothing may be asleep."""
    bad = (
        '<html><body><p style="font-size:13px;color:#999">Faint</p><img src="https://tracker.example/x.png">'
        '<div style="width:700px">Wide</div><a href="https://a.example">A</a><a href="https://b.example">B</a>'
        "<script>window.hacked = 1</script></body></html>"
    )
    found = verdict(page, bad, VIEWS["360 px light"])
    assert found.keys() == {"stands out", "below 14 px", "links too near", "scripts", "axe", "requests"}
    assert {line.split(":")[0] for line in found["axe"]} >= {"color-contrast", "html-has-lang", "image-alt"}
    page.evaluate("delete window.hacked")


def test_words_that_are_painted_faintly_are_noticed(browser: Browser) -> None:
    text = '<body style="background:#000"><p style="color:#555">Faint</p><p style="color:#fff">Plain</p>'
    assert faint(browser, text, VIEWS["360 px dark"]) == ["Faint: 2.8"]


@pytest.mark.parametrize(("before", "limit"), [(b"", 0.5), (DELIVERED, 0.0)], ids=["as sent", "as delivered"])
def test_no_filter_takes_it_for_spam(before: bytes, limit: float, tmp_path: Path) -> None:
    program = needed("spamassassin")
    mails = {name: tmp_path / f"{at}.eml" for at, name in enumerate(DIGESTS)}
    for name, path in mails.items():
        message = renderer(asking=True).compose(profile(), DIGESTS[name], "Rea Der <reader@example.net>")
        path.write_bytes(before + message)
    judged = said(
        program,
        "--local",  # no network
        "--test-mode",
        "--nocreate-prefs",
        "--cf=use_bayes 0",
        "--cf=fold_headers 0",
        "--cf=clear_headers",
        "--cf=add_header all Verdict _SCORE_ _TESTSSCORES_",
        *map(str, mails.values()),
        home=tmp_path,
    )
    verdicts = dict(zip(mails, re.findall(r"^X-Spam-Verdict: (.*)$", judged, re.MULTILINE), strict=True))
    assert {name: found for name, found in verdicts.items() if float(found.split()[0]) > limit} == {}


def test_it_reads_in_order_without_a_screen(tmp_path: Path) -> None:
    shown = said(
        needed("w3m"), "-dump", "-cols", "72", "-T", "text/html", "-I", "UTF-8", "-O", "UTF-8",
        home=tmp_path, given=html("sample").encode(),
    )  # fmt: skip
    rest = " ".join(shown.split())
    assert rest.startswith("6 papers of 412 · Talking face 1 · Swin 3")
    expected = ["Vision transformers and faces", "Could not be read: bioRxiv"]
    for section in DIGESTS["sample"].sections:
        expected.append(section.interest)
        for item in section.recommendations:
            paper = item.paper
            expected += [paper.title, *paper.authors[:3], paper.organization or "", paper.abstract]
            expected += ["Abstract" if paper.url else "Search", "Why:", "More like this"]
    expected += ["Also matched", "Nearly", "Sources that fell short", "To change or stop this mail"]
    for words in filter(None, expected):
        found, _, rest = rest.partition(words)
        assert len(found) < len(shown) - len(rest), f"{words!r} does not follow"
