"""What becomes of a mail when a server fails, as a table.

Each row is a conversation that goes wrong, and what it does to the mail: where it stands after that run and
after three more, to which the server behaves, and what the person who runs digest is told.
"""

from __future__ import annotations

import shutil
import sqlite3
import ssl
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import sleep

import pytest
import trustme
from commands import Run
from smtp_server import (
    ACCEPTED,
    ADDRESSED,
    ALERT,
    GREETED,
    HANG_UP,
    MESSAGE,
    PIPELINED,
    SILENCE,
    STARTED,
    UNASKED,
    Script,
    ScriptedServer,
    recording_server,
)
from world import HOUR, NOON, SWIN_PAGE, configure

from digest.app import load
from digest.deliver import smtp

TIMEOUT = 0.25


@dataclass(frozen=True)
class Fault:
    """A conversation that goes wrong, and what comes of it."""

    name: str
    script: Script
    says: str  # what the first run says of it
    states: str = "deferred sent sent sent"  # after each run
    code: int = 1  # of the first run
    copies: int = 1  # that the server took, or may have taken
    again: tuple[Script, ...] = ()  # the conversations of the next runs, if they go wrong too
    settings: str = 'security = "none"'


def at(before: Script, step: str, answer: str) -> Script:
    return [*before, (step, answer)]


COMES_AGAIN = "comes again by itself"
NETWORK = "Check the network"
LOST = "Nothing was handed over"
FAILED = "failed failed failed failed"
UNCERTAIN = "uncertain sent sent sent"
AT_ONCE = [*PIPELINED, *ADDRESSED[2:]]

