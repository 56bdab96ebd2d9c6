from __future__ import annotations

import base64
import grp
import imaplib
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from time import sleep
from typing import Any, BinaryIO, Self

import pytest
import trustme
from smtp_server import DRIP, FLOOD, go_on
from tools import absent, needed

from digest.deliver.imap import ImapMailbox
from digest.deliver.maildir import MaildirDeliverer
from digest.errors import (
    CredentialError,
    DeliveryError,
    PermanentDeliveryError,
    RefusedByServerError,
    UnreachableError,
)

USER = "reader@example.test"
PASSWORD = 'pass "word\\:é'  # noqa: S105 - nobody's
ID = "<0123456789abcdef@example.test>"
MAIL = f"Subject: Five papers\r\nMessage-ID: {ID}\r\n\r\nFrom here on\r\n.\r\nEnd.\r\n".encode()


class Word:
    def __init__(self, value: str = PASSWORD) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value


@contextmanager
def mailbox(port: int, **settings: Any) -> Iterator[ImapMailbox]:  # noqa: ANN401 - any of the settings
    given = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "username": USER,
        "password": Word,
        "token": None,
        "timeout": 5.0,
    }
    with closing(ImapMailbox(**{**given, **settings})) as box:
        yield box


def nothing() -> None:
    pass


def said(error: BaseException) -> str:
    """All that a report of the error could print."""
    return "".join(traceback.format_exception(error))


# --- a real server ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Dovecot:
    """A Dovecot of its own, with one reader."""

    def __init__(self, root: Path, authority: trustme.CA) -> None:
        self.imap, self.imaps, self.maildir = free_port(), free_port(), root / "Maildir"
        self.root = root
        self.group = grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        certificate.private_key_pem.write_to_path(str(root / "key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(root / "cert.pem"))
        (root / "dovecot.conf").write_text(
            f"""
protocols = imap
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/log
listen = 127.0.0.1
ssl = yes
ssl_cert = <{root}/cert.pem
ssl_key = <{root}/key.pem
auth_mechanisms = plain
first_valid_uid = 1
mail_location = maildir:{self.maildir}
passdb {{
  driver = static
  args = password={{PLAIN.B64}}{base64.b64encode(PASSWORD.encode()).decode()}
}}
userdb {{
  driver = static
  args = uid=nobody gid={self.group} home={self.maildir}
}}
service imap-login {{
  inet_listener imap {{
    port = {self.imap}
  }}
  inet_listener imaps {{
    port = {self.imaps}
  }}
}}
""",
            encoding="utf-8",
        )

    def wait(self) -> None:
        """Wait until it takes connections."""
        for _ in range(500):
            with suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.imap)).close()
                return
            sleep(0.02)
        pytest.fail((self.root / "log").read_text(encoding="utf-8"))

    def deliver(self, message: bytes) -> None:
        MaildirDeliverer(self.maildir).deliver(message, USER, handing_over=nothing)
        for path in (self.maildir, *self.maildir.rglob("*")):
            shutil.chown(path, "nobody", self.group)  # Dovecot opens no mail of root's

    def client(self) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.imap)
        client.authenticate("PLAIN", lambda _challenge: f"\0{USER}\0{PASSWORD}".encode())
        return client


@pytest.fixture(scope="module")
def dovecot(authority: trustme.CA) -> Iterator[Dovecot]:
    program = needed("dovecot")
    if os.geteuid() != 0:
        absent("Dovecot wants to be started by root")
    with tempfile.TemporaryDirectory() as name:  # pytest's are for their owner, and Dovecot has several users
        Path(name).chmod(0o755)
        server = Dovecot(Path(name), authority)
        server.deliver(MAIL)
        with subprocess.Popen([program, "-F", "-c", f"{name}/dovecot.conf"]) as running:
            try:
                server.wait()
                yield server
            finally:
                running.terminate()


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_dovecot_is_asked_for_a_message_id_however_it_is_reached(
    dovecot: Dovecot, trusting: ssl.SSLContext, security: str
) -> None:
    port = dovecot.imaps if security == "tls" else dovecot.imap
    with mailbox(port, security=security, context=trusting) as box:
        assert box.holds(ID)
        assert not box.holds("<another@example.test>")
        assert not box.holds('<"quoted\\">')


