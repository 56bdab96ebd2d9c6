"""Two mail servers for tests: one takes everything and remembers it, one plays a script of faults."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from time import sleep
from types import TracebackType
from typing import Any, BinaryIO, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


@dataclass(frozen=True)
class Message:
    """What a server was handed."""

    mail_from: str
    rcpt_tos: tuple[str, ...]
    content: bytes
    options: tuple[str, ...]  # of MAIL
    client: int  # the port of the connection's other end


@dataclass
class Recorder:
    """A server that takes everything from those who log in as they should."""

    port: int
    login: tuple[str, str] | None  # user and password
    messages: list[Message] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)  # mechanism and user, also refused ones
    pipelining: bool = False

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self,
        _server: Any,  # noqa: ANN401
        session: Any,  # noqa: ANN401
        _envelope: Any,  # noqa: ANN401
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        """Offer what aiosmtpd does not by itself."""
        session.host_name = hostname
        return [responses[0], *(["250-PIPELINING"] if self.pipelining else []), *responses[1:]]

    async def auth_XOAUTH2(self, server: Any, arguments: list[str]) -> AuthResult:  # noqa: ANN401, N802
        """Check a login by a token, which stands in the place of the password."""
        user, *fields = base64.b64decode(arguments[1], validate=True).decode().split("\1")
        return await self._by_token(server, "XOAUTH2", user.removeprefix("user="), fields, b"")

    async def auth_OAUTHBEARER(self, server: Any, arguments: list[str]) -> AuthResult:  # noqa: ANN401, N802
        """Check a login as RFC 7628 has it."""
        header, *fields = base64.b64decode(arguments[1], validate=True).decode().split("\1")
        user = header.removeprefix("n,a=").removesuffix(",").replace("=2C", ",").replace("=3D", "=")
        return await self._by_token(server, "OAUTHBEARER", user, fields, b"\1")

    async def _by_token(
        self,
        server: Any,  # noqa: ANN401
        mechanism: str,
        user: str,
        fields: list[str],
        ending: bytes,
    ) -> AuthResult:
        self.logins.append((mechanism, user))
        assert fields[-2:] == ["", ""]
        if self.login and (user, fields[-3]) == (self.login[0], f"auth=Bearer {self.login[1]}"):
            return AuthResult(success=True)
        why = {"status": "401", "schemes": "bearer", "scope": f"mail {fields[-3]}"}  # and repeats the secret
        assert await server.challenge_auth(json.dumps(why).encode()) == ending
        return AuthResult(success=False, handled=False)

    def authenticate(  # aiosmtpd's own values are untyped
        self,
        _server: Any,  # noqa: ANN401
        _session: Any,  # noqa: ANN401
        _envelope: Any,  # noqa: ANN401
        mechanism: str,
        given: LoginPassword,
    ) -> AuthResult:
        """Check a login."""
        user, password = given.login.decode(), given.password.decode()
        self.logins.append((mechanism, user))
        return AuthResult(success=(user, password) == self.login, handled=False)

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self,
        _server: Any,  # noqa: ANN401
        session: Any,  # noqa: ANN401
        envelope: Any,  # noqa: ANN401
    ) -> str:
        """Keep a message."""
        if self.login and not session.authenticated:
            return "530 5.7.0 log in first"
        self.messages.append(
            Message(
                envelope.mail_from,
                tuple(envelope.rcpt_tos),
                envelope.content,
                tuple(envelope.mail_options),
                session.peer[1],
            )
        )
        return "250 OK"


class _Controller(Controller):
    """Serves at a socket that listens already: a port that is free now, another process may take."""

    def __init__(self, recorder: Recorder, listener: socket.socket, **options: Any) -> None:  # noqa: ANN401
        super().__init__(recorder, **options)
        self._listener = listener

    def _create_server(self) -> Awaitable[asyncio.Server]:
        return self.loop.create_server(self._factory_invoker, sock=self._listener, ssl=self.ssl_context)


@contextmanager
def recording_server(
    *,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
    without: Sequence[str] = (),
    smtputf8: bool = True,
    pipelining: bool = False,
) -> Iterator[Recorder]:
    """A server on 127.0.0.1, with the given TLS, that wants the given login.

    `without` names mechanisms of AUTH that it does not offer.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    recorder = Recorder(listener.getsockname()[1], login, pipelining=pipelining)
    controller = _Controller(
        recorder,
        listener,
        hostname="127.0.0.1",
        port=recorder.port,
        ssl_context=tls,
        tls_context=starttls,
        require_starttls=starttls is not None,
        authenticator=recorder.authenticate if login else None,
        auth_require_tls=starttls is not None,
        auth_exclude_mechanism=without,
        enable_SMTPUTF8=smtputf8,
    )
    controller.start()
    try:
        yield recorder
    finally:
        controller.stop()


