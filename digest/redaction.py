"""Takes secrets out of what people and logs are told.

A server, a library or a plug-in may repeat what it was given, so its words are looked through for
the secrets that this process has used, and for what looks like one.
"""

from __future__ import annotations

import base64
import json
import re
from functools import cache
from html import escape
from urllib.parse import quote, quote_plus

HIDDEN = "<secret>"

_SHORTEST = 8  # as passwords are (NIST SP 800-63B, 5.1.1.1); a shorter one is part of too many words
_PACKED = re.compile("%[0-9A-F]{2}")
_REMEMBERED = 100  # access tokens change every hour
_used: dict[str, tuple[str, ...]] = {}  # the forms in which each may be met

_NAMES = r"(?:api[-_]?key|token|secret|password|passwd|passphrase|pwd|signature)"
_LOOKS = (
    # A parameter, an assignment, a member of JSON or of a tuple, a header.
    rf"({_NAMES}=)(?:\"[^\"]*\"|'[^']*'|[^\s&;,\"'<>()\[\]{{}}]+)",
    r"([?&](?:auth|code|key|sig)=)[^\s&#\"'<>]+",
    rf"([\"'][\w-]{{0,40}}(?:{_NAMES}|authorization|cookie)[\"']\s*[:,]\s*b?[\"'])[^\"']+",
    r"((?:authorization|x-[\w-]{0,40}(?:key|token)):[ \t]*(?:(?:basic|bearer)[ \t]+)?)[^\s,\"']+",
    r"(\bcookie:[ \t]*)[^\r\n]+",
    r"(\bbearer[ \t]+)[\w.~+/-]{16,}=*",
    # An address: with a password, with a reader's secret, of a webhook.
    r"(://[^\s/:@]*:)[^\s/@]+(?=@)",
    r"(/t/)[\w-]{20,}",
    r"(\bhooks\.slack\.com/\w+/)[^\s\"'<>]+",
    r"(\bdiscord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d+/)[^\s\"'<>]+",
    r"(/hooks/)\w{20,}",
)


class Secret:
    """A text that is printed nowhere unless it is asked for by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Hold `value`."""
        self._value = value

    def reveal(self) -> str:
        """The text itself, which is hidden from logs from now on."""
        remember(self._value)
        return self._value

    def __repr__(self) -> str:
        """Hide the text."""
        return HIDDEN

    def __format__(self, spec: str) -> str:
        """Hide the text, however it is to be formatted."""
        return repr(self)


def remember(secret: str) -> None:
    """Have a secret hidden from now on, as it is and encoded."""
    if len(secret) >= _SHORTEST and secret not in _used:
        if len(_used) >= _REMEMBERED:
            del _used[next(iter(_used))]
        _used[secret] = tuple(_forms(secret))


def redacted(text: str) -> str:
    """The text without secrets."""
    forms = {form for forms in tuple(_used.values()) for form in forms}
    for form in sorted(forms, key=len, reverse=True):  # one may be a part of another
        text = text.replace(form, HIDDEN)
    for pattern in _patterns():
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(one, re.IGNORECASE) for one in _LOOKS)  # most commands need none


def spellings(text: str) -> list[str]:
    """A text as it stands in addresses, JSON, HTML and the `repr` of bytes, and as it is."""
    raw = text.encode("utf-8", "surrogatepass")
    quoted = [quote(raw), quote(raw, safe=""), quote_plus(raw)]
    lower = [_PACKED.sub(lambda found: found[0].lower(), one) for one in quoted]
    escaped = [escape(text, quote=False), escape(text), escape(text).replace("&#x27;", "&#39;")]
    return [text, *quoted, *lower, *escaped, json.dumps(text)[1:-1], repr(raw)[2:-1]]


def _forms(secret: str) -> list[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    forms = spellings(secret)
    # Base64 of a text within another one, as of a login, depends on where in three bytes it begins;
    # the letters at its ends are its neighbours' too.
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw).decode("ascii")
        inner = encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        forms += [inner, inner.translate(str.maketrans("+/", "-_"))]
    return forms