def test_message_that_comes_later_is_seen_over_the_same_connection(dovecot: Dovecot) -> None:
    later = "<later@example.test>"
    with mailbox(dovecot.imap) as box:
        assert not box.holds(later)
        dovecot.deliver(MAIL.replace(ID.encode(), later.encode()))
        assert box.holds(later)


def test_looking_changes_nothing_in_the_mailbox(dovecot: Dovecot) -> None:
    with mailbox(dovecot.imap) as box:
        assert box.holds(ID)
    with dovecot.client() as client:
        client.select(readonly=True)
        (numbers,) = client.search(None, "HEADER", "Message-ID", f'"{ID}"')[1]
        (flags,) = client.fetch(numbers.decode(), "(FLAGS)")[1]
    assert b"Seen" not in (flags or b"")


def test_maildir_message_comes_back_byte_for_byte(dovecot: Dovecot) -> None:
    with dovecot.client() as client:
        client.select(readonly=True)
        (numbers,) = client.search(None, "HEADER", "Message-ID", f'"{ID}"')[1]
        _, answer = client.fetch(numbers.decode(), "(BODY.PEEK[])")
    assert isinstance(answer[0], tuple)
    assert answer[0][1] == MAIL


def test_folder_of_any_name_is_found(dovecot: Dovecot) -> None:
    name = 'Papers & "digests" 日本~é'
    with dovecot.client() as client:
        client.create('"Papers &- \\"digests\\" &ZeVnLA-~&AOk-"')
        client.append('"Papers &- \\"digests\\" &ZeVnLA-~&AOk-"', "", "", MAIL)
    with mailbox(dovecot.imap, folder=name) as box:
        assert box.holds(ID)


def test_folder_that_is_not_there_is_told(dovecot: Dovecot) -> None:
    with (
        mailbox(dovecot.imap, folder="Nowhere") as box,
        pytest.raises(RefusedByServerError, match=r"'Nowhere' cannot be opened: .*email\.imap\.folder"),
    ):
        box.holds(ID)


def test_wrong_password_is_told_and_not_shown(dovecot: Dovecot) -> None:
    with (
        mailbox(dovecot.imap, password=lambda: Word("wrong-word-é")) as box,
        pytest.raises(RefusedByServerError, match="login was refused") as caught,
    ):
        box.holds(ID)
    assert "wrong-word" not in said(caught.value)


def test_certificate_that_is_not_trusted_ends_it_before_the_password_is_asked_for(dovecot: Dovecot) -> None:
    with (
        mailbox(dovecot.imaps, security="tls", password=partial(pytest.fail, "asked")) as box,
        pytest.raises(RefusedByServerError, match=r"not trusted: .*SSL_CERT_FILE"),
    ):
        box.holds(ID)


# --- a server with faults ---------------------------------------------------------------------

LOGIN = ("LOGIN", "{tag} OK welcome")
OPEN = ("EXAMINE", "* 1 EXISTS\r\n{tag} OK [READ-ONLY] opened")
FOUND = ("UID SEARCH", "* SEARCH 7\r\n{tag} OK done")
HANG_UP = "(hang up)"

Script = Sequence[tuple[str, str]]


