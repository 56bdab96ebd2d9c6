"""Looks into a mailbox for a message whose delivery was uncertain, by IMAP4rev1 (RFC 3501).

    connect → [STARTTLS →] AUTHENTICATE → EXAMINE → UID SEARCH HEADER Message-ID

EXAMINE opens a folder without changing anything in it.
imaplib brings connection, tags and literals; what it leaves to its caller is done here: quoting, names of
folders beyond ASCII, and logins with passwords beyond ASCII.
"""

from __future__ import annotations

import base64
import imaplib
import re
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal

from digest.core.refusals import KEEP
from digest.deliver import Password, is_loopback, printable, within
from digest.errors import DeliveryError, PermanentDeliveryError, RefusedByServerError, UnreachableError

_LOGOUT_TIMEOUT = 5.0
_LARGEST_ANSWER = 100_000  # bytes; what is asked for has a few hundred
_MESSAGE_ID = re.compile(r"<[!-~]+>")
_BEYOND = re.compile(r"&|[^ -~]+")
_NUMBERS = re.compile(rb"[1-9][0-9]*(?: [1-9][0-9]*)*")  # RFC 3501, 7.2.5
_FOR_NOW = re.compile(r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG)\]", re.IGNORECASE)  # RFC 5530, 3


class _Client(imaplib.IMAP4):
    """Reads answers that end: a whole one has the timeout that the socket gives to each of its bytes."""

    def __init__(self, host: str, port: int, *, timeout: float, **settings: Any) -> None:  # noqa: ANN401
        self._left = _LARGEST_ANSWER
        with within(timeout, lambda: getattr(self, "sock", None)):
            super().__init__(host, port, timeout=timeout, **settings)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Within it, a command and its answer."""
        self._left = _LARGEST_ANSWER
        with within(self.socket().gettimeout(), self.socket):
            yield

    def read(self, size: int) -> bytes:
        self._take(size)  # which the server says
        return super().read(size)

    def readline(self) -> bytes:
        line = super().readline()
        self._take(len(line))
        return line

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self.abort("the answer is too long")


class _TlsClient(_Client, imaplib.IMAP4_SSL):
    """Speaks TLS from the beginning."""


class ImapMailbox:
    """One folder of a mailbox, over one connection, opened when it is first needed."""

    def __init__(  # noqa: PLR0913 - each has its name
        self,
        *,
        host: str,
        port: int,
        security: Literal["tls", "starttls", "none"],
        username: str,
        password: Callable[[], Password] | None,
        token: Callable[[], Password] | None,
        folder: str = "INBOX",
        timeout: float = 60.0,
        context: ssl.SSLContext | None = None,
        keep: str = KEEP,
    ) -> None:
        """Keep the settings; nothing is asked of the network yet.

        `token` gives an access token (XOAUTH2) and goes before `password`; both are called at each login,
        and their CredentialError passes through `holds`.
        `timeout` is in seconds, for each step.
        """
        self._host = host
        self._port = port
        self._place = f"{host}:{port}"
        self._security = security
        self._username = username
        self._password = password
        self._token = token
        self._folder = folder
        self._timeout = timeout
        self._context = context
        self._keep = keep
        self._client: _Client | None = None

    def holds(self, message_id: str) -> bool:
        """Whether a message with this Message-ID, in its angle brackets, is in the folder.

        Raises UnreachableError, RefusedByServerError, and PermanentDeliveryError for what is no Message-ID.
        """
        if not _MESSAGE_ID.fullmatch(message_id):
            raise PermanentDeliveryError("this is no Message-ID", place=printable(message_id))
        if self._client is not None:
            with suppress(UnreachableError):  # as servers end connections that were silent
                return self._look(self._client, message_id)
        return self._look(self._connected(), message_id)

    def close(self) -> None:
        """Say goodbye and let go of the connection."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError, imaplib.IMAP4.error):
                client.socket().settimeout(min(self._timeout, _LOGOUT_TIMEOUT))
                with client.step():
                    client.logout()
            _hang_up(client)

    def _look(self, client: _Client, message_id: str) -> bool:
        # Opened anew each time, so that what has come since is seen.
        with self._translating("the connection was lost"), client.step():
            status, said = client.select(_quoted(_mailbox_name(self._folder)), readonly=True)
        if status != "OK":
            raise RefusedByServerError(
                f"the folder {self._folder!r} cannot be opened: {_words(said)}",
                place=self._place,
                remedy="Check `email.imap.folder`",
            )
        with self._translating("the connection was lost"), client.step():
            status, said = client.uid("SEARCH", "HEADER", "Message-ID", _quoted(message_id))
        if status != "OK":
            raise RefusedByServerError(f"the server does not search: {_words(said)}", place=self._place)
        return any(isinstance(one, bytes) and _NUMBERS.fullmatch(one.strip()) for one in said)

    def _connected(self) -> _Client:
        self.close()
        if self._security == "none" and not is_loopback(self._host):
            raise RefusedByServerError(
                "digest does not log in without encryption",
                place=self._place,
                remedy='Set `email.imap.security` to "tls" (port 993) or "starttls" (port 143)',
            )
        with self._translating("no connection"):
            client = self._dial()
        try:
            with self._translating("no connection"):
                if self._security == "starttls":
                    self._start_tls(client)
                self._log_in(client)
        except BaseException:
            _hang_up(client)
            raise
        self._client = client
        return client

    def _dial(self) -> _Client:
        try:
            if self._security == "tls":
                return _TlsClient(self._host, self._port, ssl_context=self._tls(), timeout=self._timeout)
            return _Client(self._host, self._port, timeout=self._timeout)
        except UnicodeDecodeError:  # from what the server says
            raise
        except UnicodeError as error:  # from the encoding of the name (RFC 3490)
            raise RefusedByServerError(
                "there can be no host of this name", place=self._place, remedy="Check `email.imap.host`"
            ) from error

    def _tls(self) -> ssl.SSLContext:
        return self._context or ssl.create_default_context()

    def _start_tls(self, client: _Client) -> None:
        if "STARTTLS" not in client.capabilities:
            raise RefusedByServerError(
                "the server does not offer STARTTLS",
                place=self._place,
                remedy='Check `email.imap.port`; port 993 wants `email.imap.security` = "tls"',
            )
        with client.step():
            client.starttls(ssl_context=self._tls())

    def _log_in(self, client: _Client) -> None:
        source = self._token or self._password
        if source is None:
            raise RefusedByServerError(
                "there is no password", place=self._place, remedy="Set `email.imap.password`"
            )
        secret = source().reveal()
        sent = secret.encode("utf-8", "surrogatepass")
        if self._token:
            # developers.google.com/workspace/gmail/imap/xoauth2-protocol; Microsoft takes the same.
            mechanism, first = "XOAUTH2", b"user=%b\1auth=Bearer %b\1\1" % (self._username.encode(), sent)
        else:
            mechanism, first = "PLAIN", b"\0%b\0%b" % (self._username.encode(), sent)  # RFC 4616, 2
        answers = iter([first])  # a refusal by XOAUTH2 comes as one more challenge, and wants nothing said
        typed = f"{self._username}{secret}"
        is_plain = mechanism == "PLAIN" and "AUTH=PLAIN" not in client.capabilities
        try:
            with client.step():
                if is_plain and typed.isascii() and typed.isprintable():
                    client.login(_quoted(self._username), secret)  # which is quoted there
                else:
                    client.authenticate(mechanism, lambda _challenge: next(answers, b""))
        except imaplib.IMAP4.error as error:
            # A server may repeat what it was sent. None is the cause, for it would tell.
            words = _words(error.args, (secret, _quoted(secret)[1:-1], base64.b64encode(first).decode()))
            if isinstance(error, imaplib.IMAP4.abort):
                raise imaplib.IMAP4.abort(words) from None
            raise self._refused_login(words) from None

    def _refused_login(self, words: str) -> DeliveryError:
        if _FOR_NOW.search(words):
            return UnreachableError(f"no login for now: {words}", place=self._place)
        return RefusedByServerError(
            f"the login was refused: {words}",
            place=self._place,
            remedy="Check `email.imap.username` and the password, which many providers want to be an app "
            f"password: {self._keep}",
        )

    @contextmanager
    def _translating(self, what: str) -> Iterator[None]:
        """Say in words what imaplib, ssl and socket raise."""
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise RefusedByServerError(
                f"the server's certificate is not trusted: {printable(error.verify_message)}",
                place=self._place,
                remedy="Check `email.imap.host`; a certificate of your own must be known to this machine, "
                "as by SSL_CERT_FILE",
            ) from error
        except (OSError, ValueError, imaplib.IMAP4.error) as error:  # ValueError: a number of too many digits
            said = [str(error)] if isinstance(error, UnicodeError) else error.args
            raise UnreachableError(
                f"{what}: {_words(said) or type(error).__name__}",
                place=self._place,
                remedy="Check the network, and that `email.imap.port` and `email.imap.security` belong "
                'together: 993 with "tls", 143 with "starttls"',
            ) from error


def _mailbox_name(name: str) -> str:
    """A folder's name in modified UTF-7 (RFC 3501, 5.1.3)."""

    def shifted(found: re.Match[str]) -> str:
        raw = found[0].encode("utf-16-be", "surrogatepass")
        return "&-" if found[0] == "&" else f"&{base64.b64encode(raw, b'+,').decode().rstrip('=')}-"

    return _BEYOND.sub(shifted, name)


def _quoted(text: str) -> str:
    """A string of RFC 3501, 4.3, of printable ASCII."""
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def _words(said: Iterable[object], hidden: Sequence[str] = ()) -> str:
    """What imaplib gives as bytes, as text, as text that shows bytes, or as nothing."""
    texts = [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in said if one]
    text = " ".join(texts)
    for secret in hidden:
        shown = repr(secret.encode("utf-8", "surrogatepass"))[2:-1]
        for form in sorted({secret, shown} - {""}, key=len, reverse=True):
            text = text.replace(form, "<secret>")
    return printable(text)


def _hang_up(client: imaplib.IMAP4) -> None:
    with suppress(OSError):
        client.shutdown()
