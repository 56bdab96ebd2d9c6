"""The ways out as a configuration names them, through the whole program."""

from __future__ import annotations

import json
import os
import re
import sys
from email import message_from_bytes
from pathlib import Path

import pytest
from commands import Run
from http_server import Server, answer
from internet import Answer, internet
from keyrings import with_keyring
from smtp_server import ACCEPTED, HANG_UP, MESSAGE, STARTED, UNASKED, ScriptedServer, recording_server
from test_imap import ScriptedServer as Mailbox
from world import PROFILE, SWIN_PAGE, configure

MAIL = '[email]\nfrom = "Digest <digest@example.org>"\n'


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


def configured(folder: Path, tables: str, *, asks: str = 'recipients = ["Me <me@example.org>"]') -> Path:
    """A configuration with these tables, a page to read, and one profile that asks for something."""
    config = configure(folder, extra=tables)
    (folder / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    profile = PROFILE.format(name="me", recipients=asks)
    (folder / "profiles" / "me.toml").write_text(profile, encoding="utf-8")
    return config


def subjects(folder: Path, pattern: str) -> list[str]:
    return [message_from_bytes(path.read_bytes())["Subject"] for path in sorted(folder.glob(pattern))]


# --- other transports -------------------------------------------------------------------------


@pytest.mark.parametrize(("transport", "files"), [("maildir", "new/*"), ("eml", "*.eml")])
def test_mail_may_go_into_a_folder(tmp_path: Path, run: Run, transport: str, files: str) -> None:
    config = configured(tmp_path, f'{MAIL}transport = "{transport}"\nfolder = "mail"\n')
    assert run("check", "--config", config) == 0
    assert f"mail        {tmp_path / 'mail'}" in run.out
    for _ in range(2):
        assert run("run", "--config", config) == 0
    assert subjects(tmp_path / "mail", files) == ["1 paper: Swin 1"]


def test_mail_may_go_through_a_program_of_this_machine(tmp_path: Path, run: Run) -> None:
    program = [sys.executable, "-c", "import sys; open(sys.argv[-1], 'wb').write(sys.stdin.buffer.read())"]
    config = configured(tmp_path, f'{MAIL}transport = "sendmail"\ncommand = {json.dumps(program)}\n')
    assert run("check", "--config", config) == 0
    assert f"mail        {sys.executable}" in run.out
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert run("run", "--config", config) == 0
    finally:
        os.chdir(before)
    assert subjects(tmp_path, "me@example.org") == ["1 paper: Swin 1"]


def test_a_program_that_is_not_there_is_found_by_the_check(tmp_path: Path, run: Run) -> None:
    config = configured(tmp_path, f'{MAIL}transport = "sendmail"\ncommand = ["/nowhere/sendmail"]\n')
    assert run("check", "--config", config) == 2
    assert "/nowhere/sendmail: there is no such program" in run.out


SERVER = 'host = "h"\nsecurity = "tls"\nusername = "me"\n'


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ('transport = "maildir"\n', 'folder is needed for transport = "maildir"'),
        ('host = "127.0.0.1"\n', 'security is needed for transport = "smtp"'),
        ('transport = "eml"\nfolder = "m"\nhost = "h"\n', 'host means nothing for transport = "eml"'),
        (
            f'{SERVER}password = {{ env = "P" }}\noauth2 = {{ token = {{ env = "T" }} }}\n',
            "give password or oauth2, not both",
        ),
        ('host = "h"\nsecurity = "tls"\noauth2 = { token = { env = "T" } }\n', "oauth2 needs a username"),
        (
            SERVER + 'oauth2 = { client_id = "c" }\n',
            "give token alone, or token_url, client_id and refresh_token",
        ),
        (
            SERVER + 'oauth2 = { token_url = "http://h/" }\n',
            "write an address that begins with https://",
        ),
    ],
)
def test_what_does_not_go_together_is_told(tmp_path: Path, run: Run, keys: str, says: str) -> None:
    assert run("run", "--config", configured(tmp_path, MAIL + keys)) == 2
    assert says in run.err


def test_each_run_sends_no_more_than_it_may(tmp_path: Path, run: Run) -> None:
    with recording_server() as server:
        config = configured(
            tmp_path,
            f'{MAIL}host = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\nper_run = 2\n',
            asks='recipients = ["a@example.org", "b@example.org", "c@example.org"]',
        )
        for expected, said in ((2, "1 message waits for the next run"), (3, ""), (3, "")):
            assert run("run", "--config", config) == 0
            assert len(server.messages) == expected
            assert said in run.err
            assert bool(said) == ("for the next run" in run.err)


