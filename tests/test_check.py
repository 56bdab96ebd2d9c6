"""`digest check`: everything that a run needs, green, yellow or red, with the remedy; nothing is changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from commands import Run
from internet import Answer, Internet, internet
from smtp_server import GREETED, UNASKED, ScriptedServer
from test_disk import disk
from world import DAY, HOUR, NOON, SWIN_PAGE, configure

from digest import app
from digest.store.lock import locked

ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>Journal</title><id>urn:j</id>
<updated>2026-11-19T12:00:00Z</updated><entry><title>A Swin of Leaves</title><id>urn:1</id>
<link href="https://journal.example.org/1"/><updated>2026-11-19T12:00:00Z</updated>
<summary>On leaves.</summary></entry></feed>"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, with an empty home, after everything else that has happened."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.delenv("DIGEST_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


def findings(run: Run, config: Path, *options: str, code: int = 0) -> list[dict[str, Any]]:
    assert run("check", "--config", config, "--json", *options) == code, run.out + run.err
    found: list[dict[str, Any]] = json.loads(run.out)
    assert all(one["ok"] == (one["level"] != "red") for one in found)
    assert all(one["remedy"] or one["level"] == "green" for one in found)
    return found


def of(found: list[dict[str, Any]], subject: str, level: str | None = None) -> dict[str, Any]:
    """The finding on a subject, of which there is one (of that level)."""
    (one,) = (one for one in found if one["subject"] == subject and level in (None, one["level"]))
    return one


def furnished(folder: Path, *, extra: str = "", tables: str = "", **more: Any) -> Path:  # noqa: ANN401
    """A configuration with a page to read, and these tables at its end."""
    config = configure(folder, extra=extra, **more)
    (folder / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    config.write_text(config.read_text(encoding="utf-8") + tables, encoding="utf-8")
    return config


def profile(folder: Path, *changes: tuple[str, str], name: str = "me") -> None:
    path = folder / "profiles" / f"{name}.toml"
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


URL = "https://journal.example.org/"


@contextmanager
def journal(
    folder: Path, *answers: Answer, source: str = 'kind = "feed"\nname = "journal"'
) -> Iterator[Internet]:
    """A site that gives these answers, in their order, and a configuration that reads it."""
    left = list(answers)
    with internet(folder, {"journal.example.org": lambda _: left.pop(0)}) as web:
        network = f'[network]\nproxy = "{web.proxy}"\nca_file = "ca.pem"\n'
        furnished(folder, tables=f'[[sources]]\n{source}\nurl = "{URL}"\n{network}')
        yield web


# --- all of it ----------------------------------------------------------------------------------


def test_a_check_looks_at_everything(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path, extra='[schedule]\nat = ["07:00"]')
    assert run("check", "--config", config) == 0
    first = (
        "config, time zone, data, output, database, source, clock, ranker, templates, feeds, mail, runs, next"
    )
    assert ", ".join(line[5:16].strip() for line in run.out.splitlines()[:-2]) == first
    assert "ok   config      " in run.out
    assert f"{config}: 1 profile, 1 source" in run.out
    assert "ok   database    none yet; the first run makes it" in run.out
    assert "ok   source      file lists 3 papers" in run.out
    assert "ok   feeds       found at http://127.0.0.1:8470, by `digest serve`" in run.out
    assert "ok   mail        no server is configured: feeds and archive alone" in run.out
    assert run.out.endswith("\n\nAll is well.\n")


def test_a_check_changes_nothing(tmp_path: Path, run: Run) -> None:
    serve = '[serve]\nbase_url = "https://me.example.org"\n'
    config = furnished(tmp_path, extra=serve)
    assert run("check", "--config", config) == 0
    assert not (tmp_path / "data").exists()
    assert run("run", "--config", config) == 0

    def everything() -> dict[str, str]:
        files = (path for path in tmp_path.rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = everything()
    for options in ((), ("--online",), ("--json",)):
        assert run("check", "--config", config, *options) == 0, run.out
    assert everything() == before


def test_a_check_counts_what_needs_somebody(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DIGEST_TEST_NONE", raising=False)
    webhook = '[[webhooks]]\nname = "{}"\nurl = {{ env = "DIGEST_TEST_NONE" }}\n'
    config = furnished(tmp_path, tables=webhook.format("one"))
    assert run("check", "--config", config) == 2
    assert run.out.endswith("\n\n1 thing needs you: secret. To look at: config.\n")
    config = furnished(tmp_path, tables=webhook.format("one") + webhook.format("two"))
    profile(tmp_path, ('title = "Papers for me"', 'title = "Papers"\nwebhooks = ["one", "two"]'))
    assert run("check", "--config", config) == 2
    assert run.out.endswith("\n\n2 things need you: secret.\n")
    assert (
        "fix  secret      webhook two: environment variable DIGEST_TEST_NONE: it is not set. Set it"
        in run.out
    )


def test_what_may_not_be_meant_is_yellow_and_no_failure(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path)
    profile(tmp_path, ('keywords = ["Swin"]', 'keywords = ["Swin", "SwinV2", "faces"]\nexclude = ["face"]'))
    assert run("check", "--config", config) == 0
    assert (
        "note profile     me, 'Swin': 'SwinV2' finds no paper that 'Swin' does not find. "
        "Take one of them out, unless such papers are to count more.\n"
        "note profile     me, 'Swin': 'faces' never counts, because 'face' is excluded. "
        "Take one of them out, or make it narrower.\n"
    ) in run.out
    assert run.out.endswith("\n\nNothing needs you. To look at: profile.\n")


def test_a_mistake_in_the_configuration_is_all_there_is_to_say(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path, extra="timezon = 1\nprofile = 2")
    assert run("check", "--config", config) == 2
    assert run.out.splitlines() == [
        f"fix  config      {config}:4: timezon: there is no such key. Did you mean timezone?",
        f"                 {config}:5: profile: there is no such key. Did you mean profiles?",
        "",
        "1 thing needs you: config.",
    ]
    (found,) = findings(run, config, code=2)
    assert found["detail"] == f"{config}:4: timezon: there is no such key"
    assert found["remedy"].startswith("Did you mean timezone?\n")


def test_a_mistake_in_a_query_is_shown_where_it_stands(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path)
    profile(tmp_path, ('keywords = ["Swin"]', 'query = "swin AND (gan"'))
    said = "query: this bracket is never closed"
    assert run("check", "--config", config) == 2
    assert run.out.splitlines()[:3] == [
        f"fix  config      {tmp_path}/profiles/me.toml:6: {said}, at column 10. Close it with ).",
        "                     swin AND (gan",
        "                              ^ column 10",
    ]


def test_hundreds_of_profiles_take_a_few_lines(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path, extra="[schedule]", profiles=[f"p{number}" for number in range(300)])
    for number in range(20):
        changes = ('keywords = ["Swin"]', 'keywords = ["Swin"]\nexclude = ["swin"]')
        profile(tmp_path, changes, name=f"p{number}")
    assert run("check", "--config", config) == 0
    lines = run.out.splitlines()
    assert len([line for line in lines if "never counts" in line]) == 10
    assert "and 10 more: digest check --json" in lines
    assert lines[-4].startswith("ok   next        ")
    assert lines[-4].endswith(", 07:00: p0, p1, p10 and 297 more")
    assert len(findings(run, config)) == 20 + 13


def test_secrets_that_a_server_repeats_are_not_shown(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGEST_TEST_PASSWORD", "hunter2-hunter2")
    login = 'username = "me"\npassword = { env = "DIGEST_TEST_PASSWORD" }\n'
    script = [
        (UNASKED, "220 hello"),
        ("EHLO", "250-mx\r\n250 AUTH PLAIN"),
        ("AUTH", "535 no to hunter2-hunter2"),
    ]
    for options in ((), ("--json",)):
        with ScriptedServer(script) as server:
            config = furnished(tmp_path, port=server.port, mail=login)
            assert run("check", "--config", config, "--online", *options) == 1
        assert "no to <secret>" in run.out
        assert "hunter2" not in run.out + run.err


# --- the configuration --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tables", "changes", "subject", "says"),
    [
        (
            '[email]\nfrom = "a@b.example"\ntransport = "eml"\nfolder = "mail"\n',
            (),
            "config",
            "[email] is there, and no profile has recipients",
        ),
        (
            '[email]\nfrom = "a@b.example"\ntransport = "eml"\nfolder = "mail"\n',
            (("[[interests]]", 'recipients = ["me@b.example"]\nchannels = ["feeds"]\n[[interests]]'),),
            "profile",
            "me: its recipients get no mail, for its channels are feeds",
        ),
        (
            '[[webhooks]]\nname = "lab"\nurl = "http://127.0.0.1/x"\n',
            (),
            "config",
            "webhook 'lab' is told nothing, for no profile names it",
        ),
        (
            '[[webhooks]]\nname = "lab"\nurl = "http://127.0.0.1/x"\n',
            (("[[interests]]", 'webhooks = ["lab"]\nchannels = ["feeds"]\n[[interests]]'),),
            "profile",
            "me: its webhooks are told nothing, for its channels are feeds",
        ),
        (
            '[[sources]]\nkind = "file"\nname = "other"\npaths = ["inbox/"]\n',
            (("[[interests]]", 'sources = ["file"]\n[[interests]]'),),
            "config",
            "source 'other' is read for nobody, for no profile names it",
        ),
    ],
)
def test_what_leads_nowhere_is_told(
    tmp_path: Path, run: Run, tables: str, changes: tuple[tuple[str, str], ...], subject: str, says: str
) -> None:
    config = furnished(tmp_path, tables=tables)
    config.chmod(0o600)
    profile(tmp_path, *changes)
    found = findings(run, config)
    yellow = [one for one in found if one["level"] == "yellow"]
    assert says in {one["detail"] for one in yellow if one["subject"] == subject}


@pytest.mark.parametrize("keyword", ["Swin", "=SAM", "diffus*", '"talking face"~3'])
def test_a_keyword_that_clashes_with_none_is_no_doubt(tmp_path: Path, run: Run, keyword: str) -> None:
    config = furnished(tmp_path)
    written = json.dumps([keyword, "gaze of a gardener"])
    profile(tmp_path, ('["Swin"]', f'{written}\nexclude = ["talking face", "diffusion"]\nrequire = ["leaf"]'))
    assert all(one["level"] == "green" for one in findings(run, config))


def test_of_two_keywords_that_find_the_same_one_is_too_many(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path)
    profile(tmp_path, ('["Swin"]', '["talking face", "talking-faces"]'))
    assert of(findings(run, config), "profile")["detail"] == (
        "me, 'Swin': 'talking-faces' finds no paper that 'talking face' does not find"
    )


def test_a_word_that_is_required_and_excluded_is_told(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path)
    profile(tmp_path, ('keywords = ["Swin"]', 'require = ["leaf"]\nexclude = ["leaves", "leaf"]'))
    assert "'leaf' never counts, because " in of(findings(run, config), "profile")["detail"]


def test_the_address_of_a_webhook_is_for_its_owner(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path, tables='[[webhooks]]\nname = "lab"\nurl = "http://127.0.0.1/x"\n')
    profile(tmp_path, ("[[interests]]", 'webhooks = ["lab"]\n[[interests]]'))
    config.chmod(0o644)
    one = of(findings(run, config), "config", "yellow")
    assert one["remedy"] == f"Run `chmod 600 {config}`"
    config.chmod(0o600)
    found = findings(run, config)
    assert [one["level"] for one in found if one["subject"] == "config"] == ["green"]
    assert of(found, "webhook")["detail"] == "lab: json can be filled in; nothing is posted"


# --- time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "level", "says"),
    [
        ("Asia/Tokyo", "green", "Asia/Tokyo, as this machine has it: Fri 20 Nov, 21:00 now"),
        ("UTC", "yellow", "UTC, for this machine names no other: Fri 20 Nov, 12:00 now"),
        ("Nowhere/Atall", "yellow", "UTC, for this machine names no other: Fri 20 Nov, 12:00 now"),
    ],
)
def test_the_time_zone_says_where_it_comes_from(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, zone: str, level: str, says: str
) -> None:
    config = furnished(tmp_path)
    monkeypatch.setattr(app, "now", lambda: NOON)
    one = of(findings(run, config, code=of_clock(NOON)), "time zone")
    assert one["detail"] == "Europe/Berlin, as configured: Fri 20 Nov, 13:00 now"
    config.write_text(config.read_text(encoding="utf-8").replace('timezone = "Europe/Berlin"', ""))
    monkeypatch.setenv("TZ", zone)
    one = of(findings(run, config, code=of_clock(NOON)), "time zone")
    assert (one["level"], one["detail"]) == (level, says)


def of_clock(at: datetime) -> int:
    """The exit code for this time, at which the program's own files may not have been written."""
    written = datetime.fromtimestamp(Path(app.__file__).with_name("checkup.py").stat().st_mtime, UTC)
    return int(written - DAY - at > DAY)


