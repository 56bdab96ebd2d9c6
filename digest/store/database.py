"""A database behind a SQLAlchemy URL, and its transactions.

SQLite begins writing transactions with `BEGIN IMMEDIATE`, so that two processes wait for each other
instead of failing half-way.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from digest.errors import StoreError
from digest.store import schema, upgrade
from digest.store.faults import DAMAGED, explained
from digest.store.schema import settled

CHUNK = 500
"""Values in one IN (…): SQLite allows 32,766 variables, older ones 999."""

PATIENCE = 30.0
"""Seconds that SQLite waits for whoever else writes."""


class Database:
    """The database behind a SQLAlchemy URL."""

    def __init__(self, url: str) -> None:
        """Open the database, making or migrating its tables. Raises StoreError, SchemaError."""
        try:
            # One in memory ends with what connects to it.
            in_memory = make_url(url).database in {None, "", ":memory:"}
            self._engine = (_engine.__wrapped__ if in_memory else _engine)(url)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
            # What is wrong with a port quotes what may be a piece of the password.
            said = ": its port is no number" if isinstance(error, ValueError) else f": {error}"
            raise StoreError(
                f"no database can be opened by this address{said}",
                place="database",
                remedy="Give sqlite:///PATH or postgresql+psycopg://….",
            ) from None if isinstance(error, ValueError) else error
        self._place = make_url(url).render_as_string(hide_password=True)
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
            message, remedy = explained(error.orig)
            raise StoreError(message, place=self._place, remedy=remedy) from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:  # SQLite knows of no checksum
            raise StoreError(DAMAGED[0], place=self._place, remedy=DAMAGED[1]) from error

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

    def _put(
        self, connection: Connection, table: Table, rows: list[dict[str, Any]], *, but: Sequence[str] = ()
    ) -> None:
        """Insert rows in the place of those with the same primary key, which keep their columns `but`."""
        statement = self._insert(table)
        keys = [column.name for column in table.primary_key]
        values = {name: statement.excluded[name] for name in rows[0] if name not in (*keys, *but)}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), rows)

    def _migrate(self) -> None:
        with self._reading() as connection:  # who only looks waits for no run that writes
            if self._version(connection) == schema.HEAD:
                return
        with self._engine.begin() as connection:
            version = self._version(connection)
            if version == schema.HEAD:  # by another process, for whose end we have waited
                return
            upgrade.recognise(version, inspect(connection).get_table_names(), self._place)
            if version is None:
                # What the migrations would make, of which a test has proof, twenty times sooner.
                schema.metadata.create_all(connection)
                connection.execute(
                    text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
                )
                connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": schema.HEAD})
                return
            copy = upgrade.upgrade(connection, version, self._place)
        if copy is not None:
            upgrade.settle(copy, version)

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


@lru_cache(maxsize=8)
def _engine(url: str) -> Engine:
    """What connects to a database; kept, because it keeps the statements that it has compiled.

    To compile those of a beat of `digest schedule` again takes half of the beat's time.
    """
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        _tune_sqlite(engine)
    return engine


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
