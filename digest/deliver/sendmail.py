"""Hands messages to this machine's own mail system, by the command that nearly every one of them brings.

    <command> -f <sender> -- <recipient>   < message

The message is a file and no pipe: if digest is killed, the program still reads the whole of it, and never
sends a part. What it says goes into a file too, which a daemon that it leaves behind may keep open.

Lines end in LF, as everywhere on the machine: every such program reads that, and those that were given CRLF
have learned one by one to take it (postconf(5), sendmail_fix_line_endings).
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence

from digest.core.mailbox import parse
from digest.deliver import printable
from digest.errors import (
    DeliveryError,
    PermanentDeliveryError,
    RefusedByServerError,
    TransientDeliveryError,
    UncertainDeliveryError,
    UnreachableError,
)

# sysexits.h. Every other status, such as 1, says that it failed, and may have passed by the next time.
_OF_THE_MESSAGE = {
    65: "EX_DATAERR",
    66: "EX_NOINPUT",
    67: "EX_NOUSER",
    69: "EX_UNAVAILABLE",  # the catchall, by which sendmail(8) means a 5yz reply
}
_OF_THE_SETTINGS = {64: "EX_USAGE", 72: "EX_OSFILE", 77: "EX_NOPERM", 78: "EX_CONFIG"}
_NOT_NOW = {
    68: "EX_NOHOST",  # of msmtp also where there is no network (`exitcode_net`)
    70: "EX_SOFTWARE",
    71: "EX_OSERR",
    73: "EX_CANTCREAT",
    74: "EX_IOERR",
    75: "EX_TEMPFAIL",
    76: "EX_PROTOCOL",
}
_NAMES = {**_OF_THE_MESSAGE, **_OF_THE_SETTINGS, **_NOT_NOW}
_MOST_SAID = 2000  # bytes that are looked at


class SendmailDeliverer:
    """Delivers by a program that takes a message on its standard input, as sendmail(8) does."""

    def __init__(self, command: Sequence[str], sender: str, timeout: float = 600.0) -> None:
        """Run `command`, without a shell, for each message; `sender` is the envelope's address.

        `timeout` is in seconds, for one message.
        """
        self._command = tuple(command)
        self._sender = sender
        self._timeout = timeout

    def deliver(self, message: bytes, recipient: str, *, handing_over: Callable[[], None]) -> None:
        """Hand one message over, calling `handing_over` before the program is started.

        Raises TransientDeliveryError, PermanentDeliveryError, UncertainDeliveryError.
        """
        try:
            address = parse(recipient).address
        except ValueError as error:
            raise PermanentDeliveryError(
                "not an e-mail address", place=printable(recipient), remedy="Check the profile's `recipients`"
            ) from error
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
            try:
                given.write(message.replace(b"\r\n", b"\n"))
                given.seek(0)  # which writes it, too
            except OSError as error:
                raise UnreachableError(
                    f"the message cannot be kept for the program: {error.strerror}",
                    place=tempfile.gettempdir(),
                    remedy="Make room on the disk",
                ) from error
            handing_over()
            status = self._run(address, given.fileno(), said.fileno())
            said.seek(0)
            words = printable(said.read(_MOST_SAID).decode("utf-8", "replace"))
        if status:
            raise self._refusal(status, words)

    def close(self) -> None:
        """Nothing is open."""

    def _run(self, address: str, given: int, said: int) -> int:
        try:
            return subprocess.run(  # noqa: S603 - the user's own command
                [*self._command, "-f", self._sender, "--", address],
                stdin=given,
                stdout=said,
                stderr=said,
                timeout=self._timeout,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise self._uncertain(f"did not end within {self._timeout:g} s") from error
        except (OSError, ValueError) as error:  # ValueError: a NUL in the command
            raise RefusedByServerError(
                f"the program cannot be run: {getattr(error, 'strerror', None) or error}",
                place=self._command[0],
                remedy="Check `email.command`, or install a program such as msmtp or Postfix",
            ) from error

    def _refusal(self, status: int, words: str) -> DeliveryError:
        if status < 0:
            return self._uncertain(f"was ended by signal {-status}")
        name = f" ({_NAMES[status]})" if status in _NAMES else ""
        message = f"the program failed with status {status}{name}" + (f": {words}" if words else "")
        if status in _OF_THE_SETTINGS:
            return RefusedByServerError(
                message,
                place=self._command[0],
                remedy="Check `email.command` and what configures the program",
            )
        if status in _OF_THE_MESSAGE:
            return PermanentDeliveryError(message, place=self._command[0])
        return TransientDeliveryError(message, place=self._command[0])

    def _uncertain(self, why: str) -> UncertainDeliveryError:
        return UncertainDeliveryError(
            f"the program was given the whole message and {why}",
            place=self._command[0],
            remedy="Look whether it has arrived; see `digest outbox`",
        )
