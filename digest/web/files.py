"""The files of `output_dir` over HTTP: whole, named by their content, and not sent again in vain.

A file is read from one descriptor, and its validators are made of what was read: a reader never gets
the content of one version under the name of another, whenever the publisher replaces it.
"""

from __future__ import annotations

import asyncio
import gzip
import mimetypes
import os
import re
from calendar import timegm
from collections.abc import AsyncIterator, Sequence
from email.utils import formatdate, parsedate
from hashlib import sha256
from html import escape
from pathlib import Path
from threading import Lock
from urllib.parse import quote
from weakref import WeakValueDictionary

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

METHODS = ("GET", "HEAD")

# Browsers show application/xml, with the style sheet that it names, and save what says that it is a feed.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".json": "application/json",
    ".opml": "text/x-opml",
    ".svg": "image/svg+xml",
    ".xml": "application/xml",
}
_SHRINKS = re.compile(r"text/.*|application/.*(?:json|xml)|image/svg\+xml")
_SMALL = 1000  # bytes that fit into one packet in any case
_PIECE = 65_536  # bytes that are handed to a connection at once
_TAG = re.compile(r'(W/)?("[^"]*")')  # RFC 9110, 8.8.3
_XML = re.compile(rb'<[^<>]*>[^<"]*')  # a tag and the text behind it
# Parts of documents in which nothing but a value begins behind a quotation mark or a ">".
_VALUES = {".json": re.compile(rb'": "[^">]*'), ".opml": _XML, ".xml": _XML}


class _Content:
    """The bytes of an answer, the same for all who are taking it."""

    def __init__(self, whole: bytes) -> None:
        self.whole = whole

    async def pieces(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.whole), _PIECE):
            yield self.whole[start : start + _PIECE]
            await asyncio.sleep(0)  # others have their turn, and one who left is noticed


# Without these, hundreds who ask at once or read slowly have a copy each.
_on_the_way: WeakValueDictionary[str, _Content] = WeakValueDictionary()  # by what names them
_in_turn = Lock()


def answer(
    folder: Path, path: str, request: Request, *, cache: str, moved: tuple[str, str] | None = None
) -> Response:
    """A file of the folder, or that nothing has changed. Raises HTTPException.

    `moved`: the address below which feeds name one another, and the one that they are to name instead.
    """
    try:
        file = _find(folder, path)
        if (file / "index.html").is_file():
            # Relative, because a proxy may have taken off what stands before.
            return RedirectResponse(f"./{quote(request.scope['path'].rpartition('/')[2])}/")
        if not file.is_file():
            raise HTTPException(404)
    except (OSError, ValueError):  # not there, too long, not permitted, or no name at all
        raise HTTPException(404) from None
    with _in_turn:
        content, modified = _read(file)
        if moved is not None and (values := _VALUES.get(file.suffix)):
            written = moved if file.suffix == ".json" else (escape(address, quote=False) for address in moved)
            content = _moved(content, values, *(address.encode() for address in written))
        return _answer(file.name, content, modified, request.headers, cache)


def _find(folder: Path, path: str) -> Path:
    """The file or folder that a path means. Raises HTTPException, OSError, ValueError."""
    whole = f"{path}index.html" if path.endswith("/") else path
    parts = whole.split("/")[1:]
    root, found = (Path(os.path.realpath(at)) for at in (folder, folder.joinpath(*parts)))
    # Hidden files are those that the publisher is still writing; `..` is one of them.
    is_ours = all(part and not part.startswith(".") and "\\" not in part for part in parts)
    if not is_ours or not found.is_relative_to(root):
        raise HTTPException(404)
    return found


def _read(file: Path) -> tuple[bytes, int]:
    """What a file holds, and when it was changed. Raises HTTPException."""
    try:
        with file.open("rb") as stream:
            return stream.read(), int(os.fstat(stream.fileno()).st_mtime)
    except OSError:
        raise HTTPException(404) from None


def _moved(content: bytes, values: re.Pattern[bytes], before: bytes, now: bytes) -> bytes:
    """The document with other addresses of ours, where they are values.

    Within an address, such as that of a picture, the new one would tell a stranger the secret that it has.
    """
    ours = re.compile(rb'(?<=[">])' + re.escape(before) + rb"(?=/(?:archive/|feeds/|index\.html))")
    return values.sub(lambda value: ours.sub(lambda _: now, value[0]), content)


def _answer(name: str, content: bytes, modified: int, asked: Headers, cache: str) -> Response:
    media_type = _media_type(name)
    shrinks = len(content) >= _SMALL and _SHRINKS.fullmatch(media_type) is not None
    is_gzip = shrinks and _takes_gzip(asked)
    plain = sha256(content).hexdigest()[:32]
    # Another encoding is another representation, with a name of its own (RFC 9110, 8.8.3.3).
    tags = [f'"{plain}"', f'"{plain}-gzip"']
    tag = tags[is_gzip]
    headers = {"Cache-Control": cache, "ETag": tag}
    if shrinks:
        headers["Vary"] = "Accept-Encoding"
    known = _known(asked, tags, modified)
    if known:
        # What a cache has may be the other one, and it keeps only what is named (RFC 9111, 4.3.4).
        return Response(status_code=304, headers=headers | {"ETag": tag if tag in known else known[0]})
    headers["Last-Modified"] = formatdate(modified, usegmt=True)
    if is_gzip:
        headers["Content-Encoding"] = "gzip"
    found = _on_the_way.get(tag)
    if found is None:
        found = _on_the_way[tag] = _Content(gzip.compress(content, 6, mtime=0) if is_gzip else content)
    headers["Content-Length"] = str(len(found.whole))
    return StreamingResponse(found.pieces(), headers=headers, media_type=media_type)


def _known(asked: Headers, tags: Sequence[str], modified: int) -> Sequence[str]:
    """The representations that the reader has already (RFC 9110, 13.2.2). Raises HTTPException."""
    if "if-match" in asked:
        if not _named(asked, "if-match", tags, weakly=False):
            raise HTTPException(412)
    elif (since := _date(asked, "if-unmodified-since")) is not None and modified > since:
        raise HTTPException(412)
    if "if-none-match" in asked:
        return _named(asked, "if-none-match", tags, weakly=True)
    since = _date(asked, "if-modified-since")
    return tags if since is not None and modified <= since else ()


def _named(asked: Headers, field: str, tags: Sequence[str], *, weakly: bool) -> Sequence[str]:
    value = ",".join(asked.getlist(field))
    if value.strip() == "*":
        return tags
    given = {tag for is_weak, tag in _TAG.findall(value) if weakly or not is_weak}
    return [tag for tag in tags if tag in given]


def _date(asked: Headers, field: str) -> int | None:
    """Seconds since 1970; what is no date is not there (RFC 9110, 13.1.3)."""
    try:
        parsed = parsedate(asked.get(field, ""))
        return None if parsed is None else timegm(parsed)
    except (ValueError, OverflowError):  # a year that no calendar has
        return None


def _takes_gzip(asked: Headers) -> bool:
    for coding in ",".join(asked.getlist("accept-encoding")).lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() == "gzip":
            return not re.fullmatch(r"\s*q=0(?:\.0*)?\s*", weight)
    return False


def _media_type(name: str) -> str:
    if re.fullmatch(r"feed(?:-\d+)?\.json", name):
        return "application/feed+json"
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return _TYPES.get(Path(name).suffix, guessed)
