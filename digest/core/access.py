"""Who may read what is served.

Of a secret its hash alone is kept. It needs neither salt nor many rounds, because nobody comes upon
32 random bytes by trying.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Access:
    """What somebody may read."""

    name: str
    hash: str  # of the secret
    profile: str | None  # None: everything
    at: datetime  # when it was given

    def opens(self, path: str) -> bool:
        """Whether it is good for a path below `output_dir`, such as `/feeds/vision/atom.xml`."""
        own = (f"/feeds/{self.profile}/", f"/archive/{self.profile}/")
        return self.profile is None or path == "/feeds/feed.css" or f"{path}/".startswith(own)


def hashed(secret: str) -> str:
    """The SHA-256 of a secret, hexadecimal."""
    return sha256(secret.encode(errors="replace")).hexdigest()


def holder(given: Iterable[Access], secret: str, name: str | None = None) -> Access | None:
    """Whose secret it is, in a time that tells nothing of the right ones; with a name, theirs alone."""
    digest = hashed(secret)
    theirs = [one for one in given if hmac.compare_digest(one.hash, digest)]
    return next((one for one in theirs if name in (None, one.name)), None)
