"""`digest status` and `digest outbox`: what ran, what is owed, what failed, what to do."""

from __future__ import annotations

import email
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from commands import Run
from world import DAY, HOUR, NOON, configure, report

from digest import app
from digest.app import App
from digest.cli.output import moment, span
from digest.core.model import (
    Channel,
    DeliveryState,
    Digest,
    PlannedDelivery,
    Progress,
    RunReport,
    SourceReport,
)
from digest.errors import AGAIN
from digest.store.lock import locked

AT_SEVEN = '[schedule]\nat = ["07:00"]\n'
SEVEN = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)  # a Friday's, in Berlin
AT = "2026-11-20T13:00"  # NOON, in Berlin
MINUTE = timedelta(minutes=1)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


@pytest.fixture
def world(tmp_path: Path) -> App:
    return made(tmp_path)


def made(folder: Path, *, profiles: Sequence[str] = ("ada", "bob"), extra: str = AT_SEVEN) -> App:
    """A configuration whose source was read and whose profiles have had their digests of the day."""
    loaded = app.load(str(configure(folder, port=25, profiles=profiles, extra=extra)), {})
    with loaded.store() as store:
        number = store.begin_run(RunReport(SEVEN))
        store.add([], [], report("file", at=SEVEN))
        store.end_run(number, RunReport(SEVEN, SEVEN + MINUTE, sources=1, papers=3, digests=2, delivered=2))
        for name in profiles:
            store.save(name, Progress(SEVEN, 0, "2026-11-20T07:00"), None, [])
    return loaded


def owe(
    loaded: App,
    profile: str,
    state: DeliveryState,
    error: str | None = None,
    *,
    number: int = 1,
    not_before: datetime | None = None,
    channel: Channel = "email",
) -> list[int]:
    """Leave a digest's mails to so many people in a state; gives the numbers of the deliveries."""
    mails = [
        PlannedDelivery(channel, f"{n}@example.org", b"Subject: Two swans\r\n\r\nhello\r\n")
        for n in range(number)
    ]
    slot = SEVEN + MINUTE * sum(profile.encode())
    digest = Digest(f"{profile}-{state}-{error}", profile, "Papers", slot, SEVEN, None, 3, ())
    with loaded.store() as store:
        known = {one.id for one in store.listed()}
        assert store.save(profile, Progress(slot, 0, "2026-11-20T07:00"), digest, mails)
        planned = [one.id for one in store.listed() if one.id not in known]
        for one in planned:
            store.mark(one, state, error=error and error.format(one), not_before=not_before)
    return planned


def shown(run: Run, loaded: App, at: str = AT) -> str:
    assert run("status", "--config", loaded.config.path, "--at", at) == 0, run.err
    return run.out


def ok(run: Run, loaded: App, at: str = AT) -> tuple[bool, list[str]]:
    told = run.json("status", "--config", loaded.config.path, "--at", at)
    return told["ok"], [need["command"] for need in told["needs_you"]]


def test_when_all_is_well_the_first_line_says_so(world: App, run: Run) -> None:
    lines = shown(run, world).splitlines()
    assert lines[0] == "Everything is well, nothing needs you"
    did = "1 source read, 3 new papers, 2 digests, 2 delivered"
    assert lines[1:] == [
        f"Last run    today 07:00, 6 hours ago, took 60 seconds: {did}",
        "Source      file: read today 07:00, 0 papers, 0 new",
        "Profile     ada: last digest today 07:00, next tomorrow 07:00, in 18 hours",
        "Profile     bob: last digest today 07:00, next tomorrow 07:00, in 18 hours",
    ]
    assert ok(run, world) == (True, [])


def test_before_the_first_run_it_says_how_to_begin(tmp_path: Path, run: Run) -> None:
    told = shown(run, app.load(str(configure(tmp_path)), {}))
    assert "no run yet: digest run" in told
    assert "file: not read yet" in told
    assert "me: no digest yet, next with the next run" in told


