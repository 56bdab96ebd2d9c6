"""The heartbeat, and the slots that it finds."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from commands import Run
from hypothesis import given
from hypothesis import strategies as st
from served import started
from smtp_server import recording_server
from world import SWIN_PAGE, configure

from digest import schedule
from digest.core import slots
from digest.core.backoff import wait
from digest.core.model import Schedule

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


def test_waits_grow_vary_a_little_and_end_after_about_twenty_hours() -> None:
    waits: list[timedelta] = []
    while (pause := wait(len(waits) + 1, "message")) is not None:
        waits.append(pause)
    assert timedelta(minutes=4) <= waits[0] <= timedelta(minutes=6)
    assert timedelta(hours=14) <= sum(waits, timedelta()) <= timedelta(hours=24)
    assert wait(1, "message") == wait(1, "message")
    assert len({wait(1, str(number)) for number in range(20)}) > 10


def test_the_heart_beats_at_once_and_again_until_it_is_stopped() -> None:
    stop, beats = threading.Event(), []

    def tick() -> None:
        beats.append(1)
        if len(beats) == 3:
            stop.set()

    schedule.beat(tick, seconds=0.01, stop=stop)
    assert len(beats) >= 3


@pytest.mark.parametrize("number", [1, 3])
def test_a_beat_that_breaks_ends_the_heart_and_is_not_hidden(number: int) -> None:
    beats: list[int] = []

    def tick() -> None:
        beats.append(1)
        if len(beats) == number:
            raise RuntimeError("the beat broke")

    with pytest.raises(RuntimeError, match="the beat broke"):
        schedule.beat(tick, seconds=0.01, stop=threading.Event())


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


def test_the_daemon_serves_meanwhile_and_finishes_what_it_does_before_it_leaves(tmp_path: Path) -> None:
    with recording_server() as smtp:
        config = configure(tmp_path, port=smtp.port, extra='[schedule]\nat = ["07:00"]')
        (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
        with started("schedule", "--serve", "--config", str(config)) as (daemon, _):
            daemon.send_signal(signal.SIGTERM)
            daemon.communicate(timeout=90)
        assert daemon.returncode == 0
        assert len(smtp.messages) == 1


@pytest.mark.parametrize("arguments", [["--public"], ["--host", "127.0.0.1"], ["--port", "8470"]])
def test_to_whom_is_answered_is_not_said_in_vain(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str]
) -> None:
    run = Run(capsys)
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
