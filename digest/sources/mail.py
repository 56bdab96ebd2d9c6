"""E-mail alerts, saved as `.eml`: arXiv's own, Google Scholar's, and others that link to papers.

    message → text | HTML → entries → Listings

The day of the message is the day of the listing.
"""

from __future__ import annotations

import email
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date
from email.message import Message
from email.utils import parsedate_to_datetime
from itertools import islice, takewhile
from urllib.parse import parse_qs, urlsplit

from lxml import etree

from digest.core import identity, wire
from digest.core.model import Listing, Page, Paper, Reading
from digest.core.plain import undo_markup
from digest.errors import LayoutError

_HEADER = re.compile(rb"([!-9;-~]+):|[ \t]")
_TELLING = {b"date", b"received", b"message-id", b"mime-version", b"return-path"}
_MOST_HEADERS = 500  # lines; a message that was passed on has some 150
_LONGEST_TYPE = 2_000  # bytes; the library takes the square of what stands between quotes
_PARAMETERS = re.compile(
    rb"(?:^|[\r\n])content-type:(?:[^\r\n]|(?:\r\n|[\r\n])(?=[ \t])){%d}" % (_LONGEST_TYPE + 1), re.IGNORECASE
)
_MOST_PARTS = 20_000  # lines that begin as between parts; a mailing of 1,000 papers has 2,000
_BOUNDARY = re.compile(rb"boundary", re.IGNORECASE)
_MOST_COMPARED = 50_000_000  # lines × boundaries, with each of which the library may compare each line
_RULE = re.compile(r"^(?:-{20,}|(?:%-){10,}%?|(?:%%--){5,}%*|(?:%%%---){5,}%*)[ \t]*$", re.MULTILINE)
_NUMBER = re.compile(r"(?:arXiv:|Paper: )(\S+)(?P<cross>[ ]*\(\*cross-listing\*\))?")
# The words that arXiv's own reader of these files knows: arxiv-browse, fs_listing.py.
_REPLACED = re.compile(
    r"(?:replaced with revised version|figures added|part added)\s*(?P<date>.*)", re.IGNORECASE
)
_DATE = re.compile(r"Date[^:]{0,30}:\s*(?P<date>.*)")
_FIELD = re.compile(r"(?P<name>[A-Z][A-Za-z-]{2,20}):\s*(?P<value>.*)", re.DOTALL)
_SIZE = re.compile(r"\(\d+kb.*$")
_BRACKETS = re.compile(r"([()])")
_BETWEEN = re.compile(r",\s+(?:and\s+)?|\s+and\s+")
_WRAPPERS = re.compile(r"scholar\.google\.|safelinks\.protection\.outlook\.com$")
_FEWEST_WORDS = 3  # of a link that is a title and not "Read more"
_MOST_WRAPPERS = 5
_BACKSLASHES = "\\\\"  # stand around the abstract of an entry of arXiv


class MailReader:
    """Reads saved messages (RFC 5322)."""

    name = "mail"
    generic = False

    def recognises(self, page: Page) -> bool:
        """Whether the page begins with the header of a message."""
        names: set[bytes] = set()
        for line in page.content.lstrip(b"\xef\xbb\xbf\r\n").splitlines()[:_MOST_HEADERS]:
            if not line.strip():
                break
            found = _HEADER.match(line)
            if not found and not (line.startswith(b"From ") and not names):
                return False
            if found and found[1]:
                names.add(found[1].lower())
        return b"from" in names and bool(names & _TELLING)

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        """The papers that the message speaks of. Raises LayoutError."""
        parts = _parts(page)
        html = _texts(parts, "html")
        wire.check_tags(page, html)
        root = _parsed(html)
        sent_on = _day(str(parts[0].get("Date", ""))) or captured_on
        plain = _texts(parts, "plain") or _text(root)
        if re.search(r"^\\\\\n(?:arXiv:|Paper: )", plain, re.MULTILINE):
            return self._arxiv(page, plain, sent_on)
        for layout, papers in (("scholar", _scholar(root)), ("links", _links(root))):
            listings = tuple(Listing(paper, self.name, sent_on, n) for n, paper in enumerate(papers))
            if listings:
                doubt = "of this mail only titles and links can be read, which may leave papers out"
                return Reading(
                    layout, listings, captured_on=sent_on, notes=(doubt,) if layout == "links" else ()
                )
        raise LayoutError(
            "no papers can be found in this mail",
            place=wire.readable(page.url),
            remedy="digest knows the alerts of arXiv and Google Scholar, and mails in HTML whose links to "
            "arxiv.org or doi.org are titles of papers",
        )

    def _arxiv(self, page: Page, text: str, sent_on: date | None) -> Reading:
        """A mailing of arXiv: blocks between rules, with lines of two backslashes around the abstract."""
        blocks = [block.strip("\n") for block in _RULE.split(text)]
        entries = [block for block in blocks if block.startswith(_BACKSLASHES)]
        listings: list[Listing] = []
        for block in entries:
            if found := _arxiv_paper(block):
                paper, announce_type = found
                listings.append(
                    Listing(paper, self.name, sent_on, len(listings), announce_type=announce_type)
                )
        if not listings:
            raise LayoutError(
                "none of the entries of this mailing of arXiv has a number and a title",
                place=wire.readable(page.url),
                remedy="Save the mail again, whole",
            )
        notes = []
        whole = "\n\\\\ (" in entries[-1]
        if not whole:
            notes.append("the mail is cut short within its last entry")
        if left_out := len(entries) - len(listings):
            notes.append(f"{left_out} of {len(entries)} entries have no number or title and are left out")
        return Reading("arxiv", tuple(listings), captured_on=sent_on, notes=tuple(notes), complete=whole)


