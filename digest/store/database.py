"""A database behind a SQLAlchemy URL, and its transactions.

SQLite begins writing transactions with `BEGIN IMMEDIATE`, so that two processes wait for each other
instead of failing half-way.
"""

from __future__ import annotations

import importlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from digest.errors import SchemaError, StoreError
from digest.store import schema
from digest.store.schema import settled

CHUNK = 500
"""Values in one IN (…): SQLite allows 32,766 variables, older ones 999."""

PATIENCE = 30.0
"""Seconds that SQLite waits for whoever else writes."""

_OTHERWISE = "Check that its folder exists, is writable and has room, and that it is digest's."

_DAMAGED = (
    "the database file is damaged",
    (
        "Put a copy from a backup in its place. Without one, move it away, with the files beside it that "
        "end in -wal and -shm: the next run begins a new one, which knows nothing of what was shown, so "
        "that papers of the last `lookback_days` may come again."
    ),
)

# https://www.sqlite.org/rescode.html
_EXPLAINED = {
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_FULL: (
        "there is no room for the database",
        "Make room on the disk; the next run goes on.",
    ),
    sqlite3.SQLITE_IOERR: (
        "the database file cannot be read or written",
        "See that its disk has room and is healthy; the next run goes on.",
    ),
    sqlite3.SQLITE_BUSY: (
        "another program keeps the database to itself",
        "End it, or wait for its end; the next run goes on.",
    ),
    sqlite3.SQLITE_READONLY: (
        "the database cannot be written",
        "Let the user that runs digest write the file and its folder.",
    ),
}


class Database:
    """The database behind a SQLAlchemy URL."""

    def __init__(self, url: str) -> None:
        """Open the database, making or migrating its tables. Raises StoreError, SchemaError."""
        try:
            self._engine = create_engine(url)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise StoreError(
                f"no database can be opened by this address: {error}",
                place="database",
                remedy="Give sqlite:///PATH or postgresql+psycopg://….",
            ) from error
        self._place = make_url(url).render_as_string(hide_password=True)
        if self._engine.dialect.name == "sqlite":
            _tune_sqlite(self._engine)
        try:
            with self._translated():
                self._migrate()
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the rest says more of the same
            message, remedy = _EXPLAINED.get(
                code, (f"the database does not answer: {error.orig}", _OTHERWISE)
            )
            raise StoreError(message, place=self._place, remedy=remedy) from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:  # SQLite knows of no checksum
            raise StoreError(_DAMAGED[0], place=self._place, remedy=_DAMAGED[1]) from error

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._translated(), self._engine.connect().execution_options(reads=True) as connection:
            yield connection

    def _insert(self, table: Any) -> Any:  # noqa: ANN401 - the two dialects share no type for it
        dialect = importlib.import_module(f"sqlalchemy.dialects.{self._engine.dialect.name}")
        return dialect.insert(table)

    def _put(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows in the place of those with the same primary key."""
        statement = self._insert(table)
        keys = [column.name for column in table.primary_key]
        values = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), rows)

    def _migrate(self) -> None:
        with self._reading() as connection:  # who only looks waits for no run that writes
            if self._version(connection) == schema.HEAD:
                return
        with self._engine.begin() as connection:
            tables = inspect(connection).get_table_names()
            version = self._version(connection)
            if version is not None and version > schema.HEAD:
                raise SchemaError(
                    f"this database is of version {version}, and this digest knows none after {schema.HEAD}",
                    place=self._place,
                    remedy="Install the newer digest again, or name another data_dir.",
                )
            if version is None and tables:
                raise SchemaError(
                    "this database belongs to another program",
                    place=self._place,
                    remedy="Name another database or data_dir.",
                )
            if version is None:
                # What the migrations would make, of which a test has proof, twenty times sooner.
                schema.metadata.create_all(connection)
                connection.execute(
                    text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
                )
                connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": schema.HEAD})
                return
            from alembic import command
            from alembic.config import Config

            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _version(self, connection: Connection) -> str | None:
        """The migration that a database is at."""
        if not inspect(connection).has_table("alembic_version"):
            return None
        version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return version

    def settle(self, name: str, value: str) -> str:
        """Keep a value for good, unless another one was kept before; gives the one that is kept."""
        row = {"name": name, "value": value}
        with self._writing() as connection:
            connection.execute(self._insert(settled).values(row).on_conflict_do_nothing())
            query = select(settled.c.value).where(settled.c.name == name)
            kept: str = connection.execute(query).scalar_one()
        return kept


def _tune_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
        connection.isolation_level = None  # we begin transactions ourselves, below
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            f"busy_timeout={int(PATIENCE * 1000)}",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