@pytest.mark.parametrize(
    ("ahead", "level"),
    [(timedelta(0), "green"), (timedelta(minutes=4), "green"), (HOUR, "yellow"), (2 * DAY, "red")],
)
def test_a_clock_is_behind_what_has_happened(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, ahead: timedelta, level: str
) -> None:
    config = furnished(tmp_path)
    at = datetime(2030, 1, 1, tzinfo=UTC)
    assert run("run", "--config", config, "--at", (at + ahead).isoformat()) == 0
    monkeypatch.setattr(app, "now", lambda: at)
    one = of(findings(run, config, code=int(level == "red")), "clock")
    assert one["level"] == level
    if level != "green":
        assert (
            f"it is 2030-01-01 00:00 UTC here, and the last run began at {at + ahead:%Y-%m-%d %H:%M}"
            in one["detail"]
        )
        assert "timedatectl set-ntp true" in one["remedy"]


def test_a_clock_is_behind_the_program_itself(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = furnished(tmp_path)
    monkeypatch.setattr(app, "now", lambda: datetime(2001, 1, 1, tzinfo=UTC))
    one = of(findings(run, config, code=1), "clock")
    assert one["detail"].startswith(
        "the clock is wrong: it is 2001-01-01 00:00 UTC here, and digest was installed at"
    )


@pytest.mark.parametrize(
    ("ahead", "age", "level"),
    [
        (timedelta(0), "", "green"),
        (-HOUR, "3600", "green"),  # it comes from a cache
        (-HOUR, "", "yellow"),
        (HOUR, "nonsense", "yellow"),
        (-3 * DAY, "60", "red"),
        (3 * DAY, "", "red"),
    ],
)
def test_a_clock_is_compared_with_that_of_a_server(
    tmp_path: Path, run: Run, ahead: timedelta, age: str, level: str
) -> None:
    headers = {"Date": format_datetime(app.now() + ahead, usegmt=True), **({"Age": age} if age else {})}
    with journal(tmp_path, Answer(ATOM, headers=headers)):
        found = findings(run, tmp_path / "digest.toml", "--online", code=int(level == "red"))
    one = of(found, "clock")
    assert one["level"] == level
    assert ("at the servers that were asked" in one["detail"]) == (level != "green")


# --- this machine -------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_the_users_to_put_right(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path)
    (tmp_path / "file").write_text("")
    config.write_text(config.read_text().replace('"public"', '"file/public"'))
    one = of(findings(run, config, code=2), "output")
    assert one["detail"] == f"{tmp_path}/file: this folder cannot be written"


@pytest.mark.parametrize(("size", "level"), [("10m", "red"), ("100m", "yellow"), ("400m", "green")])
def test_little_room_is_told_in_time(tmp_path: Path, run: Run, size: str, level: str) -> None:
    config = furnished(tmp_path)
    with disk(tmp_path / "data", size=size) as data:
        data.chmod(0o700)
        one = of(findings(run, config, code=int(level == "red")), "data")
    assert one["level"] == level
    assert f"{int(size[:-1]) * 1.048576:.3g} MB" in one["detail"]


def test_what_others_could_read_is_told(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path)
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data").chmod(0o755)
    one = of(findings(run, config), "data", "yellow")
    assert one["remedy"] == f"Run `chmod 700 {tmp_path / 'data'}`"
    (tmp_path / "data").chmod(0o711)  # a web server may pass through to the public files
    assert of(findings(run, config), "data")["level"] == "green"


def test_a_run_that_is_active_is_told(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path)
    with locked(tmp_path / "data", wait=0):
        assert run("check", "--config", config) == 0
        assert "ok   runs        one is active now" in run.out
    assert run("check", "--config", config) == 0
    assert "one is active" not in run.out


def test_a_folder_that_vanishes_meanwhile_is_told(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(_folder: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "/gone")

    monkeypatch.setattr(shutil, "disk_usage", vanish)
    found = findings(run, furnished(tmp_path), code=1)
    assert of(found, "data")["detail"] == "/gone: No such file or directory"
    assert of(found, "source")["ok"]


# --- the database, and what it remembers --------------------------------------------------------


def test_the_database_is_looked_through(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path)
    assert run("run", "--config", config) == 0
    assert of(findings(run, config), "database")["detail"].startswith("sound; SQLite, ")
    path = tmp_path / "data" / "digest.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DELETE FROM papers")
        connection.commit()
    one = of(findings(run, config, code=1), "database")
    assert "the database file is damaged: a row of " in one["detail"]
    assert one["remedy"].startswith("Put a copy from a backup in its place.")
    assert "runs" not in {one["subject"] for one in findings(run, config, code=1)}


def test_a_large_database_is_looked_through_for_a_while(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = furnished(tmp_path)
    assert run("run", "--config", config) == 0
    monkeypatch.setattr("digest.store.condition._STEPS", 1)
    monkeypatch.setattr("digest.store.condition.examine.__kwdefaults__", {"patience": -1.0})
    assert of(findings(run, config), "database")["detail"].startswith(
        "sound as far as there was time to look; "
    )


def test_runs_that_do_not_come_are_told(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    config = furnished(tmp_path, extra='[schedule]\nat = ["07:00"]')
    at = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert run("run", "--config", config, "--at", at.isoformat()) == 0
    monkeypatch.setattr(app, "now", lambda: at + HOUR)
    found = findings(run, config)
    assert of(found, "runs")["detail"] == "the last one began Tue 01 Jan, 13:00"
    assert of(found, "next")["detail"] == "Wed 02 Jan, 07:00: me"
    monkeypatch.setattr(app, "now", lambda: at + 2 * DAY)
    one = of(findings(run, config), "runs")
    assert one["detail"] == "1 digest overdue since Wed 02 Jan, 07:00: nothing seems to start digest"
    assert "digest schedule" in one["remedy"]


def test_the_next_runs_are_told_in_the_time_of_each_profile(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = furnished(tmp_path, profiles=("me", "you", "others"))
    schedule = '[schedule]\nat = ["07:00"]\n[[interests]]'
    profile(tmp_path, ("[[interests]]", schedule))
    profile(tmp_path, ("[[interests]]", f'timezone = "Asia/Tokyo"\n{schedule}'), name="you")
    at = datetime(2030, 1, 1, 12, tzinfo=UTC)
    monkeypatch.setattr(app, "now", lambda: at)
    found = findings(run, config)
    assert [one["detail"] for one in found if one["subject"] == "next"] == [
        "Wed 02 Jan, 07:00 (Asia/Tokyo): you",
        "Wed 02 Jan, 07:00: me",
    ]
    assert of(found, "schedule")["detail"].startswith("others: none, so each `digest run` sends what is new")


def test_nobody_who_is_left_wants_a_mail(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path, port=25, profiles=("me", "you"))
    with app.load(str(config), {}).store() as store:
        store.stop("me", "me@example.org", now=NOON)
    assert of(findings(run, config), "recipients")["detail"] == "all of 'me' have stopped its mail"


def test_a_share_of_one_interest_of_several_is_told(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path)
    two = 'max_papers = 7\n[[interests]]\nname = "gan"\nkeywords = ["GAN"]\n'
    path = tmp_path / "profiles" / "me.toml"
    path.write_text(path.read_text(encoding="utf-8") + two, encoding="utf-8")
    assert of(findings(run, config), "profile")["detail"].startswith("me: at most 30 papers, 7 of '")
    path.write_text(path.read_text(encoding="utf-8").replace(two, "max_papers = 7\n"), encoding="utf-8")
    assert "profile" not in {one["subject"] for one in findings(run, config)}


# --- sources ------------------------------------------------------------------------------------


def test_a_source_that_failed_the_last_time_is_yellow_until_it_is_asked(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digest.fetch.http.fetcher._BACKOFF", ())
    config = tmp_path / "digest.toml"
    with journal(tmp_path, Answer(status=404), Answer(status=404), Answer(ATOM)):
        assert run("check", "--config", config) == 0
        assert "ok   source      journal; `--online` asks it" in run.out
        assert run("collect", "--config", config) == 1
        one = of(findings(run, config), "source", "yellow")
        assert one["detail"].startswith(
            f"journal could not be read the last time: {URL}: there is no such page"
        )
        one = of(findings(run, config, "--online", code=1), "source", "red")
        assert one["detail"] == f"journal: {URL}: there is no such page (HTTP 404)"
        assert one["remedy"] == "Check the address in the configuration."
        assert run("check", "--config", config, "--online") == 0
    assert "ok   source      journal lists 1 paper\n" in run.out


def test_a_source_with_many_pages_is_asked_for_the_first(tmp_path: Path, run: Run) -> None:
    (tmp_path / "pages.py").write_text(
        "from digest.core.model import Reading, Request\n"
        "class Pages:\n"
        "    def __init__(self, name: str, *, url: str) -> None:\n"
        "        self.name, self.url = name, url\n"
        "    def collect(self, period):\n"
        "        for number in range(9):\n"
        "            yield Request(f'{self.url}{number}')\n"
        "        return Reading('pages', ())\n"
    )
    source, config = 'kind = "pages:Pages"', tmp_path / "digest.toml"
    with journal(tmp_path, Answer(ATOM), Answer(b"\0"), source=source) as web:
        for says in ("pages:Pages answers: its first page lists 1 paper", "pages:Pages answers"):
            assert run("check", "--config", config, "--online") == 0, run.out
            assert f"ok   source      {says}\n" in run.out
    assert [url for url, _ in web.asked] == [f"{URL}0"] * 2


PLUG_INS = """
from digest.core.model import Reading, Request
from digest.errors import FetchError

class Another:
    def __init__(self, name: str, *, url: str) -> None:
        self.name, self.url = name, url
    def collect(self, period):
        try:
            yield Request("http://127.0.0.1:1/")
        except FetchError:
            yield Request(self.url)
        return Reading("another way", (), complete=False, notes=("some of it",))

class Stubborn(Another):
    def collect(self, period):
        while True:
            try:
                yield Request("file:///nowhere/at/all")
            except FetchError:
                pass

class Broken(Another):
    def collect(self, period):
        yield Request(self.url)
        raise KeyError("mine")

class Swift(Another):
    def collect(self, period):
        return Reading("none", ())
        yield
"""


@pytest.mark.parametrize(
    ("kind", "level", "says"),
    [
        ("Another", "yellow", "lists 0 papers, and could not be read completely: some of it"),
        ("Stubborn", "red", ": /nowhere/at/all: there is no such file"),
        ("Broken", "red", ": the source broke off with KeyError: 'mine'"),
        ("Swift", "green", "lists 0 papers"),
    ],
)
def test_a_source_of_ones_own_is_asked_as_a_run_asks_it(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, kind: str, level: str, says: str
) -> None:
    monkeypatch.setattr("digest.fetch.http.fetcher._BACKOFF", ())
    (tmp_path / "mine.py").write_text(PLUG_INS)
    page = (tmp_path / "inbox" / "page.txt").as_uri()
    config = furnished(tmp_path, tables=f'[[sources]]\nkind = "mine:{kind}"\nname = "mine"\nurl = "{page}"\n')
    found = findings(run, config, "--online", code=int(level == "red"))
    (one,) = (one for one in found if one["detail"].startswith("mine"))
    assert one["level"] == level
    assert says in one["detail"]


def test_a_site_that_does_not_end_is_given_up(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digest.checkup._LONGEST", 0.2)
    with journal(tmp_path, Answer(ATOM, drip=0.1)):
        one = of(findings(run, tmp_path / "digest.toml", "--online", code=1), "source", "red")
    assert one["detail"] == f"journal: {URL}: there was no answer within 0.2 seconds"


def test_a_setting_of_a_source_that_is_wrong_is_told_once(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path, tables='[[sources]]\nkind = "pubmed"\nquarry = "ferns"\n')
    found = findings(run, config, code=2)
    assert [one["subject"] for one in found if one["level"] == "red"] == ["source"]


# --- mail ---------------------------------------------------------------------------------------


def test_the_mail_server_is_asked_online_alone(tmp_path: Path, run: Run) -> None:
    with ScriptedServer(GREETED) as server:
        config = furnished(tmp_path, port=server.port)
        one = of(findings(run, config), "mail")
        assert one["detail"] == f"127.0.0.1:{server.port}, security none; `--online` logs in"
        one = of(findings(run, config, "--online"), "mail")
        assert one["detail"].startswith("the mail server answers, and is not asked for a login")
    with ScriptedServer([(UNASKED, "554 go away")]) as server:
        config = furnished(tmp_path, port=server.port)
        one = of(findings(run, config, "--online", code=1), "mail")
    assert "go away" in one["detail"]


def test_every_secret_of_mail_is_looked_for(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGEST_TEST_ONE", "hunter2hunter2")
    monkeypatch.delenv("DIGEST_TEST_TWO", raising=False)
    mail = (
        'username = "me"\n[email.oauth2]\ntoken_url = "https://login.example.org/"\nclient_id = "c"\n'
        'refresh_token = { env = "DIGEST_TEST_ONE" }\n'
        '[email.imap]\nhost = "127.0.0.1"\nport = 1\nsecurity = "none"\n'
        'password = { env = "DIGEST_TEST_TWO" }\n'
    )
    found = findings(run, furnished(tmp_path, port=25, mail=mail), code=2)
    assert (
        of(found, "secret", "green")["detail"] == "mail refresh_token: environment variable DIGEST_TEST_ONE"
    )
    assert of(found, "secret", "red")["detail"].startswith("mailbox: environment variable DIGEST_TEST_TWO")
    monkeypatch.setenv("DIGEST_TEST_TWO", "hunter2hunter2")
    plain = mail.replace("[email.oauth2]", "").replace("token_url", "#").replace("client_id", "#")
    plain = plain.replace("refresh_token", "password")
    found = findings(run, furnished(tmp_path, port=1, mail=f"timeout = 1\n{plain}"), "--online", code=1)
    assert of(found, "mailbox")["detail"].startswith("127.0.0.1:1: ")
    assert [one["detail"].split(":")[0] for one in found if one["subject"] == "secret"] == ["mail", "mailbox"]


def test_the_key_of_the_links_is_looked_at_and_not_made(tmp_path: Path, run: Run) -> None:
    config = furnished(tmp_path, extra='[serve]\nbase_url = "https://me.example.org"\n')
    (tmp_path / "data").mkdir(mode=0o700)
    key = tmp_path / "data" / "feedback.key"
    assert all(one["ok"] for one in findings(run, config))
    assert not key.exists()
    key.write_bytes(b"short")
    key.chmod(0o600)
    assert of(findings(run, config, code=2), "secret")["detail"] == f"file {key}: it is damaged"