# --- access tokens ----------------------------------------------------------------------------

OAUTH = (UNASKED, "220 ready"), ("EHLO", "250-here\r\n250 AUTH XOAUTH2"), ("AUTH XOAUTH2", "235 welcome")
TAKEN = [*OAUTH, ("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go on"), (MESSAGE, "250 taken")]


def test_a_login_by_a_token_that_a_command_prints(tmp_path: Path, run: Run) -> None:
    program = json.dumps([sys.executable, "-c", "print('a-token')"])
    with ScriptedServer(TAKEN) as server:
        config = configured(
            tmp_path,
            f'{MAIL}host = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\nusername = "me"\n'
            f"oauth2 = {{ token = {{ command = {program} }} }}\n",
        )
        assert run("check", "--config", config) == 0, run.out
        assert run("run", "--config", config) == 0, run.err
    assert len(server.messages) == 1
    assert "a-token" not in run.out + run.err


def test_a_login_by_a_token_that_a_refresh_token_brings(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFRESH", "a-refresh-token")
    monkeypatch.setenv("CLIENT", "a-client-secret")
    token = Answer(
        json.dumps({"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"}).encode()
    )
    with (
        internet(tmp_path, {"login.example.org": lambda _: token}) as web,
        ScriptedServer(TAKEN) as server,
    ):
        config = configured(
            tmp_path,
            f'[network]\nproxy = "{web.proxy}"\nca_file = "ca.pem"\n{MAIL}'
            f'host = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\nusername = "me"\n'
            '[email.oauth2]\ntoken_url = "https://login.example.org/token"\nclient_id = "c"\n'
            'client_secret = { env = "CLIENT" }\nrefresh_token = { env = "REFRESH" }\n',
        )
        assert run("check", "--config", config) == 0, run.out
        assert run("run", "--config", config) == 0, run.err
    assert [url for url, _ in web.asked] == ["https://login.example.org/token"]
    assert len(server.messages) == 1


def test_a_refresh_token_that_is_replaced_is_kept_in_the_keyring(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in with_keyring(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert run("secret", "set", "digest-refresh", "--value", "the-first") == 0
    given = {
        "access_token": "a-token",
        "expires_in": 3600,
        "token_type": "Bearer",
        "refresh_token": "the-second",
    }
    with (
        internet(tmp_path, {"login.example.org": lambda _: Answer(json.dumps(given).encode())}) as web,
        ScriptedServer(TAKEN) as server,
    ):
        config = configured(
            tmp_path,
            f'[network]\nproxy = "{web.proxy}"\nca_file = "ca.pem"\n{MAIL}'
            f'host = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\nusername = "me"\n'
            '[email.oauth2]\ntoken_url = "https://login.example.org/token"\nclient_id = "c"\n'
            'refresh_token = { keyring = "digest-refresh" }\n',
        )
        assert run("run", "--config", config) == 0, run.err
    assert len(server.messages) == 1
    assert "the-second" in (tmp_path / "entries.json").read_text(encoding="utf-8")
    assert "the-second" not in run.out + run.err


# --- the look into the mailbox ----------------------------------------------------------------

LOOK = [("LOGIN", "{tag} OK in"), ("EXAMINE", "* 1 EXISTS\r\n{tag} OK seen")]


@pytest.mark.parametrize(("found", "copies"), [("* SEARCH 7", 1), ("* SEARCH", 2)])
def test_a_mail_whose_answer_was_lost_is_looked_for(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, found: str, copies: int
) -> None:
    monkeypatch.setenv("PASSWORD", "a-password")
    script = [*LOOK, ("UID SEARCH", f"{found}\r\n{{tag}} OK looked")]
    lost = [*STARTED, (MESSAGE, HANG_UP)]
    again = [ACCEPTED] if copies == 2 else []
    with ScriptedServer(lost, *again) as server, Mailbox(script) as box:
        config = configured(
            tmp_path,
            f'{MAIL}host = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\n'
            f'[email.imap]\nhost = "127.0.0.1"\nport = {box.port}\nsecurity = "none"\n'
            'username = "me"\npassword = { env = "PASSWORD" }\n',
        )
        assert run("run", "--config", config, "--at", "2026-11-20T12:00") == 1
        assert run("run", "--config", config, "--at", "2026-11-20T12:01") == 0  # too early to look
        assert len(server.messages) == 1
        assert run("run", "--config", config, "--at", "2026-11-20T12:10") == 0, run.err
    assert len(server.messages) == copies
    assert len(set(server.messages)) == 1
    assert re.search(r"Delivered +me: e-mail to Me <me@example\.org>", run.out)


# --- webhooks ---------------------------------------------------------------------------------

HOOK = '[[webhooks]]\nname = "lab"\nform = "json"\n'


def test_a_digest_goes_to_a_webhook_once(tmp_path: Path, run: Run) -> None:
    with Server(answer(200)) as server:
        config = configured(
            tmp_path, f'{HOOK}url = "http://127.0.0.1:{server.port}/hook"\n', asks='webhooks = ["lab"]'
        )
        for _ in range(2):
            assert run("run", "--config", config) == 0, run.err
    (taken,) = server.taken
    assert "SwinLeaf" in taken.body.decode()
    assert taken.headers["User-Agent"].startswith("digest/")
    assert (tmp_path / "public" / "feeds" / "me" / "atom.xml").exists()


def test_a_webhook_is_posted_to_through_the_proxy(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", "https://hooks.example.org/secret-path")
    with internet(tmp_path, {"hooks.example.org": lambda _: Answer(b"ok")}) as web:
        config = configured(
            tmp_path,
            f'[network]\nproxy = "{web.proxy}"\nno_proxy = ["else.example.org"]\nca_file = "ca.pem"\n'
            f'{HOOK}url = {{ env = "HOOK" }}\n',
            asks='webhooks = ["lab"]',
        )
        assert run("check", "--config", config) == 0, run.out
        assert "environment variable HOOK" in run.out
        assert run("run", "--config", config) == 0, run.err
    assert [url for url, _ in web.asked] == ["https://hooks.example.org/secret-path"]


def test_a_webhook_that_is_gone_is_told_without_its_address(tmp_path: Path, run: Run) -> None:
    with Server(answer(404, b"no_service"), answer(200)) as server:
        config = configured(
            tmp_path, f'{HOOK}url = "http://127.0.0.1:{server.port}/secret"\n', asks='webhooks = ["lab"]'
        )
        assert run("run", "--config", config, "--at", "2026-11-20T12:00") == 1
        assert "webhook lab" in run.err
        assert "secret" not in run.out + run.err
        assert run("run", "--config", config, "--at", "2026-11-20T12:30") == 0  # it is not asked again
        assert len(server.taken) == 1
        assert run("run", "--config", config, "--at", "2026-11-20T13:05") == 0
        assert len(server.taken) == 2


@pytest.mark.parametrize(
    ("tables", "asks", "says"),
    [
        (
            HOOK + 'url = "http://h/"\n',
            'webhooks = ["lob"]',
            "no webhook is called 'lob'. Did you mean 'lab'?",
        ),
        ("", 'webhooks = ["lab"]', "no webhook is called 'lab'. There are none."),
        (HOOK + 'url = "http://h/"\n' + HOOK + 'url = "http://h/"\n', "", "two webhooks are called 'lab'"),
        (HOOK + 'url = "h"\n', "", "write an address that begins with https:// or http://"),
        (HOOK + 'url = { env = "A", file = "B" }\n', "", "name one place: keyring, env, file or command"),
        (HOOK + 'url = "http://h/"\n', 'channels = ["webhook"]', "nobody says which webhook"),
    ],
)
def test_a_mistake_about_webhooks_is_told(
    tmp_path: Path, run: Run, tables: str, asks: str, says: str
) -> None:
    assert run("run", "--config", configured(tmp_path, tables, asks=asks)) == 2
    assert says in run.err


def test_a_check_finds_a_form_that_is_none(tmp_path: Path, run: Run) -> None:
    tables = '[[webhooks]]\nname = "lab"\nform = "slick"\nurl = "http://127.0.0.1/"\n'
    assert run("check", "--config", configured(tmp_path, tables, asks="")) == 1
    assert "no webhook has the form 'slick'. There are discord, json, mattermost, ntfy, slack" in run.out


def test_a_form_of_ones_own_is_a_template(tmp_path: Path, run: Run) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "webhook_mine.json.j2").write_text(
        '{"said": {{ (values.greeting ~ ", " ~ digest.title) | tojson }}}', encoding="utf-8"
    )
    with Server(answer(204)) as server:
        config = configured(
            tmp_path,
            'templates = "templates"\n[[webhooks]]\nname = "lab"\nform = "mine"\n'
            f'url = "http://127.0.0.1:{server.port}/"\nvalues = {{ greeting = "Hello" }}\n',
            asks='webhooks = ["lab"]\nchannels = ["webhook"]',
        )
        assert run("run", "--config", config) == 0, run.err
    assert json.loads(server.taken[0].body) == {"said": "Hello, Papers for me"}
