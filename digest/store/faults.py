"""What is wrong with a database, in words, and what to do about it."""

from __future__ import annotations

import sqlite3

DAMAGED = (
    "the database file is damaged",
    (
        "Put a copy from a backup in its place. Without one, move it away, with the files beside it that "
        "end in -wal and -shm: the next run begins a new one, which knows nothing of what was shown, so "
        "that papers of the last `lookback_days` may come again."
    ),
)

_OTHERWISE = "Check that its folder exists, is writable and has room, and that it is digest's."

# https://www.sqlite.org/rescode.html
_EXPLAINED = {
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
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


def explained(error: BaseException | None) -> tuple[str, str]:
    """What an error of the driver means, and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says more of the same
    return _EXPLAINED.get(code, (f"the database does not answer: {error}", _OTHERWISE))