# --- messages ---------------------------------------------------------------------------------


def _parts(page: Page) -> list[Message]:
    """The message of a page, and each of its parts. Raises LayoutError."""
    place = wire.readable(page.url)
    if _PARAMETERS.search(page.content):
        raise LayoutError(f"a Content-Type of it has more than {_LONGEST_TYPE:,} bytes", place=place)
    number = page.content.count(b"\n--") + page.content.count(b"\r--")
    lines = page.content.count(b"\n") + page.content.count(b"\r")
    compared = len(_BOUNDARY.findall(page.content)) * lines
    if number > _MOST_PARTS or compared > _MOST_COMPARED:
        raise LayoutError("it has more parts than any mail that tells of papers", place=place)
    # The default policy raises LookupError and ValueError where a header is malformed.
    try:
        return list(email.message_from_bytes(page.content.lstrip(b"\xef\xbb\xbf\r\n")).walk())
    except RecursionError as error:
        raise LayoutError("its parts are nested too deeply", place=place) from error
    except (TypeError, ValueError, LookupError) as error:  # what is given twice in two ways of RFC 2231
        raise LayoutError(f"its header is too broken to be read ({error})", place=place) from error


def _texts(parts: Sequence[Message], kind: str) -> str:
    """The text of all parts of a kind."""
    return "".join(_decoded(part) for part in parts if part.get_content_type() == f"text/{kind}")


def _charset(part: Message) -> str | None:
    """What a part says of its encoding, as far as it is one of texts."""
    try:
        return wire.charset(part.get_content_charset("utf-8"))
    except (TypeError, ValueError, LookupError):  # as above
        return None


def _decoded(part: Message) -> str:
    """The text of a part, its lines ended by LF alone, whatever it says of its encoding."""
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    for charset in (_charset(part), "utf-8"):
        try:
            text = content.decode(charset or "utf-8")
        except ValueError:
            continue
        return text.replace("\r\n", "\n")
    return content.decode("latin-1").replace("\r\n", "\n")


def _day(text: str) -> date | None:
    """The UTC day of a date of RFC 5322, 3.3."""
    try:
        instant = parsedate_to_datetime(_SIZE.sub("", text))
        return (instant.astimezone(UTC) if instant.tzinfo else instant).date()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


# --- arXiv ------------------------------------------------------------------------------------


def _arxiv_paper(block: str) -> tuple[Paper, str] | None:
    """A paper and how it was announced; None for a block that holds something else."""
    _, head, *rest = (*re.split(r"^\\\\", block, maxsplit=2, flags=re.MULTILINE), "", "")
    number = _NUMBER.match(head.strip())
    fields = dict(_fields(head))
    title = wire.text(fields.get("Title"))
    key = identity.arxiv_id(number[1]) if number else None
    if not number or not key or not title:
        return None
    lines = [line.strip() for line in head.strip().split("\n")]
    replaced = next((found for line in lines if (found := _REPLACED.match(line))), None)
    dated = next((found for line in lines if (found := _DATE.match(line))), None)
    abstract = re.split(r"^\\\\", rest[0], maxsplit=1, flags=re.MULTILINE)[0]
    doi = identity.doi(fields.get("DOI", ""))
    names = identity.identifiers(title=title, arxiv=key, doi=doi)
    kind = ("replace-cross" if replaced else "cross") if number["cross"] else "replace" if replaced else "new"
    paper = Paper(
        id=names[0],
        identifiers=names[1:],
        title=title,
        abstract="" if abstract.lstrip().startswith("( http") else wire.text(abstract) or "",
        authors=tuple(_authors(fields.get("Authors") or fields.get("Author") or "")),
        url=f"https://arxiv.org/abs/{key}",
        pdf_url=f"https://arxiv.org/pdf/{key}",
        published=_day(dated["date"]) if dated else None,
        updated=_day(replaced["date"]) if replaced else None,
        categories=tuple((wire.text(fields.get("Categories")) or "").split()),
        doi=doi,
    )
    return paper, kind


