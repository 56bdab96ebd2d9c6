"""`digest init`: what it asks, what it writes, and that it leaves nothing behind when it does not."""

from __future__ import annotations

import email
import email.policy
import io
import json
import os
import re
import select
import stat
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from commands import Run
from keyrings import with_keyring
from smtp_server import ADDRESSED, ScriptedServer, recording_server
from world import SWIN_PAGE

from digest.cli.init import init
from digest.config import Config, load
from digest.core.providers import PROVIDERS
from digest.resources import folder

PASSWORD = "correct horse: ünd"  # noqa: S105 - of nobody
INTERRUPT = "\x03"
CATCHING = ("--topic", "Swin, talking faze or lip sync")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a keyring and a folder of saved pages, and no configuration; also where somebody is."""
    path = tmp_path / "home"
    (path / "saved pages").mkdir(parents=True)
    (path / "saved pages" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    for name, value in with_keyring(tmp_path / "ring").items():
        monkeypatch.setenv(name, value)
    for name in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(path))
    monkeypatch.setenv("TZ", "Europe/Berlin")
    monkeypatch.delenv("DIGEST_CONFIG", raising=False)
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The folder to write to, which is not there yet."""
    return tmp_path / "mine"


def loaded(mine: Path) -> Config:
    return load(mine / "digest.toml")


def files(mine: Path) -> set[str]:
    return {path.relative_to(mine).as_posix() for path in mine.rglob("*") if path.is_file()}


def entries(tmp_path: Path) -> dict[str, str]:
    """What the keyring holds."""
    kept = tmp_path / "ring" / "entries.json"
    return dict(json.loads(kept.read_text())) if kept.exists() else {}


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Have these lines, and nothing else, on standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


# As a shell does for a program in the foreground: without it, Ctrl-C means nothing and passwords have no tty.
AT_TERMINAL = """
import fcntl, runpy, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("digest", run_name="__main__")
"""


def session(arguments: Sequence[object], *answers: tuple[str, str], columns: int = 200) -> tuple[int, str]:
    """What a person at a terminal is shown who answers each question, of which those words are a part."""
    window, inside = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", AT_TERMINAL, "init", *map(str, arguments)],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        env={**os.environ, "COLUMNS": str(columns), "NO_COLOR": "1"},
    )
    os.close(inside)
    waiting, said = list(answers), ""
    try:
        for said in shown(window):
            question = said.rpartition("\n")[2]
            if waiting and question.endswith(": ") and waiting[0][0] in question:
                reply = waiting.pop(0)[1]
                os.write(window, reply.encode() if reply == INTERRUPT else f"{reply}\n".encode())
    finally:
        os.close(window)  # which ends a program that still waits
        code = process.wait(60)
    assert not waiting, f"{waiting[0][0]} was not asked:\n{said}"
    return code, said


def shown(window: int) -> Iterator[str]:
    """All that has been shown, each time that it is quiet for a moment, until the program has ended."""
    content = b""
    for _ in range(600):
        ready, _, _ = select.select([window], [], [], 0.1)
        try:
            piece = os.read(window, 65_536) if ready else None
        except OSError:  # as Linux says that nobody has the other end
            piece = b""
        content += piece or b""
        if not ready or not piece:
            yield content.decode(errors="replace").replace("\r\n", "\n")
        if piece == b"":
            return


