"""Saved pages on this machine: files, patterns, and folders that are looked through each time."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from digest.core.model import Listing, Page, Period, Reading, Request
from digest.errors import FetchError, LayoutError, SourceError
from digest.ports import Plan, Reader
from digest.sources import read_page

_UNFINISHED = ("~", ".tmp", ".part")  # editors' copies and downloads under way


class FileSource:
    """Reads each file with the first reader that knows its layout.

    `paths` are files, which must be there, and patterns or folders, which may be empty; they are
    relative to `folder`, and a leading `~` is the home folder.
    `captured_on` is the day the pages were saved, where they do not tell it.
    """

    def __init__(
        self,
        name: str = "file",
        *,
        paths: Sequence[str],
        readers: Iterable[Reader],
        folder: Path = Path(),
        captured_on: date | None = None,
    ) -> None:
        self.name = name
        self._paths = tuple(paths)
        self._readers = readers
        self._folder = folder
        self._captured_on = captured_on

    def collect(self, period: Period) -> Plan:
        """Read every file, whatever the period. Raises SourceError if none of them can be read."""
        listings: list[Listing] = []
        layouts: list[str] = []
        notes: list[str] = []
        errors: list[SourceError] = []
        try:
            files = sorted({file for path in self._paths for file in _files(self._folder, path)})
        except OSError as error:
            raise FetchError(
                f"this path cannot be looked up: {error.strerror}",
                place=str(error.filename),
                remedy="Check it in the configuration",
            ) from error
        for file in files:
            try:
                page = yield Request(file.as_uri())
                reading = self._read(file, page) if page else None
            except SourceError as error:
                errors.append(error)
                notes.append(str(error))
                continue
            if reading:
                listings += (replace(listing, source=self.name) for listing in reading.listings)
                layouts.append(reading.layout)
                notes += (f"{file}: {note}" for note in reading.notes)
        if errors and len(errors) == len(files):
            raise errors[0]
        layout = " + ".join(dict.fromkeys(layouts))
        return Reading(layout, tuple(listings), notes=tuple(notes), complete=not errors)

    def _read(self, file: Path, page: Page) -> Reading:
        """What a file holds. Raises LayoutError whatever a reader raises: the other files are read."""
        try:
            return read_page(page, self._readers, captured_on=self._captured_on)
        except SourceError:
            raise
        except Exception as error:
            raise LayoutError(
                f"a reader broke off with {type(error).__name__}: {error}",
                place=str(file),
                remedy="Please report it with the file",
            ) from error


def _files(folder: Path, path: str) -> Iterator[Path]:
    """The files that a path means."""
    given = (folder / Path(path).expanduser()).absolute()
    if given.is_dir():
        yield from filter(_is_wanted, given.iterdir())
    elif given.exists() or not glob.has_magic(path):
        yield given  # if it is missing, fetching it will say so
    else:
        yield from filter(_is_wanted, map(Path, glob.iglob(str(given), recursive=True)))  # noqa: PTH207 - `**`


def _is_wanted(file: Path) -> bool:
    return file.is_file() and not file.name.startswith(".") and not file.name.endswith(_UNFINISHED)
