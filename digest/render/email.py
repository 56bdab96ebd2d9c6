"""The mail: plain text and HTML of equal worth in one message.

Gmail cuts HTML off near 102 KB, so the HTML part is kept below 80 KB: abstracts become shorter step by step,
then the tail becomes a list of titles, then the list ends in "and N more".
The mail says so. The plain text takes the first two steps too, because filters distrust parts that differ
(SpamAssassin's MPART_ALT_DIFF_COUNT: 2.8 points for 300 papers), but never the third: it names every paper.

A part is one template, filled in: that is `html` and `text`.
A message is the same, made faster: a paper with its evidence is a card, which is drawn and encoded once for
all readers who have the same reasons, and what of it does not hang on reasons once for all; the template
around the cards is filled in once for all mails that differ in their words alone (`digest.core.frame`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cached_property, lru_cache, partial
from hashlib import sha256
from itertools import count
from typing import Any, Literal

import jinja2

from digest.core import frame
from digest.core.addresses import http_url, joined, links, page
from digest.core.feedback import Action
from digest.core.frame import Blocks, Finish, Frame, Kept, Piece, Pieces
from digest.core.highlight import Span, spans, why
from digest.core.lines import one_line, shortened
from digest.core.mailbox import Mailbox, parse
from digest.core.message import assemble, quoted_printable
from digest.core.model import Digest, Field, Listing, Match, Paper, PaperId, Profile, Recommendation
from digest.core.phrases import (
    beats,
    byline,
    catching_up,
    changes,
    counts,
    coverage,
    due_in,
    explained,
    facts,
    gaps,
    heartbeat,
    quantity,
    shortfall,
    source_label,
    too_old,
    waiting,
    weekday,
)
from digest.core.tex import readable
from digest.errors import RenderError
from digest.render import FEEDS, WIDTH, Finished, defined, is_own, marked, printed, render, starred, wrapped

BUDGET = 80_000
"""Bytes of the HTML part, before transfer encoding."""

_ABSTRACTS = (5000, 900, 600, 300)  # characters; the longest holds every abstract that is one
_CARDS = 10  # at least so many papers keep their abstract before the list of titles is cut
_KEPT = 4096  # cards of somebody's own template, about 10 KB each
_KEPT_OF_OURS = 1 << 15  # most of whose lines are those of others, too
_ROOM = 128_000_000  # bytes of these
_FRAMES = 1 << 10  # templates filled in with marks, of about 20 KB
_MARKUP = re.compile("[<>&\"']")
_SUBJECT_PARTS = 5
_LONGEST_NAME = 80
_LONGEST_TITLE = 200
_LONGEST_HEADING = 300  # characters of a paper's title, as of the next ones
_LONGEST_AUTHORS = 400
_LONGEST_REASON = 300

_OFFERED: tuple[tuple[str, Action], ...] = (("More like this", "like"), ("Less like this", "dislike"))

_MARKED: tuple[Field, ...] = ("title", "author", "abstract")

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

    def __init__(self, draw: Callable[[Form], Pieces]) -> None:
        self._draw = draw

    @cached_property
    def html(self) -> Pieces:
        """In the HTML."""
        return self._draw("html")

    @cached_property
    def txt(self) -> Pieces:
        """In the plain text."""
        return self._draw("txt")


class Cards(tuple[Card, ...]):
    """Cards that stand together."""

    __slots__ = ()

    def pieces(self, form: Form) -> list[Pieces]:
        """What they are in a part."""
        return [card.html if form == "html" else card.txt for card in self]


@dataclass(frozen=True)
class Values:
    """What a template such as `email.*.j2` is given."""

    words: dict[str, Any]  # texts, `Cards`, and lists and mappings of such
    given: dict[str, object]  # for templates of one's own
    common: dict[str, Any] = field(default_factory=dict)  # the words of which there are few
    encoded: dict[Form, list[bytes]] = field(default_factory=dict)  # parts, as they stand in a message

    @cached_property
    def flat(self) -> tuple[list[object], list[str], list[Cards]]:
        """What a template can tell of the words without printing them, and what it prints, in one order."""
        shape: list[object] = [*self.common.values()]
        texts: list[str] = []
        cards: list[Cards] = []

        _flatten(self.words.values(), shape, texts, cards)
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
        self._card = lru_cache(maxsize=_KEPT_OF_OURS)(self._new_card)
        self._foreign_card = lru_cache(maxsize=_KEPT)(self._new_foreign_card)
        self._item = lru_cache(maxsize=_KEPT)(self._new_item)
        self._as_markup = lru_cache(maxsize=_KEPT)(_as_markup)
        self._constant = lru_cache(maxsize=_KEPT)(self._new_constant)
        self._shown = lru_cache(maxsize=_KEPT)(self._new_shown)
        self._frames: dict[tuple[object, ...], Frame] = {}
        self._read_for: tuple[object, ...] = ()
        self._read: tuple[str, str, tuple[tuple[str, str], ...]] = "", "", ()
        self._kept = Kept(_ROOM)
        self._ours: dict[str, bool] = {}

    def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        """The message for one recipient, RFC 5322 with CRLF. Raises RenderError."""
        html, txt = self._fitted(profile, digest, recipient)
        parts = {"plain": self._encoded("txt", txt), "html": self._encoded("html", html)}
        return self._message(profile, digest, recipient, parts, stop_url=html.words["stop_url"])

    def compose_plainly(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        """The same bytes, made for this mail alone, each part as a whole. Raises RenderError."""
        alone = replace(self)
        parts = {
            "plain": [quoted_printable(alone.text(profile, digest, recipient))],
            "html": [quoted_printable(alone.html(profile, digest, recipient))],
        }
        stop_url = self._stop_url(profile, recipient)
        return self._message(profile, digest, recipient, parts, stop_url=stop_url)

    def html(self, profile: Profile, digest: Digest, recipient: str = "") -> str:
        """The HTML part, as much of the digest as 80 KB hold. Raises RenderError."""
        return self._page("html", self._fitted(profile, digest, recipient)[0])

    def text(self, profile: Profile, digest: Digest, recipient: str = "") -> str:
        """The plain text, with every paper. Raises RenderError."""
        return self._page("txt", self._fitted(profile, digest, recipient)[1])

    def _message(
        self,
        profile: Profile,
        digest: Digest,
        recipient: str,
        parts: dict[str, list[bytes]],
        *,
        stop_url: str,
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

    def _fitted(self, profile: Profile, digest: Digest, recipient: str) -> tuple[Values, Values]:
        """What both parts show where the HTML shows the most that the budget allows."""
        around = self._around(profile, digest, recipient)
        papers = sum(len(section.recommendations) for section in digest.sections)
        everything = papers + len(digest.overflow)

        def values(extent: Extent) -> Values:
            return self._values(profile, digest, extent, around)

        def size(cards: int, titles: int) -> int:
            return self._size(values(Extent(_ABSTRACTS[-1], cards, titles)))

        for abstract in _ABSTRACTS:
            html = values(Extent(abstract, papers, everything))
            if self._fits(html):
                return html, html
        # What an interest chose stands at least by its title before anything of the overflow does.
        cards = max(_most(papers, lambda cards: size(cards, papers - cards)), min(papers, _CARDS))
        titles = _most(everything - cards, lambda titles: size(cards, titles))
        if not titles:
            cards = _most(cards, lambda cards: size(cards, 0))
        html = values(Extent(abstract, cards, titles))
        return html, values(Extent(abstract, cards, everything))

    def _stop_url(self, profile: Profile, recipient: str) -> str:
        if not recipient or self.stop_link is None:
            return ""
        return http_url(self.stop_link(profile.name, recipient))

    def _around(self, profile: Profile, digest: Digest, recipient: str) -> Values:
        """The words around the papers."""
        archive_url, feeds = "", []
        # A profile's and a digest's names need no escaping.
        if self._root and "archive" in profile.channels:
            archive_url = f"{self._root}/archive/{profile.name}/{digest.id}.html"
        if self._root and "feeds" in profile.channels:
            feeds = [
                (FEEDS[form].label, f"{self._root}/feeds/{profile.name}/{FEEDS[form].file}")
                for form in self.formats
            ]
        said = beats(digest)
        read = digest.reports, digest.told, digest.since, digest.issued_at
        if read != self._read_for:  # those of most digests of a run are the same
            fallen = tuple([(source_label(report.source), shortfall(report)) for report in gaps(digest)])
            self._read_for, self._read = read, (coverage(digest), changes(digest), fallen)
        covered, changed, fallen = self._read
        return Values(
            {
                "title": shortened(digest.title, _LONGEST_TITLE),
                "name": profile.name,
                "beats": said,
                "archive_url": archive_url,
                "feeds": feeds,
                "stop_url": self._stop_url(profile, recipient),
            },
            {"profile": profile, "digest": digest, "heartbeat": " · ".join(said)},
            {
                "day": _weekday(digest.slot, profile.schedule.timezone if profile.schedule else None),
                "coverage": covered,
                "catching_up": catching_up(digest),
                "changes": changed,
                "gaps": fallen,
                "waiting": waiting(digest),
                "too_old": too_old(digest),
            },
        )

    def _values(self, profile: Profile, digest: Digest, extent: Extent, around: Values) -> Values:
        """These words, the papers, and what is to be said of how they are shown."""
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
        papers = sum([len(section.recommendations) for section in digest.sections])
        more = max(papers - extent.cards + len(digest.overflow) - extent.titles, 0)
        words = {
            "sections": sections,
            "titles": self._items(digest.overflow[:left]),
            "more": str(more) if more else "",
            "near_misses": Cards([self._item(item.paper, (), item.missing) for item in digest.near_misses]),
        }
        note = _note(extent, papers, archived="archive" in profile.channels and bool(self._root))
        return Values(around.words | words, around.given, {**around.common, "note": note})

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
        by_reasons = self._is_ours("email_card.html.j2") and self._is_ours("email_card.txt.j2")
        for item in items:
            matches = item.matches
            if by_reasons:  # what interests are called is shown of the others alone
                names = dict.fromkeys([match[0] for match in matches])
                names.pop(heading, None)
                found = tuple([match[1:] for match in matches])
                yield self._card(item.paper, item.listings, found, item.note, tuple(names), extent.abstract)
            else:
                given = item.paper, item.listings, matches, item.note, heading, extent.abstract
                yield self._foreign_card(*given)
            if self.opinion_link is None:
                continue
            links = [
                (label, http_url(self.opinion_link(profile.name, item.paper.id, action)))
                for label, action in _OFFERED
            ]
            # None if it is too long to be opened.
            if opinions := [(label, url) for label, url in links if url]:
                yield Card(
                    partial(
                        self._asking, Values({"opinions": opinions}, {"profile": profile, "digest": digest})
                    )
                )

    def _asking(self, values: Values, form: Form) -> Pieces:
        filled, texts, _ = self._filled("email_opinions", form, values)
        return Pieces([Piece(filled.text(texts))])

    def _new_card(
        self,
        paper: Paper,
        listings: tuple[Listing, ...],
        found: tuple[tuple[str, Field, int, int], ...],
        note: str,
        also: tuple[str, ...],
        abstract_limit: int,
    ) -> Card:
        matches = tuple([Match("", *one) for one in found])
        words = self._card_words(Evidence(paper, listings, matches, note), also, abstract_limit)
        return self._new("email_card", {}, words, "abstract")

    def _new_foreign_card(
        self,
        paper: Paper,
        listings: tuple[Listing, ...],
        matches: tuple[Match, ...],
        note: str,
        heading: str,
        abstract_limit: int,
    ) -> Card:
        item = Evidence(paper, listings, matches, note)
        given = {"item": item, "paper": paper, "heading": heading, "abstract_limit": abstract_limit}
        also = tuple(name for name in item.interests if name != heading)
        return self._new("email_card", given, self._card_words(item, also, abstract_limit), "abstract")

    def _card_words(
        self, item: Evidence, also: tuple[str, ...], abstract_limit: int
    ) -> Callable[[Form], dict[str, Any]]:
        paper = item.paper
        authors, more_authors, stated, url, addresses = self._constant(paper, item.listings)
        in_title, in_authors, in_abstract = (spans(item, name) for name in _MARKED)
        reasons = _reasons(item)

        def words(form: Form) -> dict[str, Any]:
            return {
                "title": self._shown(form, paper.title, in_title, _LONGEST_HEADING),
                "authors": self._shown(form, authors, in_authors, _LONGEST_AUTHORS),
                "more_authors": more_authors,
                "stated": stated,
                "url": url,
                "abstract": self._shown(form, paper.abstract, in_abstract, abstract_limit),
                "addresses": addresses,
                "reasons": reasons,
                "remark": item.note,
                "also": also,
            }

        return words

    def _new_item(self, paper: Paper, matches: tuple[Match, ...], missing: tuple[str, ...]) -> Card:
        item = Evidence(paper, (), matches, "")
        found = spans(item, "title")

        def words(form: Form) -> dict[str, Any]:
            return {
                "title": self._shown(form, paper.title, found, _LONGEST_HEADING),
                "url": page(paper),
                "lacking": shortened("; ".join(missing), _LONGEST_REASON),
                "reasons": [] if found else _reasons(item),
            }

        return self._new("email_item", {"item": item, "paper": paper, "missing": missing}, words)

    def _new_constant(self, paper: Paper, listings: tuple[Listing, ...]) -> tuple[Any, ...]:
        """What a card shows that no reason changes."""
        stated = facts(Evidence(paper, listings, (), ""))
        return *byline(paper), stated, page(paper), [list(one) for one in links(paper)]

    def _new_shown(self, form: Form, text: str, found: tuple[Span, ...], limit: int) -> str:
        if form == "html":
            return Finished(marked(text, found, limit, style=self._mark))
        return starred(text, found, limit)

    @cached_property
    def _mark(self) -> str:
        css = self._css
        return str(css["mark"]) if isinstance(css, Mapping) else ""

    def _new(
        self,
        name: str,
        given: dict[str, object],
        words: Callable[[Form], dict[str, Any]],
        apart: str = "",
    ) -> Card:
        """A card, in which one word may be long; the words are all that a template of ours asks for."""

        def draw(form: Form) -> Pieces:
            values = Values(words(form), given)
            if self._is_ours(f"{name}.{form}.j2"):
                frame_of_all = self._frame(name, form, values, apart)
                return frame_of_all.in_common(self._printed(form, values), self._kept)
            text = self._rendered(name, form, given | values.words)
            return Pieces([Piece(text if form == "html" else wrapped(text))])

        return Card(draw)

    # --- how it is put together ---------------------------------------------------------------

    def _page(self, form: Form, values: Values) -> str:
        """A part: the template, filled in."""

        def shown(value: str | Cards) -> str:
            return Finished(frame.joined(value.pieces(form))) if isinstance(value, Cards) else value

        text = self._rendered("email", form, values.given | values.common | _mapped(values.words, shown))
        return (text if form == "html" else wrapped(text)).rstrip("\n") + "\n"

    def _encoded(self, form: Form, values: Values) -> list[bytes]:
        """The lines of a part as they stand in a message."""
        found = values.encoded.get(form)
        if found is None:
            filled, texts, blocks = self._filled("email", form, values)
            found = values.encoded[form] = filled.encoded(texts, blocks)
        return found

    def _fits(self, values: Values) -> bool:
        # Encoded it is longer, and it will be asked for.
        return sum(map(len, self._encoded("html", values))) <= BUDGET or self._size(values) <= BUDGET

    def _size(self, values: Values) -> int:
        """Bytes of the HTML."""
        filled, texts, blocks = self._filled("email", "html", values)
        return len(filled.text(texts, blocks).encode())

    def _filled(self, name: str, form: Form, values: Values) -> tuple[Frame, list[str], Blocks]:
        """A template, and what is to be filled in."""
        blocks = [block.pieces(form) for block in values.flat[2]]
        return self._frame(name, form, values), self._printed(form, values), blocks

    def _printed(self, form: Form, values: Values) -> list[str]:
        texts = values.flat[1]
        if form == "txt":
            is_plain = "".join(texts).isprintable()
            return texts if is_plain else [printed(text, is_markup=False) for text in texts]
        together = "".join(texts)
        if not _MARKUP.search(together) and together.isprintable():
            return texts
        return [text if type(text) is Finished else self._as_markup(text) for text in texts]

    def _frame(self, name: str, form: Form, values: Values, apart: str | None = None) -> Frame:
        """A template, filled in before where that can be.

        Our own templates print texts and ask whether there are any, and nothing else: so what they give
        is known by that. Somebody's own may do more.
        """
        if not self._is_ours(f"{name}.{form}.j2"):
            return self._new_frame(name, form, values, with_marks=False)
        key = (name, form, *values.flat[0])
        found = self._frames.get(key)
        if found is None:
            if len(self._frames) >= _FRAMES:
                self._frames.clear()
            found = self._frames[key] = self._new_frame(name, form, values, apart)
        return found

    def _new_frame(
        self, name: str, form: Form, values: Values, apart: str | None = None, *, with_marks: bool = True
    ) -> Frame:
        texts, blocks = count(), count()
        alone: list[int] = []

        def in_place(value: str | Cards) -> str:
            if isinstance(value, Cards):
                mark = frame.block_mark(next(blocks))
            else:
                number = next(texts)
                if not with_marks:
                    return value
                if apart and value is values.words[apart]:
                    alone.append(number)
                mark = frame.text_mark(number)
            return Finished(mark) if value else ""

        given = values.common if with_marks else values.given | values.common
        text = self._rendered(name, form, given | _mapped(values.words, in_place))
        finish = Finish(wrapped, WIDTH) if form == "txt" else None
        return Frame(text.rstrip("\n"), finish, apart=None if apart is None else alone)

    def _is_ours(self, name: str) -> bool:
        found = self._ours.get(name)
        if found is None:
            found = self._ours[name] = is_own(self.environment, name)
        return found

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


def _flatten(values: Iterable[Any], shape: list[object], texts: list[str], cards: list[Cards]) -> None:
    for value in values:
        kind = type(value)
        if kind is str or kind is Finished:
            shape.append(value != "")
            texts.append(value)
        elif kind is Cards:
            shape.append(len(value) > 0)
            cards.append(value)
        else:
            shape.append(len(value))
            _flatten(value.values() if kind is dict else value, shape, texts, cards)


def _as_markup(text: str) -> str:
    return str(printed(text, is_markup=True))  # no Markup: what is joined to that is escaped, or slow


def _reasons(item: Evidence) -> list[list[str]]:
    return [[readable(keyword).text, where] for keyword, where in why(item)]


def _mapped(value: Any, shown: Callable[[str | Cards], str]) -> Any:  # noqa: ANN401
    """Values with what is shown of each in its place, in the order of `Values.flat`."""
    if isinstance(value, str | Cards):
        return shown(value)
    if isinstance(value, dict):
        return {name: _mapped(inner, shown) for name, inner in value.items()}
    return [_mapped(inner, shown) for inner in value]


@lru_cache(maxsize=64)
def _weekday(slot: datetime, timezone: str | None) -> str:
    return weekday(due_in(timezone, slot))


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
