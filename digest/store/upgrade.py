"""Brings an older database to the version of this program.

One of SQLite is copied before, to `<database>.before-<new version>`; the two newest copies stay.
PostgreSQL has tools of its own for that.
Both happen under the lock for writing, so that of two processes that start at once one does it all, and in
one transaction, so that a database is old or new, whatever happens.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from digest.disk import sync
from digest.errors import SchemaError, StoreError
from digest.store import schema
from digest.store.faults import explained

_COPIES = 2
_ROOM = 1.5  # times the size of the database: for the copy, and for what the migration writes anew

_AS_IT_WAS = "Nothing was changed."
_LET_WRITE = "Let the user that runs digest write there."

_log = logging.getLogger(__name__)


def recognise(version: str | None, tables: Collection[str], place: str) -> None:
    """Refuse a database that is not ours to change. Raises SchemaError."""
    if version is not None and version > schema.HEAD:
        raise SchemaError(
            f"this database is of version {version}, and this digest knows none after {schema.HEAD}",
            place=place,
            remedy="Install the newer digest again, or name another data_dir.",
        )
    if version is None and tables:
        raise SchemaError(
            "this database belongs to another program",
            place=place,
            remedy="Name another database or data_dir.",
        )


def upgrade(connection: Connection, version: str, place: str) -> Path | None:
    """Migrate from that version, within the transaction that has begun; gives the copy. Raises StoreError."""
    copy = _keep(connection, place)
    try:
        _migrate(connection)
    except Exception as error:  # Alembic's own, too
        why, remedy = explained(error.orig) if isinstance(error, DBAPIError) else (str(error), "")
        kept = f" There is a copy, too: {copy}." if copy else ""
        raise StoreError(
            f"the database cannot be brought from version {version} to {schema.HEAD}: {why}",
            place=place,
            remedy=f"{_AS_IT_WAS}{kept} {remedy}".rstrip(),
        ) from error
    return copy


def settle(copy: Path, version: str) -> None:
    """Say where the copy is, and remove the ones before the last two."""
    _log.warning(
        "The database was of version %s and is of %s now; as it was, it is kept in %s.",
        version,
        schema.HEAD,
        copy,
    )
    pattern = re.escape(copy.name.removesuffix(schema.HEAD)) + r"\d{4}"
    copies = [one for one in copy.parent.iterdir() if re.fullmatch(pattern, one.name)]
    for old in sorted(copies)[:-_COPIES]:
        with suppress(OSError):
            old.unlink()


def _keep(connection: Connection, place: str) -> Path | None:
    """Copy the database, whole or not at all; gives the copy. Raises StoreError."""
    path = _file(connection)
    if path is None:
        return None
    copy = path.with_name(f"{path.name}.before-{schema.HEAD}")
    part = copy.with_name(f"{copy.name}.part")  # one process at a time is here
    size = sum(one.stat().st_size for one in _files(path) if one.exists())
    try:
        if shutil.disk_usage(path.parent).free < _ROOM * size:
            raise _no_room(place, size)
        for rest in _files(part):
            rest.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as target:
            source.backup(target)
        sync(part)
        part.replace(copy)
        sync(path.parent)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            part.unlink()
        if _is_full(error):
            raise _no_room(place, size) from error
        why, remedy = (
            explained(error) if isinstance(error, sqlite3.Error) else (f"{error.strerror}", _LET_WRITE)
        )
        raise StoreError(
            f"no copy can be made before the upgrade: {why}", place=str(copy), remedy=f"{_AS_IT_WAS} {remedy}"
        ) from error
    return copy


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def _no_room(place: str, size: int) -> StoreError:
    return StoreError(
        "there is no room for a copy, which is made before the upgrade",
        place=place,
        remedy=f"Make room for {max(1, _ROOM * size / 1e6):,.0f} MB on its disk. {_AS_IT_WAS}",
    )


def _file(connection: Connection) -> Path | None:
    """Where a database of SQLite is; None for one that is in no file, or of another kind."""
    if connection.dialect.name != "sqlite":
        return None
    name: str = connection.exec_driver_sql("PRAGMA database_list").one()[2]
    return Path(name) if name else None


def _files(path: Path) -> list[Path]:
    """A database and what SQLite keeps beside it."""
    return [path.with_name(path.name + end) for end in ("", "-wal", "-shm", "-journal")]


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