def test_mails_that_wait_are_counted_and_not_listed(world: App, run: Run) -> None:
    gone = "127.0.0.1:{0}: no way to the server"
    owe(world, "ada", DeliveryState.DEFERRED, gone, number=40, not_before=NOON + 20 * MINUTE)
    owe(world, "bob", DeliveryState.DEFERRED, gone, number=2, not_before=NOON + 5 * MINUTE)
    told = shown(run, world)
    assert told.startswith("Nothing needs you: 42 messages waiting\n")
    assert "42 mails of ada, bob wait since today 07:00 for today 13:05: 127.0.0.1:" in told
    assert len(told.splitlines()) == 6
    assert ok(run, world) == (True, [])
    waiting = run.json("status", "--config", world.config.path)["deliveries"]
    assert len(waiting) == 42
    assert waiting[0]["not_before"] == (NOON + 20 * MINUTE).isoformat()


def test_mail_that_waits_for_a_setting_needs_somebody(world: App, run: Run) -> None:
    owe(world, "ada", DeliveryState.DEFERRED, "the login was refused", number=3)
    told = shown(run, world)
    assert told.startswith(
        "1 thing needs you\nNeeds you   3 mails of ada wait for you: the login was refused\n"
    )
    assert ok(run, world) == (False, ["digest check --online"])


def test_failed_mails_come_with_the_command_that_helps(world: App, run: Run) -> None:
    (one,) = owe(world, "ada", DeliveryState.FAILED, "no such user {0}@example.org")
    assert ok(run, world) == (False, [f"digest outbox retry {one}"])
    owe(world, "bob", DeliveryState.FAILED, "no such user {0}@example.org", number=2)
    assert ok(run, world) == (False, ["digest outbox retry --all-failed"])
    assert "3 mails of ada, bob failed: no such user 1@example.org" in shown(run, world)


def test_what_could_not_be_published_is_published_again(world: App, run: Run) -> None:
    owe(world, "ada", DeliveryState.FAILED, "the disk is full", channel="feeds")
    assert ok(run, world) == (False, ["digest dispatch"])
    assert "1 feed of ada failed: the disk is full" in shown(run, world)


def test_an_uncertain_mail_needs_somebody_only_where_it_is_held(tmp_path: Path, run: Run) -> None:
    loaded = made(tmp_path)
    owe(loaded, "ada", DeliveryState.UNCERTAIN, "the answer was lost")
    assert "1 mail of ada waits since" in shown(run, loaded)
    with loaded.config.path.open("a") as file:
        file.write('when_uncertain = "hold"\n')
    assert ok(run, loaded)[1] == ["digest outbox resolve 1 --sent (or --resend)"]
    owe(loaded, "bob", DeliveryState.UNCERTAIN, "the answer was lost")
    assert ok(run, loaded)[1] == ["digest outbox list --state uncertain"]


def test_a_digest_that_is_overdue_is_named_first(world: App, run: Run) -> None:
    at = "2026-11-21T09:00"
    with world.store() as store:
        store.save("bob", Progress(SEVEN + DAY, 0, "2026-11-21T07:00"), None, [])
    told = shown(run, world, at)
    assert told.startswith("1 thing needs you\nNeeds you   1 digest overdue since today 07:00: ada\n")
    assert "ada: last digest yesterday 07:00, overdue since today 07:00" in told
    assert told.index("Profile     ada") < told.index("Profile     bob")
    assert ok(run, world, at) == (False, ["digest run"])


def test_each_profile_is_told_in_its_own_time(tmp_path: Path, run: Run) -> None:
    configure(tmp_path, port=25, extra=AT_SEVEN)
    path = tmp_path / "profiles" / "me.toml"
    path.write_text(f'timezone = "Asia/Kolkata"\n{path.read_text()}')
    loaded = app.load(str(tmp_path / "digest.toml"), {})
    with loaded.store() as store:
        kolkata = datetime(2026, 11, 20, 7, tzinfo=ZoneInfo("Asia/Kolkata"))
        store.save("me", Progress(kolkata.astimezone(UTC), 0, "2026-11-20T07:00"), None, [])
    assert "me: last digest today 07:00, next tomorrow 07:00, in 14 hours (Asia/Kolkata)" in shown(
        run, loaded
    )