HANG_UP = "(hang up)"
RESET = "(hang up at once: what is still on the way is lost)"
SILENCE = "(say nothing, and listen)"
ALERT = "(an alert of TLS, together with what was said)"
DRIP = "(and once more, again and again, each after a short while)"
FLOOD = "(and once more, again and again)"
MESSAGE = "(a message, to its final dot)"
UNASKED = "(without being asked)"

GREETED = ((UNASKED, "220 ready"), ("EHLO", "250 here"))
PIPELINED = ((UNASKED, "220 ready"), ("EHLO", "250-here\r\n250 PIPELINING"))
ADDRESSED = (*GREETED, ("MAIL", "250 ok"), ("RCPT", "250 ok"))
STARTED = (*ADDRESSED, ("DATA", "354 go on"))
ACCEPTED = (*STARTED, (MESSAGE, "250 taken"))

Script = Sequence[tuple[str, str] | Callable[[], object]]


def go_on(connection: socket.socket, answer: str) -> bool:
    """Send an answer that ends with DRIP or FLOOD as it says, until the client has left; else nothing.

    After ten seconds, or 40 MB, it is over: a client that waits for it is to fail, not to hang.
    """
    if not answer.endswith((DRIP, FLOOD)):
        return False
    once = answer.removesuffix(DRIP).removesuffix(FLOOD).encode()
    with suppress(OSError):
        if answer.endswith(FLOOD):
            connection.sendall(once * (40_000_000 // len(once)))
        else:
            for _ in range(500):
                connection.sendall(once)
                sleep(0.02)
    return True


_ENOUGH = 100_000
"""Characters of an answer after which a client may leave."""


class ScriptedServer:
    """Plays one script for each connection, in their order.

    A script's steps are pairs: how the client's next line begins, and the answer to it.
    UNASKED, MESSAGE, SILENCE, ALERT, DRIP, FLOOD, HANG_UP and RESET stand for what they say; an answer that
    ends with one of the last two is cut off there, before the end of its line. A step that is a function is
    called.
    After its last step the server listens, and answers QUIT, until the client is gone.
    Leaving the `with` raises what went against the script, or was not played of it.
    """

    def __init__(self, *scripts: Script, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.lines: list[str] = []  # what clients said, without messages
        self.messages: list[bytes] = []  # as sent, dots and all
        self.taken: list[bytes] = []  # those that were not refused: somebody may be reading them
        self._scripts = scripts
        self._tls = tls
        self._problem: Exception | None = None
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self._listener.settimeout(60)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wait()
        self._listener.close()
        if self._problem and error is None:
            raise self._problem

    def wait(self) -> None:
        """Wait until all scripts were played and their connections are gone."""
        self._thread.join()

    def _run(self) -> None:
        try:
            for script in self._scripts:
                connection, _ = self._listener.accept()
                connection.settimeout(60)
                if self._tls:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                self.connection = connection
                with connection, connection.makefile("rb") as said:
                    self._play(script, connection, said)
        except Exception as error:  # noqa: BLE001 - raised again by __exit__
            self._problem = error

    def _play(self, script: Script, connection: socket.socket, said: BinaryIO) -> None:
        for step in script:
            if callable(step):
                step()
                continue
            expected, answer = step
            if expected == MESSAGE:
                self.messages.append(b"".join(self._until_the_dot(said)))
                if not answer.startswith(("4", "5")):
                    self.taken.append(self.messages[-1])
            elif expected != UNASKED:
                line = self._line(said)
                if not line.upper().startswith(expected.upper()):
                    raise AssertionError(f"expected {expected}, the client said {line!r}")
            if answer.endswith(RESET):
                at_once = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            if answer.endswith((HANG_UP, RESET)):
                connection.sendall(answer.removesuffix(HANG_UP).removesuffix(RESET).encode())
                return
            if answer == SILENCE or go_on(connection, answer):
                break
            _cork(connection, 1)
            with suppress(ConnectionError) if len(answer) > _ENOUGH else nullcontext():
                connection.sendall(f"{answer.removesuffix(ALERT)}\r\n".encode())
            if answer.endswith(ALERT):
                os.write(connection.fileno(), _INTERNAL_ERROR)
            _cork(connection, 0)
        while line := self._line(said):
            if line.upper() == "QUIT\r\n":
                connection.sendall(b"221 bye\r\n")

    def _until_the_dot(self, said: BinaryIO) -> Iterator[bytes]:
        for line in iter(said.readline, b".\r\n"):
            if not line:
                raise AssertionError("the client left within its message")
            yield line

    def _line(self, said: BinaryIO) -> str:
        """The client's next line, with its end; empty when it is gone."""
        try:
            line: str = said.readline().decode(errors="replace")
        except ConnectionError:
            return ""
        if line:
            self.lines.append(line.rstrip())
        return line


_INTERNAL_ERROR = b"\x15\x03\x03\x00\x02\x02\x50"  # RFC 8446, 5.1 and 6


def _cork(connection: socket.socket, value: int) -> None:
    """Have what is said from 1 to 0 arrive in one piece, where the system can do that."""
    if hasattr(socket, "TCP_CORK"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, value)
