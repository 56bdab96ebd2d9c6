"""Writes messages as files, which mail programs open: `2026-11-20-reader@example.org-0123456789ab.eml`.

A file holds the message byte for byte, with CRLF, as it would go over the wire (RFC 5322, 2.1).
Its name ends in a hash of the message: the same one has the same name, so nothing comes twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from digest.core import mailbox
from digest.deliver import date_of, of_folder, put
from digest.disk import sync

_UNSAFE = re.compile(r"[^A-Za-z0-9@._+-]+")
_LONGEST_NAME = 100


class EmlDeliverer:
    """Delivers into one folder, each message as a file of its own."""

    def __init__(self, folder: Path) -> None:
        """Deliver into `folder`, which is made when it is missing."""
        self._folder = folder

    def deliver(self, message: bytes, recipient: str, *, handing_over: Callable[[], None]) -> None:
        """Write one message, unless it is there already.

        Raises TransientDeliveryError, RefusedByServerError.
        """
        reader = _UNSAFE.sub("_", mailbox.key(recipient))[:_LONGEST_NAME]
        unique = hashlib.sha256(message).hexdigest()[:12]
        target = self._folder / f"{date_of(message):%Y-%m-%d}-{reader}-{unique}.eml"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not target.is_file():
                put(target.with_name(f".{target.name}"), target, message, handing_over=handing_over)
            sync(self._folder)
        except OSError as error:
            raise of_folder(error, self._folder) from error

    def close(self) -> None:
        """Nothing is open."""