@contextmanager
def site_of(content: Path) -> Iterator[str]:
    """The address of a site that serves a folder."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(content))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


# --- what is written --------------------------------------------------------------------------


def test_nothing_is_asked_with_yes_and_nothing_overwritten(mine: Path, run: Run) -> None:
    assert run("init", "--yes", "--dir", mine) == 0
    assert files(mine) == {"digest.toml", "profiles/me.toml"}
    assert [interest.name for interest in loaded(mine).profiles[0].interests] == ["Swin", "Talking face"]
    assert run("check", "--config", mine / "digest.toml") == 0, run.out
    (mine / "digest.toml").write_text("# mine")
    assert run("init", "--yes", "--dir", mine) == 2
    assert "there already" in run.err
    assert (mine / "digest.toml").read_text() == "# mine"


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_what_is_written_is_for_its_owner_alone_whoever_calls(mine: Path) -> None:
    before = os.umask(0o022)  # the command line has a stricter one
    try:
        init.main(["--yes", "--dir", str(mine)], standalone_mode=False)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (mine, *mine.rglob("*"))}
    assert modes == {mine.name: 0o700, "profiles": 0o700, "digest.toml": 0o600, "me.toml": 0o600}


def test_a_profile_alone_is_not_overwritten_either(mine: Path, run: Run) -> None:
    (mine / "profiles").mkdir(parents=True)
    (mine / "profiles" / "me.toml").write_text("# mine")
    assert run("init", "--dir", mine) == 2  # before the first question: nothing is on standard input
    assert "there already" in run.err
    assert files(mine) == {"profiles/me.toml"}


def test_answers_stand_in_the_commented_file(mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(
        monkeypatch,
        "talking face or lip sync not facebook, Swin",
        "Ada <ada@lab.example.org>",
        "own",
        "mail.example.net",
        "",
        "ada",
        "6.30, 18",
        "~/saved pages, arxiv:cs.CV,cs.SD",
    )
    assert run("init", "--dir", mine) == 0
    config = loaded(mine)
    assert config.email is not None
    assert (config.email.host, config.email.sender) == ("mail.example.net", "Digest <ada@lab.example.org>")
    assert (config.email.username, config.email.service_port, config.email.security) == ("ada", 465, "tls")
    assert config.email.password is not None
    assert config.email.password.keyring == "digest-smtp"
    (profile,) = config.profiles
    assert profile.recipients == ("Ada <ada@lab.example.org>",)
    assert profile.title == "Talking face and Swin"
    assert [one.keywords for one in profile.interests] == [("talking face", "lip sync"), ("Swin",)]
    assert profile.interests[0].exclude == ("facebook",)
    assert profile.schedule is not None
    assert [f"{at:%H:%M}" for at in profile.schedule.at] == ["06:30", "18:00"]
    assert [source.kind for source in config.sources] == ["arxiv", "file"]
    assert "digest secret set digest-smtp" in run.out
    assert "Encryption (tls, starttls or none) [tls]: " in run.out
    assert "Server      mail.example.net:465, tls\n" in run.out


@pytest.mark.parametrize(
    ("name", "example"), [("digest.toml", "digest.toml"), ("profiles/me.toml", "profiles/talking-face.toml")]
)
def test_the_files_are_their_own_manual(mine: Path, run: Run, name: str, example: str) -> None:
    given = ("--email", "a@gmail.com", "--source", "medrxiv", "--source", ".")
    assert run("init", "--yes", "--dir", mine, *given) == 0
    remarks = re.compile(r"#+ .*")
    told = "\n".join(
        found[0]
        for found in map(remarks.search, (folder("config") / example).read_text().split("\n"))
        if found
    )
    written = (mine / name).read_text()
    of_interests = {
        "# heads its part of the digest",
        "# any of them",
        "# none of them",
        "# counts twice in the ranking; 1.0 if left out",
    }
    missing = [
        line
        for line in told.split("\n")
        if line.lstrip("# ") not in written and line not in of_interests and " = " not in line
    ]
    assert missing == []


def test_without_an_address_there_are_feeds_alone(
    mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "gaze", "", "", "")
    assert run("init", "--dir", mine) == 0
    assert loaded(mine).email is None
    assert loaded(mine).profiles[0].channels == ("feeds", "archive")
    assert "Password" not in run.out
    assert re.findall(r"^\d\. \w+", run.out, re.MULTILINE) == ["1. What", "2. Where", "3. At", "4. Where"]


def test_topics_are_said_as_they_are_understood(
    mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("init", "--yes", "--dir", mine / "a", "--topic", "gaze and eyes not fish；p53") == 0
    assert "Understood  Gaze and eyes: “gaze and eyes”, not “fish”\n            p53: “p53”\n" in run.out
    typed(monkeypatch, ", ".join(f"topic{number}" for number in range(30)), "", "", "")
    assert run("init", "--dir", mine / "b") == 0
    assert "Understood  topic0: “topic0”; topic1: “topic1”; " in run.out


def test_address_of_a_page_that_a_site_shows_people_is_that_site(mine: Path, run: Run) -> None:
    given = ("https://huggingface.co/papers/trending", "https://arxiv.org/list/cs.CV/new")
    assert run("init", "--yes", "--dir", mine, *(part for one in given for part in ("--source", one))) == 0
    assert tomllib.loads((mine / "digest.toml").read_text(encoding="utf-8"))["sources"] == [
        {"kind": "huggingface", "pages": ["trending"]},
        {"kind": "arxiv", "categories": ["cs.CV"]},
    ]


def test_flags_alone_suffice(mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch)
    given = (
        "--topic",
        "gaze",
        "--topic",
        "p53",
        "--email",
        "a@web.de",
        "--at",
        "5:00",
        "--source",
        "biorxiv",
    )
    assert run("init", "--dir", mine, *given) == 0
    config = loaded(mine)
    assert config.email is not None
    assert (config.email.host, config.email.username) == ("smtp.web.de", "a")
    assert [interest.name for interest in config.profiles[0].interests] == ["Gaze", "p53"]
    assert [source.kind for source in config.sources] == ["biorxiv"]


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_gives_a_configuration_that_loads(mine: Path, run: Run, name: str) -> None:
    given = ("--email", "ada@example.org", "--provider", name, "--username", "ada@icloud.com")
    assert run("init", "--yes", "--dir", mine, *given) == 0
    provider, table = PROVIDERS[name], loaded(mine).email
    assert table is not None
    assert (table.host, table.service_port) == (provider.server("example.org"), provider.port)
    assert table.security == provider.security
    assert (table.oauth2 is not None) == provider.by_token == (table.password is None)
    assert table.username == "ada@icloud.com"
    assert (table.ca_file is not None) == (name == "proton")
    assert provider.wants in run.out
    assert ("oauth2-token ada@icloud.com" in run.out) == provider.by_token


def test_user_name_of_icloud_is_an_address_there(
    mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("init", "--yes", "--dir", mine / "me", "--email", "ada@me.com") == 0
    typed(monkeypatch, "gaze", "ada@example.org", "iCloud", "", "ada@icloud.com", "", "")
    assert run("init", "--dir", mine / "own") == 0
    for one in ("me", "own"):
        table = loaded(mine / one).email
        assert table is not None
        assert table.username == "ada@icloud.com"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("--host", "mx.example.org"), ("mx.example.org", 465, "tls", "a@example.org")),
        (("--host", "mx.example.org:587"), ("mx.example.org", 587, "starttls", "a@example.org")),
        (("--host", "localhost", "--security", "none"), ("localhost", 25, "none", None)),
        (("--host", "mx", "--security", "starttls", "--username", ""), ("mx", 587, "starttls", None)),
        (("--host", "[::1]:465", "--username", "me"), ("::1", 465, "tls", "me")),
        (("--host", "mx:465", "--port", "465", "--security", "SSL"), ("mx", 465, "tls", "a@example.org")),
        (("--host", "mx", "--security", "StartTLS"), ("mx", 587, "starttls", "a@example.org")),
        (
            ("--provider", "gmail", "--port", "587", "--security", "starttls"),
            ("smtp.gmail.com", 587, "starttls", "a@example.org"),
        ),
    ],
)
def test_server_of_ones_own_is_what_is_said_of_it(
    mine: Path, run: Run, given: Sequence[str], expected: tuple[object, ...]
) -> None:
    assert run("init", "--yes", "--dir", mine, "--email", "a@example.org", *given) == 0
    table = loaded(mine).email
    assert table is not None
    assert (table.host, table.service_port, table.security, table.username) == expected


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        ('"Lovelace, Ada \\"Al\\"" <ada@example.org>', "ada@example.org"),
        ("Ada Ł 💌 <ada@bücher.example>", "ada@xn--bcher-kva.example"),
        ("a+b'c@example.org", "a+b'c@example.org"),
    ],
)
def test_addresses_are_written_as_they_were_given(mine: Path, run: Run, address: str, sender: str) -> None:
    assert run("init", "--yes", "--dir", mine, "--email", address, "--host", "localhost") == 0
    config = loaded(mine)
    assert config.profiles[0].recipients == (address,)
    assert config.email is not None
    assert config.email.sender == f"Digest <{sender}>"


def test_topics_and_paths_are_written_as_they_were_given(mine: Path, run: Run, home: Path) -> None:
    odd = home / 'a "b", \\c [d] ü'
    odd.mkdir()
    given = ("--source", odd, "--source", "saved pages", "--source", "~/*.txt")
    assert run("init", "--yes", "--dir", mine, "--topic", '"β, \\ γ"~2 or “or” or 中文', *given) == 0
    document = tomllib.loads((mine / "digest.toml").read_text(encoding="utf-8"))
    assert document["sources"] == [
        {"kind": "file", "paths": [str(odd), str(home / "saved pages"), "~/*.txt"]}
    ]
    assert loaded(mine).profiles[0].interests[0].keywords == ('"β, \\ γ"~2', "or", "中文")


def test_several_sources_of_a_kind_stand_beside_each_other(mine: Path, run: Run) -> None:
    given = (
        "arxiv:cs.CV",
        "arxiv:cs.SD",
        "biorxiv:genomics",
        "medrxiv",
        "https://x.org/1",
        "https://x.org/2",
    )
    assert run("init", "--yes", "--dir", mine, *(part for one in given for part in ("--source", one))) == 0
    assert tomllib.loads((mine / "digest.toml").read_text(encoding="utf-8"))["sources"] == [
        {"kind": "arxiv", "categories": ["cs.CV", "cs.SD"]},
        {"kind": "biorxiv", "categories": ["genomics"]},
        {"kind": "medrxiv"},
        {"kind": "feed", "name": "x.org", "url": "https://x.org/1"},
        {"kind": "feed", "name": "x.org-2", "url": "https://x.org/2"},
    ]


# --- what is wrong ----------------------------------------------------------------------------


def test_what_cannot_be_read_is_asked_again_with_the_reason(
    mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        "": "There is no topic",
        "swin or": 'missing behind "or"',
        "swin AND gaze": "topics are words",
        "swin": "",
        "nobody": "Write an address as",
        "ädä@example.org": "beyond ASCII",
        "a@example.org, Bo <b@example.org>": "One address here; more in recipients",
        "a@example.org": "",
        "gmial": "Did you mean gmail?",
        "post office": "Say one of them",
        "own": "",
        "a b": "Write a host as",
        "mx:0": "Write a host as",
        "mx:465:3": "Write a host as",
        "::1": "Write a host as",
        "ada@mx": "Write a host as",
        "mx:2525": "",
        "plain": "Say tls, starttls or none",
        "STARTTLS": "",
        "-": "",
        "noon": "Write a time",
        "24:00": "Write a time",
        "7:5": "Write a time",
        "07:00": "",
        ",": "There is no source",
        "hugingface": "Did you mean huggingface?",
        "~/nowhere": "Make it first",
        "www.example.org/f?a=b": "Write https:// before it",
        "cs.CV": "Write arxiv:cs.CV",
        "https://x.org/a b": "no spaces",
        "arxiv": "arXiv has many categories",
        "arxiv:cs.XXXX": "cs.XXXX",
        "https://": "must begin with https://",
        "huggingface": "",
    }
    typed(monkeypatch, *answers)
    assert run("init", "--dir", mine) == 0
    rest = run.out
    for reason in filter(None, answers.values()):
        assert reason in rest, rest
        rest = rest.partition(reason)[2]
    table = loaded(mine).email
    assert table is not None
    assert (table.host, table.port, table.security, table.username) == ("mx", 2525, "starttls", None)


@pytest.mark.parametrize(
    ("answers", "flag"),
    [
        ((), "--topic"),
        (("gaze",), "--email"),
        (("gaze", "a@gmail.com", "gmail"), "--at"),
        (("gaze", "a@example.org", "own", "mx"), "--security"),
        (("gaze", "", "07:00"), "--source"),
    ],
)
def test_input_that_ends_leaves_nothing_behind_and_the_flag_that_answers_is_named(
    mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch, answers: Sequence[str], flag: str
) -> None:
    typed(monkeypatch, *answers)
    assert run("init", "--dir", mine) == 2
    assert f"so say {flag}." in run.err
    assert not mine.exists()


@pytest.mark.parametrize(
    ("given", "words"), [((), "say --topic"), (("--email", "a@gmail.com", "--password-stdin"), "no password")]
)
def test_closed_input_is_as_one_that_ends(
    mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch, given: Sequence[str], words: str
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert run("init", "--dir", mine, *given) == 2
    assert words in run.err
    assert not mine.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--yes", "--provider", "gmail"), "--provider needs --email"),
        (("--email", "", "--test-mail"), "--test-mail needs --email"),
        (("--password-stdin",), "--password-stdin needs --email"),
        (("--yes", "--email", "a@gmail.com", "--provider", "gmail", "--host", "mx"), "leave out --provider"),
        (("--yes", "--email", "a@example.org"), "say --provider"),
        (("--yes", "--email", "a@example.org", "--provider", "own"), "say --host"),
        (("--yes", "--email", "a@example.org", "--provider", "icloud"), "say --username"),
        (("--yes", "--email", "a@example.org", "--host", "mx:26"), "say --security"),
        (
            ("--yes", "--email", "a@example.org", "--host", "mx:25", "--port", "26"),
            "port 25 stands here, but --port says 26",
        ),
        (("--yes", "--email", "a@example.org", "--host", "mx", "--security", "x"), "'x' is not one of"),
        (("--yes", "--topic", "or"), "a keyword is missing"),
        (("--yes", "--email", "nobody"), "write an address"),
        (("--yes", "--at", "noon"), "write a time"),
        (("--yes", "--source", "nowhere"), "no file or folder"),
        (("--yes", "--email", "a@gmail.com", "--provider", "gmial"), "did you mean gmail"),
        (("--email", "a@outlook.com", "--password-stdin"), "nobody logs in there by a password"),
        (("--email", "a@gmail.com", "--password-stdin"), "there is no password on standard input"),
    ],
)
def test_flags_that_cannot_be_are_told_and_nothing_is_written(
    mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch, given: Sequence[str], words: str
) -> None:
    typed(monkeypatch)
    assert run("init", "--dir", mine, *given) == 2
    assert words in run.err
    assert not mine.exists()


def test_folder_that_cannot_be_written_is_told_before_the_first_question(run: Run, home: Path) -> None:
    assert run("init", "--dir", home / "saved pages" / "page.txt" / "deeper") == 2
    assert "nothing can be written here" in run.err


def test_writing_that_fails_half_way_leaves_nothing_behind(
    mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    typed(monkeypatch, "secret")
    (mine / "profiles").mkdir(parents=True)
    (mine / "profiles" / "me.toml").symlink_to("nowhere")  # which is not there, and cannot be made
    assert run("init", "--dir", mine, "--email", "a@gmail.com", "--password-stdin") == 2
    assert "cannot be written" in run.err
    assert files(mine) == set()


@pytest.mark.parametrize(
    "before",
    [{}, {"digest/digest-smtp": "another's", "digest/digest-smtp-a@gmail.com": "an older one"}],
)
def test_password_is_taken_back_when_nothing_can_be_written(
    tmp_path: Path, mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch, before: dict[str, str]
) -> None:
    (tmp_path / "ring" / "entries.json").write_text(json.dumps(before))
    (mine / "profiles").mkdir(parents=True)
    (mine / "profiles" / "me.toml").symlink_to("nowhere")
    typed(monkeypatch, "secret")
    assert run("init", "--dir", mine, "--email", "a@gmail.com", "--password-stdin") == 2
    assert "is again as it was" in run.err
    assert entries(tmp_path) == before


def test_password_that_cannot_be_taken_back_is_told(
    mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "fakes.Clinging")
    (mine / "profiles").mkdir(parents=True)
    (mine / "profiles" / "me.toml").symlink_to("nowhere")
    typed(monkeypatch, "secret")
    assert run("init", "--dir", mine, "--email", "a@gmail.com", "--password-stdin") == 2
    assert "digest-smtp: the keyring failed" in run.err


# --- what would have been caught --------------------------------------------------------------


def test_pages_at_hand_show_what_each_topic_would_catch(mine: Path, run: Run) -> None:
    assert run("init", "--yes", "--dir", mine, *CATCHING, "--source", "saved pages") == 0
    assert "3 papers; of these your topics would catch:" in run.out
    assert "Swin: 1\n              *Swin*Leaf: Shifted Windows for Counting Leaves\n" in run.out
    assert "Talking faze: none; did you mean face?\n" in run.out
    assert "stands in none" not in run.out  # of a topic that catches nothing, that is plain


def test_word_that_stands_nowhere_is_told_of_a_topic_that_catches_something(mine: Path, run: Run) -> None:
    given = ("--topic", "Swin or lip sync or talking faze", "--source", "saved pages")
    assert run("init", "--yes", "--dir", mine, *given) == 0
    assert "              lip sync stands in none\n" in run.out
    assert "              talking faze stands in none; did you mean face?\n" in run.out


@pytest.mark.parametrize("topics", [20, 30])
def test_list_of_many_topics_fits_a_terminal(mine: Path, run: Run, topics: int) -> None:
    words = ("Swin", "talking", "leaf or fish", *(f"topic{number}" for number in range(topics - 3)))
    given = ("--topic", ", ".join(words), "--source", "saved pages")
    assert run("init", "--yes", "--dir", mine, *given) == 0
    shown = run.out.partition("At hand")[2].partition("\n\n")[0]
    assert len(shown.splitlines()) <= 25
    assert "Swin: 1" in shown
    assert f"topic{topics - 4}: none" in shown


def test_what_is_stored_already_is_at_hand_and_stays_as_it_is(mine: Path, run: Run, home: Path) -> None:
    assert run("init", "--yes", "--dir", mine / "a", "--source", "saved pages") == 0
    assert run("collect", "--config", mine / "a" / "digest.toml") == 0
    (home / "saved pages" / "page.txt").unlink()
    (stored,) = home.rglob("digest.db")
    before = stored.read_bytes()
    assert run("init", "--yes", "--dir", mine / "b", *CATCHING, "--source", "saved pages") == 0
    assert "*Swin*Leaf" in run.out
    assert stored.read_bytes() == before


def test_no_paper_and_pages_that_cannot_be_read_are_told(mine: Path, run: Run, home: Path) -> None:
    (home / "saved pages" / "page.txt").write_text("nothing of the kind")
    assert run("init", "--yes", "--dir", mine, "--source", "saved pages") == 0
    assert "Not read" in run.out
    assert "there is no paper yet" in run.out


def test_store_that_cannot_be_read_hinders_nothing(mine: Path, run: Run, home: Path) -> None:
    (home / "digest").mkdir()
    (home / "digest" / "digest.db").write_bytes(b"no database at all" * 100)
    assert run("init", "--yes", "--dir", mine) == 0
    assert "Not tried" in run.out
    assert "damaged" in run.out
    assert loaded(mine).sources


# --- the password -----------------------------------------------------------------------------


def test_password_of_a_script_goes_into_the_keyring_without_the_spaces_it_was_shown_with(
    tmp_path: Path, mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, account in enumerate(("a", "a", "b")):
        typed(monkeypatch, f"{account}bcd efgh ijkl mnop")
        given = ("--email", f"{account}@gmail.com", "--password-stdin")
        assert run("init", "--dir", mine / str(number), *given) == 0
        assert "efgh" not in run.out + run.err
    assert entries(tmp_path) == {
        "digest/digest-smtp": "abcdefghijklmnop",
        "digest/digest-smtp-b@gmail.com": "bbcdefghijklmnop",
    }
    table = loaded(mine / "2").email
    assert table is not None
    assert table.password is not None
    assert table.password.keyring == "digest-smtp-b@gmail.com"


def test_password_of_a_script_goes_into_a_file_where_there_is_no_keyring(
    mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    with recording_server(login=("me", PASSWORD)) as server:
        typed(monkeypatch, PASSWORD)
        given = ("--email", "a@example.org", "--host", f"127.0.0.1:{server.port}", "--security", "none")
        assert run("init", "--dir", mine, *given, "--username", "me", "--password-stdin", "--test-mail") == 0
        assert len(server.messages) == 1
    assert files(mine) == {"digest.toml", "profiles/me.toml", "smtp-password"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in mine.rglob("*") if path.is_file())
    assert PASSWORD not in run.out + run.err + (mine / "digest.toml").read_text()


def test_a_keyring_that_hangs_is_named_before_it_is_waited_for(
    mine: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "fakes.Hanging")
    monkeypatch.setattr("digest.credentials.KEYRING_TIMEOUT", 0.2)
    typed(monkeypatch, PASSWORD)
    assert run("init", "--dir", mine, "--email", "a@gmail.com", "--password-stdin") == 0
    assert "the keyring to keep the password" in run.out.partition("did not answer")[0]
    assert "smtp-password" in files(mine)


def test_a_certificate_that_is_still_missing_is_named_by_the_test_mail(mine: Path, run: Run) -> None:
    assert run("init", "--yes", "--dir", mine, "--email", "a@proton.me", "--test-mail") == 2
    assert f"{mine}/cert.pem: email.ca_file" in run.err
    assert "digest check --online" in run.out


# --- at a terminal ----------------------------------------------------------------------------


LED = (
    ("Topics", "Swin, talking faze"),
    ("E-mail", "Ada <ada@example.org>"),
    ("Provider [own]", ""),
)
REST = (("Time [07:00]", ""), ("Sources [huggingface]", "~/saved pages"), ("Change topics?", ""))


def test_a_person_is_led_from_questions_to_a_test_mail(tmp_path: Path, mine: Path) -> None:
    with recording_server(login=("ada@example.org", PASSWORD)) as server:
        code, said = session(
            ("--dir", mine, "--security", "none", "--username", "ada@example.org"),
            *LED,
            ("Mail server [smtp.example.org]", f"127.0.0.1:{server.port}"),
            ("Time [07:00]", ""),
            ("Sources [huggingface]", "~/saved pages"),
            ("Change topics?", "y"),
            ("Topics [Swin, talking faze]", "Swin, gaze or"),
            ("Topics [Swin, talking faze]", "Swin, talking face"),
            ("Password", PASSWORD),
            ("Send a test mail to ada@example.org?", "y"),
        )
        assert code == 0, said
        (sent,) = server.messages
    message = email.message_from_bytes(sent.content, policy=email.policy.default)
    assert message["To"] == "Ada <ada@example.org>"
    assert message["Subject"] == "digest can send you mail"
    assert "Papers on Swin and Talking face" in str(message.get_body(("plain",)))
    assert "At most five questions" in said
    assert f"Server      127.0.0.1:{server.port}, none\n" in said
    assert "Talking face: 1\n              *Talking Faces* Without a Mouth" in said
    assert [one.name for one in loaded(mine).profiles[0].interests] == ["Swin", "Talking face"]
    assert PASSWORD not in said + "".join((mine / name).read_text() for name in files(mine))
    assert entries(tmp_path) == {"digest/digest-smtp": PASSWORD}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (mine, *mine.rglob("*")))


@pytest.mark.parametrize("wants_file", [True, False])
def test_without_a_keyring_the_password_is_in_a_file_or_comes_from_the_environment(
    mine: Path, monkeypatch: pytest.MonkeyPatch, *, wants_file: bool
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    with recording_server(login=("ada@example.org", PASSWORD)) as server:
        code, said = session(
            ("--dir", mine, "--security", "none", "--username", "ada@example.org"),
            *LED,
            ("Mail server", f"127.0.0.1:{server.port}"),
            *REST,
            ("Password", PASSWORD),
            ("Send a test mail", ""),
            ("Keep it in the file smtp-password", "y" if wants_file else "n"),
        )
        assert code == 0, said
        assert len(server.messages) == 1
    assert "This machine has no keyring." in said
    assert ("smtp-password" in files(mine)) == wants_file
    assert ("DIGEST_SMTP_PASSWORD" in said) == (not wants_file)
    table = loaded(mine).email
    assert table is not None
    assert table.password is not None
    assert (table.password.file, table.password.env) == (
        ("smtp-password", None) if wants_file else (None, "DIGEST_SMTP_PASSWORD")
    )


def test_a_test_mail_that_fails_is_told_and_the_configuration_stays(mine: Path) -> None:
    with ScriptedServer([*ADDRESSED[:-1], ("RCPT", "550 5.1.1 no such user")]) as server:
        code, said = session(
            ("--dir", mine, "--security", "none"),
            *LED,
            ("Mail server", f"127.0.0.1:{server.port}"),
            *REST,
            ("Send a test mail", "y"),
        )
    assert code == 1
    assert "no such user" in said
    assert "check the address in the profile" in said
    assert loaded(mine).sources


def test_a_password_may_be_stored_later_and_a_test_mail_then_names_the_command(
    mine: Path, run: Run, home: Path
) -> None:
    (home / "saved pages" / "page.txt").unlink()
    code, said = session(
        ("--dir", mine, "--email", "ada@gmail.com"),
        ("Topics", "gaze"),
        ("Time", ""),
        ("Sources", "~/saved pages"),
        ("Password", ""),
    )
    assert code == 0, said
    assert "there is no paper yet" in said
    assert "digest secret set digest-smtp" in said
    with recording_server(login=("ada", PASSWORD)) as server:
        given = ("--email", "a@example.org", "--host", f"127.0.0.1:{server.port}", "--security", "none")
        assert run("init", "--yes", "--dir", mine / "b", *given, "--username", "ada", "--test-mail") == 2
    assert "digest secret set digest-smtp" in run.err
    assert "Not sent    the test mail; the files above are written." in run.out
    assert loaded(mine / "b").sources


def test_place_of_a_mistake_is_shown_below_it_where_that_fits_on_a_line(mine: Path) -> None:
    code, said = session(
        ("--dir", mine),
        ("Topics", "gaze or"),
        ("Topics", f"gaze of {'invented ' * 5}owls or"),
        ("Topics", INTERRUPT),
        columns=40,
    )
    assert code == 130
    assert said.count("^ column") == 1, said
    assert "    gaze or\n           ^ column 8\n" in said
    assert "at column 61" in " ".join(said.split())


def test_an_interrupt_leaves_nothing_behind(mine: Path) -> None:
    code, said = session(("--dir", mine), ("Topics", "gaze"), ("E-mail", INTERRUPT))
    assert code == 130
    assert "Nothing was written." in said
    assert not mine.exists()


def test_pages_of_the_web_are_read_if_a_person_wants_that(tmp_path: Path, mine: Path) -> None:
    feed = (
        b'<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:x:1</id><title>x</title>'
        b"<updated>2026-11-20T07:00:00Z</updated><entry><id>urn:x:2</id><title>Gaze of Invented Owls</title>"
        b'<updated>2026-11-20T07:00:00Z</updated><link href="https://x.example.org/2"/></entry></feed>'
    )
    (tmp_path / "feed.xml").write_bytes(feed)
    with site_of(tmp_path) as address:
        asked = (
            ("Topics", "gaze"),
            ("E-mail", ""),
            ("Time", ""),
            ("Sources", f"{address}/feed.xml"),
        )
        code, said = session(("--dir", mine / "a"), *asked, ("Read 127.0.0.1 now, to see what", "y"))
        assert (code, "*Gaze* of Invented Owls" in said) == (0, True), said
        code, said = session(("--dir", mine / "b"), *asked, ("Read 127.0.0.1 now", "n"))
        assert (code, "At hand" in said) == (0, False), said


@pytest.mark.parametrize("keyring", ["Interrupting", "InterruptingLate"])
def test_an_interrupt_leaves_nothing_in_the_keyring_either(
    tmp_path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch, keyring: str
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", f"fakes.{keyring}")
    given = ("--email", "a@gmail.com", "--at", "7", "--source", "saved pages")
    code, said = session(("--dir", mine, "--topic", "gaze", *given), ("Password", PASSWORD), ("Send", "n"))
    assert code == 130, said
    assert "Nothing was written." in said
    assert ("digest-smtp is again as it was" in said) == (keyring == "InterruptingLate")
    assert entries(tmp_path) == {}
    assert not mine.exists()


# --- what comes next --------------------------------------------------------------------------


def test_next_commands_name_the_configuration_only_where_it_is_not_found_by_itself(
    tmp_path: Path, run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("init", "--yes") == 0
    assert (home / "digest" / "digest.toml").is_file()
    assert "`digest run` does" in run.out
    assert run("init", "--yes", "--dir", tmp_path / "an other") == 0
    assert f"`digest run --config '{tmp_path}/an other/digest.toml'` does" in run.out
    monkeypatch.setenv("DIGEST_CONFIG", "nowhere")
    assert run("init", "--yes", "--dir", tmp_path / "b") == 0
    assert f"`digest run --config {tmp_path}/b/digest.toml` does" in run.out
