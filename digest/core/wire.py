"""What other programs write, taken with care: JSON, XML, and values that may be of any kind.

Nothing here guesses: a value of another kind than it should have counts as absent.
"""

from __future__ import annotations

import codecs
import html
import json
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

from digest.core.lines import clean, one_line
from digest.core.model import Page
from digest.core.plain import untagged
from digest.errors import LayoutError

if TYPE_CHECKING:
    from lxml import etree

Element: TypeAlias = "etree._Element"  # the class has no public name

_MOST_TAGS = 500_000  # 10 MB of a listing have 150,000, and each takes half a kilobyte of memory
_MOST_VALUES = 1_000_000  # 10 MB of works with authors have 250,000, and each takes 200 bytes of memory
MOST_ENTRIES = 100_000  # of one page, far more than anybody has in a library
_LONGEST_ADDRESS = 8_000  # characters, as much as RFC 9110, 4.1 asks everybody to take
_LARGEST_COUNT = 2**31 - 1  # that a database takes
_LONGEST_NUMBER = 19  # digits; int() raises ValueError for thousands of them
_LONGEST_CHARSET = 40  # characters
# As https://encoding.spec.whatwg.org/#names-and-labels has them, without UTF-16, which no ASCII declares.
_CHARSET = re.compile(
    r"ascii|utf-8|iso8859-\d+|cp(?:125\d|437|8[56]\d|874|932|949|950)|koi8-[ru]|mac-\w+|tis-620"
    r"|big5\w*|gb18030|hz|shift_jis\w*|euc_\w+|iso2022_\w+|johab"
)
_DAY = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?")


# --- documents --------------------------------------------------------------------------------


def json_value(page: Page) -> Any:  # noqa: ANN401 - JSON may be anything
    """The JSON value of a page. Raises LayoutError."""
    check_values(page)
    try:
        return json.loads(page.content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise LayoutError(
            f"the JSON is broken or cut short ({error})",
            place=readable(page.url),
            remedy="digest asks for it again at the next run",
        ) from error


def xml_root(page: Page) -> Element:
    """The root element of a page of XML; no entity is expanded and nothing is loaded. Raises LayoutError."""
    check_tags(page)
    from lxml import etree  # a run that reads no page need not wait for it

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        root = etree.fromstring(page.content.lstrip(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise LayoutError(
            f"the XML is broken or cut short ({error})",
            place=readable(page.url),
            remedy="digest asks for it again at the next run",
        ) from error
    if root is None:  # pragma: no cover - lxml's types allow it, its parser does not
        raise LayoutError("the XML has no element", place=readable(page.url))
    return root


def check_tags(page: Page, content: str | None = None) -> None:
    """Raise LayoutError for markup that would become too large a tree, of a page or of a part of it."""
    tags = page.content.count(b"<") if content is None else content.count("<")
    _check_number(page, tags, "tags", _MOST_TAGS)


def check_values(page: Page) -> None:
    """Raise LayoutError for JSON that would become too large a tree."""
    number = page.content.count(b"{") + page.content.count(b"[")
    _check_number(page, number, "lists and objects", _MOST_VALUES)


def check_entries(page: Page, number: int) -> None:
    """Raise LayoutError for more entries than anybody has papers."""
    _check_number(page, number, "entries", MOST_ENTRIES)


def _check_number(page: Page, number: int, what: str, most: int) -> None:
    if number > most:
        raise LayoutError(
            f"it has {number:,} {what}, and no more than {most:,} are read",
            place=readable(page.url),
            remedy="No page of papers has as many: check that it is the right one, or take it apart",
        )


def charset(name: str) -> str | None:
    """The encoding of a name, None if it is none of texts.

    `punycode` takes a time that is the square of the length, and `utf-7` hides what is looked for.
    """
    try:
        known = codecs.lookup(name[:_LONGEST_CHARSET]).name
    except (LookupError, ValueError):  # ValueError for "\0"
        return None
    if known in {"gb2312", "gbk"}:
        return "gb18030"  # which has them in it
    return known if _CHARSET.fullmatch(known) else None


def readable(url: str) -> str:
    """An address as people write it: of a file, its path."""
    return url2pathname(urlsplit(url).path) if url.startswith("file:") else url


# --- values -----------------------------------------------------------------------------------


def squeezed(text: str) -> str:
    """The text on one line, without controls."""
    return one_line(text)


def text(value: object) -> str | None:
    """A string that says something, on one line."""
    return squeezed(value) or None if isinstance(value, str) else None


def number(value: object) -> int | None:
    """A whole number from 0, also where it stands in a string."""
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < _LONGEST_NUMBER:
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < 10 ** (_LONGEST_NUMBER - 1) else None


def count(value: object) -> int | None:
    """How many of something there are, as far as that can be."""
    found = number(value)
    return None if found is None or found > _LARGEST_COUNT else found


def entries(value: object) -> list[Any]:
    """The values of a list, none of anything else."""
    return value if isinstance(value, list) else []


def table(value: object) -> dict[str, Any]:
    """The keys and values of an object, none of anything else."""
    return value if isinstance(value, dict) else {}


def day(value: object) -> date | None:
    """The UTC date of an instant, or a date itself, in ISO 8601.

    A month is its first day, because its end may lie ahead; a year alone is no day.
    """
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value.strip())
        return (instant.astimezone(UTC) if instant.tzinfo else instant).date()
    except (ValueError, OverflowError):
        found = _DAY.fullmatch(value.strip())
    try:
        return found and date(int(found[1]), int(found[2]), int(found[3] or 1))
    except ValueError:
        return None


def web_address(value: object) -> str | None:
    """An http(s) address without controls and the white space that people type into it, else None."""
    address = clean("".join(value.split())) if isinstance(value, str) else ""
    try:
        parts = urlsplit(address if len(address) <= _LONGEST_ADDRESS else "")
    except ValueError:
        return None
    return address if parts.scheme in {"http", "https"} and parts.hostname else None


def prose(value: object) -> str | None:
    """The words of a piece of HTML, JATS or MathML, on one line; also where its tags were escaped."""
    if not isinstance(value, str):
        return None
    bare = untagged(value)
    unescaped = html.unescape(bare)
    return text(untagged(unescaped) if unescaped != bare else bare)