class ScriptedServer:
    """Greets, and plays one script for each connection: how a command begins, and the answer to it.

    A line that begins with nothing belongs to the command before it. An answer may repeat it, as "{line}".
    """

    def __init__(self, *scripts: Script, greeting: str = "* OK ready", offered: str = "") -> None:
        self.lines: list[str] = []
        self._scripts = scripts
        self._greeting = greeting
        self._capability = ("CAPABILITY", f"* CAPABILITY IMAP4rev1 {offered}\r\n{{tag}} OK done")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(60)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        for script in self._scripts:
            connection, _ = self._listener.accept()
            connection.settimeout(60)
            with connection, connection.makefile("rb") as lines, suppress(ConnectionError):
                self._play(script, connection, lines)

    def _play(self, script: Script, connection: socket.socket, lines: BinaryIO) -> None:
        if go_on(connection, self._greeting):
            return
        connection.sendall(f"{self._greeting}\r\n".encode())
        tag = ""
        for beginning, answer in (self._capability, *script):
            line = lines.readline().decode().rstrip()
            self.lines.append(line)
            if beginning:
                tag, _, line = line.partition(" ")
            if not line.startswith(beginning) or answer == HANG_UP:
                return
            if go_on(connection, answer):
                return
            connection.sendall(f"{answer.replace('{tag}', tag).replace('{line}', line)}\r\n".encode())
        lines.readline()  # LOGOUT, or the end


def ascii_word() -> Word:
    return Word("pass-word")


def test_password_goes_by_login_where_the_server_knows_nothing_else() -> None:
    with (
        ScriptedServer([LOGIN, OPEN, FOUND]) as server,
        mailbox(server.port, username='re"ader', password=lambda: Word('pa"ss\\word')) as box,
    ):
        assert box.holds(ID)
    assert server.lines[1].endswith('LOGIN "re\\"ader" "pa\\"ss\\\\word"')


@pytest.mark.parametrize(
    "answer", ["", "* SEARCH\r\n", "* SEARCH junk\r\n", "* SEARCH 0\r\n", "* SEARCH {-5}\r\n"]
)
def test_answer_without_numbers_is_no(answer: str) -> None:
    with (
        ScriptedServer([LOGIN, OPEN, ("UID SEARCH", f"{answer}{{tag}} OK done")]) as server,
        mailbox(server.port, password=ascii_word) as box,
    ):
        assert not box.holds(ID)


def test_what_a_server_can_is_ascii() -> None:
    with (
        ScriptedServer([], offered="SÉARCH") as server,
        mailbox(server.port, password=ascii_word) as box,
        pytest.raises(UnreachableError, match="no connection: 'ascii' codec"),
    ):
        box.holds(ID)


def test_connection_that_the_server_has_ended_is_made_anew() -> None:
    first = [LOGIN, OPEN, FOUND, ("EXAMINE", HANG_UP)]
    with (
        ScriptedServer(first, [LOGIN, OPEN, FOUND]) as server,
        mailbox(server.port, password=ascii_word) as box,
    ):
        assert box.holds(ID)
        assert box.holds(ID)


def test_access_token_goes_by_xoauth2_and_before_a_password() -> None:
    script = [("AUTHENTICATE XOAUTH2", "+ "), ("", "{tag} OK welcome"), OPEN, FOUND]
    with (
        ScriptedServer(script, offered="AUTH=PLAIN AUTH=XOAUTH2") as server,
        mailbox(server.port, token=lambda: Word("ya29.token")) as box,
    ):
        assert box.holds(ID)
    assert base64.b64decode(server.lines[2]) == b"user=reader@example.test\1auth=Bearer ya29.token\1\1"


def test_refused_access_token_is_told_and_not_shown() -> None:
    sent = base64.b64encode(f"user={USER}\1auth=Bearer ya29.token\1\1".encode()).decode()
    script = [
        ("AUTHENTICATE XOAUTH2", "+ "),
        ("", "+ eyJzdGF0dXMiOiI0MDAifQ=="),
        ("", f"{{tag}} NO invalid ya29.token in {sent}"),
    ]
    with (
        ScriptedServer(script) as server,
        mailbox(server.port, token=lambda: Word("ya29.token")) as box,
        pytest.raises(RefusedByServerError, match="invalid <secret> in <secret>") as caught,
    ):
        box.holds(ID)
    assert server.lines[3] == ""  # as XOAUTH2 wants it
    assert "ya29" not in said(caught.value)
    assert sent not in said(caught.value)


