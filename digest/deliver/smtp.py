"""Hands messages to a mail server one step at a time, so that the moment of acceptance is known.

    connect → EHLO [→ STARTTLS → EHLO] [→ AUTH]
      → MAIL → RCPT → DATA → body       a failure up to here leaves nothing behind
      → `handing_over` → final dot      the server may act on the message now
      → answer                          if it is lost, nobody knows

A server owns a message once it has answered the final dot, and drops one that never got it
(RFC 5321, 4.2.5 and 4.1.1.4).
`smtplib.SMTP.sendmail` sends body and dot in one piece, and its `login` fails on a password that is not
ASCII, so both are done here; smtplib brings the connection, the replies and the extensions.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import selectors
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Literal, Protocol, cast

from digest.core.mailbox import parse
from digest.errors import (
    DeliveryError,
    PermanentDeliveryError,
    RefusedByServerError,
    TransientDeliveryError,
    UncertainDeliveryError,
)

FINAL_ANSWER_TIMEOUT = 600.0
"""Seconds to wait after the final dot: giving up earlier makes second copies (RFC 5321, 4.5.3.2.6)."""

_QUIT_TIMEOUT = 5.0
_LONGEST_TEXT = 300

# First digits of a reply (RFC 5321, 4.2.1), and the few replies that are told apart.
_DONE, _GO_ON, _NOT_NOW, _NEVER = 2, 3, 4, 5
_CHALLENGE = 334  # RFC 4954, 4
_CLOSING = 421  # RFC 5321, 3.8
_LOGIN_WANTED = 530  # RFC 4954, 6

_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)

_Reply = tuple[int, bytes]


class Password(Protocol):
    """A secret that is shown on request only."""

    def reveal(self) -> str:
        """The secret itself."""


class SmtpDeliverer:
    """Delivers over one connection, opened when it is first needed and used for all messages."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        security: Literal["tls", "starttls", "none"],
        username: str | None,
        password: Callable[[], Password] | None,
        sender: str,
        timeout: float = 60.0,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Keep the settings; nothing is asked of the network yet.

        `security` is never changed to make a connection work.
        `password` is called at each login, and its CredentialError passes through `deliver`.
        `sender` is the envelope's address; `timeout` is in seconds, for each step but the final answer.
        """
        self._host = host
        self._port = port
        self._place = f"{host}:{port}"
        self._security = security
        self._username = username
        self._password = password
        self._sender = sender
        self._timeout = timeout
        self._context = context
        self._client: smtplib.SMTP | None = None
        self._turned_away: RefusedByServerError | None = None

    def connect(self) -> smtplib.SMTP:
        """Connect anew and log in; `deliver` does so by itself where needed.

        Raises TransientDeliveryError, RefusedByServerError.
        """
        self._drop()
        # A login that was refused is not tried again for each message: servers lock accounts for that.
        if self._turned_away:
            raise self._turned_away
        try:
            self._client = self._open()
        except PermanentDeliveryError as error:
            self._turned_away = RefusedByServerError(error.message, place=error.place, remedy=error.remedy)
            raise self._turned_away from error
        return self._client

    def deliver(self, message: bytes, recipient: str, *, handing_over: Callable[[], None]) -> None:
        """Hand one message over, calling `handing_over` between its body and the final dot.

        Raises TransientDeliveryError, PermanentDeliveryError, UncertainDeliveryError.
        """
        address = _address_of(recipient)
        body = _as_data(message)
        client = self._begin(address, len(message))
        self._command(client, f"RCPT TO:<{address}>", _DONE, f"the recipient {address} was refused")
        self._command(client, "DATA", _GO_ON, "the message was refused")
        with ExitStack() as hang_up:
            hang_up.callback(self._drop)
            with self._translating("the connection was lost within the message"):
                client.send(body)
                early = client.getreply() if _speaks(client) else None
            if early:
                raise self._refusal("the message was refused", early)
            handing_over()
            # What could not be sent was not received: still a certain failure.
            with self._translating("the connection was lost before the end of the message"):
                client.send(b".\r\n")
            reply = self._final_answer(client)
            hang_up.pop_all()
        self._require(_DONE, reply, "the message was refused")

    def close(self) -> None:
        """Say goodbye and let go of the connection; what the server answers does not matter."""
        if self._client is not None:
            with suppress(OSError):
                _socket(self._client).settimeout(min(self._timeout, _QUIT_TIMEOUT))
                self._client.docmd("QUIT")
        self._drop()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError):
                client.close()

    def _open(self) -> smtplib.SMTP:
        if self._username is not None and self._security == "none" and not _is_loopback(self._host):
            raise PermanentDeliveryError(
                "digest does not log in without encryption",
                place=self._place,
                remedy='Set `email.security` to "tls" (port 465) or "starttls" (port 587)',
            )
        with ExitStack() as hang_up, self._translating("no connection"):
            client = self._dial()
            hang_up.callback(client.close)
            client.local_hostname = _address_literal(client)
            self._greet(client)
            if self._security == "starttls":
                self._start_tls(client)
            self._log_in(client)
            hang_up.pop_all()
        return client

    def _dial(self) -> smtplib.SMTP:
        # Without "localhost" smtplib looks up this machine's name, which may take long; `_open` replaces it.
        try:
            if self._security == "tls":
                return smtplib.SMTP_SSL(
                    self._host, self._port, "localhost", timeout=self._timeout, context=self._tls()
                )
            return smtplib.SMTP(self._host, self._port, "localhost", timeout=self._timeout)
        except UnicodeError as error:  # from the encoding of the name (RFC 3490)
            raise PermanentDeliveryError(
                "there can be no host of this name", place=self._place, remedy="Check `email.host`"
            ) from error

    def _tls(self) -> ssl.SSLContext:
        return self._context or ssl.create_default_context()

    def _greet(self, client: smtplib.SMTP) -> None:
        reply = client.ehlo()
        if _class(reply) == _NEVER:  # a server without extensions (RFC 5321, 3.2)
            reply = client.helo()
        self._require(_DONE, reply, "the greeting was refused")

    def _start_tls(self, client: smtplib.SMTP) -> None:
        if not client.has_extn("starttls"):
            raise PermanentDeliveryError(
                "the server does not offer STARTTLS",
                place=self._place,
                remedy='Check `email.port`; port 465 wants `email.security` = "tls"',
            )
        client.starttls(context=self._tls())
        self._greet(client)  # what was offered before is void (RFC 3207, 4.2)

    def _log_in(self, client: smtplib.SMTP) -> None:
        if self._username is None:
            return
        if self._password is None:
            raise PermanentDeliveryError(
                "there is a user name but no password", place=self._place, remedy="Set `email.password`"
            )
        offered = client.esmtp_features.get("auth", "").upper().split()
        if not {"PLAIN", "LOGIN"} & set(offered):
            kinds = f", only {', '.join(offered)}" if offered else ""
            raise PermanentDeliveryError(
                f"the server offers no login by password{kinds}",
                place=self._place,
                remedy="Check `email.port` and `email.security`, or leave `email.username` out",
            )
        password = self._password().reveal()
        user, word = self._username.encode(), password.encode("utf-8", "surrogatepass")
        if "PLAIN" in offered:  # RFC 4616, 2
            sent = [_base64(b"\0" + user + b"\0" + word)]
            commands = [f"AUTH PLAIN {sent[0]}"]
        else:  # never standardised; Microsoft offers no other
            sent = [_base64(user), _base64(word)]
            commands = ["AUTH LOGIN", *sent]
        for command in commands:
            reply = client.docmd(command)
            if reply[0] != _CHALLENGE:
                break
        self._require(_DONE, reply, "the login was refused", hidden=(*sent, password), advise=_login_advice)

    def _begin(self, address: str, size: int) -> smtplib.SMTP:
        """Start a transaction, on a new connection if the server has ended the present one."""
        if (client := self._client) is not None:
            with suppress(OSError):
                if _class(client.docmd("RSET")) == _DONE:
                    reply = self._mail(client, address, size)
                    if reply[0] != _CLOSING:  # as some do after so many messages
                        self._require(_DONE, reply, self._sender_refused)
                        return client
        client = self.connect()
        with self._translating("the connection was lost"):
            reply = self._mail(client, address, size)
        self._require(_DONE, reply, self._sender_refused)
        return client

    def _mail(self, client: smtplib.SMTP, address: str, size: int) -> _Reply:
        command = f"MAIL FROM:<{self._sender}>"
        if client.has_extn("size"):
            command += f" SIZE={size}"  # a message too large is refused before it is sent (RFC 1870, 6)
        if not (self._sender + address).isascii():
            if not client.has_extn("smtputf8"):
                raise PermanentDeliveryError(
                    f"the server takes ASCII addresses only, not {self._sender} → {address}",
                    place=self._place,
                    remedy="Use addresses in ASCII, or a server with SMTPUTF8",
                )
            client.command_encoding = "utf-8"
            command += " SMTPUTF8 BODY=8BITMIME"  # RFC 6531, 3.4
        return client.docmd(command)

    @property
    def _sender_refused(self) -> str:
        return f"the sender {self._sender} was refused"

    def _command(self, client: smtplib.SMTP, command: str, expected: int, refusal: str) -> None:
        with self._translating("the connection was lost"):
            reply = client.docmd(command)
        self._require(expected, reply, refusal)

    def _final_answer(self, client: smtplib.SMTP) -> _Reply:
        try:
            _socket(client).settimeout(FINAL_ANSWER_TIMEOUT)
            reply = client.getreply()
            _socket(client).settimeout(self._timeout)
        except OSError as error:
            raise self._uncertain(_printable(str(error))) from error
        if _class(reply) not in (_DONE, _NOT_NOW, _NEVER):
            raise self._uncertain(_said(reply))
        return reply

    @contextmanager
    def _translating(self, what: str) -> Iterator[None]:
        """Say in words what smtplib, ssl and socket raise, all of which is an OSError."""
        try:
            yield
        except smtplib.SMTPResponseException as error:
            self._drop()
            text = error.smtp_error  # the server's bytes, or a str of smtplib's own
            raw = text.encode() if isinstance(text, str) else text
            raise self._refusal(what, (error.smtp_code, raw)) from error
        except ssl.SSLCertVerificationError as error:
            raise PermanentDeliveryError(
                f"the server's certificate is not trusted: {_printable(error.verify_message)}",
                place=self._place,
                remedy="Check `email.host`; a certificate of your own must be known to this machine, "
                "as by SSL_CERT_FILE",
            ) from error
        except OSError as error:
            self._drop()
            raise TransientDeliveryError(
                f"{what}: {_printable(str(error))}",
                place=self._place,
                remedy="Check the network, and that `email.port` and `email.security` belong together: "
                '465 with "tls", 587 with "starttls"',
            ) from error

    def _require(
        self,
        expected: int,
        reply: _Reply,
        refusal: str,
        *,
        hidden: tuple[str, ...] = (),
        advise: Callable[[str], str] | None = None,
    ) -> None:
        if _class(reply) != expected:
            raise self._refusal(refusal, reply, hidden=hidden, advise=advise)

    def _refusal(
        self,
        what: str,
        reply: _Reply,
        *,
        hidden: tuple[str, ...] = (),
        advise: Callable[[str], str] | None = None,
    ) -> DeliveryError:
        text = _said(reply, hidden)
        if _class(reply) != _NEVER:  # what is no proper reply may be one next time
            return TransientDeliveryError(f"{what}: {text}", place=self._place)
        remedy = "Set `email.username` and `email.password`" if reply[0] == _LOGIN_WANTED else None
        if advise:
            remedy = advise(f"{text} {self._host}")
        return PermanentDeliveryError(f"{what}: {text}", place=self._place, remedy=remedy)

    def _uncertain(self, why: str) -> UncertainDeliveryError:
        return UncertainDeliveryError(
            f"the whole message was sent and the answer was lost: {why}",
            place=self._place,
            remedy="Look whether it has arrived; see `digest outbox`",
        )


def _login_advice(text: str) -> str:
    """What to do about a refused login, given what the server said and what it is called."""
    # Enhanced status codes (RFC 3463): Google's are everybody's, Microsoft's are its own.
    if re.search(r"\b5\.7\.(30|57|139)\b", text):
        return (
            "Microsoft has switched logins by password (basic authentication) off for this mailbox: "
            "have its administrator allow authenticated SMTP, or send through another server"
        )
    if re.search(r"\b5\.7\.(8|9|14)\b", text) and re.search(r"gsmtp|google|gmail", text, re.IGNORECASE):
        return (
            "Google takes an app password here, not the password of the account: make one at "
            "https://myaccount.google.com/apppasswords and store it with `digest secret set`"
        )
    return (
        "Check `email.username` and store the password again with `digest secret set`; "
        "many providers want an app password"
    )


def _class(reply: _Reply) -> int:
    return reply[0] // 100


def _said(reply: _Reply, hidden: tuple[str, ...] = ()) -> str:
    """A reply's code and text, without what must not be printed."""
    code, raw = reply
    text = raw.decode("utf-8", "replace")
    for secret in filter(None, hidden):  # a server may repeat what it was sent
        text = text.replace(secret, "<secret>")
    return f"{code} {_printable(text)}" if code > 0 else f"no SMTP reply: {_printable(text)}"


