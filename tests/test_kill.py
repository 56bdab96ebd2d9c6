"""A run that is killed at any moment loses nothing, and sends nothing twice but for a lost answer."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import trustme
from killed import AND, KILLED, Ended, Nursery, Row, Run, nursery, outbox
from smtp_server import recording_server
from tools import UNMEASURED
from world import SWIN_PAGE, configure


@pytest.fixture(scope="module", name="nursery")
def _nursery() -> Iterator[Nursery]:
    with nursery() as one:
        yield one


@pytest.fixture(scope="module")
def mails(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory in which two mails wait for being sent."""
    folder = tmp_path_factory.mktemp("mails")
    furnish(folder, 'transport = "eml"\nfolder = "mail"')
    return composed(nursery, folder)


@dataclass(frozen=True)
class World:
    """A configuration in a folder, the command that is killed there, and what has arrived."""

    nursery: Nursery
    folder: Path
    arrived: Callable[[], list[bytes]]
    command: str = "dispatch"
    owed: int = 2

    def run(self, command: str, *more: object, hour: int = 10, **dying: Any) -> Ended:  # noqa: ANN401
        config = ("--config", self.folder / "digest.toml")
        when = () if command == "outbox" else ("--at", at(hour))
        return self.nursery.run(command, *more, *config, *when, **dying)

    def finish(self) -> None:
        """Run it three times more, an hour apart."""
        config = ("--config", self.folder / "digest.toml")
        again = [("dispatch", *config, "--at", at(hour)) for hour in (12, 13)]
        for ended in (self.run(self.command, hour=11), self.nursery.run(*again[0], AND, *again[1])):
            assert ended.code == 0, ended.said

    def outbox(self) -> list[Row]:
        """What is to be handed over, but for files."""
        return [row for row in outbox(self.folder / "data") if row.message is not None]

    def check(self, left: Sequence[Row], had: Counter[bytes], why: str) -> None:
        """Nothing is lost, and there is no second copy but for an answer that was lost.

        `left` is the outbox that the killed run left, and `had` what had arrived by then.
        """
        rows, got = self.outbox(), Counter(self.arrived())
        assert len(rows) == self.owed, why
        assert {row.state for row in rows} == {"sent"}, why
        messages = {row.id: row.message or b"" for row in rows}
        assert got.keys() == set(messages.values()), why  # every one, and with the very bytes of the outbox
        assert all(row.message == messages[row.id] for row in left), why  # which were frozen before
        for row in rows:
            was = next((one.state for one in left if one.id == row.id), None)
            is_lost = was == "handing_over" and had[messages[row.id]]
            assert got[messages[row.id]] <= (2 if is_lost else 1), why


def furnish(
    folder: Path,
    email: str,
    *,
    data: Path | None = None,
    extra: str = "",
    more: str = 'channels = ["email"]',
) -> None:
    """Write a configuration with this `[email]`, a page that it reads, and a copy of a data directory."""
    folder.mkdir(exist_ok=True)
    configure(folder, extra=f'{extra}\n[email]\nfrom = "Digest <digest@example.org>"\n{email}')
    path = folder / "profiles" / "me.toml"
    said = path.read_text(encoding="utf-8")
    recipients = 'recipients = ["Me <me@example.org>", "you@example.org"]'
    path.write_text(f"{recipients}\n{more}\n{said}", encoding="utf-8")
    (folder / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    if data:
        shutil.copytree(data, folder / "data")


def smtp(port: int, security: str = "none") -> str:
    return f'host = "127.0.0.1"\nport = {port}\nsecurity = "{security}"\n'


def composed(nursery: Nursery, folder: Path) -> Path:
    """The data directory of a configuration, once its digest is composed."""
    for command in ("collect", "compose"):
        ended = nursery.run(command, "--config", folder / "digest.toml", "--at", at(9))
        assert ended.code == 0, ended.said
    return folder / "data"


def at(hour: int) -> str:
    return f"2026-11-20T{hour:02}:00:00Z"


# --- within the program ------------------------------------------------------------------------


def every_moment(
    folder: Path,
    fresh: Callable[[Path], World],
    **dying: Any,  # noqa: ANN401
) -> Iterator[tuple[World, list[Row], Counter[bytes], str]]:
    """Worlds in which a run was killed: at its first moment, its second, … until one gets through unharmed.

    Gives with each the outbox that was left, what had arrived, and what to say if something is wrong.
    """
    seen: set[str] = set()
    for moment in count(1):
        world = fresh(folder / str(moment))
        ended = world.run(world.command, moment=moment, **dying)
        if ended.code != KILLED:
            assert ended.code == 0, ended.said
            break
        left = world.outbox()
        seen |= {row.state for row in left}
        yield world, left, Counter(world.arrived()), f"moment {moment}: {ended.said}"
        shutil.rmtree(world.folder)
    assert seen == {"planned", "sending", "handing_over", "sent"}


@contextmanager
def hook() -> Iterator[tuple[str, list[bytes]]]:
    """A webhook: its address, and what it was sent."""
    posted: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) == length:
                posted.append(body)
            with suppress(OSError):  # nobody is there any more
                self.send_response(204)
                self.end_headers()
                self.wfile.flush()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", posted
        finally:
            server.shutdown()
            thread.join()


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".part"
    }


