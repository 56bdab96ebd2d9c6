"""The heartbeat, and the slots that it finds."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, time, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from commands import Run
from hypothesis import given
from hypothesis import strategies as st
from served import started
from smtp_server import UNASKED, ScriptedServer, recording_server
from world import NOON, SWIN_PAGE, configure

from digest import schedule
from digest.app import App, load, now
from digest.cli.schedule import Heart
from digest.core import slots
from digest.core.backoff import wait
from digest.core.model import Progress, Schedule
from digest.orders import Orders
from digest.store.lock import locked
from digest.store.store import Store


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


BERLIN = Schedule((time(7), time(18, 30)), (0, 1, 2, 3, 4), "Europe/Berlin")


def local(text: str, zone: str = "Europe/Berlin") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "latest", "following"),
    [
        ("2026-11-20T06:59", "2026-11-19T18:30", "2026-11-20T07:00"),
        ("2026-11-20T07:00", "2026-11-20T07:00", "2026-11-20T18:30"),
        ("2026-11-22T12:00", "2026-11-20T18:30", "2026-11-23T07:00"),
    ],
)
def test_the_slots_around_an_instant(now: str, latest: str, following: str) -> None:
    assert slots.latest(BERLIN, local(now)) == local(latest)
    assert slots.following(BERLIN, local(now)) == local(following)


def test_a_time_that_daylight_saving_skips_comes_just_after_the_gap() -> None:
    sundays = Schedule((time(2, 30),), (6,), "Europe/Berlin")
    assert slots.latest(sundays, local("2026-03-29T12:00")) == local("2026-03-29T03:30")


def test_a_time_that_comes_twice_runs_once_at_the_first() -> None:
    sundays = Schedule((time(2, 30),), (6,), "Europe/Berlin")
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert slots.latest(sundays, first + timedelta(hours=3)) == first
    assert slots.following(sundays, first) == local("2026-11-01T02:30")


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata", "UTC"]
    ),
    st.sets(st.integers(0, 6), min_size=1),
    st.times(),
)
def test_now_lies_between_the_latest_slot_and_the_following_one(
    now: datetime, zone: str, days: set[int], at: time
) -> None:
    wanted = Schedule((at.replace(second=0, microsecond=0),), tuple(sorted(days)), zone)
    latest, following = slots.latest(wanted, now), slots.following(wanted, now)
    assert latest <= now < following
    assert following - latest <= timedelta(days=7, hours=1)
    assert slots.following(wanted, latest) == following


@pytest.mark.parametrize("now_in", ["Europe/Berlin", "Asia/Tokyo", "Pacific/Honolulu"])
def test_whoever_travels_waits_for_a_time_that_no_clock_on_the_wall_has_shown(now_in: str) -> None:
    had = Progress(local("2026-11-20T07:00"), 0, "2026-11-20T07:00")
    there = Schedule((time(7),), tuple(range(7)), now_in)
    assert slots.after(there, had) == local("2026-11-21T07:00", now_in)


def test_waits_grow_vary_a_little_and_end_after_about_twenty_hours() -> None:
    waits: list[timedelta] = []
    while (pause := wait(len(waits) + 1, "message")) is not None:
        waits.append(pause)
    assert timedelta(minutes=4) <= waits[0] <= timedelta(minutes=6)
    assert timedelta(hours=14) <= sum(waits, timedelta()) <= timedelta(hours=24)
    assert wait(1, "message") == wait(1, "message")
    assert len({wait(1, str(number)) for number in range(20)}) > 10


def test_the_heart_beats_at_once_and_again_until_it_is_stopped() -> None:
    orders, beats = Orders(), []

    def tick() -> None:
        beats.append(1)
        if len(beats) == 3:
            orders.end()

    schedule.beat(tick, orders=orders, clock=now, seconds=0.01)
    assert len(beats) >= 3


def test_the_heart_goes_on_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        """The machine's, as APScheduler reads it, which somebody sets back by a year."""

        back = timedelta()

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) - cls.back  # noqa: TID251 - it is the clock

    for module in ("base", "background", "blocking"):
        for place in (f"apscheduler.schedulers.{module}.datetime", "apscheduler.triggers.interval.datetime"):
            monkeypatch.setattr(place, Clock, raising=False)
    orders, beats = Orders(), []

    def tick() -> None:
        beats.append(1)
        if len(beats) == 1:
            Clock.back = timedelta(days=365)
        if len(beats) == 4:
            orders.end()

    schedule.beat(tick, orders=orders, clock=lambda: Clock.now(UTC), seconds=0.01)
    assert len(beats) == 4