def _printable(text: str) -> str:
    """A server's words on one line that no terminal takes for commands."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return (line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 1] + "…").rstrip(".")


def _address_of(mailbox: str) -> str:
    """The address within a mailbox, its domain in ASCII."""
    try:
        return parse(mailbox).address
    except ValueError as error:
        raise PermanentDeliveryError(
            "not an e-mail address", place=_printable(mailbox), remedy="Check the profile's `recipients`"
        ) from error


def _as_data(message: bytes) -> bytes:
    """The message as it is sent after DATA, without the final dot (RFC 5321, 4.5.2)."""
    if _BARE_LINE_END.search(message):  # servers differ on where such a message ends (RFC 5321, 2.3.8)
        raise PermanentDeliveryError("the message has a line that does not end in CRLF")
    ended = message if message.endswith(b"\r\n") else message + b"\r\n"
    return _LEADING_DOT.sub(b"..", ended)


def _speaks(client: smtplib.SMTP) -> bool:
    """Whether the server has said something without being asked, or hung up."""
    with selectors.DefaultSelector() as selector:
        selector.register(_socket(client), selectors.EVENT_READ)
        return bool(selector.select(0))


def _socket(client: smtplib.SMTP) -> socket.socket:
    return cast("socket.socket", client.sock)  # None only while there is no connection


def _address_literal(client: smtplib.SMTP) -> str:
    """The machine's address as its name (RFC 5321, 4.1.3): always there, and without a look-up."""
    address = str(_socket(client).getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
