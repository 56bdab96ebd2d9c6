"""The mail: plain text and HTML of equal worth in one message.

Gmail cuts HTML off near 102 KB, so the HTML part is kept below 80 KB: abstracts become shorter step by step,
then the tail becomes a list of titles, then the list ends in "and N more".
The mail says so. The plain text takes the first two steps too, because filters distrust parts that differ
(SpamAssassin's MPART_ALT_DIFF_COUNT: 2.8 points for 300 papers), but never the third: it names every paper.

A part is one template, filled in: that is `html` and `text`.
A message is the same made faster, because most of it is equal for many readers: a paper with its evidence
is a card, rendered and encoded once, and a reader's mail is those cards between what is the reader's own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cached_property, lru_cache, partial
from hashlib import sha256
from typing import Literal, NamedTuple, TypedDict

import jinja2

from digest.core.feedback import Action
from digest.core.mailbox import Mailbox, parse
from digest.core.message import assemble, encoded_line, quoted_printable
from digest.core.model import (
    Digest,
    Listing,
    Match,
    Paper,
    PaperId,
    Profile,
    Recommendation,
    SectionKind,
)
from digest.errors import RenderError
from digest.render import (
    FEEDS,
    Finished,
    catching_up,
    changes,
    counts,
    coverage,
    defined,
    due,
    heartbeat,
    http_url,
    joined,
    one_line,
    quantity,
    render,
    shortened,
    weekday,
    wrapped,
)

BUDGET = 80_000
"""Bytes of the HTML part, before transfer encoding."""

_ABSTRACTS = (5000, 900, 600, 300)  # characters; the longest holds every abstract that is one
_CARDS = 10  # at least so many papers keep their abstract before the list of titles is cut
_KEPT = 4096  # cards, about 10 KB each
_SUBJECT_PARTS = 5
_LONGEST_NAME = 80
_LONGEST_TITLE = 200

Form = Literal["html", "txt"]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a digest the HTML part shows."""

    abstract: int  # characters of each abstract
    cards: int  # papers shown in full, the others by title
    titles: int  # titles listed, the others counted


class Words(TypedDict):
    """What stands around the papers, in both parts."""

    digest: Digest
    title: str
    name: str  # of the profile
    day: str
    heartbeat: str
    coverage: str
    catching_up: str
    changes: str
    archive_url: str
    feeds: list[tuple[str, str]]
    stop_url: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a card shows: a recommendation without its score, which is another for each reader."""

    paper: Paper
    listings: tuple[Listing, ...]
    matches: tuple[Match, ...]
    note: str

    @property
    def interests(self) -> tuple[str, ...]:
        """The interests that want it, each once."""
        return tuple(dict.fromkeys(match.interest for match in self.matches))


class Piece:
    """Whole lines of a part, finished."""

    def __init__(self, text: str) -> None:
        self.text = Finished(text if text.endswith("\n") else f"{text}\n")
        self.size = len(self.text.encode())

    @cached_property
    def encoded(self) -> bytes:
        """As they stand in a message."""
        return quoted_printable(self.text)


class Card:
    """A paper with its evidence, as a piece of either part, drawn when it is first wanted."""

    def __init__(self, paper: Paper, draw: Callable[[Form], str]) -> None:
        self.paper = paper
        self._draw = draw

    @cached_property
    def html(self) -> Piece:
        """For the HTML."""
        return Piece(self._draw("html"))

    @cached_property
    def txt(self) -> Piece:
        """For the plain text."""
        return Piece(self._draw("txt"))


class Shown(NamedTuple):
    """A section as far as its papers are shown in full."""

    heading: str
    kind: SectionKind
    total: int
    papers: str  # the same in words
    cards: list[Card]


class Contents(NamedTuple):
    """The papers of a mail."""

    extent: Extent
    sections: list[Shown]
    tail: list[Recommendation]  # shown by title, as far as there is room


class Layout(NamedTuple):
    """A part of a message: what is the reader's own around pieces that others have, too."""

    around: list[str]  # one more than pieces
    pieces: list[Piece]

    @property
    def size(self) -> int:
        """Bytes in UTF-8."""
        return sum(len(text.encode()) for text in self.around) + sum(piece.size for piece in self.pieces)

    @property
    def is_of_whole_lines(self) -> bool:
        """Whether no piece begins within a line, as one may in somebody's template."""
        return all(text.endswith("\n") for text in self.around if text)

    def encoded(self) -> bytes:
        """The whole as quoted-printable, if it is of whole lines."""
        own = [b"".join(map(encoded_line, text.split("\n")[:-1])) for text in self.around]
        parts = [own[0]]
        for piece, after in zip(self.pieces, own[1:], strict=True):
            parts += (piece.encoded, after)
        return b"".join(parts)


