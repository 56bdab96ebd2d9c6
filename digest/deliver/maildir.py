"""Puts messages into a Maildir, where mail programs and IMAP servers on this machine find them.

    tmp/…  →  fsync  →  new/<date>.<hash of the message>.digest

A name is made of the message itself: after a crash the same message has the same name, and is found in
`new` or, once somebody has looked at it, in `cur`; so nothing comes twice even where nobody knows.
`mailbox.Maildir` of the standard library names each copy anew and leaves the folder unsynced.

Lines end in LF, as in what Postfix and Dovecot deliver; mutt shows a CR as ^M.
IMAP gives them back with CRLF, byte for byte the message.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from digest.deliver import date_of, of_folder, put
from digest.disk import sync
from digest.errors import RefusedByServerError

_PARTS = ("tmp", "new", "cur")


class MaildirDeliverer:
    """Delivers into one Maildir, whoever the recipient is."""

    def __init__(self, folder: Path) -> None:
        """Deliver into `folder`, which becomes a Maildir if it is missing or empty."""
        self._folder = folder

    def deliver(self, message: bytes, recipient: str, *, handing_over: Callable[[], None]) -> None:
        """Put one message there, unless it is there already.

        Raises TransientDeliveryError, RefusedByServerError.
        """
        name = f"{date_of(message).timestamp():.0f}.{hashlib.sha256(message).hexdigest()[:32]}.digest"
        try:
            self._prepare()
            if not self._holds(name):
                content = message.replace(b"\r\n", b"\n")
                put(
                    self._folder / "tmp" / name,
                    self._folder / "new" / name,
                    content,
                    handing_over=handing_over,
                )
            sync(self._folder / "new")  # also after a crash between the two
        except OSError as error:
            raise of_folder(error, self._folder) from error

    def close(self) -> None:
        """Nothing is open."""

    def _prepare(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        missing = [part for part in _PARTS if not (self._folder / part).is_dir()]
        if missing and any(one.name not in _PARTS for one in self._folder.iterdir()):
            raise RefusedByServerError(
                "this is no Maildir, and it holds something else",
                place=str(self._folder),
                remedy="Set `email.folder` to a Maildir, or to a folder that is empty or not there yet",
            )
        for part in missing:
            (self._folder / part).mkdir(mode=0o700)
        if missing:
            sync(self._folder)

    def _holds(self, name: str) -> bool:
        # Readers add their marks behind the name: ":2,S", ",U=7:2,".
        for part in ("new", "cur"):
            with os.scandir(self._folder / part) as found:
                if any(one.name.startswith(name) for one in found):
                    return True
        return False
