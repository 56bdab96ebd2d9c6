"""The mail: plain text and HTML of equal worth in one message.

Gmail cuts HTML off near 102 KB, so the HTML part is kept below 80 KB: abstracts become shorter step by step,
then the tail becomes a list of titles, then the list ends in "and N more".
The mail says so. The plain text takes the first two steps too, because filters distrust parts that differ
(SpamAssassin's MPART_ALT_DIFF_COUNT: 2.8 points for 300 papers), but never the third: it names every paper.

A part is one template, filled in: that is `html` and `text`.
A message is the same, made faster: a paper with its evidence is a card, which is drawn and encoded once for
all readers who have the same reasons, and the template around the cards is filled in once for all mails that
differ in their words alone (`digest.core.frame`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cached_property, lru_cache, partial
from hashlib import sha256
from itertools import count
from typing import Any, Literal

import jinja2

from digest.core import frame
from digest.core.addresses import http_url, joined
from digest.core.feedback import Action
from digest.core.frame import Frame, Piece
from digest.core.lines import one_line, shortened
from digest.core.mailbox import Mailbox, parse
from digest.core.message import assemble, quoted_printable
from digest.core.model import Digest, Listing, Match, Paper, PaperId, Profile, Recommendation
from digest.core.phrases import (
    beats,
    catching_up,
    changes,
    counts,
    coverage,
    due,
    explained,
    gaps,
    heartbeat,
    quantity,
    shortfall,
    source_label,
    too_old,
    waiting,
    weekday,
)
from digest.errors import RenderError
from digest.render import FEEDS, Finished, defined, is_own, printed, render, wrapped

BUDGET = 80_000
"""Bytes of the HTML part, before transfer encoding."""

_ABSTRACTS = (5000, 900, 600, 300)  # characters; the longest holds every abstract that is one
_CARDS = 10  # at least so many papers keep their abstract before the list of titles is cut
_KEPT = 4096  # cards, about 10 KB each
_SUBJECT_PARTS = 5
_LONGEST_NAME = 80
_LONGEST_TITLE = 200

_OFFERED: tuple[tuple[str, Action], ...] = (("More like this", "like"), ("Less like this", "dislike"))

Form = Literal["html", "txt"]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a digest the HTML part shows."""

    abstract: int  # characters of each abstract
    cards: int  # papers shown in full, the others by title
    titles: int  # titles listed, the others counted


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


class Card:
    """Something that is drawn by a template of its own, for either part when it is first wanted there."""

    def __init__(self, draw: Callable[[Form], str]) -> None:
        self._draw = draw

    @cached_property
    def html(self) -> Piece:
        """In the HTML."""
        return Piece(self._draw("html"))

    @cached_property
    def txt(self) -> Piece:
        """In the plain text."""
        return Piece(self._draw("txt"))


class Cards(tuple[Card, ...]):
    """Cards that stand together."""

    __slots__ = ()

    def pieces(self, form: Form) -> list[Piece]:
        """What they are in a part."""
        return [card.html if form == "html" else card.txt for card in self]


@dataclass(frozen=True)
class Values:
    """What a template such as `email.*.j2` is given."""

    words: dict[str, Any]  # texts, `Cards`, and lists and mappings of such
    profile: Profile  # these are for templates of one's own
    digest: Digest

    @cached_property
    def flat(self) -> tuple[list[object], list[str], list[Cards]]:
        """What a template can tell of the words without printing them, and what it prints, in one order."""
        shape: list[object] = []
        texts: list[str] = []
        cards: list[Cards] = []

        def flatten(values: Iterable[Any]) -> None:
            for value in values:
                if isinstance(value, str):
                    shape.append(bool(value))
                    texts.append(value)
                elif isinstance(value, Cards):
                    shape.append(bool(value))
                    cards.append(value)
                else:
                    shape.append(len(value))
                    flatten(value.values() if isinstance(value, dict) else value)

        flatten(self.words.values())
        return shape, texts, cards