def test_before_and_after_every_commit_to_every_channel(nursery: Nursery, tmp_path: Path) -> None:
    had_log = False
    with recording_server() as server, hook() as (url, posted):

        def world(folder: Path, data: Path | None = None) -> World:
            furnish(
                folder,
                smtp(server.port),
                data=data,
                extra=f'[[webhooks]]\nname = "chat"\nurl = "{url}"',
                more='channels = ["email", "feeds", "archive", "webhook"]\nwebhooks = ["chat"]',
            )
            server.messages.clear()
            posted.clear()
            return World(
                nursery, folder, lambda: [*(one.content for one in server.messages), *posted], owed=3
            )

        data = composed(nursery, world(tmp_path / "composed").folder)
        for one, left, had, why in every_moment(tmp_path, lambda folder: world(folder, data)):
            log = one.folder / "data" / "digest.db-wal"
            had_log |= log.is_file() and log.stat().st_size > 0
            one.finish()
            one.check(left, had, why)
            published = files(one.folder / "public")
            shutil.rmtree(one.folder / "public")
            assert one.run("dispatch").code == 0
            assert published == files(one.folder / "public"), why
            assert len(published) > 8
    assert had_log


def test_before_and_after_every_commit_of_a_first_run_what_may_have_arrived_is_held(
    nursery: Nursery, tmp_path: Path
) -> None:
    decided: set[str] = set()
    with recording_server() as server:

        def world(folder: Path) -> World:
            furnish(folder, smtp(server.port) + 'when_uncertain = "hold"')
            server.messages.clear()
            return World(nursery, folder, lambda: [one.content for one in server.messages], "run")

        for one, left, had, why in every_moment(tmp_path, world):
            one.finish()
            if held := [row for row in left if row.state == "handing_over"]:
                (row,) = (row for row in one.outbox() if row.state == "uncertain")
                assert row == replace(held[0], state="uncertain"), why
                assert one.arrived().count(row.message or b"") == had[row.message or b""], why
                decision = "--sent" if had[row.message or b""] else "--resend"
                decided.add(decision)
                assert one.run("outbox", "resolve", row.id, decision).code == 0, why
                one.finish()
            one.check(left, Counter(), why)
    assert decided == {"--sent", "--resend"}


@pytest.mark.parametrize(("transport", "pattern"), [("maildir", "new/*"), ("eml", "*.eml")])
def test_a_folder_gets_each_mail_once_whatever_is_killed(
    nursery: Nursery, tmp_path: Path, mails: Path, transport: str, pattern: str
) -> None:
    def world(folder: Path) -> World:
        box = tmp_path / "mail"
        shutil.rmtree(box, ignore_errors=True)
        furnish(folder, f'transport = "{transport}"\nfolder = "{box}"', data=mails)
        return World(nursery, folder, lambda: [as_sent(path) for path in box.glob(pattern)])

    for one, left, _, why in every_moment(tmp_path, world, below=str(tmp_path / "mail")):
        one.finish()
        one.check(left, Counter(), why)  # not even twice after a lost answer


