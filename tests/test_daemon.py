"""`digest schedule` as a process: two at once, signals, a network that goes, a configuration that changes."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest
from smtp_server import ACCEPTED, ADDRESSED, MESSAGE, STARTED, ScriptedServer, recording_server
from tools import UNMEASURED, postgresql_database
from world import SWIN_PAGE, configure

SCHEDULE = '[schedule]\nat = ["07:00"]'


class Daemon:
    """A running daemon, and what it has said."""

    def __init__(self, config: Path, log: IO[str] | None = None) -> None:
        self.said = ""
        self._new = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "digest", "schedule", "--config", config],
            text=True,
            env=UNMEASURED,
            stdout=log or subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            with self._new:
                self.said += line
                self._new.notify_all()

    def says(self, text: str, *, times: int = 1) -> None:
        """Wait until it has said that so often."""
        with self._new:
            assert self._new.wait_for(lambda: self.said.count(text) >= times, 90), self.said

    def reload(self) -> None:
        """Have it read its configuration again, and beat."""
        time.sleep(1)  # an order that comes within a beat waits for the next one
        self.process.send_signal(signal.SIGHUP)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; gives the exit code."""
        self.process.wait(60)
        self._reader.join()
        if self.process.stdout:
            self.process.stdout.close()
        return self.process.returncode


@contextmanager
def daemon(config: Path) -> Iterator[Daemon]:
    """Run it; afterwards it ends by SIGTERM with 0, if it has not been ended before."""
    running = Daemon(config)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            code = running.end()
            assert code == 0, running.said
    assert "Traceback" not in running.said


def world(folder: Path, port: int, *, extra: str = SCHEDULE, **options: object) -> Path:
    config = configure(folder, port=port, extra=extra, **options)  # type: ignore[arg-type]
    (folder / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    return config


def digest(*arguments: object) -> int:
    command = [sys.executable, "-m", "digest", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=60, env=UNMEASURED)
    return ended.returncode


def held(reached: threading.Event, on: threading.Event, seconds: float = 0) -> None:
    """Hold an answer back until somebody lets it go on, and a little longer."""
    reached.set()
    on.wait(60)
    time.sleep(seconds)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_of_two_daemons_one_sends(tmp_path: Path) -> None:
    with recording_server() as server:
        config = world(tmp_path, server.port)
        with daemon(config) as one, daemon(config) as two:
            until(lambda: "Delivered" in one.said + two.said and len(server.messages) == 1)
            for each in (one, two):
                each.reload()  # another beat
                each.says("Reloaded")
        assert len(server.messages) == 1


def test_when_the_daemon_that_works_is_killed_the_other_one_finishes(tmp_path: Path) -> None:
    reached, killed = threading.Event(), threading.Event()
    script = (*STARTED, lambda: held(reached, killed))
    with ScriptedServer(script, ACCEPTED) as server:
        config = world(tmp_path, server.port)
        with daemon(config) as one:
            assert reached.wait(60)
            with daemon(config) as two:
                two.says("another run is active")
                assert one.end(signal.SIGKILL) == -signal.SIGKILL
                killed.set()
                two.reload()  # rather than wait for the next minute
                two.says("e-mail")
    assert len(server.messages) == 1


def test_a_new_profile_is_served_after_a_reload_and_a_wrong_one_is_told_once(tmp_path: Path) -> None:
    with recording_server() as server:
        config = world(tmp_path, server.port)
        with daemon(config) as running:
            running.says("Next", times=2)  # it has done its work
            config.write_text("nonsense = [")
            running.reload()
            running.says("stays as it was")
            configure(tmp_path, port=server.port, extra=SCHEDULE, profiles=("me", "you"))
            running.reload()
            running.says("e-mail to You")
        until(lambda: len(server.messages) == 2)
        assert running.said.count("stays as it was") == 1


def test_sigterm_within_a_long_conversation_lets_it_end_first(tmp_path: Path) -> None:
    reached, told = threading.Event(), threading.Event()
    script = (*STARTED, lambda: held(reached, told, 1), (MESSAGE, "250 taken"))
    with ScriptedServer(script) as server:
        config = world(tmp_path, server.port)
        with daemon(config) as running:
            assert reached.wait(60)
            running.process.send_signal(signal.SIGTERM)
            told.set()
            assert running.wait() == 0
        assert digest("run", "--config", config) == 0
    assert len(server.messages) == 1


def test_without_a_network_the_mail_waits_and_is_given_when_it_is_back(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = world(tmp_path, port)
    with daemon(config) as running:
        running.says("Deferred")
        running.says("Next", times=2)
        with recording_server() as server:
            configure(tmp_path, port=server.port, extra=SCHEDULE)
            later = datetime.now(UTC) + timedelta(minutes=6)  # noqa: TID251 - the daemon's own clock
            assert digest("dispatch", "--config", config, "--at", later.isoformat()) == 0
            assert len(server.messages) == 1


def test_a_daemon_whose_log_is_full_delivers_and_stays(tmp_path: Path) -> None:
    with recording_server() as server, open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        config = world(tmp_path, server.port)
        running = Daemon(config, full)
        until(lambda: len(server.messages) == 1)
        running.reload()
        assert running.process.poll() is None
        assert running.end() in {0, 1}


# --- one database, two machines -----------------------------------------------------------------


@pytest.fixture
def two_machines(tmp_path: Path) -> Iterator[Callable[[int], list[Path]]]:
    """Configures two machines with one PostgreSQL database, and with a mail server at a port."""
    with postgresql_database() as url:

        def configured(port: int) -> list[Path]:
            folders = [tmp_path / "one", tmp_path / "two"]
            for folder in folders:
                folder.mkdir(exist_ok=True)
            return [world(folder, port, extra=f'database = "{url}"\n{SCHEDULE}') for folder in folders]

        yield configured


def test_on_two_machines_one_of_two_daemons_sends(two_machines: Callable[[int], list[Path]]) -> None:
    with recording_server() as server:
        one, two = two_machines(server.port)
        assert digest("status", "--config", one) == 0  # makes the tables
        with daemon(one) as first, daemon(two) as second:
            for each in (first, second):  # once: nothing is due any more for one that comes a moment later
                each.says("Next")
            until(lambda: len(server.messages) == 1)
            for each in (first, second):
                each.reload()
                each.says("Reloaded")
        assert len(server.messages) == 1


def test_what_a_killed_machine_was_sending_is_sent_by_another_when_its_lease_has_ended(
    two_machines: Callable[[int], list[Path]],
) -> None:
    reached, killed = threading.Event(), threading.Event()
    with ScriptedServer((*ADDRESSED, lambda: held(reached, killed))) as hanging:
        one, two = two_machines(hanging.port)
        with daemon(one) as first:
            assert reached.wait(60)
            with recording_server() as server:
                two_machines(server.port)
                assert digest("run", "--config", two) == 0
                assert server.messages == []
                first.end(signal.SIGKILL)
                killed.set()
                for hours, expected in ((0, 0), (2, 1), (4, 1)):
                    at = datetime.now(UTC) + timedelta(hours=hours)  # noqa: TID251 - the lease is of this time
                    assert digest("dispatch", "--config", two, "--at", at.isoformat()) == 0
                    assert len(server.messages) == expected
