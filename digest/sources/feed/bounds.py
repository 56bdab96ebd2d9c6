"""What feedparser takes more than its length in time or memory for, taken out of a document or refused."""

from __future__ import annotations

import re

from digest.core import wire
from digest.core.model import Page
from digest.errors import LayoutError

_REFERENCE = re.compile(r"&#(?:[xX](?P<hex>[0-9a-fA-F]+)|(?P<decimal>[0-9]+));?")
_LARGEST = 0x10FFFF
_MOST_DIGITS = 7
_HEAD = 20_000  # characters, in which the root element stands
_DECLARED = re.compile(rb"(?:\xef\xbb\xbf)?<\?xml[^<>]*?\sencoding\s*=\s*[\"']([^\"'<>]*)")
_DOCTYPE = re.compile(r"(<!DOCTYPE(?>[^\[>]*))\[((?>[^\]]*))\](?=\s*>)")
_SMALL_ENTITY = re.compile(r'<!ENTITY\s+\w+\s+"(?:&#\w{1,8};|[^"&<>]{0,8})"\s*>')
_MOST_ATTRIBUTES = 100  # of one tag
_ATTRIBUTES = re.compile(
    rf"""<[^\s<>/!?]++(?:\s++[^\s=<>"'/]++\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+')){{{_MOST_ATTRIBUTES + 1}}}"""
)
_MOST_KEYWORDS = 10_000  # of a whole feed; each is compared with the others of its entry
_KEYWORD = re.compile(r"<(?:[^\s<>/]*[:_])?(?:category|subject|keywords|tags)[\s/>]", re.IGNORECASE)
# feedparser gives `<dc_creator>` the meaning of `<dc:creator>`.
_NAMES = (
    r"(?:[^\s<>/]*[:_])?(?:author|creator|managingeditor|webmaster|publisher|owner|contributor|name|email"
    r"|(?P<list>keywords|tags))"
)
# A few tags may stand in it: to look for its end behind all there are would take the square of their number.
_CDATA = r"<!\[CDATA\[(?:(?:[^<\]]|\](?!\]>))*+<?+){0,50}+\]\]>"
_NAMED = re.compile(
    rf"""<(?P<tag>{_NAMES})(?:\s[^<>]*?)?(?:/>|>
        (?P<inner>
            (?:[^<]++|{_CDATA})*+(?=</)
            |(?:\s++|<[^<>!?]*/>
                |<(?P<child>[^\s<>/!?]+)(?:\s[^<>]*)?(?<!/)>(?:[^<>]++|{_CDATA})*+</(?P=child)\s*>)*+
        )</(?P=tag)\s*>)
    |</?{_NAMES.replace("<list>", "<stray>")}(?=[\s/>])[^<>]*>""",
    re.IGNORECASE | re.VERBOSE,
)
_MARKUP = re.compile(r"<!\[CDATA\[|\]\]>|<[^<>]*>")
# What feedparser looks for an e-mail address in, in a time that is the square of its length.
_IN_WORD = re.compile(r"[A-Za-z0-9_.+-]")
_LONG_WORD = re.compile(r"(?:[A-Za-z0-9_.+-]|&\w+;){65}")  # RFC 5321, 4.5.3.1.1 allows 64
_MOST_OF_NAMES = 50_000_000  # characters of the longest × elements, since it may look again at each


def in_bounds(page: Page) -> str:
    """The text of a document. Raises LayoutError.

    Entities of more than a character or two, and authors with words that no name has or parts that do
    not belong together, are left out.
    """
    text = _REFERENCE.sub(_allowed_reference, _decoded(page.content))
    text = _DOCTYPE.sub(_without_large_entities, text[:_HEAD]) + text[_HEAD:]
    if _ATTRIBUTES.search(text):
        raise _refused(page, f"a tag has more than {_MOST_ATTRIBUTES} attributes")
    keywords = longest = elements = 0

    def sound(found: re.Match[str]) -> str:
        nonlocal keywords, longest, elements
        inner = found["inner"] or ""
        if found["list"]:
            keywords += inner.count(",") + inner.count("&")  # which may be a comma
        elif not found["tag"] or _LONG_WORD.search(_MARKUP.sub("", inner)):
            return ""
        else:
            elements += 1 + inner.count("</")
            longest = max(longest, len(inner))
        return found[0]

    text = _NAMED.sub(sound, text)
    keywords += sum(1 for _ in _KEYWORD.finditer(text))
    if keywords > _MOST_KEYWORDS:
        raise _refused(page, f"it has {keywords:,} keywords, and no more than {_MOST_KEYWORDS:,} are read")
    if longest * elements > _MOST_OF_NAMES:
        raise _refused(page, f"it has {elements:,} authors, of which one has {longest:,} characters")
    return text


def _decoded(content: bytes) -> str:
    """The text of a document, by its encoding as far as that is one of texts, else by UTF-8."""
    declared = _DECLARED.match(content)
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    name = "utf-16" if wide else wire.charset(declared[1].decode(errors="replace")) if declared else None
    for encoding in (name or "utf-8-sig", "utf-8-sig", "windows-1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def _allowed_reference(found: re.Match[str]) -> str:
    """A character reference, or nothing where XML 1.0 (2.2) does not have the character.

    What may stand in a word of ASCII is the character itself, so that it is seen to.
    """
    digits = found["hex"] or found["decimal"]
    if len(digits.lstrip("0")) > _MOST_DIGITS:
        return ""
    number = int(digits, 16 if found["hex"] else 10)
    is_surrogate = 0xD800 <= number <= 0xDFFF  # noqa: PLR2004 - Unicode's own
    if not number or is_surrogate or number > _LARGEST:
        return ""
    return chr(number) if _IN_WORD.fullmatch(chr(number)) else found[0]


def _without_large_entities(found: re.Match[str]) -> str:
    """A document type of which the characters that it names are left, each in a line as feedparser wants."""
    return f"\n{found[1]}[\n" + "\n".join(_SMALL_ENTITY.findall(found[2])) + "\n]"


def _refused(page: Page, why: str) -> LayoutError:
    return LayoutError(
        why,
        place=wire.readable(page.url),
        remedy="No feed of papers has as many: check that it is the right one",
    )
