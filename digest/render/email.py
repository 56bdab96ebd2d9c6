"""The mail: plain text and HTML of equal worth in one message.

Gmail cuts HTML off near 102 KB, so the HTML part is kept below 80 KB: abstracts become shorter step by step,
then the tail becomes a list of titles, then the list ends in "and N more".
The mail says so. The plain text takes the first two steps too, because filters distrust parts that differ
(SpamAssassin's MPART_ALT_DIFF_COUNT: 2.8 points for 300 papers), but never the third: it names every paper.

Headers are written here rather than by `email.policy`: Python 3.11's folds a long quoted name in two
and turns a hostile subject into a header of its own (CVE-2024-6923).
The finished bytes are read again and compared before anybody gets them.
"""

from __future__ import annotations

import base64
import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP, compat32
from email.utils import format_datetime, parseaddr
from functools import partial
from hashlib import sha256

import css_inline
import jinja2

from digest.core.feedback import Action
from digest.core.mailbox import Mailbox, parse
from digest.core.model import Digest, Paper, PaperId, Profile, Recommendation
from digest.errors import RenderError
from digest.render import FEEDS, counts, due, gaps, http_url, joined, one_line, quantity, render, shortened

BUDGET = 80_000
"""Bytes of the HTML part, before transfer encoding."""

