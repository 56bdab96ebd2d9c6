"""A message as bytes: RFC 5322 headers over `multipart/alternative`, in ASCII and with CRLF.

Headers are written here rather than by `email.policy`: Python 3.11's folds a long quoted name in two
and turns a hostile subject into a header of its own (CVE-2024-6923).
Bodies are quoted-printable by `binascii`, which takes 6 µs a kilobyte; `email` takes 34.
What was written is read again by the parser of the standard library and compared before anybody gets it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from email.utils import parseaddr
from functools import lru_cache

from digest.core.mailbox import Mailbox
from digest.errors import RenderError

_LINE = 76  # RFC 2047, 2: a line that holds an encoded word; also the line of quoted-printable
_CHUNK = 39  # bytes in an encoded word, which makes 64 characters of it
_LONGEST_LINE = 998  # RFC 5322, 2.1.1
_OF_THE_BODY = ("MIME-Version", "Content-Type")
_PARSER = BytesHeaderParser()

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")  # RFC 5322, 3.2.3, with spaces

# What every parser reads alike: words of printable ASCII with a space between any two, on lines that are
# broken between words and unfolded by taking the line break out (RFC 5322, 2.2.3).
_PLAIN_VALUES = re.compile(r"(?:[!-~]+(?:[ \n][!-~]+)*)?")  # of several headers, one below the other
_PLAIN_NAME = re.compile(r"(?:[A-Za-z0-9]+(?: [A-Za-z0-9]+)*)?")
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9_-]+(?:[.+][A-Za-z0-9_-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_ENCODED_WORD = re.compile(r"=\?utf-8\?b\?([A-Za-z0-9+/]+=*)\?=")
_ENCODED_WORDS = re.compile(rf"(?:(?:\r\n)? {_ENCODED_WORD.pattern})+(?:\r\n)?")
_PLAIN_FIELD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")

Headers = Mapping[str, str | Mailbox]


def assemble(headers: Headers, parts: Mapping[str, Sequence[bytes]], *, key: str) -> bytes:
    """The message: its headers in their order, and `text/<subtype>` parts, encoded in pieces, the best last.

    `key` makes the boundary. Raises RenderError if the headers would not be read as they were meant.
    """
    # "=_" cannot stand in quoted-printable (RFC 2045, 6.7).
    boundary = f"=_{key}"
    lines = [folded(name, value) for name, value in headers.items()]
    lines.append(
        f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'
    )
    encoded = "\r\n".join(lines).encode("ascii", "replace")  # a "?" is not what was meant, and found below
    if not _are_plain(headers, lines):
        _check(encoded, headers)
    pieces = [encoded]
    for subtype, content in parts.items():
        pieces += (_opening(boundary, subtype), *content)
    return b"".join([*pieces, f"\r\n--{boundary}--\r\n".encode("ascii")])


def message_id(message: bytes) -> str:
    """The Message-ID of a message, with its angle brackets."""
    return str(_PARSER.parsebytes(message)["Message-ID"]).strip()


def _opening(boundary: str, subtype: str) -> bytes:
    return (
        f"\r\n--{boundary}\r\n"
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n"
    ).encode("ascii")


def quoted_printable(text: str) -> bytes:
    """The text as it stands in a message (RFC 2045, 6.7), lines ended by CRLF.

    A line is encoded without regard to those around it, so whole lines can be encoded apart and joined.
    """
    # A blank or "." at the end of a line, a carriage return and other controls are left to `binascii`.
    if text.endswith("\n") and " \n" not in text and "\t\n" not in text and "\r" not in text:
        lines = escaped(text).split("\n")
        if max(map(len, lines)) > SOFT:
            lines = [continued(line, 0)[0] for line in lines]
        made = "\r\n".join(lines).encode("ascii")
        if "." not in lines and b"=\r\n.\r" not in made and not made.translate(None, _PRINTED):
            return made
    return binascii.b2a_qp(text.replace("\n", "\r\n").encode())


SOFT = 75
"""Characters of a quoted-printable line, before the "=" that goes on with it in the next one."""

_PRINTED = bytes([9, 10, 13, *range(32, 127)])
_ESCAPED = re.compile("[^\0-<>-\x7f]+")  # "=" and all beyond ASCII


def escaped(text: str) -> str:
    """A text in quoted-printable, before its lines are broken."""
    if text.isascii():
        return text.replace("=", "=3D")
    return _ESCAPED.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return f"={found[0].encode().hex('=').upper()}"


def continued(text: str, column: int) -> tuple[str, int]:
    """A text of one line as it goes on in a quoted-printable one, escaped already, and where it ends."""
    room = SOFT - column
    if len(text) <= room:
        return text, column + len(text)
    lines, at = [], 0
    while len(text) - at > room:
        end = at + room
        if text[end - 1 : end] == "=" and end > at:
            end -= 1
        elif text[end - 2 : end - 1] == "=" and end - 1 > at:
            end -= 2
        lines.append(text[at:end])
        at, room = end, SOFT
    lines.append(text[at:])
    return "=\r\n".join(lines), len(text) - at


def folded(name: str, value: str | Mailbox) -> str:
    """A header in lines of at most 76 characters, where its words allow it."""
    if isinstance(value, str) and len(name) + len(value) <= _LINE - 2 and value.isascii():
        return f"{name}: {value}"
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


def _are_plain(headers: Headers, lines: Sequence[str]) -> bool:
    """Whether headers, as they are written, cannot be read but as they were meant.

    They have nothing that would begin a line, a quotation or a comment, and no word to be decoded or
    nothing else. So say regular expressions in 4 µs; the parser takes 200.
    """
    values = []
    for (name, value), line in zip(headers.items(), lines, strict=False):
        if not _is_field(name):
            return False
        if isinstance(value, Mailbox):
            if not _is_plain_mailbox(value, line, name):
                return False
        elif value.isascii():
            values.append(value)
        elif _plainly_decoded(line[len(name) + 1 :]) != value:
            return False
    together = "\n".join(values)
    return (
        "=?" not in together
        and len(together) < _LONGEST_LINE - _LINE
        and _PLAIN_VALUES.fullmatch(together) is not None
        and together.count("\n") == max(len(values) - 1, 0)
    )


@lru_cache(maxsize=1 << 6)
def _is_field(name: str) -> bool:
    return len(name) <= _LINE // 2 and _PLAIN_FIELD.fullmatch(name) is not None


def _is_plain_mailbox(value: Mailbox, line: str, header: str) -> bool:
    name, address = value.name, value.address
    if len(address) > _LINE or not _PLAIN_ADDRESS.fullmatch(address):
        return False
    if name.isascii():
        return len(name) <= _LINE and _PLAIN_NAME.fullmatch(name) is not None
    words, _, last = line.rpartition(" ")
    return last == f"<{address}>" and _plainly_decoded(words[len(header) + 1 :]) == name


def _plainly_decoded(written: str) -> str | None:
    """What encoded words say, space between them left out (RFC 2047, 6.2); None if not all of it is such."""
    if not _ENCODED_WORDS.fullmatch(written):
        return None
    try:
        return b"".join(
            [base64.b64decode(word, validate=True) for word in _ENCODED_WORD.findall(written)]
        ).decode()
    except ValueError:
        return None


def _check(head: bytes, headers: Headers) -> None:
    """Read the headers as a stranger would. Raises RenderError if they are not what was meant."""
    read = [(name, _read(name, value)) for name, value in _PARSER.parsebytes(head).items()]
    meant = [*headers.items(), *((name, None) for name in _OF_THE_BODY)]
    wrong = next(
        (
            name
            for (name, value), found in zip(meant, [*read, *[("", "")] * len(meant)], strict=False)
            if name != found[0] or value not in (None, found[1])
        ),
        None,
    )
    if wrong is None and len(read) == len(meant) and max(map(len, head.split(b"\r\n"))) <= _LONGEST_LINE:
        return
    raise RenderError(
        f"the finished message does not read back as it was meant: {wrong or 'its headers'}",
        remedy="Nothing was sent. Please report it together with the profile",
    )


@lru_cache(maxsize=1 << 10)
def _read(name: str, value: str) -> str | Mailbox:
    unfolded = re.sub(r"\r\n(?=[ \t])", "", value) if "\r\n" in value else value
    if name not in {"From", "To"}:
        return _decoded(unfolded)
    display, address = parseaddr(unfolded)
    return Mailbox(_decoded(display), address)


def _decoded(value: str) -> str:
    if "=?" not in value:
        return value
    try:
        return str(make_header(decode_header(value)))
    except HeaderParseError:
        return ""