def as_sent(path: Path) -> bytes:
    """A message in a file, its lines ended as on the wire."""
    return path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


# Takes a whole message on its standard input, as sendmail does; the first time it kills who runs it.
SENDMAIL = """import os, signal, sys, uuid
mail = {mail!r}
is_first = not os.listdir(mail)

def reached(moment):
    if is_first and moment == {moment!r}:
        os.kill(os.getppid(), signal.SIGKILL)

reached("start")
message = sys.stdin.buffer.read(100)
reached("body")
message += sys.stdin.buffer.read()
with open(mail + ".part", "wb") as taken:
    taken.write(message)
os.rename(mail + ".part", os.path.join(mail, uuid.uuid4().hex))
reached("taken")
"""


def sendmail(nursery: Nursery, folder: Path, data: Path, moment: str = "never") -> World:
    """A world that sends by a program of its own, which kills it at a moment."""
    mail = folder / "sent"
    mail.mkdir(parents=True)
    program = folder / "sendmail.py"
    program.write_text(SENDMAIL.format(mail=str(mail), moment=moment), encoding="utf-8")
    command = f'["{sys.executable}", "-I", "-S", "{program}"]'
    furnish(folder, f'transport = "sendmail"\ncommand = {command}', data=data)
    return World(nursery, folder, lambda: [as_sent(path) for path in mail.iterdir()])


def test_before_and_after_every_commit_by_sendmail(nursery: Nursery, tmp_path: Path, mails: Path) -> None:
    for one, left, had, why in every_moment(tmp_path, lambda folder: sendmail(nursery, folder, mails)):
        one.finish()
        one.check(left, had, why)


@pytest.mark.parametrize("moment", ["start", "body", "taken"])
def test_sendmail_gets_the_whole_message_of_a_run_that_is_killed_while_it_works(
    nursery: Nursery, tmp_path: Path, mails: Path, moment: str
) -> None:
    world = sendmail(nursery, tmp_path, mails, moment)
    assert world.run("dispatch").code == KILLED
    left, deadline = world.outbox(), time.monotonic() + 10
    while not world.arrived() and time.monotonic() < deadline:  # the program goes on by itself
        time.sleep(0.01)
    had = Counter(world.arrived())
    world.finish()
    world.check(left, had, moment)


# --- on the wire -------------------------------------------------------------------------------


class Killer:
    """A mail server that kills its client at one moment: the first of its kind, the second, ….

    It goes on by itself, as servers do: what was on its way still arrives.
    """

    def __init__(self, moment: str, tls: ssl.SSLContext | None, extensions: Sequence[str]) -> None:
        """Listen; `tls` is used at once, or after STARTTLS where that is one of the `extensions`."""
        kind, _, number = moment.partition(" ")
        self._moment, self._left = kind, int(number or 1)
        self._tls = tls
        self._extensions = [*extensions]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._victim: Future[Run] = Future()
        self.port: int = self._listener.getsockname()[1]
        self.accepted: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def meet(self, victim: Run) -> None:
        """Say whom to kill."""
        self._victim.set_result(victim)

    def close(self) -> None:
        """Wait for the end of the conversation."""
        self._thread.join(30)
        self._listener.close()

    def _reached(self, moment: str) -> None:
        if moment == self._moment:
            self._left -= 1
            if self._left == 0:
                self._victim.result(30).kill()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with suppress(OSError):  # it has been killed
            self._reached("connect")
            if self._tls and "STARTTLS" not in self._extensions:
                connection = self._secured(connection)
            with connection:
                self._reached("banner")
                connection.sendall(b"220 ready\r\n")
                while not self._play(connection):
                    connection = self._secured(connection)
        connection.close()

    def _secured(self, connection: socket.socket) -> socket.socket:
        connection.recv(1, socket.MSG_PEEK)  # the handshake's first bytes are there
        self._reached("handshake")
        assert self._tls
        return self._tls.wrap_socket(connection, server_side=True)

    def _play(self, connection: socket.socket) -> bool:
        """Converse; gives False when TLS is to begin."""
        with connection.makefile("rb") as said:
            while line := said.readline():
                verb = line.split(maxsplit=1)[0].upper().decode()
                self._reached(verb)
                match verb:
                    case "EHLO":
                        names = ["here", *self._extensions]
                        answer = "\r\n".join([*(f"250-{name}" for name in names), "250 HELP"])
                    case "STARTTLS":
                        self._extensions.remove(verb)
                        connection.sendall(b"220 go on\r\n")
                        return False
                    case "AUTH":
                        answer = "235 welcome"
                    case "DATA":
                        connection.sendall(b"354 go on\r\n")
                        if not self._take(said):
                            return True
                        answer = "250 taken"
                    case _:
                        answer = "250 ok"
                connection.sendall(f"{answer}\r\n".encode())
                self._reached("taken" if verb == "DATA" else f"{verb}-answered")
        return True

    def _take(self, said: BinaryIO) -> bool:
        """Read a message to its final dot."""
        body: list[bytes] = []
        while (line := said.readline()) not in (b".\r\n", b""):
            body.append(line)
            if len(body) in _LINES:
                self._reached(_LINES[len(body)])
            if line.startswith(b"--=_") and line.endswith(b"--\r\n"):
                self._reached("end")
        if line:
            # RFC 5321, 4.5.2: a leading dot was doubled on the way.
            self.accepted.append(b"".join(line.removeprefix(b".") for line in body))
            self._reached("dot")
        return bool(line)