_PLACE = Finished("\ufdd0")
"""Where a piece stands in a page; no text that is shown has this character."""


class EmailRenderer:
    """Composes a digest as a message, and as the two texts that it is made of.

    `opinion_link` gives the address where a profile says what it thinks of a paper, and `stop_link`
    the one where a recipient stops the mail of a profile; without them no mail speaks of either.
    """

    def __init__(
        self,
        environment: jinja2.Environment,
        *,
        sender: str,
        base_url: str | None,
        formats: tuple[str, ...] = ("rss", "atom", "json"),
        opinion_link: Callable[[str, PaperId, Action], str] | None = None,
        stop_link: Callable[[str, str], str] | None = None,
    ) -> None:
        self._environment = environment
        self._sender = sender
        self._base_url = base_url
        self._formats = formats
        self._opinion_link = opinion_link
        self._stop_link = stop_link
        self._card = lru_cache(maxsize=_KEPT)(self._new_card)

    def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        """The message for one recipient, RFC 5322 with CRLF. Raises RenderError."""
        words = self._words(profile, digest, recipient)
        contents, html = self._fitted(profile, digest, words)
        text = self._laid_out("txt", profile, contents, words)
        if not (text.is_of_whole_lines and html.is_of_whole_lines):
            return self.compose_plainly(profile, digest, recipient)
        parts = {"plain": text.encoded(), "html": html.encoded()}
        return self._message(profile, digest, recipient, parts, stop_url=words["stop_url"])

    def compose_plainly(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        """The same bytes, with each part rendered and encoded as a whole. Raises RenderError."""
        parts = {
            "plain": quoted_printable(self.text(profile, digest, recipient)),
            "html": quoted_printable(self.html(profile, digest, recipient)),
        }
        stop_url = self._words(profile, digest, recipient)["stop_url"]
        return self._message(profile, digest, recipient, parts, stop_url=stop_url)

    def html(self, profile: Profile, digest: Digest, recipient: str = "") -> str:
        """The HTML part, as much of the digest as 80 KB hold. Raises RenderError."""
        return self._whole("html", profile, digest, recipient)

    def text(self, profile: Profile, digest: Digest, recipient: str = "") -> str:
        """The plain text, with every paper. Raises RenderError."""
        return self._whole("txt", profile, digest, recipient)

    def _whole(self, form: Form, profile: Profile, digest: Digest, recipient: str) -> str:
        words = self._words(profile, digest, recipient)
        extent = self._fitted(profile, digest, words)[0].extent

        def cards(section: Shown) -> Finished:
            return Finished("".join(piece.text for piece in self._pieces(form, profile, section)))

        return self._page(form, _contents(digest, extent, self._new_card), words, cards)

    def _message(
        self, profile: Profile, digest: Digest, recipient: str, parts: dict[str, bytes], *, stop_url: str
    ) -> bytes:
        sender, reader = mailbox(self._sender, "From"), mailbox(recipient, "To")
        key = sha256(f"{digest.id}\n{reader.address}".encode()).hexdigest()[:32]
        headers: dict[str, str | Mailbox] = {
            "From": sender,
            "To": reader,
            "Subject": subject(digest),
            "Date": _date(digest.issued_at),
            "Message-ID": f"<{key}@{sender.domain}>",
            "List-Id": f"<{profile.name}.digest.{sender.domain}>",  # RFC 2919, 2
            "Auto-Submitted": "auto-generated",  # RFC 3834, 5
            "X-Auto-Response-Suppress": "All",  # the same for Exchange
        }
        if stop_url:
            headers["List-Unsubscribe"] = f"<{stop_url}>"  # RFC 2369, 3.2
        if stop_url.lower().startswith("https:"):
            headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058, 3.1
        return assemble(headers, parts, key=key)

    def _fitted(self, profile: Profile, digest: Digest, words: Words) -> tuple[Contents, Layout]:
        """The HTML part with the most that it can show within the budget."""

        def fitted(extent: Extent) -> tuple[Contents, Layout]:
            contents = _contents(digest, extent, self._card)
            return contents, self._laid_out("html", profile, contents, words)

        papers = sum(len(section.recommendations) for section in digest.sections)
        everything = papers + len(digest.overflow)
        for abstract in _ABSTRACTS:
            extent = Extent(abstract, papers, everything)
            made = fitted(extent)
            if made[1].size <= BUDGET:
                return made
        few = min(papers, _CARDS)
        titles = _most(everything, lambda titles: fitted(replace(extent, cards=few, titles=titles))[1].size)
        cards = _most(papers, lambda cards: fitted(replace(extent, cards=cards, titles=titles))[1].size)
        return fitted(replace(extent, cards=cards, titles=titles))

    def _laid_out(self, form: Form, profile: Profile, contents: Contents, words: Words) -> Layout:
        pieces: list[Piece] = []

        def cards(section: Shown) -> Finished:
            before = len(pieces)
            pieces.extend(self._pieces(form, profile, section))
            return Finished(_PLACE * (len(pieces) - before))

        return Layout(self._page(form, contents, words, cards).split(_PLACE), pieces)

    def _pieces(self, form: Form, profile: Profile, section: Shown) -> Iterator[Piece]:
        for card in section.cards:
            yield card.html if form == "html" else card.txt
            if self._opinion_link is not None:
                opinions = _opinions(partial(self._opinion_link, profile.name, card.paper.id))
                if opinions:
                    yield Piece(self._rendered("email_opinions", form, {"opinions": opinions}))

    def _new_card(
        self,
        paper: Paper,
        listings: tuple[Listing, ...],
        matches: tuple[Match, ...],
        note: str,
        heading: str,
        abstract_limit: int,
    ) -> Card:
        values = {
            "item": Evidence(paper, listings, matches, note),
            "paper": paper,
            "heading": heading,
            "abstract_limit": abstract_limit,
        }
        return Card(paper, lambda form: self._rendered("email_card", form, values))

    @cached_property
    def _css(self) -> object:
        """The styles of elements by name."""
        return defined(self._environment, "email_style.html.j2", "css")

    def _words(self, profile: Profile, digest: Digest, recipient: str) -> Words:
        archive_url, feeds = "", []
        if "archive" in profile.channels:
            archive_url = joined(self._base_url, "archive", profile.name, f"{digest.id}.html")
        if "feeds" in profile.channels and joined(self._base_url):
            feeds = [
                (FEEDS[form].label, joined(self._base_url, "feeds", profile.name, FEEDS[form].file))
                for form in self._formats
            ]
        stop_url = ""
        if recipient and self._stop_link is not None:
            stop_url = http_url(self._stop_link(profile.name, recipient))
        return {
            "digest": digest,
            "title": shortened(digest.title, _LONGEST_TITLE),
            "name": profile.name,
            "day": weekday(due(profile, digest)),
            "heartbeat": heartbeat(digest),
            "coverage": coverage(digest),
            "catching_up": catching_up(digest),
            "changes": changes(digest),
            "archive_url": archive_url,
            "feeds": feeds,
            "stop_url": stop_url,
        }

    def _page(
        self,
        form: Form,
        contents: Contents,
        words: Words,
        cards: Callable[[Shown], Finished],
    ) -> str:
        tail, limit = contents.tail, contents.extent.titles if form == "html" else len(contents.tail)
        values = {
            "sections": contents.sections,
            "cards": cards,
            "note": _note(contents, archived=bool(words["archive_url"])),
            "titles": tail[:limit],
            "more": max(len(tail) - limit, 0),
        }
        return self._rendered("email", form, {**words, **values}).rstrip() + "\n"

    def _rendered(self, name: str, form: Form, values: Mapping[str, object]) -> str:
        text = render(self._environment, f"{name}.{form}.j2", **values, css=self._css)
        return text if form == "html" else wrapped(text)


def _contents(digest: Digest, extent: Extent, card: Callable[..., Card]) -> Contents:
    sections: list[Shown] = []
    left = extent.cards
    tail: list[Recommendation] = []
    for section in digest.sections:
        items = section.recommendations
        if shown := items[:left]:
            heading, limit = section.interest, extent.abstract
            cards = [
                card(item.paper, item.listings, item.matches, item.note, heading, limit) for item in shown
            ]
            sections.append(
                Shown(
                    shortened(heading, _LONGEST_TITLE),
                    section.kind,
                    len(items),
                    quantity(len(items), "paper"),
                    cards,
                )
            )
        left -= len(shown)
        tail += items[len(shown) :]
    return Contents(extent, sections, [*tail, *digest.overflow])


@lru_cache(maxsize=8)
def _date(issued_at: datetime) -> str:
    return format_datetime(issued_at.astimezone(UTC))


def _opinions(link: Callable[[Action], str]) -> list[tuple[str, str]]:
    """What a reader may say of a paper, as label and address."""
    offered: tuple[tuple[str, Action], ...] = (("More like this", "like"), ("Less like this", "dislike"))
    links = [(label, http_url(link(action))) for label, action in offered]
    return [(label, url) for label, url in links if url]  # none if it is too long to be opened


def _most(limit: int, size: Callable[[int], int]) -> int:
    """The greatest number up to a limit whose size is within the budget, else 0."""
    return max(bisect_right(range(limit + 1), BUDGET, key=size) - 1, 0)


def _note(contents: Contents, *, archived: bool) -> str:
    """What was left out, in a sentence; empty if nothing was."""
    steps = []
    extent = contents.extent
    if extent.abstract < _ABSTRACTS[0]:
        steps.append(f"abstracts end after {extent.abstract} characters")
    if any(len(section.cards) < section.total for section in contents.sections):
        steps.append(f"papers after the first {extent.cards} are shown by title")
    if not steps:
        return ""
    return f"To keep this mail whole, {' and '.join(steps)}." + (
        " The archive has everything." if archived else ""
    )


def subject(digest: Digest) -> str:
    """What is in the mail: "6 papers: Swin 4, Talking face 2"."""
    total, parts = counts(digest)
    if not total:
        return f"No new papers among {digest.scanned}" + (
            ", not all sources were read" if any(report.fell_short for report in digest.reports) else ""
        )
    named = [shortened(one_line(part), _LONGEST_NAME) for part in parts[:_SUBJECT_PARTS]]
    if len(parts) > len(named):
        named.append("and more")
    return _harmless(f"{quantity(total, 'paper')}: {', '.join(named)}")


@lru_cache(maxsize=1 << 10)
def mailbox(text: str, header: str) -> Mailbox:
    """The mailbox that a setting names, with or without a display name.

    A comma in a name needs no quotes. Raises RenderError.
    """
    try:
        found = parse(one_line(text))
        found.address.encode("ascii")  # what is more needs SMTPUTF8 (RFC 6531), and headers to match
    except ValueError as error:
        raise RenderError(
            f"{one_line(text)!r} is no mail address",
            place=header,
            remedy="Write it as `Name <name@example.org>`",
        ) from error
    return Mailbox(shortened(_harmless(found.name), _LONGEST_NAME), found.address)


def _harmless(text: str) -> str:
    # An encoded word inside plain text would be decoded by the reader (CVE-2024-6923).
    return one_line(text).replace("=?", "= ?")
