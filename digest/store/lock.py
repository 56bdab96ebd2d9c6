"""One run at a time on a data directory.

The lock is the operating system's, so it ends with the process that holds it, however that ends.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from digest.errors import BusyError, StoreError


@contextmanager
def locked(folder: Path, *, wait: float) -> Iterator[None]:
    """Hold the data directory, making it first.

    Raises BusyError when another run still holds it after `wait` seconds.
    """
    make_folder(folder)
    try:
        lock = FileLock(folder / "digest.lock")
        lock.acquire(timeout=wait, poll_interval=0.1)
    except Timeout:
        raise BusyError("another run is active", place=str(folder), remedy="It will do the work.") from None
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield
    finally:
        lock.release()


def make_folder(folder: Path) -> None:
    """Make the data directory, for its owner alone. Raises StoreError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> StoreError:
    is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return StoreError(
        f"this folder cannot be written: {error.strerror}",
        place=str(folder),
        remedy="Make room on the disk." if is_full else "Name another data_dir, or change its permissions.",
    )
