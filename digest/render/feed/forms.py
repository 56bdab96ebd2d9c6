"""The forms of a feed: the same values in the words of each specification.

feedgen writes RSS and Atom; what it has no words for is added to what it wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from email.utils import format_datetime
from html import escape
from typing import Any

from feedgen.ext.base import BaseExtension
from feedgen.feed import FeedGenerator
from lxml import etree

from digest.render import FEEDS
from digest.render.feed.values import Entry, Feed

_ATOM = "http://www.w3.org/2005/Atom"
_DC = "http://purl.org/dc/elements/1.1/"
_HISTORY = "http://purl.org/syndication/history/1.0"  # RFC 5005, 2
_MEDIA = "http://search.yahoo.com/mrss/"
_TYPES = {"PDF": {"type": "application/pdf"}}  # by the label of a link
_NAMESPACES = {"dc": _DC, "fh": _HISTORY, "media": _MEDIA}
_PLAIN = re.compile(
    rb"<(title|subtitle|summary|name|category|source|description|dc:creator)\b[^>]*>[^<]+</\1>"
)
_CLOSED = "&lt;\u2060/".encode()  # a word joiner, which nobody sees
_LOST = "\ufffd".encode()
_STYLE = '<?xml-stylesheet type="text/css" href="{}feed.css"?>\n'


def atom(feed: Feed, entries: Sequence[Entry], address: str) -> bytes:
    """The feed as Atom (RFC 4287), found with the others below that address."""
    made = _generator("atom", feed, entries, address)
    for rel, url, media_type in _links("atom", feed, address):
        made.link(href=url, rel=rel, type=media_type)
    made.link(href=feed.home, rel="alternate", type="text/html")
    return _finished(feed, made.atom_str(pretty=True))


def rss(feed: Feed, entries: Sequence[Entry], address: str) -> bytes:
    """The feed as RSS 2.0, found with the others below that address."""
    made = _generator("rss", feed, entries, address)
    made.link(href=feed.home, rel="alternate", type="text/html")
    return _finished(feed, made.rss_str(pretty=True))


def json_feed(feed: Feed, entries: Sequence[Entry], address: str) -> bytes:
    """The feed as JSON Feed 1.1, found with the others below that address."""
    found = {rel: url for rel, url, _ in _links("json", feed, address)}
    items = [
        _present(
            {
                "id": entry.id,
                "url": entry.url,
                "title": entry.title,
                "summary": entry.summary,
                "content_html": entry.html,
                "image": entry.thumbnail,
                "date_published": entry.published.isoformat(),
                "authors": [{"name": name} for name in entry.authors],
                "tags": list(entry.tags),
            }
        )
        for entry in entries
    ]
    head = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed.title,
        "description": _subtitle(feed),
        "home_page_url": feed.home,
        "feed_url": found["self"],
        "next_url": found.get("prev-archive"),
        "language": "en",
    }
    made = json.dumps(_present(head) | {"items": items}, ensure_ascii=False).encode()
    return made.replace(_LOST, b"?") + b"\n"


FORMS: dict[str, Callable[[Feed, Sequence[Entry], str], bytes]] = {
    "atom": atom,
    "rss": rss,
    "json": json_feed,
}
"""By the names of `digest.render.FEEDS`."""


def opml(feeds: Sequence[Feed], formats: Sequence[str], address: str) -> bytes:
    """The list of feeds, each once, for readers to subscribe to (OPML 2.0)."""
    form = next(name for name in FORMS if name in formats)
    root = etree.Element("opml", version="2.0")
    etree.SubElement(etree.SubElement(root, "head"), "title").text = "Digests"
    body = etree.SubElement(root, "body")
    for feed in feeds:
        url = f"{address}/{feed.path(form)}"
        etree.SubElement(
            body, "outline", type="rss", text=feed.title, title=feed.title, xmlUrl=url, htmlUrl=feed.home
        )
    return etree.tostring(root, pretty_print=True, encoding="UTF-8", xml_declaration=True)


def _links(form: str, feed: Feed, address: str) -> list[tuple[str, str, str]]:
    """Relation, address and media type of the documents of a feed (RFC 5005, 4)."""
    media_type = FEEDS[form].media_type
    numbers = [("self", feed.number)]
    numbers += [("current", 0)] if feed.number else []
    numbers += [("prev-archive", feed.before)] if feed.before else []
    numbers += [("next-archive", feed.after)] if feed.after else []
    return [(rel, f"{address}/{feed.path(form, number)}", media_type) for rel, number in numbers]


def _subtitle(feed: Feed) -> str:
    return f"New papers for {feed.title}"


def _generator(form: str, feed: Feed, entries: Sequence[Entry], address: str) -> Any:  # noqa: ANN401 - untyped
    made = FeedGenerator()
    made.register_extension("digest", _OfFeed, _OfEntry)
    made.digest.feed, made.digest.address = feed, address
    made.id(feed.id)
    made.title(feed.title)
    made.subtitle(_subtitle(feed))
    made.description(_subtitle(feed))
    made.author({"name": "digest"})  # RFC 4287, 4.2.1: entries without an author need the feed's
    made.language("en")
    made.generator("digest", version="", uri="")
    made.updated(feed.updated)
    # feedgen writes RSS's dates under `setlocale`, which all threads share; ours are added below.
    vars(made)["_FeedGenerator__rss_lastBuildDate"] = None
    for entry in entries:
        one = made.add_entry(order="append")
        one.digest.entry, one.digest.address = entry, address
        one.id(entry.id)
        one.title(entry.title)
        one.updated(entry.published)
        one.category([{"term": tag} for tag in entry.tags])
        if entry.url:
            one.link(href=entry.url, rel="alternate", type="text/html")
        # RSS has one link, for which feedgen takes the last of whatever relation.
        for label, url in entry.links if form == "atom" else ():
            one.link(href=url, rel="related", title=label, **_TYPES.get(label, {}))
        if entry.authors:
            one.author([{"name": name} for name in entry.authors])
        if entry.summary:
            # RSS has no word for plain text: readers take a description as HTML.
            one.description(escape(entry.summary))
            one.summary(entry.summary, type="text")
        one.content(entry.html, type="html")
    return made


class _OfFeed(BaseExtension):  # type: ignore[misc] # feedgen is untyped
    """What feedgen has no words for in a feed."""

    feed: Feed
    address: str

    def extend_ns(self) -> dict[str, str]:
        return _NAMESPACES

    def extend_atom(self, root: Any) -> Any:  # noqa: ANN401 - an element of lxml
        if self.feed.number:
            _add(root, _HISTORY, "archive")
        return root

    def extend_rss(self, root: Any) -> Any:  # noqa: ANN401 - an element of lxml
        channel = root[0]
        _add(channel, "", "lastBuildDate", format_datetime(self.feed.updated))
        for rel, url, media_type in _links("rss", self.feed, self.address):
            _add(channel, _ATOM, "link", href=url, rel=rel, type=media_type)
        self.extend_atom(channel)
        return root


class _OfEntry(BaseExtension):  # type: ignore[misc] # feedgen is untyped
    """What feedgen has no words for in an entry."""

    entry: Entry
    address: str

    def extend_atom(self, root: Any) -> Any:  # noqa: ANN401 - an element of lxml
        _add(root, "", "published", self.entry.published.isoformat())
        if source := self.entry.source:
            of = _add(root, "", "source")
            _add(of, "", "id", source.id)
            _add(of, "", "title", source.title)
            _add(of, "", "updated", source.updated.isoformat())
            _add(of, "", "link", href=f"{self.address}/{source.path('atom')}", rel="self")
        if self.entry.written_on:
            # The first, because readers take it for the entry's own date if no other follows; in RSS all do.
            root.insert(0, _add(root, _DC, "date", self.entry.written_on))
        return self._shared(root)

    def extend_rss(self, root: Any) -> Any:  # noqa: ANN401 - an element of lxml
        _add(root, "", "pubDate", format_datetime(self.entry.published))
        if self.entry.authors:
            _add(root, _DC, "creator", ", ".join(self.entry.authors))
        if source := self.entry.source:
            _add(root, "", "source", source.title, url=f"{self.address}/{source.path('rss')}")
        return self._shared(root)

    def _shared(self, root: Any) -> Any:  # noqa: ANN401 - an element of lxml
        if self.entry.thumbnail:
            _add(root, _MEDIA, "thumbnail", url=self.entry.thumbnail)
        return root


# feedgen leaves the elements of Atom without a namespace, which the root declares for all.
def _add(parent: Any, namespace: str, name: str, text: str = "", **attributes: str) -> Any:  # noqa: ANN401 - of lxml
    made = etree.SubElement(parent, f"{{{namespace}}}{name}" if namespace else name, attributes)
    made.text = text or None
    return made


def _finished(feed: Feed, document: bytes) -> bytes:
    """The document with the instruction by which browsers find its style (xml-stylesheet, 2010).

    In plain text, "<" and "&" become numeric references, which readers of RSS take for neither markup nor
    entities (RSS Best Practices Profile, 5.1); what reads as the end of an element is told apart from one.
    """
    declaration, _, rest = document.partition(b"\n")
    up = "../" * len(list(filter(None, feed.folder.split("/"))))
    plain = _PLAIN.sub(
        lambda found: (
            found[0].replace(b"&lt;/", _CLOSED).replace(b"&lt;", b"&#x3C;").replace(b"&amp;", b"&#x26;")
        ),
        rest,
    )
    return b"\n".join((declaration, _STYLE.format(up).encode() + plain.replace(_LOST, b"?")))


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}