def test_a_source_that_fails_stands_first_with_since_when(tmp_path: Path, run: Run) -> None:
    extra = f'{AT_SEVEN}[[sources]]\nkind = "file"\nname = "other"\npaths = ["other/"]\n'
    loaded = made(tmp_path, extra=extra)
    with loaded.store() as store:
        store.add([], [], report("other", at=SEVEN))
        gone = f"it is gone. {AGAIN}."
        store.add([], [], SourceReport("file", report(at=NOON).period, complete=False, error=gone))
        store.add([], [], report("other", at=NOON, complete=False))
    told = shown(run, loaded)
    assert told.startswith("Nothing needs you: 2 sources not read completely\n")
    assert f"file: failed today 13:00, last read today 07:00: {gone}\n" in told
    assert "other: read in part today 13:00" in told
    assert ok(run, loaded) == (False, [])
    for name in ("ada", "bob"):
        with loaded.store() as store:
            store.save(name, Progress(SEVEN + 3 * DAY, 0, "2026-11-23T07:00"), None, [])
    told = shown(run, loaded, "2026-11-23T08:00")
    assert told.startswith("2 things need you\n")
    assert "file has not been read completely since Fri 20 Nov, 07:00" in told


def test_a_source_that_no_later_run_can_read_needs_somebody_at_once(tmp_path: Path, run: Run) -> None:
    loaded = made(tmp_path)
    shutil.rmtree(tmp_path / "inbox")
    assert run("collect", "--config", loaded.config.path, "--at", NOON.isoformat()) == 1
    told = shown(run, loaded)
    assert told.startswith("1 thing needs you\n")
    assert "Needs you   file cannot be read until somebody has seen to it\n" in told
    assert "there is no such" in told
    assert ok(run, loaded) == (False, ["digest check --online"])


@pytest.mark.parametrize(
    ("last", "headline", "said"),
    [
        (
            RunReport(NOON - HOUR),
            "Nothing needs you: the last run stopped before its end",
            "was stopped before",
        ),
        (
            RunReport(NOON - HOUR, NOON, error="no room"),
            "1 thing needs you",
            "The last run broke off: no room",
        ),
        (
            RunReport(NOON - 2 * DAY, NOON - 2 * DAY),
            "Everything is well",
            "Last run    Wed 18 Nov, 13:00, took",
        ),
        (
            RunReport(NOON, NOON, failed_sources=2, not_delivered=4),
            "Everything",
            "2 not, 0 new papers, 0 digests, 0 delivered, 4 not",
        ),
    ],
)
def test_the_last_run_says_what_it_did_and_how_it_ended(
    world: App, run: Run, last: RunReport, headline: str, said: str
) -> None:
    with world.store() as store:
        store.end_run(store.begin_run(last), last)
    told = shown(run, world)
    assert told.startswith(headline)
    assert said in told
    kept = run.json("status", "--config", world.config.path)["last_run"]
    assert kept["started_at"] == last.started_at.isoformat()
    assert kept["ended_at"] == (last.ended_at and last.ended_at.isoformat())


def test_a_run_that_goes_on_was_not_stopped(world: App, run: Run) -> None:
    with world.store() as store:
        store.begin_run(RunReport(NOON))
    with locked(world.config.data_dir, wait=0):
        told = shown(run, world)
    assert told.startswith("Everything is well")
    assert "Running     since today 13:00" in told


def test_many_profiles_and_reasons_fill_no_screen(tmp_path: Path, run: Run) -> None:
    names = [f"p{number:02}" for number in range(30)]
    loaded = made(tmp_path, profiles=names)
    for name in names:
        owe(
            loaded,
            name,
            DeliveryState.FAILED,
            f"the reason of {name.translate(str.maketrans('0123456789', 'abcdefghij'))}",
        )
    with loaded.store() as store:
        for name in names:
            store.stop(name, f"{name}@example.org", now=NOON)
    told = shown(run, loaded)
    assert told.startswith("30 things need you\n")
    assert told.count("and 20 more: digest status --json") == 3
    assert len(told.splitlines()) == 1 + 21 + 2 + 11 + 21
    assert len(ok(run, loaded)[1]) == 30


