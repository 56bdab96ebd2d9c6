"""When to try a delivery again."""

from __future__ import annotations

import hashlib
from datetime import timedelta

# Minutes; then every four hours, until the message is about 20 hours old. RFC 5321, 4.5.4.1, asks
# for half an hour and four to five days between mail servers; a morning's digest is stale sooner,
# and greylisting (RFC 6647) lets a message pass after a few minutes.
_MINUTES = (5, 15, 30, 60, 120, 240, 240, 240, 240)
_SPREAD = 0.2


def wait(attempts: int, key: str) -> timedelta | None:
    """How long to wait after a number of attempts; None when it is time to give up.

    The wait varies by 20 % either way with `key`, so that not everybody comes back at once.
    """
    if attempts > len(_MINUTES):
        return None
    fraction = hashlib.sha256(f"{key}/{attempts}".encode()).digest()[0] / 255
    return timedelta(minutes=_MINUTES[attempts - 1] * (1 - _SPREAD + 2 * _SPREAD * fraction))
