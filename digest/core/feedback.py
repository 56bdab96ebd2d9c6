"""What the links of a mail may do: ask for more like a paper, for less, or take that back.

A link holds a token, the message authentication code (RFC 2104) of one action on one paper for one
profile. Whoever has the link can do that, as often as they like, and nothing else.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote, urlencode

from digest.core.model import Opinion, PaperId

Action = Literal["like", "dislike", "forget"]

OPINIONS: Mapping[str, Opinion | None] = {
    "like": Opinion.LIKE,
    "dislike": Opinion.DISLIKE,
    "forget": None,
}
"""What each action makes a person think of a paper."""

_PURPOSE = "digest: opinion of a paper"  # a token made by this key for something else would be no good here
_LENGTH = 18  # bytes: 144 bits, more than half of SHA-256 (RFC 2104, 5), and 24 letters without padding


def sign(key: bytes, profile: str, paper: PaperId, action: str) -> str:
    """The token that allows one action on one paper for one profile, 24 letters of base64url."""
    parts = [text.encode(errors="surrogatepass") for text in (_PURPOSE, profile, paper, action)]
    # With its length before each part, no two lists of parts are the same bytes.
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return base64.urlsafe_b64encode(hmac.digest(key, message, "sha256")[:_LENGTH]).decode("ascii")


def is_signed(token: str, key: bytes, profile: str, paper: PaperId, action: str) -> bool:
    """Whether the token allows exactly this, in a time that tells nothing of the right one."""
    return hmac.compare_digest(sign(key, profile, paper, action).encode(), token.encode(errors="replace"))


def link(base_url: str, key: bytes, profile: str, paper: PaperId, action: Action) -> str:
    """The address of the page that offers an action.

    The paper is in the query, because proxies decode, merge or refuse slashes in a path:
    Apache answers 404 to `%2F`, and nginx makes one of two.
    It stands last, because what finds addresses in plain text may stop before a `-` or `_` at the end,
    which a token may have.
    """
    said = {"token": sign(key, profile, paper, action), "paper": paper}
    query = urlencode(said, safe=":/", errors="replace", quote_via=quote)
    return f"{base_url}/opinion/{action}/{profile}?{query}"
