"""How a database is, for somebody who wants to know and changes nothing: neither made nor migrated."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from digest.errors import StoreError
from digest.store import schema
from digest.store.faults import DAMAGED, explained
from digest.store.upgrade import recognise

_PATIENCE = 5.0  # seconds to look through a database; one with 100,000 papers takes about one
_STEPS = 10_000  # of SQLite's machine, between two looks at the clock: less than a millisecond
_WAIT = 5.0  # seconds for whoever else writes


@dataclass(frozen=True, slots=True)
class Condition:
    """What there is to say of a database without faults."""

    version: str | None  # None: there is none yet
    size: int = 0  # bytes
    is_whole: bool = True  # False: there was no time to look through all of it
    server: str = "SQLite"  # with its version where there is one

    @property
    def is_current(self) -> bool:
        """Whether it is of the version of this program."""
        return self.version == schema.HEAD


def examine(url: str, *, patience: float = _PATIENCE) -> Condition:
    """Look through a database. Raises StoreError, SchemaError."""
    try:
        address = make_url(url)
        if address.get_backend_name() == "sqlite":
            return _of_sqlite(address, patience)
        return _of_server(address)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreError(
            f"no database can be opened by this address: {error}",
            place="database",
            remedy="Give sqlite:///PATH or postgresql+psycopg://….",
        ) from error


def _of_sqlite(address: URL, patience: float) -> Condition:
    place, path = address.render_as_string(), Path(address.database or "")
    if not path.name or not path.exists():
        return Condition(None)
    try:
        # Not "ro": such a reader cannot always read what a killed run left in the WAL.
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_WAIT)
        ) as connection:
            connection.execute("PRAGMA query_only=ON")
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
            row = (
                connection.execute("SELECT version_num FROM alembic_version").fetchone()
                if "alembic_version" in tables
                else None
            )
            version = row[0] if row else None
            recognise(version, tables, place)
            is_whole = _is_sound(connection, place, patience)
    except sqlite3.Error as error:
        message, remedy = explained(error)
        raise StoreError(message, place=place, remedy=remedy) from error
    return Condition(version, path.stat().st_size, is_whole)


def _is_sound(connection: sqlite3.Connection, place: str, patience: float) -> bool:
    """Whether all was looked through, and is sound. Raises StoreError if it is not."""
    until = monotonic() + patience
    connection.set_progress_handler(lambda: monotonic() > until, _STEPS)
    try:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        astray = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return False
        raise
    finally:
        connection.set_progress_handler(None, 0)
    if found == "ok" and astray is None:
        return True
    why = (
        found.splitlines()[-1]
        if found != "ok"
        else f"a row of {astray[0]} names one of {astray[2]} that is gone"
    )
    raise StoreError(f"{DAMAGED[0]}: {why}", place=place, remedy=DAMAGED[1])


def _of_server(address: URL) -> Condition:
    engine = create_engine(address)
    try:
        with engine.connect() as connection:
            tables = inspect(connection).get_table_names()
            query = text("SELECT version_num FROM alembic_version")
            version = connection.execute(query).scalar() if "alembic_version" in tables else None
            recognise(version, tables, address.render_as_string())
            size: int = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
            known = connection.dialect.server_version_info or ()
            return Condition(version, size, server=f"PostgreSQL {'.'.join(map(str, known))}")
    except DBAPIError as error:
        message, remedy = explained(error.orig)
        raise StoreError(message, place=address.render_as_string(), remedy=remedy) from error
    finally:
        engine.dispose()