def test_a_reload_is_not_waited_for() -> None:
    orders, beats = Orders(), []

    def tick() -> None:
        beats.append(orders.reload.is_set())
        orders.reload.clear()
        if len(beats) == 1:
            orders.renew()
        else:
            orders.end()

    schedule.beat(tick, orders=orders, clock=now, seconds=600)
    assert beats == [False, True]


@pytest.mark.parametrize("number", [1, 3])
def test_a_beat_that_breaks_ends_the_heart_and_is_not_hidden(number: int) -> None:
    beats: list[int] = []

    def tick() -> None:
        beats.append(1)
        if len(beats) == number:
            raise RuntimeError("the beat broke")

    with pytest.raises(RuntimeError, match="the beat broke"):
        schedule.beat(tick, orders=Orders(), clock=now, seconds=0.01)


class Clock:
    """The time that `digest.app.now` tells."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
        self.at = at
        monkeypatch.setattr("digest.app.now", lambda: self.at)

    def forward(self, by: timedelta) -> None:
        self.at += by


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch, NOON)


def heart_of(config: Path) -> tuple[Heart, Orders, list[App]]:
    """A heart that beats when it is told, its orders, and the configurations that it passed on."""
    orders, used = Orders(), list[App]()
    return Heart(load(str(config), {}), orders, used.append), orders, used


@pytest.mark.usefixtures("clock")
def test_a_busy_heartbeat_waits_for_the_next_beat(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, extra="[schedule]")
    (tmp_path / "inbox" / "one.txt").write_text(SWIN_PAGE, encoding="utf-8")
    heart, _, _ = heart_of(config)
    with locked(tmp_path / "data", wait=0):
        heart.tick()
    assert run("papers", "--config", config) == 0
    assert "SwinLeaf" not in run.out
    for _ in range(2):  # the second beat finds nothing to do
        heart.tick()
    assert run("papers", "--config", config) == 0
    assert "SwinLeaf" in run.out


REFUSED = (UNASKED, "220 ready"), ("EHLO", "250-here\r\n250 AUTH PLAIN"), ("AUTH", "535 no")


def test_a_server_that_refuses_the_login_is_not_asked_each_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setenv("PASSWORD", "secret")
    with ScriptedServer(*[REFUSED] * 3) as server:
        config = configure(
            tmp_path,
            port=server.port,
            extra='[schedule]\nat = ["07:00"]',
            mail='username = "me"\npassword = { env = "PASSWORD" }\n',
        )
        (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
        heart = Heart(load(str(config), os.environ), Orders(), lambda _app: None)
        asked = []
        for _ in range(40):
            heart.tick()
            asked.append(sum(line.startswith("AUTH") for line in server.lines))
            clock.forward(timedelta(minutes=1))
    first, second, third = (asked.index(number) for number in (1, 2, 3))
    assert first == 0
    assert 4 <= second - first <= 7
    assert 12 <= third - second <= 19


def test_a_machine_without_a_network_does_not_ask_each_minute_and_keeps_the_slot(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(tmp_path, extra='[schedule]\nat = ["12:59"]')  # Berlin is an hour ahead
    heart, _, _ = heart_of(config)
    (tmp_path / "inbox").rmdir()
    asked = set()
    for _ in range(30):
        heart.tick()
        with load(str(config), {}).store() as store:
            asked |= {report.period.until for report in store.latest_reports()}
        clock.forward(timedelta(minutes=1))
    assert len(asked) == 3
    assert capsys.readouterr().err.count("waits") == 1
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    for _ in range(60):
        heart.tick()
        clock.forward(timedelta(minutes=1))
    assert capsys.readouterr().out.count("Composed    me: 1 paper of 3") == 1


@pytest.mark.usefixtures("clock")
def test_a_machine_without_another_file_to_open_is_asked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(tmp_path, extra="[schedule]")
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    heart, _, _ = heart_of(config)
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, allowed[1]))
    try:
        heart.tick()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
    assert "Too many open files" in capsys.readouterr().err
    heart.tick()
    assert "SwinLeaf" in (tmp_path / "public" / "feeds" / "me" / "atom.xml").read_text(encoding="utf-8")


@pytest.mark.usefixtures("clock")
def test_a_template_that_is_no_file_is_told_until_it_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "extra.j2").symlink_to("nowhere")
    heart, _, _ = heart_of(configure(tmp_path, extra='templates = "mine"\n[schedule]'))
    heart.tick()
    assert "No such file or directory" in capsys.readouterr().err
    (tmp_path / "mine" / "extra.j2").unlink()
    heart.tick()
    assert (tmp_path / "public" / "archive" / "me" / "index.html").exists()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("clock")
def test_a_beat_with_nothing_to_do_waits_for_nobody_who_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heart, _, _ = heart_of(configure(tmp_path, extra="[schedule]"))
    heart.tick()
    capsys.readouterr()
    with closing(sqlite3.connect(tmp_path / "data" / "digest.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        heart.tick()
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("clock")
def test_another_database_in_the_place_of_the_one_that_was_is_noticed(tmp_path: Path) -> None:
    heart, _, _ = heart_of(configure(tmp_path, extra="[schedule]"))
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    heart.tick()
    path = tmp_path / "data" / "digest.db"
    path.unlink()
    Store(f"sqlite:///{path}").close()
    heart.tick()
    with closing(Store(f"sqlite:///{path}")) as store:
        assert store.paper_count() == 3


def test_another_configuration_is_asked_for_the_login_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setenv("PASSWORD", "secret")
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    schedule_ = '[schedule]\nat = ["07:00"]'
    with ScriptedServer(REFUSED) as refusing, recording_server() as taking:
        login = 'username = "me"\npassword = { env = "PASSWORD" }\n'
        config = configure(tmp_path, port=refusing.port, extra=schedule_, mail=login)
        orders = Orders()
        heart = Heart(load(str(config), os.environ), orders, lambda _app: None)
        heart.tick()
        configure(tmp_path, port=taking.port, extra=schedule_)
        clock.forward(timedelta(minutes=1))
        heart.tick()
        assert taking.messages == []
        orders.reload.set()
        heart.tick()
        assert len(taking.messages) == 1


@pytest.mark.usefixtures("clock")
def test_a_reload_takes_what_is_right_and_keeps_what_was_if_it_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    config = configure(tmp_path, extra="[schedule]")
    heart, orders, used = heart_of(config)
    heart.tick()
    for mistake in ("timezones = 1", ""):  # "": no schedule
        configure(tmp_path, extra=mistake, profiles=("me", "you"))
        orders.reload.set()
        heart.tick()
        assert "as it was" in capsys.readouterr().err
    assert used == []
    configure(tmp_path, extra="[schedule]", profiles=("me", "you"))
    heart.tick()
    assert not (tmp_path / "public" / "feeds" / "you").exists()  # nobody has asked for it yet
    orders.reload.set()
    heart.tick()
    assert [len(app.config.profiles) for app in used] == [2]
    assert (tmp_path / "public" / "feeds" / "you" / "atom.xml").exists()


@pytest.mark.usefixtures("clock")
def test_a_machine_that_travels_takes_its_schedule_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(tmp_path, extra='[schedule]\nat = ["07:00"]')
    config.write_text(config.read_text().replace('timezone = "Europe/Berlin"\n', ""), encoding="utf-8")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    heart, _, used = heart_of(config)
    heart.tick()
    assert "Sat 21 Nov, 07:00" in capsys.readouterr().out
    monkeypatch.setenv("TZ", "America/New_York")
    heart.tick()
    assert [app.config.timezone for app in used] == ["America/New_York"]
    heart.look_ahead(local("2026-11-21T11:59", "UTC"))
    assert capsys.readouterr().out.endswith("Next        Sat 21 Nov, 07:00: me\n")


def test_the_daemon_delivers_what_is_due_and_leaves_on_sigterm_with_zero(tmp_path: Path) -> None:
    with recording_server() as server:
        config = configure(tmp_path, port=server.port, extra='[schedule]\nat = ["07:00"]')
        (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
        with subprocess.Popen(
            [sys.executable, "-m", "digest", "schedule", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as daemon:
            assert daemon.stdout is not None
            said = ""
            for line in daemon.stdout:
                said += line
                if "e-mail" in line:
                    break
            daemon.send_signal(signal.SIGTERM)
            rest, _ = daemon.communicate(timeout=90)
        assert daemon.returncode == 0, said + rest
        assert len(server.messages) == 1


def test_a_daemon_that_is_told_to_leave_leaves_the_rest_to_the_next_run(tmp_path: Path, run: Run) -> None:
    with recording_server() as smtp:
        config = configure(tmp_path, port=smtp.port, extra='[schedule]\nat = ["07:00"]')
        (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
        with started("schedule", "--serve", "--config", str(config)) as (daemon, _):
            daemon.send_signal(signal.SIGTERM)
            daemon.communicate(timeout=90)
        assert daemon.returncode == 0
        assert run("run", "--config", config) == 0
        assert len(smtp.messages) == 1


@pytest.mark.parametrize("arguments", [["--public"], ["--host", "127.0.0.1"], ["--port", "8470"]])
def test_to_whom_is_answered_is_not_said_in_vain(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    config = configure(tmp_path, extra="[schedule]", profiles=())
    assert run("schedule", "--config", config, *arguments) == 2
    assert f"{arguments[0]} needs --serve." in run.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_reader_holds_the_daemon_up(tmp_path: Path, number: signal.Signals) -> None:
    config = configure(tmp_path, extra='[schedule]\nat = ["07:00"]')
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    with started("schedule", "--serve", "--config", str(config)) as (daemon, address):
        url = httpx.URL(address)
        with socket.create_connection((url.host, url.port or 0)) as slow:
            slow.sendall(b"HEAD / HTTP/1.1\r\nHost:")
            assert daemon.stdout is not None
            said = ""
            while "Delivered   me: archive" not in said:
                said += daemon.stdout.readline()
            assert "SwinLeaf" in httpx.get(f"{address}feeds/me/atom.xml").text
            assert httpx.get(f"{address}healthz").json()["ok"] is True
            daemon.send_signal(number)
            daemon.communicate(timeout=90)
    assert daemon.returncode == 0


def test_signals_that_come_one_upon_another_hold_nothing_up(tmp_path: Path) -> None:
    config = configure(tmp_path, extra="[schedule]")
    with started("serve", "--config", str(config)) as (server, _):
        for _ in range(300):
            server.send_signal(signal.SIGHUP)
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=90)  # more than `LOOK`
    assert server.returncode == 0


def test_a_run_that_is_terminated_finishes_the_message_and_leaves_the_rest(tmp_path: Path, run: Run) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    with recording_server() as server:
        config = configure(tmp_path, port=server.port, mail="per_minute = 1\n", profiles=("me", "you"))
        command = [sys.executable, "-m", "digest", "run", "--config", str(config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while "e-mail" not in process.stdout.readline():
                pass
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        assert process.returncode == 0
        assert len(server.messages) == 1
        configure(tmp_path, port=server.port, profiles=("me", "you"))
        assert run("run", "--config", config) == 0
        assert len(server.messages) == 2
