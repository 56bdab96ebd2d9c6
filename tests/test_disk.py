"""Broken machines: every failure is said in words, loses nothing and sends nothing twice."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from commands import Run
from smtp_server import ACCEPTED, ADDRESSED, Recorder, ScriptedServer, recording_server
from tools import UNMEASURED, absent
from world import SWIN_PAGE, configure

from digest.store import database

STEPS = ("collect", "compose", "dispatch")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


@pytest.fixture
def server() -> Iterator[Recorder]:
    with recording_server() as recorder:
        yield recorder


@contextmanager
def disk(folder: Path, *, size: str = "4m") -> Iterator[Path]:
    """A small disk of its own."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        absent("a disk can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path, *, but: int = 0) -> Path:
    """Fill a disk up to so many bytes."""
    filler = folder / "filler"
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    with filler.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(1, free - but))
    return filler


def world(folder: Path, port: int) -> Path:
    config = configure(folder, port=port)
    (folder / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    return config


def is_mended(run: Run, config: Path, server: Recorder) -> None:
    """The next run does all that was left, once."""
    for _ in range(2):
        assert run("run", "--config", config) == 0, run.err
    assert len({message.content for message in server.messages}) == len(server.messages) == 1
    assert "SwinLeaf" in (config.parent / "public" / "feeds" / "me" / "atom.xml").read_text(encoding="utf-8")


# --- a full disk --------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["first", *STEPS])
def test_a_full_disk_stops_a_step_and_loses_nothing(
    tmp_path: Path, run: Run, server: Recorder, stage: str
) -> None:
    config = world(tmp_path, server.port)
    with disk(tmp_path / "data"):
        for step in () if stage == "first" else STEPS[: STEPS.index(stage)] or ("compose",):
            assert run(step, "--config", config, *([] if step != "compose" else ["--profile", "me"])) == 0
        filler = fill(tmp_path / "data")
        for step in ("run",) if stage == "first" else STEPS[STEPS.index(stage) :]:
            assert run(step, "--config", config) == 1
            assert "room" in run.err, run.err
        assert server.messages == []
        filler.unlink()
        is_mended(run, config, server)


def test_a_disk_that_fills_up_at_any_byte_has_nothing_sent_twice(
    tmp_path: Path, run: Run, server: Recorder
) -> None:
    config = world(tmp_path, server.port)
    with disk(tmp_path / "data"):
        for room in range(0, 600_000, 40_000):
            filler = fill(tmp_path / "data", but=room)
            assert run("run", "--config", config) in {0, 1}, run.err
            filler.unlink()
        is_mended(run, config, server)


@pytest.mark.parametrize("limit", [0, 60_000, 140_000])
def test_a_quota_stops_a_run_as_a_full_disk_does(
    tmp_path: Path, run: Run, server: Recorder, limit: int
) -> None:
    config = world(tmp_path, server.port)
    ended = limited(config, resource.RLIMIT_FSIZE, limit)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert str(tmp_path / "data") in ended.stderr
    is_mended(run, config, server)


def limited(config: Path, kind: int, limit: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "digest", "run", "--config", config],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=UNMEASURED,
        preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)),
    )


def test_a_full_public_folder_holds_no_mail_up(tmp_path: Path, run: Run, server: Recorder) -> None:
    config = world(tmp_path, server.port)
    with disk(tmp_path / "public"):
        filler = fill(tmp_path / "public")
        assert run("run", "--config", config) == 1
        assert "Make room on the disk" in run.err
        assert len(server.messages) == 1
        assert list((tmp_path / "public").rglob("*.xml")) == []
        filler.unlink()
        is_mended(run, config, server)


@pytest.mark.parametrize("streams", [("stdout",), ("stderr",), ("stdout", "stderr")], ids="+".join)
def test_a_report_that_nobody_can_take_down_holds_no_mail_up(
    tmp_path: Path, server: Recorder, streams: tuple[str, ...]
) -> None:
    config = world(tmp_path, server.port)
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        ended = subprocess.run(
            [sys.executable, "-m", "digest", "run", "--config", config],
            timeout=60,
            check=False,
            text=True,
            stdout=full if "stdout" in streams else subprocess.PIPE,
            stderr=full if "stderr" in streams else subprocess.PIPE,
        )
    assert len(server.messages) == 1
    assert "Traceback" not in (ended.stderr or "")
    assert ended.returncode == 0


