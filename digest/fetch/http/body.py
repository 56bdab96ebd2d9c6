"""The body of an answer, unpacked as it comes and never beyond a limit.

httpx would unpack each piece as a whole, and 64 kB of gzip may hold 64 MB.
"""

from __future__ import annotations

import zlib

ENCODINGS = "gzip, deflate"
"""What a request offers (RFC 9110, 12.5.3)."""

_GZIP, _ZLIB, _RAW = 31, 15, -15  # what zlib calls `wbits`
_STEP = 1 << 20  # bytes to unpack before the limit is looked at again
_MAGIC = b"\x1f"  # of a gzip member


class BodyError(Exception):
    """A body that cannot be had; the message says why."""


class TooLargeError(BodyError):
    """A body with more bytes than are wanted."""


class CutShortError(BodyError):
    """A body that ends too early; the next copy may be whole."""


class Body:
    """Collects a body of at most `max_bytes` from its pieces."""

    def __init__(self, encoding: str, max_bytes: int) -> None:
        """`encoding` is the Content-Encoding (RFC 9110, 8.4). Raises BodyError."""
        self._encoding = encoding.strip().lower()
        if self._encoding not in {"", "identity", "gzip", "x-gzip", "deflate"}:
            raise BodyError(f"it is packed as {self._encoding}, which was not asked for")
        self._content = bytearray()
        self._max_bytes = max_bytes
        self._taken = 0
        self._head = b""  # what is not enough yet to tell how it is packed
        self._unpack: zlib._Decompress | None = None

    def add(self, piece: bytes) -> None:
        """Take the next bytes from the wire. Raises BodyError."""
        if self._encoding in {"", "identity"}:
            self._content += piece
            self._check(len(self._content))
            return
        self._taken += len(piece)  # members of nothing have no end
        self._check(self._taken)
        if self._unpack is None:
            piece = self._head + piece
            if len(piece) < 2:  # noqa: PLR2004 - bytes of the frame of RFC 1950, 2.2
                self._head = piece
                return
            self._unpack = zlib.decompressobj(self._frame(piece))
        is_full = False
        while piece or is_full:
            if self._unpack.eof:
                # A gzip file may have several members (RFC 1952, 2.2), and some servers send more behind it.
                if self._encoding == "deflate" or not piece.startswith(_MAGIC):
                    return
                self._unpack = zlib.decompressobj(_GZIP)
            try:
                unpacked = self._unpack.decompress(piece, _STEP)
            except zlib.error as error:
                raise BodyError(f"it cannot be unpacked: {error}") from error
            self._content += unpacked
            self._check(len(self._content))
            is_full = len(unpacked) == _STEP  # more may be waiting inside, without any input left
            piece = self._unpack.unconsumed_tail or self._unpack.unused_data

    def _frame(self, head: bytes) -> int:
        if self._encoding != "deflate":
            return _GZIP
        # RFC 9110, 8.4.1.2: some send deflate without the frame of zlib, whose head is a multiple of 31.
        return _RAW if int.from_bytes(head[:2], "big") % 31 else _ZLIB

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise TooLargeError(f"it has more than {self._max_bytes:,} bytes")

    def content(self) -> bytes:
        """The whole body. Raises CutShortError."""
        if self._head if self._unpack is None else not self._unpack.eof:
            raise CutShortError("it ends before its end")
        return bytes(self._content)
