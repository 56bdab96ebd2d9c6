"""What the links of a mail may do: ask for more like a paper, for less, or take that back; stop the mail.

A link holds a token, the message authentication code (RFC 2104) of one action on one paper for one
profile, or of one profile's mail to one address. Whoever has the link can do that, as often as they
like, and nothing else.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote, urlencode

from digest.core import mailbox
from digest.core.model import Opinion, PaperId

Action = Literal["like", "dislike", "forget"]

OPINIONS: Mapping[str, Opinion | None] = {
    "like": Opinion.LIKE,
    "dislike": Opinion.DISLIKE,
    "forget": None,
}
"""What each action makes a person think of a paper."""

# A token that was made for one of these is no good for the other.
OPINION = "digest: opinion of a paper"  # profile, paper, action
STOP = "digest: stop the mail"  # profile, address; also to start it again

_LENGTH = 18  # bytes: 144 bits, more than half of SHA-256 (RFC 2104, 5), and 24 letters without padding


def sign(key: bytes, purpose: str, *what: str) -> str:
    """The token that allows one thing, 24 letters of base64url."""
    parts = [text.encode(errors="surrogatepass") for text in (purpose, *what)]
    # With its length before each part, no two lists of parts are the same bytes.
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return base64.urlsafe_b64encode(hmac.digest(key, message, "sha256")[:_LENGTH]).decode("ascii")


def is_signed(token: str, key: bytes, purpose: str, *what: str) -> bool:
    """Whether the token allows exactly this, in a time that tells nothing of the right one."""
    return hmac.compare_digest(sign(key, purpose, *what).encode(), token.encode(errors="replace"))


def link(base_url: str, key: bytes, profile: str, paper: PaperId, action: Action) -> str:
    """The address of the page that offers an action.

    The paper is in the query, because proxies decode, merge or refuse slashes in a path:
    Apache answers 404 to `%2F`, and nginx makes one of two.
    It stands last, because what finds addresses in plain text may stop before a `-` or `_` at the end,
    which a token may have.
    """
    said = {"token": sign(key, OPINION, profile, paper, action), "paper": paper}
    query = urlencode(said, safe=":/", errors="replace", quote_via=quote)
    return f"{base_url}/opinion/{action}/{profile}?{query}"


def stop_link(base_url: str, key: bytes, profile: str, recipient: str) -> str:
    """The address of the page that offers to stop a profile's mail to a recipient, a mailbox.

    A POST of `List-Unsubscribe=One-Click` to it stops the mail at once (RFC 8058, 3.1).
    The recipient's address stands last, as the paper does in `link`, and without its `@`: what finds
    addresses in plain text would make it a link of its own.
    """
    address = mailbox.key(recipient)
    said = {"token": sign(key, STOP, profile, address), "address": address}
    return f"{base_url}/stop/{profile}?{urlencode(said, errors='replace', quote_via=quote)}"
