"""Databases of earlier versions: copied, brought to this one, and whole whatever happens meanwhile."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from commands import Run
from killed import KILLED, Nursery, nursery
from sqlalchemy import create_engine
from test_disk import disk, fill
from tools import UNMEASURED, postgresql_database
from world import SWIN_PAGE, configure

from digest.errors import SchemaError, StoreError
from digest.store import schema, upgrade
from digest.store.condition import examine
from digest.store.store import Store

_MIGRATIONS = Config()
_MIGRATIONS.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
REVISIONS = sorted(one.revision for one in ScriptDirectory.from_config(_MIGRATIONS).walk_revisions())
OLD = [one for one in REVISIONS if one != schema.HEAD]

# What each value of these types is, in rows of old databases; a text may also be JSON.
_VALUES = {
    "INTEGER": 1,
    "BIGINT": 1_700_000_000,
    "FLOAT": 1.5,
    "BOOLEAN": 1,
    "TEXT": "one",
    "JSON": "[]",
    "BLOB": b"x",
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


def made(path: Path, revision: str) -> Path:
    """A database as a digest of that version left it, with a row in each table."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        _MIGRATIONS.attributes["connection"] = connection
        command.upgrade(_MIGRATIONS, revision)
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection:
        for table in tables(connection):
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            values = [_VALUES[kind] for _, _, kind, *_ in columns]
            names = ", ".join(f'"{name}"' for _, name, *_ in columns)
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)  # noqa: S608
        connection.commit()
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    return path


def tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return sorted(name for (name,) in rows if name != "alembic_version")