_ABSTRACTS = (5000, 900, 600, 300)  # characters; the longest holds every abstract that is one
_CARDS = 10  # at least so many papers keep their abstract before the list of titles is cut
_SUBJECT_PARTS = 5
_LONGEST_NAME = 80
_LINE = 76  # RFC 2047, 2: a line that holds an encoded word; also the line of quoted-printable
_CHUNK = 39  # bytes in an encoded word, which makes 64 characters of it
_LONGEST_LINE = 998  # RFC 5322, 2.1.1
_MIME = ("MIME-Version", "Content-Type")

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")  # RFC 5322, 3.2.3, with spaces
_POLICY = SMTP.clone(max_line_length=_LINE, cte_type="7bit")
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a digest the HTML part shows."""

    abstract: int  # characters of each abstract
    cards: int  # papers shown in full, the others by title
    titles: int  # titles listed, the others counted


class EmailRenderer:
    """Composes a digest as a message, and as the two texts that it is made of.

    `opinion_link` gives the address where a profile says what it thinks of a paper; without it no
    card asks.
    """

    def __init__(
        self,
        environment: jinja2.Environment,
        *,
        sender: str,
        base_url: str | None,
        formats: tuple[str, ...] = ("rss", "atom", "json"),
        opinion_link: Callable[[str, PaperId, Action], str] | None = None,
    ) -> None:
        self._environment = environment
        self._sender = sender
        self._base_url = base_url
        self._formats = formats
        self._opinion_link = opinion_link

    def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        """The message for one recipient, RFC 5322 with CRLF. Raises RenderError."""
        sender, reader = mailbox(self._sender, "From"), mailbox(recipient, "To")
        key = sha256(f"{digest.id}\n{reader.address}".encode()).hexdigest()[:32]
        headers: dict[str, str | Mailbox] = {
            "From": sender,
            "To": reader,
            "Subject": subject(digest),
            "Date": format_datetime(digest.issued_at.astimezone(UTC)),
            "Message-ID": f"<{key}@{sender.domain}>",
            "List-Id": f"<{profile.name}.digest.{sender.domain}>",  # RFC 2919, 2
            "Auto-Submitted": "auto-generated",  # RFC 3834, 5
            "X-Auto-Response-Suppress": "All",  # the same for Exchange
        }
        extent = self._extent(profile, digest)
        parts = {"plain": self._text(profile, digest, extent), "html": self._html(profile, digest, extent)}
        message = EmailMessage(policy=_POLICY)
        message.make_alternative()
        for subtype, content in parts.items():
            part = EmailMessage(policy=_POLICY)
            part.set_content(content, subtype=subtype, charset="utf-8", cte="quoted-printable")
            del part["MIME-Version"]  # RFC 2045, 4: of the whole message
            message.attach(part)
        message["MIME-Version"] = "1.0"
        message.set_boundary(f"=_{key}")  # "=_" cannot stand in quoted-printable (RFC 2045, 6.7)
        head = "".join(f"{_folded(name, value)}\r\n" for name, value in headers.items())
        finished = head.encode("ascii") + message.as_bytes()
        _check(finished, headers, parts)
        return finished

    def html(self, profile: Profile, digest: Digest) -> str:
        """The HTML part, as much of the digest as 80 KB hold. Raises RenderError."""
        return self._html(profile, digest, self._extent(profile, digest))

    def text(self, profile: Profile, digest: Digest) -> str:
        """The plain text, with every paper. Raises RenderError."""
        return self._text(profile, digest, self._extent(profile, digest))

    def _extent(self, profile: Profile, digest: Digest) -> Extent:
        """The most that the HTML part can show within the budget."""

        def size(extent: Extent) -> int:
            return len(self._html(profile, digest, extent).encode())

        papers = len(digest.recommendations)
        everything = papers + len(digest.overflow)
        for abstract in _ABSTRACTS:
            extent = Extent(abstract, papers, everything)
            if size(extent) <= BUDGET:
                return extent
        few = min(papers, _CARDS)
        titles = _most(everything, lambda titles: size(replace(extent, cards=few, titles=titles)))
        cards = _most(papers, lambda cards: size(replace(extent, cards=cards, titles=titles)))
        return replace(extent, cards=cards, titles=titles)

    def _html(self, profile: Profile, digest: Digest, extent: Extent) -> str:
        return _INLINER.inline(self._filled("email.html.j2", profile, digest, extent)).rstrip() + "\n"

    def _text(self, profile: Profile, digest: Digest, extent: Extent) -> str:
        everything = len(digest.recommendations) + len(digest.overflow)
        return self._filled("email.txt.j2", profile, digest, replace(extent, titles=everything))

    def _filled(self, name: str, profile: Profile, digest: Digest, extent: Extent) -> str:
        sections: list[tuple[str, int, list[Recommendation]]] = []
        left = extent.cards
        tail: list[Recommendation] = []
        for section in digest.sections:
            shown = list(section.recommendations[:left])
            left -= len(shown)
            tail += section.recommendations[len(shown) :]
            if shown:
                sections.append((section.interest, len(section.recommendations), shown))
        tail += digest.overflow
        archive_url = ""
        if "archive" in profile.channels:
            archive_url = joined(self._base_url, "archive", profile.name, f"{digest.id}.html")
        feeds = []
        if joined(self._base_url) and "feeds" in profile.channels:
            feeds = [
                (FEEDS[form].label, joined(self._base_url, "feeds", profile.name, FEEDS[form].file))
                for form in self._formats
            ]
        filled = render(
            self._environment,
            name,
            profile=profile,
            digest=digest,
            due=due(profile, digest),
            sections=sections,
            abstract_limit=extent.abstract,
            note=_note(digest, extent, archived=bool(archive_url)),
            titles=tail[: extent.titles],
            more=max(len(tail) - extent.titles, 0),
            archive_url=archive_url,
            feeds=feeds,
            opinions=partial(self._opinions, profile),
        )
        return filled.rstrip() + "\n"

    def _opinions(self, profile: Profile, paper: Paper) -> list[tuple[str, str]]:
        """What a reader may say of a paper, as label and address."""
        if self._opinion_link is None:
            return []
        offered: tuple[tuple[str, Action], ...] = (("More like this", "like"), ("Less like this", "dislike"))
        links = [
            (label, http_url(self._opinion_link(profile.name, paper.id, action))) for label, action in offered
        ]
        return [(label, url) for label, url in links if url]  # none if it is too long to be opened


def _most(limit: int, size: Callable[[int], int]) -> int:
    """The greatest number up to a limit whose size is within the budget, else 0."""
    return max(bisect_right(range(limit + 1), BUDGET, key=size) - 1, 0)


def _note(digest: Digest, extent: Extent, *, archived: bool) -> str:
    """What was left out, in a sentence; empty if nothing was."""
    steps = []
    if extent.abstract < _ABSTRACTS[0]:
        steps.append(f"abstracts end after {extent.abstract} characters")
    if extent.cards < len(digest.recommendations):
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
            ", not all sources were read" if gaps(digest) else ""
        )
    named = [shortened(one_line(part), _LONGEST_NAME) for part in parts[:_SUBJECT_PARTS]]
    if len(parts) > len(named):
        named.append("and more")
    return _harmless(f"{quantity(total, 'paper')}: {', '.join(named)}")


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


def _folded(name: str, value: str | Mailbox) -> str:
    """A header in lines of at most 76 characters, where its words allow it."""
    if isinstance(value, Mailbox):
        words = [*_phrase(value.name), f"<{value.address}>"] if value.name else [value.address]
    else:
        words = value.split(" ") if value.isascii() else _encoded_words(value)
    line, lines = f"{name}:", []
    for word in words:
        if len(line) + 1 + len(word) > _LINE and not line.endswith(":"):
            lines.append(line)
            line = ""
        line = f"{line} {word}"
    return "\r\n".join([*lines, line])


def _phrase(name: str) -> list[str]:
    if not name.isascii():
        return _encoded_words(name)
    if _ATOMS.fullmatch(name):
        return name.split(" ")
    return ['"' + re.sub(r'(["\\])', r"\\\1", name) + '"']


def _encoded_words(text: str) -> list[str]:
    # RFC 2047, 2 and 5: at most 75 characters each, and no character cut in two.
    words, chunk = [], b""
    for character in (character.encode() for character in text):
        if len(chunk) + len(character) > _CHUNK:
            words.append(chunk)
            chunk = b""
        chunk += character
    return [f"=?utf-8?b?{base64.b64encode(chunk).decode('ascii')}?=" for chunk in [*words, chunk]]


def _check(finished: bytes, headers: dict[str, str | Mailbox], parts: dict[str, str]) -> None:
    """Read the message as a stranger would. Raises RenderError if it is not what was meant."""
    message = BytesParser(policy=compat32).parsebytes(finished)
    read = [(name, _read(name, value)) for name, value in message.items() if name not in _MIME]
    texts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    if (
        read != list(headers.items())
        or texts != [text.replace("\n", "\r\n").encode() for text in parts.values()]
        or max(map(len, finished.split(b"\r\n"))) > _LONGEST_LINE
    ):
        meant = [*headers.items(), ("body", "")]
        wrong = next(
            (want[0] for want, got in zip(meant, [*read, ("", "")], strict=False) if want != got), "body"
        )
        raise RenderError(
            f"the finished message does not read back as it was meant: {wrong}",
            remedy="Nothing was sent. Please report it together with the profile",
        )


def _read(name: str, value: str) -> str | Mailbox:
    unfolded = re.sub(r"\r\n(?=[ \t])", "", value)
    if name not in {"From", "To"}:
        return _decoded(unfolded)
    display, address = parseaddr(unfolded)
    return Mailbox(_decoded(display), address)


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except HeaderParseError:
        return ""
