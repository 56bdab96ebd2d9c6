"""Saved pages: a file's bytes, with the hash of them as its validator."""

from __future__ import annotations

import hashlib
import mimetypes
import stat
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from digest.core.model import Page, Request
from digest.errors import FetchError

MAX_BYTES = 50 * 1024 * 1024  # a saved page has about 2 MB, the largest listings 10


class FileFetcher:
    """Reads `file:` addresses (RFC 8089) of regular files of this machine."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes

    def fetch(self, request: Request, *, now: datetime) -> Page | None:
        """The file's bytes, or None when they hash to the request's etag. Raises FetchError."""
        path = _path(request.url)
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                raise FetchError(
                    "this is a folder", place=str(path), remedy='End it with "/*" to read the files in it'
                )
            if not stat.S_ISREG(mode):  # to read from a pipe or a terminal may never end
                raise FetchError("this is no regular file", place=str(path), remedy="Save the page to a file")
            with path.open("rb") as file:
                content = file.read(self._max_bytes + 1)
        except FileNotFoundError as error:
            raise FetchError("there is no such file", place=str(path), remedy="Check the path") from error
        except PermissionError as error:
            raise FetchError(
                "digest may not read this file", place=str(path), remedy="Change its permissions"
            ) from error
        except (OSError, ValueError) as error:  # ValueError: a NUL within the path
            raise FetchError(
                f"this file cannot be read: {error}", place=str(path), remedy="Check the path and the disk"
            ) from error
        if len(content) > self._max_bytes:
            raise FetchError(
                f"this file has more than {self._max_bytes:,} bytes",
                place=str(path),
                remedy="No page of papers is as large: check that it is the right file",
            )
        etag = hashlib.sha256(content).hexdigest()
        if etag == request.etag:
            return None
        media_type = mimetypes.guess_type(path.name)[0]
        return Page(url=request.url, content=content, media_type=media_type, fetched_at=now, etag=etag)


def _path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
        raise FetchError("this is no file of this machine", place=url, remedy="Write it as file:///path")
    return Path(url2pathname(parts.path))