@pytest.mark.parametrize(
    "answer", ["{tag} BAD Unknown argument: {line}", "{tag} NO {line}", "what is {line}?"]
)
def test_access_token_is_not_shown_where_words_are_cut_short(answer: str) -> None:
    token = "ya29.token" * 60
    sent = base64.b64encode(f"user={USER}\1auth=Bearer {token}\1\1".encode()).decode()
    with (
        ScriptedServer([("AUTHENTICATE XOAUTH2", "+ "), ("", answer)]) as server,
        mailbox(server.port, token=lambda: Word(token)) as box,
        pytest.raises(DeliveryError, match="<secret>") as caught,
    ):
        box.holds(ID)
    assert sent[:40] not in str(caught.value)


@pytest.mark.parametrize("refusal", ["NO", "BAD"])
@pytest.mark.parametrize("secret", ["correct-horse", 'co"rrect\\horse', "corréct"])
@pytest.mark.parametrize("offered", ["", "AUTH=PLAIN"])
def test_password_is_not_shown_where_words_are_cut_short(refusal: str, secret: str, offered: str) -> None:
    quoted = secret.replace("\\", "\\\\").replace('"', '\\"')
    refused = f"{{tag}} {refusal} {secret} {quoted} {'x' * 150} {secret} {quoted}"
    by_login = not offered and secret.isascii()
    script = [("LOGIN", refused)] if by_login else [("AUTHENTICATE PLAIN", "+ "), ("", refused)]
    with (
        ScriptedServer(script, offered=offered) as server,
        mailbox(server.port, password=lambda: Word(secret)) as box,
        pytest.raises(RefusedByServerError, match=r"<secret> <secret> x+ <secret> <secret>") as caught,
    ):
        box.holds(ID)
    assert "corr" not in str(caught.value)


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        ([("LOGIN", "{tag} NO [UNAVAILABLE] later")], UnreachableError, "no login for now"),
        ([("LOGIN", "{tag} NO [AUTHENTICATIONFAILED] no")], RefusedByServerError, "login was refused"),
        ([("LOGIN", HANG_UP)], UnreachableError, "no connection"),
        ([("LOGIN", "nonsense\r\n")], UnreachableError, "no connection"),
        ([LOGIN, ("EXAMINE", "{tag} BAD what")], UnreachableError, "connection was lost"),
        ([LOGIN, OPEN, ("UID SEARCH", "{tag} NO not here")], RefusedByServerError, "does not search"),
        ([LOGIN, OPEN, ("UID SEARCH", HANG_UP)], UnreachableError, "connection was lost"),
    ],
)
def test_fault_is_told_by_what_can_be_done(script: Script, kind: type[DeliveryError], words: str) -> None:
    with (
        ScriptedServer(script) as server,
        mailbox(server.port, password=ascii_word) as box,
        pytest.raises(kind, match=words) as caught,
    ):
        box.holds(ID)
    assert caught.type is kind
    assert caught.value.place == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("greeting", "script", "words"),
    [
        ("*" + DRIP, [], "no connection: timed out"),
        ("* OK wait\r\n" + DRIP, [], "no connection: timed out"),
        ("* OK", [("LOGIN", "* OK wait\r\n" + DRIP)], "no connection: timed out"),
        ("* OK", [LOGIN, ("EXAMINE", "* FLAGS ()\r\n" + DRIP)], "connection was lost: timed out"),
        ("* OK", [LOGIN, OPEN, ("UID SEARCH", "* SEARCH 1\r\n" + DRIP)], "connection was lost: timed out"),
    ],
)
def test_answer_that_comes_bit_by_bit_is_waited_for_no_longer_than_any_other(
    greeting: str, script: Script, words: str
) -> None:
    with (
        ScriptedServer(script, greeting=greeting) as server,
        mailbox(server.port, password=ascii_word, timeout=0.3) as box,
        pytest.raises(UnreachableError, match=words),
    ):
        box.holds(ID)


