"""Those who judge pages: axe, what a browser paints, and programs that read."""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


def said(*command: str, home: Path, given: bytes | None = None) -> str:
    """What a program prints; it finds no settings of a person's and leaves none."""
    done = subprocess.run(
        command,
        input=given,
        env=os.environ | {"HOME": str(home), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert not done.stderr, done.stderr.decode()
    return done.stdout.decode()


class View(NamedTuple):
    """One way in which a mail program shows the mail."""

    width: int
    scheme: Any = "light"
    change: Any = str
    forced_dark: bool = False


LOOK = """() => {
  const shown = [...document.querySelectorAll("body *")].filter((element) => element.getClientRects().length);
  const size = (element) => parseFloat(getComputedStyle(element).fontSize);
  const isText = (node) => node.nodeType === 3 && node.data.trim();
  const hasText = (element) => [...element.childNodes].some(isText);
  const name = (element) => `${element.localName} ${element.textContent.trim().slice(0, 40)}`;
  const boxes = [...document.links].flatMap(
    (link) => [...link.getClientRects()].map((box) => [name(link), box, link]));
  const small = (box) => Math.min(box.width, box.height) < 24;
  const centre = (box) => [box.x + box.width / 2, box.y + box.height / 2];
  const away = ([x, y], box) => Math.hypot(
    Math.max(box.left - x, 0, x - box.right), Math.max(box.top - y, 0, y - box.bottom));
  const near = (one, other) => small(other)
    ? Math.hypot(centre(one)[0] - centre(other)[0], centre(one)[1] - centre(other)[1]) < 24
    : away(centre(one), other) < 12;
  return {
    "stands out": shown.filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5)
      .map(name),
    "below 14 px": shown.filter((element) => hasText(element) && size(element) < 14).map(name),
    "links too near": boxes.filter(([_, one, link]) => small(one)
      && boxes.some(([_, other, another]) => another !== link && near(one, other))).map(([name]) => name),
    "scripts": window.hacked === undefined ? [] : ["ran"],
  };
}"""


PAINTED = """async ([picture, words]) => {
  const image = new Image();
  image.src = `data:image/png;base64,${picture}`;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const linear = (value) => (value <= 10 ? value / 3294 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  return words.flatMap(([word, ...box]) => {
    const pixels = canvas.getImageData(...box).data;
    const found = [];
    for (let at = 0; at < pixels.length; at += 4) found.push(luminance(pixels.slice(at, at + 3)));
    const ratio = (Math.max(...found) + 0.05) / (Math.min(...found) + 0.05);
    return ratio < 4.5 ? [`${word}: ${ratio.toFixed(1)}`] : [];
  });
}"""


WORDS = """() => {
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    for (const word of texts.currentNode.data.matchAll(/[\\p{L}\\p{N}]{3,}/gu)) {
      const range = document.createRange();
      range.setStart(texts.currentNode, word.index);
      range.setEnd(texts.currentNode, word.index + word[0].length);
      const box = range.getBoundingClientRect();
      const sides = [box.x, box.y, box.width, box.height].map((side) => 2 * Math.round(side));
      if (box.width) found.push([word[0], ...sides]);
    }
  }
  return found;
}"""


AXE = """async (rules) => (await axe.run(document, {runOnly: rules})).violations.flatMap(
  ({id, nodes}) => nodes.map(({html, failureSummary}) => `${id}: ${html.slice(0, 200)} ${failureSummary}`))"""


def faint(browser: Browser, text: str, view: View) -> list[str]:
    """The words that do not stand out from what is painted behind them."""
    context = browser.new_context(
        viewport={"width": view.width, "height": 900}, color_scheme=view.scheme, device_scale_factor=2
    )
    page, table = context.new_page(), context.new_page()
    context.new_cdp_session(page).send("Emulation.setAutoDarkModeOverride", {"enabled": view.forced_dark})
    page.set_content(view.change(text))
    words = page.evaluate(WORDS)
    assert words
    picture = b64encode(page.screenshot(full_page=True)).decode()
    found: list[str] = table.evaluate(PAINTED, [picture, words])
    context.close()
    return found