def content(path: Path) -> tuple[str, dict[str, list[dict[str, object]]]]:
    """The version and all rows of a database, which is sound."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        version: str = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        rows = {one: connection.execute(f"SELECT * FROM {one}").fetchall() for one in tables(connection)}  # noqa: S608
    return version, {table: [dict(row) for row in found] for table, found in rows.items()}


def copies(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir() if "before" in one.name)


def is_migrated(path: Path, before: tuple[str, dict[str, list[dict[str, object]]]]) -> None:
    """All that was there is there, in a database of today."""
    version, rows = content(path)
    assert version == schema.HEAD
    assert set(rows) == set(schema.metadata.tables)
    for table, found in before[1].items():
        assert len(rows[table]) == len(found)
        for old, new in zip(found, rows[table], strict=True):
            assert old.items() <= new.items()


@pytest.mark.parametrize("revision", OLD)
def test_a_database_of_any_version_is_copied_and_migrated(tmp_path: Path, revision: str) -> None:
    path = made(tmp_path / "digest.db", revision)
    before = content(path)
    for _ in range(2):
        Store(f"sqlite:///{path}").close()
    is_migrated(path, before)
    copy = tmp_path / f"digest.db.before-{schema.HEAD}"
    assert content(copy) == before
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert copies(tmp_path) == [copy.name]


def test_the_place_of_the_copy_is_told_once(tmp_path: Path) -> None:
    config = configure(tmp_path)
    made(tmp_path / "data" / "digest.db", "0006")
    arguments = [sys.executable, "-m", "digest", "likes", "--config", str(config)]
    told = [
        subprocess.run(
            arguments, capture_output=True, text=True, check=True, timeout=60, env=UNMEASURED
        ).stderr
        for _ in range(2)
    ]
    copy = tmp_path / "data" / f"digest.db.before-{schema.HEAD}"
    said = f"The database was of version 0006 and is of {schema.HEAD} now"
    assert told == [f"{said}; as it was, it is kept in {copy}.\n", ""]


def test_a_check_says_what_an_upgrade_will_do_and_leaves_it_to_a_run(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    path = made(tmp_path / "data" / "digest.db", "0005")
    before = content(path)
    assert run("check", "--config", config) == 0
    assert f"version 0005: the next command brings it to {schema.HEAD}, after a copy beside it" in run.out
    assert content(path) == before
    assert copies(tmp_path / "data") == []


def test_a_run_after_an_upgrade_does_its_work(
    tmp_path: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    config = configure(tmp_path)
    (tmp_path / "inbox" / "page.txt").write_text(SWIN_PAGE, encoding="utf-8")
    engine = create_engine(f"sqlite:///{made(tmp_path / 'data' / 'digest.db', '0001')}")
    with engine.begin() as connection:  # rows that only fill tables would confuse it
        for table in reversed(schema.metadata.sorted_tables):
            if table.name in content(tmp_path / "data" / "digest.db")[1]:
                connection.exec_driver_sql(f"DELETE FROM {table.name}")  # noqa: S608
    engine.dispose()
    assert run("run", "--config", config) == 0, run.err
    assert "Composed    me: 1 paper of 3" in run.out
    assert "is kept in" in caplog.text


def test_the_last_two_copies_stay(tmp_path: Path) -> None:
    path = made(tmp_path / "digest.db", "0007")
    for name in ("before-0003", "before-0005", "before-0006", "before-me"):
        (tmp_path / f"digest.db.{name}").write_text("")
    (tmp_path / "other.db.before-0001").write_text("")
    Store(f"sqlite:///{path}").close()
    kept = ["before-0006", f"before-{schema.HEAD}", "before-me"]
    assert copies(tmp_path) == [*(f"digest.db.{one}" for one in kept), "other.db.before-0001"]


def test_a_database_in_memory_and_a_new_one_leave_no_copy(tmp_path: Path) -> None:
    Store("sqlite://").close()
    Store(f"sqlite:///{tmp_path}/digest.db").close()
    assert copies(tmp_path) == []


def test_without_room_for_a_copy_nothing_is_migrated(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    with disk(tmp_path / "data", size="1m") as data:
        path = made(data / "digest.db", "0004")
        before = content(path)
        filler = fill(data, but=100_000)
        assert run("run", "--config", config) == 1
        assert "there is no room for a copy, which is made before the upgrade. Make room for 1 MB" in run.err
        assert content(path) == before
        assert copies(data) == []
        filler.unlink()
        assert run("likes", "--config", config) == 0, run.err
        is_migrated(path, before)


def test_a_disk_that_fills_up_within_the_copy_leaves_everything_as_it_was(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "_ROOM", 0)
    config = configure(tmp_path)
    with disk(tmp_path / "data", size="1m") as data:
        path = made(data / "digest.db", "0004")
        before = content(path)
        for room in (0, 60_000, 120_000):
            filler = fill(data, but=room)
            assert run("run", "--config", config) == 1
            assert "room" in run.err
            assert copies(data) == []
            filler.unlink()
        assert content(path) == before


def test_a_copy_that_cannot_be_written_is_told_and_nothing_is_migrated(tmp_path: Path) -> None:
    path = made(tmp_path / "digest.db", "0004")
    before = content(path)
    (tmp_path / f"digest.db.before-{schema.HEAD}" / "full").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"no copy can be made before the upgrade: .*Nothing was changed"):
        Store(f"sqlite:///{path}")
    assert content(path) == before
    assert copies(tmp_path) == [f"digest.db.before-{schema.HEAD}"]


def test_a_damaged_database_is_not_copied(tmp_path: Path) -> None:
    path = made(tmp_path / "digest.db", "0004")
    pages = bytearray(path.read_bytes())
    pages[2 * 4096 :] = bytes(len(pages) - 2 * 4096)
    path.write_bytes(pages)
    with pytest.raises(StoreError):
        Store(f"sqlite:///{path}")
    assert path.read_bytes() == bytes(pages)


def test_a_migration_that_fails_half_way_leaves_the_database_as_it_was_and_names_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path / "digest.db", "0003")
    before = content(path)
    create = op.create_table

    def break_off(name: str, *rest: object, **more: object) -> object:
        if name == "runs":
            raise RuntimeError("no more")
        return create(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(op, "create_table", break_off)
    with pytest.raises(StoreError) as caught:
        Store(f"sqlite:///{path}")
    copy = tmp_path / f"digest.db.before-{schema.HEAD}"
    assert str(caught.value).startswith(
        f"sqlite:///{path}: the database cannot be brought from version 0003 to {schema.HEAD}: no more. "
        f"Nothing was changed. There is a copy, too: {copy}."
    )
    assert content(path) == content(copy) == before
    monkeypatch.undo()
    Store(f"sqlite:///{path}").close()
    is_migrated(path, before)
    assert content(copy) == before


def test_what_a_migration_cannot_write_is_told_in_words(tmp_path: Path) -> None:
    path = made(tmp_path / "digest.db", "0007")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE runs (id INTEGER)")
        connection.commit()
    with pytest.raises(StoreError, match=r"cannot be brought from version 0007 .* does not answer: .*runs"):
        Store(f"sqlite:///{path}")


def test_two_that_start_at_once_make_one_copy(tmp_path: Path) -> None:
    path = made(tmp_path / "data" / "digest.db", "0002")
    before = content(path)
    config = configure(tmp_path)
    arguments = [sys.executable, "-m", "digest", "likes", "--config", str(config)]
    several = [
        subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=UNMEASURED) for _ in range(3)
    ]
    said = [one.communicate(timeout=60)[1] for one in several]
    assert [one.returncode for one in several] == [0, 0, 0], said
    assert len([one for one in said if "is kept in" in one]) == 1
    is_migrated(path, before)
    assert content(tmp_path / "data" / f"digest.db.before-{schema.HEAD}") == before


# --- killed -------------------------------------------------------------------------------------


@pytest.fixture(scope="module", name="nursery")
def _nursery() -> Iterator[Nursery]:
    with nursery() as one:
        yield one


def test_an_upgrade_that_is_killed_at_any_moment_leaves_the_old_database_or_the_new_one(
    tmp_path: Path, nursery: Nursery
) -> None:
    old = made(tmp_path / "old" / "digest.db", "0001")
    before = content(old)
    versions = set()
    for moment in count(1):
        folder = tmp_path / str(moment)
        folder.mkdir()
        config, path = configure(folder), folder / "data" / "digest.db"
        shutil.copytree(old.parent, folder / "data")
        ended = nursery.run("likes", "--config", config, moment=moment, below=str(folder / "data"))
        version, rows = content(path)
        versions.add(version)
        if version == "0001":
            assert (version, rows) == before, ended.said
        else:
            is_migrated(path, before)
            assert content(path.with_name(f"{path.name}.before-{schema.HEAD}")) == before, ended.said
        assert nursery.run("likes", "--config", config).code == 0
        is_migrated(path, before)
        assert copies(folder / "data") == [f"{path.name}.before-{schema.HEAD}"], ended.said
        if ended.code != KILLED:
            assert ended.code == 0, ended.said
            break
    assert versions == {"0001", schema.HEAD}
    assert moment > 4


# --- of another version -------------------------------------------------------------------------


def test_a_database_of_a_newer_version_is_refused_with_words(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    path = made(tmp_path / "data" / "digest.db", schema.HEAD)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    before = content(path)
    for arguments in (("run",), ("status",), ("check",)):
        assert run(*arguments, "--config", config) == 1
        said = (run.out + run.err).replace("\n", " ")
        assert (
            f"is of version 9999, and this digest knows none after {schema.HEAD}. Install the newer" in said
        )
    assert content(path) == before
    assert copies(tmp_path / "data") == []


def test_a_version_that_never_was_is_told(tmp_path: Path) -> None:
    path = made(tmp_path / "digest.db", "0001")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
        connection.commit()
    with pytest.raises(StoreError, match="cannot be brought from version 0000"):
        Store(f"sqlite:///{path}")


# --- how it is ----------------------------------------------------------------------------------


def test_a_database_is_examined_without_being_made_or_changed(tmp_path: Path) -> None:
    path = tmp_path / "digest.db"
    for url in (f"sqlite:///{path}", "sqlite://"):
        assert examine(url).version is None
    assert not path.exists()
    made(path, "0003")
    before = path.read_bytes()
    found = examine(f"sqlite:///{path}")
    assert (found.version, found.size, found.is_whole) == ("0003", len(before), True)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["digest.db"]  # noqa: PTH208 - names


def test_a_large_database_is_looked_through_as_long_as_somebody_waits(tmp_path: Path) -> None:
    path = made(tmp_path / "digest.db", schema.HEAD)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
            " INSERT INTO settled SELECT 'name ' || i, 'value' FROM n"
        )
        connection.commit()
    assert examine(f"sqlite:///{path}").is_whole
    assert not examine(f"sqlite:///{path}", patience=-1).is_whole


def test_a_row_that_names_one_that_is_gone_is_damage(tmp_path: Path) -> None:
    path = made(tmp_path / "digest.db", schema.HEAD)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM papers")
        connection.commit()
    with pytest.raises(
        StoreError, match=r"the database file is damaged: a row of .* names one of papers that is gone"
    ):
        examine(f"sqlite:///{path}")


def test_a_table_of_somebody_else_that_cannot_be_looked_through_is_told(tmp_path: Path) -> None:
    path = made(tmp_path / "digest.db", schema.HEAD)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (paper TEXT REFERENCES papers (title))")
        connection.execute("INSERT INTO notes VALUES ('Swin')")
        connection.commit()
    with pytest.raises(StoreError, match="foreign key mismatch"):
        examine(f"sqlite:///{path}")


@pytest.mark.parametrize(
    "url", ["nonsense", "oracle+nothing://x", "postgresql+psycopg://nobody@127.0.0.1:1/none"]
)
def test_a_database_that_cannot_be_opened_is_told(url: str) -> None:
    with pytest.raises(StoreError):
        examine(url)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "digest.db")) as connection:
        connection.execute("CREATE TABLE other (id INTEGER)")
        connection.commit()
    with pytest.raises(SchemaError, match="another program"):
        examine(f"sqlite:///{tmp_path}/digest.db")


# --- PostgreSQL ---------------------------------------------------------------------------------


@pytest.fixture
def postgresql() -> Iterator[str]:
    """A database of this test alone."""
    with postgresql_database() as url:
        yield url


def test_an_older_database_of_postgresql_is_migrated_as_it_stands(
    tmp_path: Path, run: Run, postgresql: str
) -> None:
    config = configure(tmp_path, extra=f'database = "{postgresql}"')
    assert run("check", "--config", config) == 0
    assert "database    none yet; the first run makes it (PostgreSQL" in run.out
    engine = create_engine(postgresql)
    with engine.begin() as connection:
        _MIGRATIONS.attributes["connection"] = connection
        command.upgrade(_MIGRATIONS, "0003")
    engine.dispose()
    assert run("check", "--config", config) == 0
    assert "version 0003: the next command brings it" in run.out
    assert "make a copy before: `pg_dump`" in run.out
    assert run("likes", "--config", config) == 0
    assert "is kept in" not in run.err
    assert run("check", "--config", config) == 0
    assert "database    it answers; PostgreSQL" in run.out
    assert f"version {schema.HEAD}" in run.out