def _fields(head: str) -> Iterator[tuple[str, str]]:
    """Names and values, of which a line that is indented goes on with the one before."""
    for line in re.sub(r"\n[ \t]+", " ", head).split("\n"):
        if found := _FIELD.fullmatch(line.strip()):
            yield found["name"], found["value"]


def _authors(text: str) -> Iterator[str]:
    """The names of a list that may hold affiliations: `A B (1), C D (1 and 2) ((1) Here, (2) There)`."""
    depth = 0
    outside = []
    for piece in _BRACKETS.split(text):
        depth += (piece == "(") - (piece == ")" and depth > 0)
        outside.append("" if depth or piece == ")" else piece)
    text = "".join(outside)
    return (undo_markup(name).text for part in _BETWEEN.split(wire.squeezed(text)) if (name := part.strip()))


# --- HTML -------------------------------------------------------------------------------------


def _parsed(html: str) -> wire.Element:
    """The root of HTML; the parser stops where it is nested more than 256 tags deep."""
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    content = f"<html><body>{html}".encode(errors="replace")
    return etree.fromstring(content, parser)


def _text(element: wire.Element) -> str:
    return "".join(str(text) for text in element.itertext())


def _words(element: wire.Element) -> str:
    return wire.squeezed(_text(element))


def _scholar(root: wire.Element) -> Iterator[Paper]:
    """The papers of an alert of Google Scholar: a heading, a line of who and where, the first words.

    Mail programs drop classes, so what tells a title is that its link passes through Scholar.
    """
    for heading in root.iter("h3"):
        links = (link for link in heading.iter("a") if "scholar_url" in (link.get("href") or ""))
        link = next(filter(_words, links), None)
        if link is None:
            continue
        following = takewhile(lambda element: element.tag != "h3", heading.itersiblings())
        below = [_words(element) for element in islice((one for one in following if one.tag == "div"), 2)]
        who = (below[0] if below else "").partition(" - ")[0]
        yield _linked(
            _words(link),
            _unwrapped(link.get("href") or ""),
            abstract=below[1] if len(below) > 1 else "",
            authors=tuple(name for part in who.split(",") if (name := part.strip(" …"))),
            is_pdf="[PDF]" in _words(heading),
        )


def _links(root: wire.Element) -> Iterator[Paper]:
    """The papers of any mail whose links to arXiv and DOIs are titles."""
    seen = set()
    for link in root.iter("a"):
        title = _words(link)
        url = _unwrapped(link.get("href") or "")
        if not url or len(title.split()) < _FEWEST_WORDS:
            continue
        paper = _linked(title, url)
        if paper.id.startswith(("arxiv:", "doi:")) and paper.id not in seen:
            seen.add(paper.id)
            yield paper


def _unwrapped(address: str) -> str | None:
    """The address that one of Scholar, or of a mail program's checks, leads to."""
    for _ in range(_MOST_WRAPPERS):
        url = wire.web_address(address)
        parts = urlsplit(url or "")
        inner = parse_qs(parts.query).get("url")
        if not inner or not _WRAPPERS.search(parts.hostname or ""):
            return url
        address = inner[0]
    return None


def _linked(
    title: str,
    url: str | None,
    *,
    abstract: str = "",
    authors: tuple[str, ...] = (),
    is_pdf: bool = False,
) -> Paper:
    """A paper of which a mail gives the address."""
    doi = identity.doi(url or "")
    names = identity.identifiers(
        title=title,
        arxiv=identity.arxiv_id_at(url),
        doi=doi,
        url=url,
    )
    return Paper(
        id=names[0],
        identifiers=names[1:],
        title=title,
        abstract=abstract,
        authors=authors,
        url=url,
        pdf_url=url if is_pdf else None,
        doi=doi,
    )
