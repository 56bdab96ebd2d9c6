"""Ways out: one file per way. What is handed over was finished before.

What several of them need is here: an end to what servers say, words that may be printed, and files that
outlive a power failure.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol

from digest.errors import (
    DeliveryError,
    DigestError,
    RefusedByServerError,
    TransientDeliveryError,
    UnreachableError,
)
from digest.redaction import redacted

LONGEST_TEXT = 300
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AGAIN = 0.5  # seconds

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
FORBIDDEN = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)


class Password(Protocol):
    """A secret that is shown on request only."""

    def reveal(self) -> str:
        """The secret itself."""


@contextmanager
def within(seconds: float | None, connection: Callable[[], socket.socket | None]) -> Iterator[None]:
    """End the connection if what is done over it takes longer; raises TimeoutError then.

    A socket's own timeout begins anew with each byte that comes.
    """
    ended = threading.Event()
    is_over = False

    def watch() -> None:
        nonlocal is_over
        pause = seconds
        while not ended.wait(pause):  # again and again: the connection may not have been there yet
            is_over, pause = True, _AGAIN
            if (present := connection()) is not None:
                with suppress(OSError):
                    # That of TLS would make it an unencrypted connection, in the middle of a reading.
                    socket.socket.shutdown(present, socket.SHUT_RDWR)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except DigestError:
        raise
    except Exception as error:
        if is_over:
            raise TimeoutError("timed out") from error
        raise
    finally:
        ended.set()
        watcher.join()


def printable(text: str, longest: int = LONGEST_TEXT) -> str:
    """Somebody's words on one short line, without secrets, that no terminal takes for commands."""
    text = redacted(text)  # a secret that was cut would not be known again
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return (line if len(line) <= longest else line[: longest - 1] + "…").rstrip(".")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its address or as "localhost"."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def date_of(message: bytes) -> datetime:
    """When a message was written, by its own word; else the beginning of the epoch."""
    try:
        said = parsedate_to_datetime(BytesHeaderParser().parsebytes(message)["Date"] or "")
    except (ValueError, OverflowError):
        return _EPOCH
    return said.replace(tzinfo=said.tzinfo or UTC).astimezone(UTC)


def put(temporary: Path, target: Path, content: bytes, *, handing_over: Callable[[], None]) -> None:
    """Write a file for its owner alone, which is whole when it gets its name, and stays. Raises OSError."""
    temporary = temporary.with_name(f"{temporary.name}.{secrets.token_hex(4)}")  # of this attempt
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        handing_over()
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def of_folder(error: OSError, folder: Path) -> DeliveryError:
    """What an error of a file means: it may be of this message, of the disk, or of the settings."""
    message, place = f"cannot be written: {error.strerror}", str(folder)
    if error.errno in FULL:
        return UnreachableError(message, place=place, remedy="Make room on the disk")
    if error.errno in FORBIDDEN:
        remedy = "Let the user that runs digest write there, or set `email.folder` to another folder"
        return RefusedByServerError(message, place=place, remedy=remedy)
    return TransientDeliveryError(message, place=place)