@pytest.mark.parametrize(
    ("greeting", "answer", "words"),
    [
        ("* OK wait\r\n" + FLOOD, "", "no connection.* is too long"),
        ("* OK", "* SEARCH 1\r\n" + FLOOD, "connection was lost.* is too long"),
        ("* OK", "* SEARCH {4000000000}\r\n" + FLOOD, "connection was lost.* is too long"),
        ("* OK", f"* SEARCH {{{'9' * 5000}}}", "connection was lost"),
    ],
)
def test_answer_without_end_is_not_read(greeting: str, answer: str, words: str) -> None:
    with (
        ScriptedServer([LOGIN, OPEN, ("UID SEARCH", answer)], greeting=greeting) as server,
        mailbox(server.port, password=ascii_word, timeout=30) as box,
        pytest.raises(UnreachableError, match=words),
    ):
        box.holds(ID)


def test_time_to_get_the_password_is_not_the_servers() -> None:
    def slow() -> Word:
        sleep(0.6)
        return ascii_word()

    with (
        ScriptedServer([LOGIN, OPEN, FOUND]) as server,
        mailbox(server.port, password=slow, timeout=0.3) as box,
    ):
        assert box.holds(ID)


def test_answer_may_bring_a_literal() -> None:
    search = ("UID SEARCH", "* OK {4}\r\nwait done\r\n* SEARCH 7\r\n{tag} OK done")
    with (
        ScriptedServer([LOGIN, OPEN, search]) as server,
        mailbox(server.port, password=ascii_word) as box,
    ):
        assert box.holds(ID)


def test_server_that_turns_us_away_at_the_door_is_tried_again() -> None:
    with (
        ScriptedServer([], greeting="* BYE too many\x1b[2J connections") as server,
        mailbox(server.port) as box,
        pytest.raises(UnreachableError, match=r"too many \[2J connections"),
    ):
        box.holds(ID)


def test_nobody_there_is_no_connection() -> None:
    with mailbox(free_port()) as box, pytest.raises(UnreachableError, match="no connection"):
        box.holds(ID)


def test_silent_server_is_waited_for_no_longer_than_was_set() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        mailbox(silent.getsockname()[1], timeout=0.2) as box,
        pytest.raises(UnreachableError, match="timed out"),
    ):
        box.holds(ID)


def test_starttls_that_is_not_offered_is_not_done_without() -> None:
    with (
        ScriptedServer([]) as server,
        mailbox(server.port, security="starttls") as box,
        pytest.raises(RefusedByServerError, match="does not offer STARTTLS"),
    ):
        box.holds(ID)


def test_password_never_leaves_this_machine_unencrypted() -> None:
    with (
        mailbox(143, host="imap.example.test") as box,
        pytest.raises(RefusedByServerError, match=r"without encryption.*email\.imap\.security"),
    ):
        box.holds(ID)


def test_name_that_no_host_can_have_is_told() -> None:
    with (
        mailbox(993, host=f"{'a' * 70}.example.test", security="tls") as box,
        pytest.raises(RefusedByServerError, match="no host of this name"),
    ):
        box.holds(ID)


def test_login_without_a_password_is_told() -> None:
    with (
        ScriptedServer([]) as server,
        mailbox(server.port, password=None) as box,
        pytest.raises(RefusedByServerError, match="no password"),
    ):
        box.holds(ID)


def test_missing_secret_is_told_as_such() -> None:
    def missing() -> Word:
        raise CredentialError("it is empty")

    with (
        ScriptedServer([]) as server,
        mailbox(server.port, password=missing) as box,
        pytest.raises(CredentialError),
    ):
        box.holds(ID)


@pytest.mark.parametrize("text", ["", "no brackets", "<a b@c>", "<a@b>\r\nA1 LOGOUT", "<é@example.test>"])
def test_what_is_no_message_id_is_not_looked_for(text: str) -> None:
    with mailbox(free_port()) as box, pytest.raises(PermanentDeliveryError, match="no Message-ID"):
        box.holds(text)
