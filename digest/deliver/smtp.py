"""Hands messages to a mail server one step at a time, so that the moment of acceptance is known.

    connect → EHLO [→ STARTTLS → EHLO] [→ AUTH]
      → MAIL → RCPT → DATA → body       a failure up to here leaves nothing behind
      → `handing_over` → final dot      the server may act on the message now
      → answer                          if it is lost, nobody knows

MAIL, RCPT and DATA go out together where the server lets them (PIPELINING), which spares two round trips.
A server owns a message once it has answered the final dot, and drops one that never got it
(RFC 5321, 4.2.5 and 4.1.1.4).
`smtplib.SMTP.sendmail` sends body and dot in one piece, and its `login` fails on a password that is not
ASCII, so both are done here; smtplib brings the connection, the replies and the extensions.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import selectors
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Literal, NamedTuple, cast

from digest.core import refusals
from digest.core.mailbox import parse
from digest.deliver import LONGEST_TEXT, Password, is_loopback, printable, within
from digest.errors import (
    DeliveryError,
    LimitReachedError,
    PermanentDeliveryError,
    RefusedByServerError,
    TransientDeliveryError,
    UncertainDeliveryError,
    UnreachableError,
)

FINAL_ANSWER_TIMEOUT = 600.0
"""Seconds to wait after the final dot: giving up earlier makes second copies (RFC 5321, 4.5.3.2.6)."""

_QUIT_TIMEOUT = 5.0
_LONGEST_READ = 2000  # of which advice is sought
_LARGEST_REPLY = 65_536  # bytes; RFC 5321, 4.5.3.1.5, has lines of 512, and a reply has a few of them

# First digits of a reply (RFC 5321, 4.2.1), and the few replies that are told apart.
_DONE, _GO_ON, _NOT_NOW, _NEVER = 2, 3, 4, 5
_CHALLENGE = 334  # RFC 4954, 4
_CLOSING = 421  # RFC 5321, 3.8
_NO_REPLY = -1  # smtplib's, for a line that does not begin with a number

_CHECK = (
    "Check the network, and that `email.port` and `email.security` belong together: "
    '465 with "tls", 587 with "starttls"; many networks let nobody use 25'
)
_COMES_AGAIN = "Nothing was handed over, and digest comes again by itself"

_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)

_Reply = tuple[int, bytes]


class _Step(NamedTuple):
    """A command, the class of the reply that lets us go on, and what another one means."""

    command: str
    expected: int
    stage: refusals.Stage
    refusal: str


class _Lines(io.BufferedReader):
    """What a server says, as far as `left` bytes go."""

    left = 0
    codes: frozenset[bytes] = frozenset()

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        self.left -= len(line)
        self.codes |= {line[:3]}
        if self.left < 0:
            raise OSError("the reply is too long")
        if line and not line.endswith(b"\n") and len(line) != size:
            raise OSError("the reply broke off")  # "250" may have been on its way to "250-"
        return line


class _Client(smtplib.SMTP):
    """Reads replies that end: a whole one has the timeout that the socket gives to each of its bytes."""

    def getreply(self) -> _Reply:
        connection = _socket(self)
        if self.file is None:
            self.file = _Lines(connection.makefile("rb", buffering=0))
        self.file.left, self.file.codes = _LARGEST_REPLY, frozenset()
        with within(connection.gettimeout(), lambda: self.sock):
            code, text = super().getreply()
        # A reply has one code (RFC 5321, 4.2.1); smtplib takes the last one.
        return (code if len(self.file.codes) == 1 else _NO_REPLY), text


class _TlsClient(_Client, smtplib.SMTP_SSL):
    """Speaks TLS from the beginning."""


class SmtpDeliverer:
    """Delivers over one connection, opened when it is first needed and used for all messages."""

    def __init__(  # noqa: PLR0913 - what it takes to reach a server
        self,
        *,
        host: str,
        port: int,
        security: Literal["tls", "starttls", "none"],
        username: str | None,
        password: Callable[[], Password] | None,
        token: Callable[[], Password] | None = None,
        sender: str,
        timeout: float = 60.0,
        context: ssl.SSLContext | None = None,
        keep: str = refusals.KEEP,
    ) -> None:
        """Keep the settings; nothing is asked of the network yet.

        `security` is never changed to make a connection work.
        `password` is called at each login, and its CredentialError passes through `deliver`; so is `token`,
        which gives an access token of OAuth 2.0 and takes the place of the password.
        `sender` is the envelope's address; `timeout` is in seconds, for each step but the final answer.
        `keep` is as of `refusals.advise`.
        """
        self._host = host
        self._port = port
        self._place = f"{host}:{port}"
        self._security = security
        self._username = username
        self._password = password
        self._token = token
        self._sender = sender
        self._timeout = timeout
        self._context = context
        self._keep = keep
        self._client: smtplib.SMTP | None = None
        self._is_midway = False  # within a transaction, which the server has to be told to forget
        self._turned_away: RefusedByServerError | None = None

    def connect(self) -> smtplib.SMTP:
        """Connect anew and log in; `deliver` does so by itself where needed.

        Raises UnreachableError, RefusedByServerError.
        """
        self._drop()
        # A login that was refused is not tried again for each message: servers lock accounts for that.
        if self._turned_away:
            raise self._turned_away
        try:
            self._client = self._open()
        except RefusedByServerError as error:
            self._turned_away = error
            raise
        return self._client

    def deliver(self, message: bytes, recipient: str, *, handing_over: Callable[[], None]) -> None:
        """Hand one message over, calling `handing_over` between its body and the final dot.

        Raises TransientDeliveryError, PermanentDeliveryError, UncertainDeliveryError.
        """
        address = _address_of(recipient)
        body = _as_data(message)
        client = self._begin(address, len(message))
        with ExitStack() as hang_up:
            hang_up.callback(self._drop)
            with self._translating("the connection was lost within the message"):
                # Its pieces have the timeout; and so that it ends:
                with within(FINAL_ANSWER_TIMEOUT, lambda: client.sock):
                    client.send(body)
                early = client.getreply() if _speaks(client) else None
            if early:
                raise self._refusal("message", "the message was refused", early)
            handing_over()
            # What could not be sent was not received: still a certain failure.
            with self._translating("the connection was lost before the end of the message"):
                client.send(b".\r\n")
            reply = self._final_answer(client)
            hang_up.pop_all()
        self._is_midway = False  # RFC 5321, 4.1.1.4: whatever the answer
        self._require(_DONE, reply, "message", "the message was refused")

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
        if self._username is not None and self._security == "none" and not is_loopback(self._host):
            raise RefusedByServerError(
                "digest does not log in without encryption",
                place=self._place,
                remedy='Set `email.security` to "tls" (port 465) or "starttls" (port 587)',
            )
        with ExitStack() as hang_up, self._translating("no connection", is_open=False):
            client = self._dial()
            hang_up.callback(client.close)
            client.local_hostname = _address_literal(client)
            self._greet(client)
            if self._security == "starttls":
                self._start_tls(client)
            self._log_in(client)
            hang_up.pop_all()
        self._is_midway = False
        return client

    def _dial(self) -> smtplib.SMTP:
        # Without "localhost" smtplib looks up this machine's name, which may take long; `_open` replaces it.
        try:
            if self._security == "tls":
                return _TlsClient(
                    self._host, self._port, "localhost", timeout=self._timeout, context=self._tls()
                )
            return _Client(self._host, self._port, "localhost", timeout=self._timeout)
        except UnicodeError as error:  # from the encoding of the name (RFC 3490)
            raise RefusedByServerError(
                "there can be no host of this name", place=self._place, remedy="Check `email.host`"
            ) from error

    def _tls(self) -> ssl.SSLContext:
        return self._context or ssl.create_default_context()

    def _greet(self, client: smtplib.SMTP) -> None:
        reply = client.ehlo()
        if _class(reply) == _NEVER:  # a server without extensions (RFC 5321, 3.2)
            reply = client.helo()
        self._require(_DONE, reply, "greeting", "the greeting was refused")

    def _start_tls(self, client: smtplib.SMTP) -> None:
        if not client.has_extn("starttls"):
            raise RefusedByServerError(
                "the server does not offer STARTTLS",
                place=self._place,
                remedy='Check `email.port`; port 465 wants `email.security` = "tls"',
            )
        client.starttls(context=self._tls())
        self._greet(client)  # what was offered before is void (RFC 3207, 4.2)

    def _log_in(self, client: smtplib.SMTP) -> None:
        if self._username is None:
            return
        offered = client.esmtp_features.get("auth", "").upper().split()
        if self._token is not None:
            self._log_in_by_token(client, self._username, self._token, offered)
        elif self._password is None:
            raise RefusedByServerError(
                "there is a user name but no password", place=self._place, remedy="Set `email.password`"
            )
        else:
            self._log_in_by_password(client, self._username, self._password, offered)

    def _log_in_by_password(
        self, client: smtplib.SMTP, username: str, ask: Callable[[], Password], offered: Sequence[str]
    ) -> None:
        if not {"PLAIN", "LOGIN"} & set(offered):
            remedy = "Check `email.port` and `email.security`, or leave `email.username` out"
            raise self._not_offered("password", offered, remedy)
        password = ask().reveal()
        user, word = username.encode(), password.encode("utf-8", "surrogatepass")
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
        self._require(_DONE, reply, "password", "the login was refused", hidden=(*sent, password))

    def _log_in_by_token(
        self, client: smtplib.SMTP, username: str, ask: Callable[[], Password], offered: Sequence[str]
    ) -> None:
        if not {"XOAUTH2", "OAUTHBEARER"} & set(offered):
            remedy = (
                "Check `email.host` and `email.port`, or set `email.password` instead of `[email.oauth2]`"
            )
            raise self._not_offered("token", offered, remedy)
        token = ask().reveal()
        # Google's protocol, which is Microsoft's too; and what became of it, RFC 7628, 3.1.
        mechanism, words, done = "XOAUTH2", f"user={username}\1", ""
        if mechanism not in offered:
            name = username.replace("=", "=3D").replace(",", "=2C")  # RFC 5801, 4
            words = f"n,a={name},\1host={self._host}\1port={self._port}\1"
            mechanism, done = "OAUTHBEARER", _base64(b"\1")
        sent = _base64(f"{words}auth=Bearer {token}\1\1".encode("utf-8", "surrogatepass"))
        reply, why = client.docmd(f"AUTH {mechanism} {sent}"), ""
        if reply[0] == _CHALLENGE:  # not a question: it says what is wrong, and is to be answered
            why = _of_json(reply[1], (sent, token))
            reply = client.docmd(done)
        self._require(_DONE, reply, "token", f"the login was refused{why}", hidden=(sent, token))

    def _not_offered(self, secret: str, offered: Sequence[str], remedy: str) -> RefusedByServerError:
        kinds = f", only {printable(', '.join(offered))}" if offered else ""
        return RefusedByServerError(
            f"the server offers no login by {secret}{kinds}", place=self._place, remedy=remedy
        )

    def _begin(self, address: str, size: int) -> smtplib.SMTP:
        """Have the server wait for a message, on a new connection if it has ended the present one."""
        if (client := self._client) is not None:
            steps = self._steps(client, address, size)
            if self._is_midway or not client.has_extn("pipelining"):
                steps.insert(0, _Step("RSET", _DONE, "sender", ""))
            replies, lost = self._say(client, steps)
            up_to_mail = len(steps) - 2
            # Some end it after so many messages, or when nothing was said for a while.
            if len(replies) >= up_to_mail and replies[up_to_mail - 1][0] != _CLOSING:
                self._judge(client, steps, replies, lost)
                return client
        client = self.connect()
        steps = self._steps(client, address, size)
        self._judge(client, steps, *self._say(client, steps))
        return client

    def _steps(self, client: smtplib.SMTP, address: str, size: int) -> list[_Step]:
        mail = self._mail(client, address, size)
        return [
            _Step(mail, _DONE, "sender", f"the sender {self._sender} was refused"),
            _Step(f"RCPT TO:<{address}>", _DONE, "recipient", f"the recipient {address} was refused"),
            _Step("DATA", _GO_ON, "message", "the message was refused"),
        ]

    def _say(self, client: smtplib.SMTP, steps: Sequence[_Step]) -> tuple[list[_Reply], OSError | None]:
        """Say it, at once where that is allowed (RFC 2920); gives the replies, and why there are no more."""
        self._is_midway = True
        at_once = client.has_extn("pipelining")
        replies: list[_Reply] = []
        try:
            if at_once:
                client.send("".join(f"{step.command}\r\n" for step in steps))
            for step in steps:
                if not at_once:
                    client.putcmd(step.command)
                reply = client.getreply()
                replies.append(reply)
                is_refused = _class(reply) != step.expected
                if reply[0] in (_CLOSING, _NO_REPLY) or (
                    is_refused and (not at_once or step.command == "RSET")
                ):
                    break
        except OSError as error:
            return replies, error
        return replies, None

    def _judge(
        self, client: smtplib.SMTP, steps: Sequence[_Step], replies: Sequence[_Reply], lost: OSError | None
    ) -> None:
        """Raise what the first refusal means, having made sure that the server waits for no message."""
        for step, reply in zip(steps, replies, strict=False):
            if _class(reply) != step.expected:
                self._give_up(client, steps, replies)
                raise self._refusal(step.stage, step.refusal, reply) from lost
        if lost is not None:
            with self._translating("the connection was lost"):
                raise lost

    def _give_up(self, client: smtplib.SMTP, steps: Sequence[_Step], replies: Sequence[_Reply]) -> None:
        """Leave the connection so that the server waits for commands, or not at all."""
        last = replies[-1]
        answered = len(replies) == len(steps)
        with suppress(OSError):
            # DATA was taken though the recipient was not: RFC 2920, 3.1, ends that by a message of nothing.
            if answered and _class(last) == _GO_ON and _class(replies[-2]) != _DONE:
                last = client.docmd(".")
            is_in_step = answered or not client.has_extn("pipelining")
            if is_in_step and last[0] not in (_CLOSING, _NO_REPLY) and _class(last) != _GO_ON:
                return
        self._drop()

    def _mail(self, client: smtplib.SMTP, address: str, size: int) -> str:
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
        return command

    def _final_answer(self, client: smtplib.SMTP) -> _Reply:
        try:
            _socket(client).settimeout(FINAL_ANSWER_TIMEOUT)
            reply = client.getreply()
            _socket(client).settimeout(self._timeout)
        except OSError as error:
            raise self._uncertain(printable(str(error))) from error
        if _class(reply) not in (_DONE, _NOT_NOW, _NEVER):
            raise self._uncertain(_said(reply))
        return reply

    @contextmanager
    def _translating(self, what: str, *, is_open: bool = True) -> Iterator[None]:
        """Say in words what smtplib, ssl and socket raise, all of which is an OSError."""
        try:
            yield
        except smtplib.SMTPResponseException as error:
            self._drop()
            text = error.smtp_error  # the server's bytes; a str, and its code, are smtplib's own
            reply = (_NO_REPLY, text.encode()) if isinstance(text, str) else (error.smtp_code, text)
            raise self._refusal("message" if is_open else "greeting", what, reply) from error
        except ssl.SSLCertVerificationError as error:
            raise RefusedByServerError(
                f"the server's certificate is not trusted: {printable(error.verify_message)}",
                place=self._place,
                remedy="Check `email.host`; a certificate of your own must be known to this machine, "
                "as by SSL_CERT_FILE",
            ) from error
        except OSError as error:
            self._drop()
            if not is_open and isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
                what = "the server does not begin with TLS"
            kind, remedy = (TransientDeliveryError, _COMES_AGAIN) if is_open else (UnreachableError, _CHECK)
            raise kind(
                f"{what}: {printable(error.strerror or str(error))}", place=self._place, remedy=remedy
            ) from error

    def _require(
        self,
        expected: int,
        reply: _Reply,
        stage: refusals.Stage,
        refusal: str,
        *,
        hidden: tuple[str, ...] = (),
    ) -> None:
        if _class(reply) != expected:
            raise self._refusal(stage, refusal, reply, hidden=hidden)

    def _refusal(
        self, stage: refusals.Stage, what: str, reply: _Reply, *, hidden: tuple[str, ...] = ()
    ) -> DeliveryError:
        advice = refusals.advise(stage, _said(reply, hidden, longest=_LONGEST_READ), self._host, self._keep)
        concern = advice.concern if advice else "message"
        is_before = stage in ("greeting", "password", "token")
        kind: type[DeliveryError]
        if concern == "limit":  # which passes, even where the server says "never"
            kind = LimitReachedError
        elif _class(reply) != _NEVER:  # what is no proper reply may be one next time
            kind = UnreachableError if is_before else TransientDeliveryError
        # The sender is the same for all messages; so are we.
        elif is_before or concern == "account" or (stage == "sender" and advice is None):
            kind = RefusedByServerError
        else:
            kind = PermanentDeliveryError
        remedy = advice.words if advice else None
        if reply[0] == _NO_REPLY:
            remedy = _CHECK if is_before else _COMES_AGAIN
        return kind(f"{what}: {_said(reply, hidden)}", place=self._place, remedy=remedy)

    def _uncertain(self, why: str) -> UncertainDeliveryError:
        return UncertainDeliveryError(
            f"the whole message was sent and the answer was lost: {why}",
            place=self._place,
            remedy="Look whether it has arrived; see `digest outbox`",
        )


def _class(reply: _Reply) -> int:
    return reply[0] // 100


def _said(reply: _Reply, hidden: tuple[str, ...] = (), *, longest: int = LONGEST_TEXT) -> str:
    """A reply's code and text, without what must not be printed."""
    code, raw = reply
    text = printable(_without(hidden, raw.decode("utf-8", "replace")), longest)
    return f"{code} {text}" if code > 0 else f"no SMTP reply: {text}"


def _without(hidden: tuple[str, ...], text: str) -> str:
    for secret in filter(None, hidden):  # a server may repeat what it was sent
        text = text.replace(secret, "<secret>")
    return text


def _of_json(challenge: bytes, hidden: tuple[str, ...]) -> str:
    """What is wrong with a token, as a server says in base64 and JSON (RFC 7628, 3.2.2), in brackets."""
    with suppress(binascii.Error, ValueError, RecursionError):
        told = json.loads(base64.b64decode(challenge))
        if isinstance(told, dict):
            words = ", ".join(f"{key} {value}" for key, value in told.items() if isinstance(value, str | int))
            return f" ({printable(_without(hidden, words))})"
    return ""


def _address_of(mailbox: str) -> str:
    """The address within a mailbox, its domain in ASCII."""
    try:
        return parse(mailbox).address
    except ValueError as error:
        raise PermanentDeliveryError(
            "not an e-mail address", place=printable(mailbox), remedy="Check the profile's `recipients`"
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


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