def test_on_a_narrow_terminal_lines_end_between_words(world: App) -> None:
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    terminal, other_end = pty.openpty()
    fcntl.ioctl(other_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-m", "digest", "status", "--config", str(world.config.path), "--at", AT]
    assert subprocess.run(command, stdout=other_end, env=environ, check=False).returncode == 0
    os.close(other_end)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", os.read(terminal, 65536).decode())
    os.close(terminal)
    assert (
        "Profile     ada: last digest today 07:00, next tomorrow\r\n            07:00, in 18 hours\r\n"
        in plain
    )
    assert max(map(len, plain.splitlines())) <= 60


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (NOON, "today 13:00"),
        (NOON - DAY, "yesterday 13:00"),
        (NOON + 11 * HOUR, "tomorrow 00:00"),
        (NOON + 2 * DAY, "Sun 22 Nov, 13:00"),
        (NOON + 60 * DAY, "19 Jan 2027, 13:00"),
    ],
)
def test_times_are_said_as_people_say_them(at: datetime, said: str) -> None:
    assert moment(at, NOON, ZoneInfo("Europe/Berlin")) == said


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=89), "89 seconds"),
        (timedelta(seconds=90), "2 minutes"),
        (timedelta(minutes=89), "89 minutes"),
        (timedelta(hours=35), "35 hours"),
        (timedelta(hours=71), "3 days"),
    ],
)
def test_lengths_are_said_roughly(length: timedelta, said: str) -> None:
    assert span(length) == said


# --- the outbox -------------------------------------------------------------------------------


def test_deliveries_are_listed_by_state_for_people_and_machines(world: App, run: Run) -> None:
    (failed,) = owe(world, "ada", DeliveryState.FAILED, "no such user")
    owe(world, "bob", DeliveryState.SENT)
    config = ("--config", world.config.path)
    assert run("outbox", *config) == 0
    assert len(run.out.splitlines()) == 2
    assert run("outbox", "list", "--state", "failed", *config) == 0
    assert re.fullmatch(rf"{failed} +failed .* 0@example.org: no such user\n", run.out)
    (listed,) = run.json("outbox", "list", "--state", "failed", *config)
    assert (listed["id"], listed["recipient"], listed["state"]) == (failed, "0@example.org", "failed")
    assert run.json("outbox", "list", "--state", "deferred", *config) == []


def test_one_delivery_is_shown_with_its_headers_or_byte_for_byte(
    world: App, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (number,) = owe(world, "ada", DeliveryState.FAILED, "no such user")
    command = [
        sys.executable,
        "-m",
        "digest",
        "outbox",
        "show",
        str(number),
        "--config",
        str(world.config.path),
    ]
    assert subprocess.run(command, check=False).returncode == 0
    shown = capfdbinary.readouterr().out.decode()
    assert re.search(r"^state +failed$", shown, re.MULTILINE)
    assert shown.endswith("\n\nSubject: Two swans\n")
    assert subprocess.run([*command, "--eml"], check=False).returncode == 0
    assert email.message_from_bytes(capfdbinary.readouterr().out)["Subject"] == "Two swans"


def test_a_delivery_that_is_not_there_is_not_shown(world: App, run: Run) -> None:
    assert run("outbox", "show", 7, "--config", world.config.path) == 1
    assert "there is no delivery 7" in run.err


def test_everything_that_failed_is_tried_again_at_one_word(world: App, run: Run) -> None:
    config = ("--config", world.config.path)
    owe(world, "ada", DeliveryState.FAILED, "no such user", number=3)
    owe(world, "bob", DeliveryState.SENT)
    assert run("outbox", "retry", *config) == 2
    assert run("outbox", "retry", 1, "--all-failed", *config) == 2
    assert run("outbox", "retry", "--all-failed", *config) == 0
    assert "3 that had failed" in run.out
    states = [(one["state"], one["error"]) for one in run.json("outbox", "list", *config)]
    assert states == [("planned", None)] * 3 + [("sent", None)]


def test_a_webhook_has_no_headers_to_show(world: App, run: Run) -> None:
    digest = Digest("d", "ada", "Papers", NOON, NOON, None, 3, ())
    with world.store() as store:
        store.save("ada", Progress(NOON, 0), digest, [PlannedDelivery("webhook", "chat", b'{"text": "x"}')])
    assert run("outbox", "show", 1, "--config", world.config.path) == 0
    assert "webhook" in run.out
    assert "text" not in run.out