_LINES = {1: "line", 40: "middle"}

MOMENTS = ("MAIL", "RCPT", "DATA", "line", "middle", "end", "dot", "taken")
CONVERSATIONS = {
    "plain": ("none", [], ("connect", "banner", "EHLO", *MOMENTS, *(f"{one} 2" for one in MOMENTS))),
    "pipelined": ("none", ["PIPELINING"], ("MAIL", "RCPT", "DATA", "end", "dot", "MAIL 2", "taken 2")),
    "starttls": ("starttls", ["STARTTLS", "AUTH PLAIN"], ("STARTTLS", "handshake", "EHLO 2", "AUTH", "dot")),
    "tls": ("tls", ["AUTH PLAIN"], ("connect", "handshake", "banner", "AUTH", "AUTH-answered", "taken")),
}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize(
    ("conversation", "moment"), [(name, one) for name, (_, _, all_) in CONVERSATIONS.items() for one in all_]
)
def test_a_kill_while_talking_to_a_server(
    nursery: Nursery, tmp_path: Path, mails: Path, authority: trustme.CA, conversation: str, moment: str
) -> None:
    security, extensions, _ = CONVERSATIONS[conversation]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("pass word:é", encoding="utf-8")
    login = f'ca_file = "ca.pem"\nusername = "me"\npassword = {{ file = "{password}" }}'
    killer = Killer(moment, None if security == "none" else context, extensions)
    furnish(tmp_path, smtp(killer.port, security) + (login if security != "none" else ""), data=mails)
    received = killer.accepted
    world = World(nursery, tmp_path, lambda: received)

    victim = nursery.start("dispatch", "--config", tmp_path / "digest.toml", "--at", at(10))
    killer.meet(victim)
    ended = victim.wait()
    killer.close()
    assert ended.code == KILLED, ended.said
    left, had = world.outbox(), Counter(received)

    with recording_server() as server:
        furnish(tmp_path, smtp(server.port))
        world.finish()
        received += [one.content for one in server.messages]
    world.check(left, had, moment)


def test_a_process_that_is_killed_while_it_starts_and_composes_loses_no_paper(tmp_path: Path) -> None:
    with recording_server() as server:
        config = configure(tmp_path, port=server.port)
        (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
        command = [sys.executable, "-m", "digest", "run", "--config", str(config)]
        for delay in (0.1, 0.3, 0.5, 0.7, 0.9):
            with suppress(subprocess.TimeoutExpired):  # by which it is killed
                subprocess.run(command, capture_output=True, timeout=delay, check=False, env=UNMEASURED)
        last = subprocess.run(command, capture_output=True, timeout=60, check=False, env=UNMEASURED)
    assert last.returncode == 0, last.stdout
    contents = [message.content for message in server.messages]
    assert len(contents) >= 1
    assert len(set(contents)) == 1