FAULTS = [
    # --- the reply is lost
    Fault("hangs up instead of a banner", at((), UNASKED, HANG_UP), NETWORK),
    Fault("hangs up at EHLO", at(GREETED[:1], "EHLO", HANG_UP), NETWORK),
    Fault("hangs up at MAIL", at(GREETED, "MAIL", HANG_UP), LOST),
    Fault("hangs up at RCPT", at(ADDRESSED[:3], "RCPT", HANG_UP), LOST),
    Fault("hangs up at DATA", at(ADDRESSED, "DATA", HANG_UP), LOST),
    Fault("hangs up within the body", at(ADDRESSED, "DATA", "354 go on" + HANG_UP), LOST),
    Fault("hangs up after the dot", at(STARTED, MESSAGE, HANG_UP), "digest outbox", UNCERTAIN, copies=2),
    Fault("hangs up at QUIT", at(ACCEPTED, "QUIT", HANG_UP), "", "sent sent sent sent", 0),
    Fault("hangs up at pipelined MAIL", at(PIPELINED, "MAIL", HANG_UP), LOST),
    Fault("hangs up at pipelined RCPT", at(AT_ONCE[:3], "RCPT", HANG_UP), LOST),
    Fault("hangs up at pipelined DATA", at(AT_ONCE, "DATA", HANG_UP), LOST),
    # --- it never comes
    Fault("is silent instead of a banner", at((), UNASKED, SILENCE), "timed out"),
    Fault("is silent at EHLO", at(GREETED[:1], "EHLO", SILENCE), "timed out"),
    Fault("is silent at MAIL", at(GREETED, "MAIL", SILENCE), "timed out"),
    Fault("is silent at RCPT", at(ADDRESSED[:3], "RCPT", SILENCE), "timed out"),
    Fault("is silent at DATA", at(ADDRESSED, "DATA", SILENCE), "timed out"),
    Fault("is silent after the dot", at(STARTED, MESSAGE, SILENCE), "timed out", UNCERTAIN, copies=2),
    Fault("is silent at QUIT", at(ACCEPTED, "QUIT", SILENCE), "", "sent sent sent sent", 0),
    Fault("is silent at pipelined MAIL", at(PIPELINED, "MAIL", SILENCE), "timed out"),
    Fault("is silent at pipelined DATA", at(AT_ONCE, "DATA", SILENCE), "timed out"),
    # --- not now
    Fault("421 as a banner", at((), UNASKED, "421 too busy"), COMES_AGAIN),
    Fault("421 at EHLO", at(GREETED[:1], "EHLO", "421 too busy"), COMES_AGAIN),
    Fault("421 at MAIL", at(GREETED, "MAIL", "421 too busy"), COMES_AGAIN),
    Fault("421 at RCPT", at(ADDRESSED[:3], "RCPT", "421 too busy"), COMES_AGAIN),
    Fault("421 at DATA", at(ADDRESSED, "DATA", "421 too busy"), COMES_AGAIN),
    Fault("421 after the dot", at(STARTED, MESSAGE, "421 too busy"), COMES_AGAIN),
    Fault("421 at pipelined RCPT", at(AT_ONCE[:3], "RCPT", "421 too busy"), COMES_AGAIN),
    Fault("451 at MAIL", at(GREETED, "MAIL", "451 4.3.0 later"), COMES_AGAIN),
    Fault("451 after the dot", at(STARTED, MESSAGE, "451 4.3.0 later"), COMES_AGAIN),
    Fault("452 at RCPT", at(ADDRESSED[:3], "RCPT", "452 4.3.1 no room"), COMES_AGAIN),
    Fault("452 after the dot", at(STARTED, MESSAGE, "452 4.3.1 no room"), COMES_AGAIN),
    Fault(
        "greylists twice",
        at(ADDRESSED[:3], "RCPT", "451 4.7.1 greylisted"),
        "This is normal (greylisting)",
        "deferred deferred sent sent",
        again=(at(ADDRESSED[:3], "RCPT", "451 4.7.1 greylisted"),),
    ),
    Fault("limits the day", at(GREETED, "MAIL", "450 4.7.28 unusual rate"), "`email.per_day`"),
    Fault(
        "limits the day for good", at(STARTED, MESSAGE, "550 daily sending limit exceeded"), "`email.per_day`"
    ),
    # --- never
    Fault(
        "554 as a banner", at((), UNASKED, "554 192.0.2.7 is on a block list"), "mail server of your provider"
    ),
    Fault("550 at MAIL", at(GREETED, "MAIL", "550 5.7.60 not your address"), "`email.from`"),
    Fault("552 at MAIL", at(GREETED, "MAIL", "552 5.3.4 too large"), "`max_papers`", FAILED, copies=0),
    Fault(
        "554 at MAIL", at(GREETED, "MAIL", "554 5.7.1 no"), "the sender digest@example.org was refused: 554"
    ),
    Fault("550 at RCPT", at(ADDRESSED[:3], "RCPT", "550 5.1.1 who?"), "`recipients`", FAILED, copies=0),
    Fault("552 at RCPT", at(ADDRESSED[:3], "RCPT", "552 5.2.2 full"), "mailbox is full", FAILED, copies=0),
    Fault(
        "554 at RCPT", at(ADDRESSED[:3], "RCPT", "554 relay access denied"), "pass mail on", FAILED, copies=0
    ),
    Fault(
        "550 at DATA", at(ADDRESSED, "DATA", "550 5.7.1 log in: authentication required"), "`email.username`"
    ),
    Fault("554 at DATA", at(ADDRESSED, "DATA", "554 5.5.1 no"), "was refused: 554", FAILED, copies=0),
    Fault("550 after the dot", at(STARTED, MESSAGE, "550 5.7.26 unproven"), "SPF and DKIM", FAILED, copies=0),
    Fault("552 after the dot", at(STARTED, MESSAGE, "552 5.3.4 too large"), "`max_papers`", FAILED, copies=0),
    Fault(
        "554 after the dot",
        at(STARTED, MESSAGE, "554 5.7.1 spam"),
        "takes the mail for spam",
        FAILED,
        copies=0,
    ),
    Fault(
        "554 at pipelined RCPT, and wants the message",
        [*AT_ONCE[:3], ("RCPT", "554 5.1.1 who?"), ("DATA", "354 go on"), (".", "554 for whom?")],
        "`recipients`",
        FAILED,
        copies=0,
    ),
    # --- no SMTP, or hardly
    Fault("500 at QUIT", at(ACCEPTED, "QUIT", "500 what?"), "", "sent sent sent sent", 0),
    Fault("garbage as a banner", at((), UNASKED, "HTTP/1.1 400 Bad Request"), NETWORK),
    Fault("garbage at MAIL", at(GREETED, "MAIL", "well"), "no SMTP reply"),
    Fault("garbage after the dot", at(STARTED, MESSAGE, "well"), "no SMTP reply", UNCERTAIN, copies=2),
    Fault("two codes at RCPT", at(ADDRESSED[:3], "RCPT", "550-no\r\n250 taken"), "no SMTP reply"),
    Fault(
        "two codes after the dot",
        at(STARTED, MESSAGE, "250-taken\r\n550 no"),
        "no SMTP reply",
        UNCERTAIN,
        copies=2,
    ),
    Fault("megabytes without a line end", at((), UNASKED, "2" * 3_000_000), "Line too long"),
    Fault("megabytes after the dot", at(STARTED, MESSAGE, "2" * 3_000_000), "too long", UNCERTAIN, copies=2),
    Fault(
        "is slow, and speaks in pieces and at length",
        [
            partial(sleep, TIMEOUT / 2),
            (UNASKED, "220-wait\r\n220-a\r\n220 moment"),
            *GREETED[1:],
            ("MAIL", "250-one\r\n250-two\r\n250 three"),
            *ADDRESSED[3:],
            ("DATA", "354-go\r\n354 on"),
            (MESSAGE, "250-it takes"),
            partial(sleep, TIMEOUT / 2),
            (UNASKED, "250 taken"),
        ],
        "",
        "sent sent sent sent",
        0,
    ),
    Fault(
        "asks for a login",
        at(GREETED, "MAIL", "530 5.7.0 log in"),
        "Set `email.username` and `email.password`",
    ),
    Fault(
        "offers no STARTTLS",
        GREETED,
        "does not offer STARTTLS. Check `email.port`",
        "deferred deferred deferred deferred",
        copies=0,
        again=(GREETED,) * 3,
        settings='security = "starttls"',
    ),
    Fault(
        "offers no login",
        GREETED,
        "no login by password. Check `email.port`",
        "deferred deferred deferred deferred",
        copies=0,
        again=(GREETED,) * 3,
        settings='security = "none"\nusername = "me"\npassword = { command = ["echo", "nobody\'s"] }',
    ),
]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(smtp, "FINAL_ANSWER_TIMEOUT", TIMEOUT)
    return Run(capsys)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is left to do when all is read and written: to send it."""
    folder = tmp_path_factory.mktemp("composed")
    config = configure(folder, port=1)
    profile = folder / "profiles" / "me.toml"
    profile.write_text(f'channels = ["email"]\n{profile.read_text(encoding="utf-8")}', encoding="utf-8")
    (folder / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    app = load(str(config), {})
    with app.store() as store:
        assert all(report.complete for report in app.collect(store, at=NOON))
        assert [one.digest is not None for one in app.compose(store, app.config.profiles, at=NOON)] == [True]
    return folder


def mailing(composed: Path, folder: Path, port: int, settings: str) -> Path:
    """A configuration with a mail to send to a port."""
    config = folder / "digest.toml"
    if not config.exists():
        shutil.copytree(composed, folder, dirs_exist_ok=True)
    text = (composed / "digest.toml").read_text(encoding="utf-8")
    settings = f"port = {port}\ntimeout = {TIMEOUT}\n{settings}"
    config.write_text(text.replace('port = 1\nsecurity = "none"', settings), encoding="utf-8")
    return config


def send(run: Run, config: Path, hours: int) -> int:
    return run("run", "--no-fetch", "--config", config, "--at", (NOON + hours * HOUR).isoformat())


def state(config: Path) -> str:
    """Where the mail stands."""
    with closing(sqlite3.connect(config.parent / "data" / "digest.db")) as database:
        (row,) = database.execute("SELECT state FROM deliveries WHERE channel = 'email'").fetchall()
    return str(row[0])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_server_that(fault: Fault, composed: Path, tmp_path: Path, run: Run) -> None:
    states = fault.states.split()
    needed = [ACCEPTED] if states[0] != states[-1] == "sent" else []
    codes, said, reached = [], [], []
    with ScriptedServer(fault.script, *fault.again, *needed) as server:
        config = mailing(composed, tmp_path, server.port, fault.settings)
        for hours in range(4):
            codes.append(send(run, config, hours))
            said.append(run.err)
            reached.append(state(config))
    assert reached == states
    assert codes[0] == fault.code
    assert codes[-1] == (1 if states[-1] == "deferred" else 0)
    assert fault.says in said[0]
    assert (f"127.0.0.1:{server.port}: " in said[0]) == bool(fault.says)
    assert len(server.taken) == fault.copies
    assert len(set(server.messages)) <= 1


def test_a_server_that_closes_after_each_message_is_come_back_to(tmp_path: Path, run: Run) -> None:
    one_message = [*ACCEPTED, (UNASKED, HANG_UP)]
    with ScriptedServer(*[one_message] * 3) as server:
        config = configure(tmp_path, port=server.port, profiles=("ada", "bob", "cy"))
        (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
        assert run("run", "--config", config) == 0
        assert run("run", "--config", config) == 0
    assert len(server.taken) == 3


@pytest.mark.parametrize("fault", ["a certificate of nobody's", "the certificate of another host"])
def test_no_mail_is_given_to_who_shows(fault: str, composed: Path, tmp_path: Path, run: Run) -> None:
    ours, another = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(tmp_path / "ca.pem")
    right, wrong = served(ours, "127.0.0.1"), served(ours, "mail.example.test")
    if fault == "a certificate of nobody's":
        wrong = served(another, "127.0.0.1")
    settings = 'security = "tls"\nca_file = "ca.pem"'
    with recording_server(tls=wrong) as liar:
        config = mailing(composed, tmp_path, liar.port, settings)
        assert send(run, config, 0) == 1
    assert "certificate is not trusted" in run.err
    assert "Check `email.host`" in run.err
    assert state(config) == "deferred"
    assert not liar.messages
    with recording_server(tls=right) as server:
        mailing(composed, tmp_path, server.port, settings)
        for hours in (1, 2, 3):
            assert send(run, config, hours) == 0
            assert state(config) == "sent"
    assert len(server.messages) == 1


def test_an_alert_of_tls_within_the_body_loses_nothing(composed: Path, tmp_path: Path, run: Run) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    broken = [*ADDRESSED, ("DATA", "354 go on" + ALERT), ("", HANG_UP)]
    with ScriptedServer(broken, ACCEPTED, tls=served(authority, "127.0.0.1")) as server:
        config = mailing(composed, tmp_path, server.port, 'security = "tls"\nca_file = "ca.pem"')
        assert send(run, config, 0) == 1
        assert "the connection was lost within the message" in run.err
        assert LOST in run.err
        assert state(config) == "deferred"
        for hours in (1, 2, 3):
            assert send(run, config, hours) == 0
            assert state(config) == "sent"
    assert len(server.taken) == 1


def served(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """TLS of a server of that name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context
