"""Publishes files into a folder that is served: each is replaced whole, and only when it changed.

A reader never sees half a file, and a web server's `Last-Modified` tells the truth.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PureWindowsPath

from digest.core.model import Artifact
from digest.deliver import FORBIDDEN, FULL
from digest.errors import DeliveryError, PermanentDeliveryError, TransientDeliveryError

# Web servers run as somebody else, and the program lets nobody read what it writes.
_PUBLIC_FILE = 0o644
_PUBLIC_FOLDER = 0o755

_AN_HOUR = 3600  # seconds, longer than any file takes


class FilePublisher:
    """Keeps a folder, and nothing outside it, equal to what is published."""

    def __init__(self, folder: Path, *, is_public: bool = False) -> None:
        """Publish below `folder`, which is made when it is needed, for everybody or as the umask has it."""
        self._folder = folder
        self._is_public = is_public

    def publish(self, artifacts: Iterable[Artifact]) -> int:
        """Write each file atomically, or remove it; gives how many changed.

        Raises TransientDeliveryError, PermanentDeliveryError; the files before the failed one stay.
        """
        written = [self._target(artifact.path) for artifact in artifacts if self._write(artifact)]
        for newest in {target.parent: target for target in written}.values():
            _sweep(newest)
        return len(written)

    def published(self, folder: str) -> frozenset[str]:
        """The paths of the files that are there, below that folder. Raises PermanentDeliveryError."""
        root = self._target(folder)
        return frozenset(
            (Path(place) / name).relative_to(root).as_posix()
            for place, _, names in os.walk(root)
            for name in names
        )

    def folders(self, folder: str) -> frozenset[str]:
        """The names of the folders that are there, in that one. Raises PermanentDeliveryError."""
        root = self._target(folder)
        try:
            with os.scandir(root) as found:
                return frozenset(one.name for one in found if one.is_dir())
        except OSError:
            return frozenset()

    def read(self, path: str) -> bytes:
        """What a published file holds; nothing when it cannot be read. Raises PermanentDeliveryError."""
        try:
            return self._target(path).read_bytes()
        except OSError:
            return b""  # it is written again

    def _write(self, artifact: Artifact) -> bool:
        target = self._target(artifact.path)
        try:
            if artifact.is_withdrawn:
                return _remove(target)
            if target.is_file() and target.read_bytes() == artifact.content:
                return False
            self._make(target.parent)
            _replace(target, artifact.content, _PUBLIC_FILE if self._is_public else None)
        except OSError as error:
            other = "set `output_dir` to another" if self._is_public else "name another with `--out`"
            raise _translated(error, target, other) from error
        return True

    def _make(self, folder: Path) -> None:
        """Make a folder; those that are there keep their modes."""
        ours = [one for one in (folder, *folder.parents) if one.is_relative_to(self._folder)]
        new = [one for one in ours if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for one in new if self._is_public else ():
            one.chmod(_PUBLIC_FOLDER)

    def _target(self, path: str) -> Path:
        # Windows' rules are the stricter ones: they know drives and two separators.
        relative = PureWindowsPath(path)
        if relative.anchor or not relative.parts or ".." in relative.parts or "\0" in path:
            raise PermanentDeliveryError(
                f"{path!r} leaves the folder it is to be published in", place=str(self._folder)
            )
        return self._folder.joinpath(*relative.parts)


def _replace(target: Path, content: bytes, mode: int | None) -> None:
    temporary = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _remove(target: Path) -> bool:
    was_there = target.exists()
    target.unlink(missing_ok=True)
    with suppress(OSError):  # others are there
        target.parent.rmdir()
    return was_there


def _sweep(newest: Path) -> None:
    """Remove what killed publishers left beside a file that has just been written."""
    with suppress(OSError):  # it is in nobody's way
        long_ago = newest.stat().st_mtime - _AN_HOUR  # others may be publishing at this time
        for left in newest.parent.glob(f".{'[0-9a-f]' * 16}.part"):
            if left.stat().st_mtime < long_ago:
                left.unlink()


def _translated(error: OSError, target: Path, other: str) -> DeliveryError:
    message = f"cannot be written: {error.strerror}"
    if error.errno in FORBIDDEN:
        return PermanentDeliveryError(
            message,
            place=str(target),
            remedy=f"Let the user that runs digest write there, or {other}",
        )
    remedy = "Make room on the disk" if error.errno in FULL else None
    return TransientDeliveryError(message, place=str(target), remedy=remedy)
