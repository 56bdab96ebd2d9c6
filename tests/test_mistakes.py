"""Ten typical mistakes: the first line names cause, place and remedy, and `digest check` knows each of them.

A mistake is a function that makes it in a world that works, and a row that says what a person is told.
"""

from __future__ import annotations

import re
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from commands import Run
from smtp_server import SILENCE, UNASKED, ScriptedServer, recording_server
from test_disk import disk
from world import SWIN_PAGE, configure

from digest.store.lock import locked

ROOT = "digest.toml"

LOCKED_KEYRING = """
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

class Locked(KeyringBackend):
    priority = 5
    def get_password(self, service, username):
        raise KeyringLocked("the collection is locked")
    def set_password(self, service, username, password):
        raise KeyringLocked("the collection is locked")
"""


@dataclass
class World:
    """A configuration that works, on a machine where everything can go wrong."""

    folder: Path
    patch: pytest.MonkeyPatch
    stack: ExitStack
    config: Path = field(init=False)

    def __post_init__(self) -> None:
        """Write it."""
        server = self.stack.enter_context(recording_server())
        self.config = configure(self.folder, port=server.port, mail="timeout = 1\n")
        (self.folder / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")

    def change(self, old: str, new: str, *, file: str = "digest.toml") -> None:
        """Write something else into a file."""
        path = self.folder / file
        text, changes = re.subn(old, new, path.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
        assert changes
        path.write_text(text, encoding="utf-8")

    def mail(self, port: int, keys: str = 'security = "none"') -> None:
        """Use another mail server, with these keys beside its port."""
        self.change(r'^port = \d+\nsecurity = "none"', f"port = {port}\n{keys}")


def wrong_key(world: World) -> None:
    world.change("^timezone", "timezon")


def wrong_key_of_a_profile(world: World) -> None:
    world.change("^keywords", "keyword", file="profiles/me.toml")


def wrong_time_zone(world: World) -> None:
    world.change("Europe/Berlin", "Europe/Berln")


def time_zone_of_nowhere(world: World) -> None:
    world.change("Europe/Berlin", "here")


def closed_port(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    world.mail(port)


def starttls_at_a_port_of_tls(world: World) -> None:
    # Such a server waits for TLS to begin, and says nothing.
    server = world.stack.enter_context(ScriptedServer([(UNASKED, SILENCE)], [(UNASKED, SILENCE)]))
    world.mail(server.port, 'security = "starttls"')


def tls_at_a_port_of_starttls(world: World) -> None:
    server = world.stack.enter_context(recording_server())
    world.mail(server.port, 'security = "tls"')


def no_password(world: World) -> None:
    world.change('^security = "none"', 'security = "none"\nusername = "me"')


def password_that_is_not_stored(world: World) -> None:
    world.change(
        '^security = "none"', 'security = "none"\nusername = "me"\npassword = { env = "DIGEST_TEST_NONE" }'
    )
    world.patch.delenv("DIGEST_TEST_NONE", raising=False)


def password_of_the_account(world: World) -> None:
    reply = "535 5.7.8 Username and Password not accepted, see https://support.google.com - gsmtp"
    script = [(UNASKED, "220 mx.google.com"), ("EHLO", "250-mx\r\n250 AUTH PLAIN"), ("AUTH", reply)]
    server = world.stack.enter_context(ScriptedServer(script, script))
    world.mail(server.port, 'security = "none"\nusername = "me"\npassword = { env = "DIGEST_TEST_PASSWORD" }')
    world.patch.setenv("DIGEST_TEST_PASSWORD", "secret of mine")


def locked_keyring(world: World) -> None:
    (world.folder / "fakes.py").write_text(LOCKED_KEYRING)
    world.patch.setenv("PYTHONPATH", str(world.folder))
    world.patch.setenv("PYTHON_KEYRING_BACKEND", "fakes.Locked")
    login = 'username = "me"\npassword = { keyring = "digest-smtp" }'
    world.change('^security = "none"', f'security = "none"\n{login}')


def no_network(world: World) -> None:
    world.patch.setattr("digest.fetch.http.fetcher._BACKOFF", ())
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    feed = f'kind = "feed"\nname = "journal"\nurl = "http://127.0.0.1:{port}/feed"'
    world.change(r"^\[\[sources\]\]", f"[[sources]]\n{feed}\n[[sources]]")


def read_only_folder(world: World) -> None:
    data = world.stack.enter_context(disk(world.folder / "data"))
    subprocess.run(["mount", "-o", "remount,ro", data], check=True)


def file_in_place_of_the_folder(world: World) -> None:
    (world.folder / "data").write_text("")


def two_runs(world: World) -> None:
    world.stack.enter_context(locked(world.folder / "data", wait=0))


def query_without_end(world: World) -> None:
    world.change(r'^keywords = \["Swin"\]', 'query = "swin AND (gan"', file="profiles/me.toml")


def keyword_without_a_word(world: World) -> None:
    world.change(r'\["Swin"\]', '["..."]', file="profiles/me.toml")


def newer_database(world: World) -> None:
    (world.folder / "data").mkdir(mode=0o700)
    with closing(sqlite3.connect(world.folder / "data" / "digest.db")) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
        connection.commit()


class Told(NamedTuple):
    """What the first line of `digest run` says, and a finding of `digest check --online`."""

    make: Callable[[World], None]
    code: int
    line: str  # a pattern; ROOT is the folder
    subject: str
    check_code: int | None = None  # None: the same
    level: str = "red"
    finding: str = ""  # a pattern; empty: that of the line
    options: tuple[str, ...] = ()


CHECK_PORT = (
    r"Check the network, and that `email\.port` and `email\.security` belong together: "
    r'465 with "tls", 587 with "starttls"'
)

MISTAKES = [
    Told(
        wrong_key,
        2,
        r"ROOT/digest\.toml:1: timezon: there is no such key\. Did you mean timezone\?$",
        "config",
    ),
    Told(
        wrong_key_of_a_profile,
        2,
        r"ROOT/profiles/me\.toml:6: interests\.0\.keyword: there is no such key\. Did you mean keywords\?$",
        "config",
    ),
    Told(
        wrong_time_zone,
        2,
        r"ROOT/digest\.toml:1: timezone: there is no such time zone; did you mean Europe/Berlin\?$",
        "config",
    ),
    Told(
        time_zone_of_nowhere,
        2,
        r"ROOT/digest\.toml:1: timezone: there is no such time zone; write one such as Europe/Berlin",
        "config",
    ),
    Told(closed_port, 1, rf"127\.0\.0\.1:\d+: no connection: .*refused\. {CHECK_PORT}", "mail"),
    Told(
        starttls_at_a_port_of_tls, 1, rf"127\.0\.0\.1:\d+: no connection: .*timed out\. {CHECK_PORT}", "mail"
    ),
    Told(
        tls_at_a_port_of_starttls,
        1,
        rf"127\.0\.0\.1:\d+: the server does not begin with TLS: .*\. {CHECK_PORT}",
        "mail",
    ),
    Told(
        no_password,
        1,
        r"127\.0\.0\.1:\d+: there is a user name but no password\. Set `email\.password`",
        "secret",
        check_code=2,
        finding=r"there is a user name but no password. .*digest secret set digest-smtp",
    ),
    Told(
        password_that_is_not_stored,
        2,
        r"environment variable DIGEST_TEST_NONE: it is not set\. Set it where digest is started, "
        r"or run `digest secret set NAME`",
        "secret",
    ),
    Told(
        password_of_the_account,
        1,
        r"127\.0\.0\.1:\d+: the login was refused: 535 .*\. Google takes an app password here, not the "
        r"password of the account: make one at https://\S+ and put it into environment variable "
        r"DIGEST_TEST_PASSWORD\.$",
        "mail",
    ),
    Told(
        locked_keyring,
        2,
        r'keyring entry "digest-smtp": the keyring is locked \(.*the collection is locked\)\. '
        r'Unlock it, or say env = "NAME"',
        "secret",
    ),
    Told(
        no_network,
        1,
        r"journal: http://127\.0\.0\.1:\d+/feed: no answer: .*\. Check the connection; digest tries again",
        "source",
    ),
    Told(
        read_only_folder,
        1,
        r"ROOT/data: this folder cannot be written: Read-only file system\. "
        r"Name another data_dir, or change its permissions\.",
        "data",
        check_code=2,
        finding=r"ROOT/data: this folder cannot be written\. Change its permissions, or name another",
    ),
    Told(
        file_in_place_of_the_folder,
        1,
        r"ROOT/data: this folder cannot be written: File exists\. Name another data_dir",
        "data",
        check_code=2,
        finding=r"ROOT/data: this folder cannot be written\. Change its permissions, or name another",
    ),
    Told(
        two_runs,
        3,
        r"ROOT/data: another run is active\. It will do the work\.$",
        "runs",
        check_code=0,
        level="green",
        finding="one is active now",
        options=("--no-wait",),
    ),
    Told(
        query_without_end,
        2,
        r"ROOT/profiles/me\.toml:6: query: this bracket is never closed, at column 10\. Close it with \)",
        "config",
    ),
    Told(
        keyword_without_a_word,
        2,
        r"ROOT/profiles/me\.toml:6: keywords: there is no word in '\.\.\.'.*\. "
        r"A keyword needs letters or digits",
        "config",
    ),
    Told(
        newer_database,
        1,
        r"sqlite:///ROOT/data/digest\.db: this database is of version 9999, and this digest knows none after "
        r"\d+\. Install the newer digest again, or name another data_dir\.$",
        "database",
    ),
]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, monkeypatch, stack)


@pytest.mark.parametrize("told", MISTAKES, ids=[one.make.__name__ for one in MISTAKES])
def test_a_typical_mistake_is_told_in_the_first_line_with_its_remedy_and_found_by_a_check(
    world: World, run: Run, told: Told
) -> None:
    told.make(world)
    root = re.escape(str(world.folder))
    assert run("run", "--config", world.config, *told.options) == told.code, run.err
    first = run.err.splitlines()[0]
    assert re.search(told.line.replace("ROOT", root), first), run.err
    assert len(first) < 400
    assert "Traceback" not in run.err
    code = run("check", "--config", world.config, "--online")
    assert code == (told.code if told.check_code is None else told.check_code), run.out
    word = {"red": "fix ", "yellow": "note", "green": "ok  "}[told.level]
    pattern = (told.finding or told.line).replace("ROOT", root).removesuffix("$")
    lines = [line for line in run.out.splitlines() if line.startswith(f"{word} {told.subject}")]
    assert any(re.search(pattern, line) for line in lines), run.out
    assert ("All is well." in run.out) == (told.level == "green")


ME = "profiles/me.toml"
TWO = '[[interests]]\nname = "other"\nkeywords = ["GAN"]\n'
BRACKETS = "A table of which there may be several stands in two brackets each time, as [[interests]]"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (ME, 'name = "me"', 'name = "Bob Smith"', '-, at most 64 of them: name = "bob-smith"'),
        (ME, 'name = "me"', 'name = "jörg"', 'name = "jorg"'),
        (ME, 'name = "me"', 'name = "張"', 'at most 64 of them: name = "me"'),
        (ME, 'name = "me"', 'name = "me', 'A text ends with a quote, too: name = "me".'),
        (ME, 'name = "me"', "name = “me”", 'Write straight quotes: name = "me".'),
        (ME, 'name = "me"', "name = me", 'A text stands in quotes: name = "me"'),
        (ME, 'name = "me"', "name: me", 'A line is a key, "=" and a value: name = "me".'),
        (ME, 'name = "me"', 'name = "me"\nname = "you"', "A key stands once in its table"),
        (ME, 'name = "me"', "", 'name: this key is needed. Write name = "me".'),
        (ME, r"\[\[interests\]\]", "[interests]", "Write [[interests]], with two brackets."),
        (ME, r"\[\[interests\]\]", "[interests]\nname = 'a'\n[interests]", BRACKETS),
        (ME, r"\[\[interests\]\]", "[interests]\nname = 'a'\n[[interests]]", BRACKETS),
        (ME, r"\[\[interests\]\]", "[[interests]", "The name of a table stands in brackets"),
        (ME, r'\["Swin"\]', '"Swin"', 'this should be a list. Write keywords = ["Swin"].'),
        (ME, r'\["Swin"\]', '["Swin" "GAN"]', "A list has commas between its texts, and ends with ]"),
        (ME, r'\["Swin"\]', '"' + "long " * 20 + '"', 'Write keywords = ["…"].'),
        (ME, r'\["Swin"\]', "[7]", "interests.0.keywords.0: this should be a text in quotes"),
        (ME, r'\["Swin"\]', '["Swin"]\ntitle = "x"', "write it above the first line that begins with [."),
        (ME, 'name = "me"', 'name = "me"\nmax_papers = "9"', "Write max_papers = 9."),
        (
            ME,
            'name = "me"',
            'name = "me"\nmax_papers = 2.5',
            "this should be a whole number, without quotes",
        ),
        (ROOT, "^timezone.*", 'schedule = { at = "07:00" }', 'Write at = ["07:00"].'),
        (ROOT, r"^\[email\]", "[[email]]", "Write [email], with one bracket, once."),
        (
            ROOT,
            r"^\[email\]",
            '[[sources]]\nkind = "arxiv"\ncategories = "cs.CV"\n[email]',
            'Write categories = ["cs.CV"].',
        ),
        (
            ROOT,
            r"^\[email\]",
            '[[sources]]\nkind = "semantic_scholar"\nkey = { keyrin = "mine" }\nquery = "swin"\n[email]',
            "sources.1.key.keyrin: there is no such key. Did you mean keyring?",
        ),
        (ROOT, "(?s).*", "# nothing", "the configuration is empty. Delete it, and `digest init` writes one."),
        (
            ROOT,
            "^data_dir =.*",
            r'data_dir = "C:\Users"',
            "Write a backslash twice, or the text between '…'.",
        ),
        (
            ROOT,
            '^security = "none"',
            'security = "none"\nusername = "me"\npassword = { command = "pass show mine" }',
            'email.password.command: this should be a list. Write command = ["…"].',
        ),
    ],
)
def test_a_slip_of_the_pen_is_answered_by_what_should_stand_there(
    world: World, run: Run, file: str, old: str, new: str, said: str
) -> None:
    world.change(old, new.replace("\\", r"\\"), file=file)
    assert run("check", "--config", world.config) == 2
    assert said in " ".join(run.out.split())


def test_a_world_without_mistakes_has_none(world: World, run: Run) -> None:
    assert run("run", "--config", world.config) == 0, run.err
    assert run("check", "--config", world.config, "--online") == 0
    assert run.out.endswith("\nAll is well.\n")


def test_a_second_run_that_waits_says_for_what(world: World, run: Run) -> None:
    two_runs(world)
    world.patch.setattr("digest.cli.run._WAIT", 0.05)
    assert run("run", "--config", world.config) == 0
    busy, ended = run.err.splitlines()
    assert busy == f"Busy        {world.folder / 'data'}: another run is active; waiting for it"
    assert ended == f"digest: {world.folder / 'data'}: another run is active. It will do the work."