# --- a folder, a file ---------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_named_and_the_work_waits(
    tmp_path: Path, run: Run, server: Recorder
) -> None:
    config = world(tmp_path, server.port)
    with disk(tmp_path / "data") as data:
        for step in ("collect", "compose"):
            assert run(step, "--config", config) == 0
        subprocess.run(["mount", "-o", "remount,ro", data], check=True)
        for command in ("run", "dispatch", "collect"):
            assert run(command, "--config", config) == 1
            assert str(data) in run.err
        assert server.messages == []
        subprocess.run(["mount", "-o", "remount,rw", data], check=True)
        is_mended(run, config, server)


def _at(place: float, size: int) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        content = bytearray(path.read_bytes())
        start = int(len(content) * place)
        content[start : start + size] = b"\xa5" * size
        path.write_bytes(content)

    return spoil


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _text(path: Path) -> None:
    path.write_text("Dear diary. " * 1000)


SPOILED: dict[str, Callable[[Path], None]] = {
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "its first page": _at(0, 4096),
    "its header": _at(0, 100),
    "the middle": _at(0.1, 300_000),
    "a text": _text,
    "a folder": _folder,
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_spoiled_database_is_told_and_after_a_backup_came_back_nothing_is_sent_again(
    tmp_path: Path, run: Run, server: Recorder, how: str
) -> None:
    config = world(tmp_path, server.port)
    assert run("run", "--config", config) == 0
    path = tmp_path / "data" / "digest.db"
    backup = path.read_bytes()
    SPOILED[how](path)
    for command in ("run", "check"):
        assert run(command, "--config", config) == 1, run.out
        said = run.out + run.err
        assert str(path) in said
        assert how == "a folder" or "from a backup" in said, said
    if path.is_dir():
        path.rmdir()
    path.write_bytes(backup)
    is_mended(run, config, server)


def test_what_lies_beside_a_database_and_is_not_its_own_harms_nothing(
    tmp_path: Path, run: Run, server: Recorder
) -> None:
    config = world(tmp_path, server.port)
    assert run("run", "--config", config) == 0
    for name in ("digest.db-wal", "digest.db-shm"):
        (tmp_path / "data" / name).write_bytes(b"\xa5" * 40_000)
    is_mended(run, config, server)


def test_a_database_that_another_program_holds_is_waited_for_and_then_told(
    tmp_path: Path, run: Run, server: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.05)
    config = world(tmp_path, server.port)
    assert run("collect", "--config", config) == 0
    with closing(sqlite3.connect(tmp_path / "data" / "digest.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE").close()
        assert run("run", "--config", config) == 1
        assert "another program keeps the database to itself" in run.err
        other.execute("ROLLBACK").close()
    is_mended(run, config, server)


def test_a_document_that_nobody_can_take_down_is_told(tmp_path: Path) -> None:
    config = world(tmp_path, 25)
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        ended = subprocess.run(
            [sys.executable, "-m", "digest", "status", "--json", "--config", config],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
            text=True,
        )
    assert ended.stderr == "digest: this cannot be done: No space left on device\n"
    assert ended.returncode == 1


@pytest.mark.parametrize("moment", [len(ADDRESSED), len(ACCEPTED)])
def test_a_data_folder_that_vanishes_within_a_run_holds_its_mail_not_up(
    tmp_path: Path, run: Run, server: Recorder, moment: int
) -> None:
    def vanish() -> None:
        shutil.rmtree(tmp_path / "data")

    with ScriptedServer((*ACCEPTED[:moment], vanish, *ACCEPTED[moment:])) as scripted:
        assert run("run", "--config", world(tmp_path, scripted.port)) == 0
    assert len(scripted.messages) == 1
    is_mended(run, world(tmp_path, server.port), server)  # by a new database, which knows of no mail


@pytest.mark.parametrize("limit", [6, 10, 14])
def test_without_file_descriptors_a_run_says_so(
    tmp_path: Path, run: Run, server: Recorder, limit: int
) -> None:
    config = world(tmp_path, server.port)
    ended = limited(config, resource.RLIMIT_NOFILE, limit)
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.returncode in {0, 1}
    is_mended(run, config, server)