@dataclass
class EmailRenderer:
    """Composes a digest as a message, and as the two texts that it is made of.

    `opinion_link` gives the address where a profile says what it thinks of a paper, and `stop_link`
    the one where a recipient stops the mail of a profile; without them no mail speaks of either.
    """

    environment: jinja2.Environment
    _: KW_ONLY
    sender: str
    base_url: str | None
    formats: tuple[str, ...] = ("rss", "atom", "json")
    opinion_link: Callable[[str, PaperId, Action], str] | None = None
    stop_link: Callable[[str, str], str] | None = None

    def __post_init__(self) -> None:  # noqa: D105
        self._root = joined(self.base_url)
        self._card = lru_cache(maxsize=_KEPT)(self._new_card)
        self._item = lru_cache(maxsize=_KEPT)(self._new_item)
        self._frames: dict[tuple[object, ...], Frame] = {}

    def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        """The message for one recipient, RFC 5322 with CRLF. Raises RenderError."""
        html, txt, html_pieces = self._fitted(profile, digest, recipient)
        parts = {
            "plain": b"".join([piece.encoded for piece in self._pieces("email", "txt", txt)]),
            "html": b"".join([piece.encoded for piece in html_pieces]),
        }
        return self._message(profile, digest, recipient, parts, stop_url=html.words["stop_url"])

    def compose_plainly(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        """The same bytes, made for this mail alone, each part as a whole. Raises RenderError."""
        alone = replace(self)
        parts = {
            "plain": quoted_printable(alone.text(profile, digest, recipient)),
            "html": quoted_printable(alone.html(profile, digest, recipient)),
        }
        stop_url = self._words(profile, digest, recipient)["stop_url"]
        return self._message(profile, digest, recipient, parts, stop_url=stop_url)

    def html(self, profile: Profile, digest: Digest, recipient: str = "") -> str:
        """The HTML part, as much of the digest as 80 KB hold. Raises RenderError."""
        return self._page("html", self._fitted(profile, digest, recipient)[0])

    def text(self, profile: Profile, digest: Digest, recipient: str = "") -> str:
        """The plain text, with every paper. Raises RenderError."""
        return self._page("txt", self._fitted(profile, digest, recipient)[1])

    def _message(
        self, profile: Profile, digest: Digest, recipient: str, parts: dict[str, bytes], *, stop_url: str
    ) -> bytes:
        sender, reader = mailbox(self.sender, "From"), mailbox(recipient, "To")
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

    # --- what is shown ------------------------------------------------------------------------

    def _fitted(self, profile: Profile, digest: Digest, recipient: str) -> tuple[Values, Values, list[Piece]]:
        """What both parts show where the HTML shows the most that the budget allows, and the HTML."""
        words = self._words(profile, digest, recipient)
        papers = sum(len(section.recommendations) for section in digest.sections)
        everything = papers + len(digest.overflow)

        def fitted(extent: Extent) -> tuple[Values, list[Piece]]:
            html = Values(words | self._contents(profile, digest, extent), profile, digest)
            return html, self._pieces("email", "html", html)

        def size(cards: int, titles: int) -> int:
            return _size(fitted(Extent(_ABSTRACTS[-1], cards, titles))[1])

        for abstract in _ABSTRACTS:
            html, pieces = fitted(Extent(abstract, papers, everything))
            if _size(pieces) <= BUDGET:
                return html, html, pieces
        # What an interest chose stands at least by its title before anything of the overflow does.
        cards = max(_most(papers, lambda cards: size(cards, papers - cards)), min(papers, _CARDS))
        titles = _most(everything - cards, lambda titles: size(cards, titles))
        if not titles:
            cards = _most(cards, lambda cards: size(cards, 0))
        html, pieces = fitted(Extent(abstract, cards, titles))
        txt = self._contents(profile, digest, Extent(abstract, cards, everything))
        return html, Values(words | txt, profile, digest), pieces

    def _words(self, profile: Profile, digest: Digest, recipient: str) -> dict[str, Any]:
        """The words around the papers."""
        archive_url, feeds, stop_url = "", [], ""
        # A profile's and a digest's names need no escaping.
        if self._root and "archive" in profile.channels:
            archive_url = f"{self._root}/archive/{profile.name}/{digest.id}.html"
        if self._root and "feeds" in profile.channels:
            feeds = [
                (FEEDS[form].label, f"{self._root}/feeds/{profile.name}/{FEEDS[form].file}")
                for form in self.formats
            ]
        if recipient and self.stop_link is not None:
            stop_url = http_url(self.stop_link(profile.name, recipient))
        said = beats(digest)
        return {
            "title": shortened(digest.title, _LONGEST_TITLE),
            "name": profile.name,
            "day": weekday(due(profile, digest)),
            "heartbeat": " · ".join(said),
            "beats": said,
            "coverage": coverage(digest),
            "catching_up": catching_up(digest),
            "changes": changes(digest),
            "gaps": [(source_label(report.source), shortfall(report)) for report in gaps(digest)],
            "waiting": waiting(digest),
            "too_old": too_old(digest),
            "archive_url": archive_url,
            "feeds": feeds,
            "stop_url": stop_url,
        }

    def _contents(self, profile: Profile, digest: Digest, extent: Extent) -> dict[str, Any]:
        """The papers, and what is to be said of how they are shown."""
        sections = []
        left = extent.titles
        shares = _in_turn([len(section.recommendations) for section in digest.sections], extent.cards)
        for section, share in zip(digest.sections, shares, strict=True):
            items = section.recommendations
            by_title = items[share : share + left]
            left -= len(by_title)
            if share or by_title:
                sections.append(
                    {
                        "heading": shortened(section.interest, _LONGEST_TITLE),
                        "papers": quantity(len(items), "paper"),
                        "explanation": explained(section.kind),
                        "cards": Cards(self._cards(profile, digest, items[:share], section.interest, extent)),
                        "titles": self._items(by_title),
                    }
                )
        papers = sum(len(section.recommendations) for section in digest.sections)
        more = max(papers - extent.cards + len(digest.overflow) - extent.titles, 0)
        return {
            "sections": sections,
            "titles": self._items(digest.overflow[:left]),
            "more": str(more) if more else "",
            "near_misses": Cards([self._item(item.paper, (), item.missing) for item in digest.near_misses]),
            "note": _note(extent, papers, archived="archive" in profile.channels and bool(self._root)),
        }

    def _items(self, items: Sequence[Recommendation]) -> Cards:
        return Cards([self._item(item.paper, item.matches, ()) for item in items])

    def _cards(
        self,
        profile: Profile,
        digest: Digest,
        items: Sequence[Recommendation],
        heading: str,
        extent: Extent,
    ) -> Iterator[Card]:
        for item in items:
            yield self._card(item.paper, item.listings, item.matches, item.note, heading, extent.abstract)
            if self.opinion_link is None:
                continue
            links = [
                (label, http_url(self.opinion_link(profile.name, item.paper.id, action)))
                for label, action in _OFFERED
            ]
            # None if it is too long to be opened.
            if opinions := [(label, url) for label, url in links if url]:
                yield Card(partial(self._asking, Values({"opinions": opinions}, profile, digest)))

    def _asking(self, values: Values, form: Form) -> str:
        return frame.joined(self._pieces("email_opinions", form, values))

    def _new_card(
        self,
        paper: Paper,
        listings: tuple[Listing, ...],
        matches: tuple[Match, ...],
        note: str,
        heading: str,
        abstract_limit: int,
    ) -> Card:
        item = Evidence(paper, listings, matches, note)
        values = {"item": item, "paper": paper, "heading": heading, "abstract_limit": abstract_limit}
        return self._new("email_card", values)

    def _new_item(self, paper: Paper, matches: tuple[Match, ...], missing: tuple[str, ...]) -> Card:
        values = {"item": Evidence(paper, (), matches, ""), "paper": paper, "missing": missing}
        return self._new("email_item", values)

    def _new(self, name: str, values: Mapping[str, object]) -> Card:
        def draw(form: Form) -> str:
            text = self._rendered(name, form, values)
            return text if form == "html" else wrapped(text)

        return Card(draw)

    # --- how it is put together ---------------------------------------------------------------

    def _page(self, form: Form, values: Values) -> str:
        """A part: the template, filled in."""

        def shown(value: str | Cards) -> str:
            return Finished(frame.joined(value.pieces(form))) if isinstance(value, Cards) else value

        text = self._rendered("email", form, _given(values) | _mapped(values.words, shown))
        return (text if form == "html" else wrapped(text)).rstrip("\n") + "\n"

    def _pieces(self, name: str, form: Form, values: Values) -> list[Piece]:
        """A template in pieces, filled in before where that can be.

        Our own templates print texts and ask whether there are any, and nothing else: so what they give
        is known by that. Somebody's own may do more.
        """
        shape, texts, cards = values.flat
        key = (name, form, *shape)
        made = self._frames.get(key)
        if made is None:
            is_ours = is_own(self.environment, f"{name}.{form}.j2")
            made = self._frame(name, form, values, with_marks=is_ours)
            if is_ours:
                self._frames[key] = made
        is_markup = form == "html"
        printed_texts = [text and printed(text, is_markup=is_markup) for text in texts]
        return list(made.filled(printed_texts, [block.pieces(form) for block in cards]))

    def _frame(self, name: str, form: Form, values: Values, *, with_marks: bool) -> Frame:
        texts, blocks = count(), count()

        def marked(value: str | Cards) -> str:
            if isinstance(value, Cards):
                mark = frame.block_mark(next(blocks))
            else:
                number = next(texts)
                if not with_marks:
                    return value
                mark = frame.text_mark(number)
            return Finished(mark) if value else ""

        given = {} if with_marks else _given(values)
        text = self._rendered(name, form, given | _mapped(values.words, marked))
        return Frame(text.rstrip("\n"), wrapped if form == "txt" else str)

    @cached_property
    def _css(self) -> object:
        """The styles of elements by name."""
        return defined(self.environment, "email_style.html.j2", "css")

    def _rendered(self, name: str, form: Form, values: Mapping[str, object]) -> str:
        text = render(self.environment, f"{name}.{form}.j2", **values, css=self._css)
        if not text.strip():
            raise RenderError(
                "the template gives nothing",
                place=f"templates/{name}.{form}.j2",
                remedy="Write what it should show, or take it away",
            )
        return text


def _given(values: Values) -> dict[str, object]:
    return {"profile": values.profile, "digest": values.digest}


def _mapped(value: Any, shown: Callable[[str | Cards], str]) -> Any:  # noqa: ANN401
    """Values with what is shown of each in its place, in the order of `Values.flat`."""
    if isinstance(value, str | Cards):
        return shown(value)
    if isinstance(value, dict):
        return {name: _mapped(inner, shown) for name, inner in value.items()}
    return [_mapped(inner, shown) for inner in value]


def _size(pieces: Iterable[Piece]) -> int:
    return sum(piece.size for piece in pieces)


@lru_cache(maxsize=8)
def _date(issued_at: datetime) -> str:
    return format_datetime(issued_at.astimezone(UTC))


def _most(limit: int, size: Callable[[int], int]) -> int:
    """The greatest number up to a limit whose size is within the budget, else 0."""
    return max(bisect_right(range(limit + 1), BUDGET, key=size) - 1, 0)


def _in_turn(numbers: Sequence[int], total: int) -> list[int]:
    """How much each gets of a total that is given out one by one, to each as much as it can take."""
    shares = [0] * len(numbers)
    for turn in range(max(numbers, default=0)):
        for at, number in enumerate(numbers):
            if turn < number and total > 0:
                shares[at] += 1
                total -= 1
    return shares


def _note(extent: Extent, papers: int, *, archived: bool) -> str:
    """What was left out, in a sentence; empty if nothing was."""
    steps = []
    if extent.abstract < _ABSTRACTS[0]:
        steps.append(f"abstracts end after {extent.abstract} characters")
    if extent.cards < papers:
        by_title = papers - extent.cards
        steps.append(f"{quantity(by_title, 'paper')} {'is' if by_title == 1 else 'are'} shown by title")
    if not steps:
        return ""
    return f"To keep this mail whole, {' and '.join(steps)}." + (
        " The archive has everything." if archived else ""
    )


def subject(digest: Digest) -> str:
    """What is in the mail: "6 papers: Swin 4, Talking face 2"."""
    total, parts = counts(digest)
    if not total:
        return heartbeat(digest) + (
            ", not all sources were read" if any(report.fell_short for report in digest.reports) else ""
        )
    named = list(parts[:_SUBJECT_PARTS])
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
