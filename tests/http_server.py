"""A web server for tests that answers each request as it is told, and remembers what it was sent."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from itertools import repeat
from time import sleep
from types import TracebackType
from typing import BinaryIO, Self

HANG_UP = b""
CUT_OFF = b"(without reading the body)"


@dataclass(frozen=True)
class Taken:
    """A request."""

    line: str
    headers: Message
    body: bytes


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """An answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def drip(beginning: bytes, again: bytes) -> Iterator[bytes]:
    """An answer that goes on with the same for ten seconds: who waits for it is to fail, not to hang."""
    yield beginning
    yield from repeat(again, 500)


class Server:
    """Gives one of the answers to each connection, in their order; one in pieces goes out slowly."""

    def __init__(self, *answers: bytes | Iterable[bytes], tls: ssl.SSLContext | None = None) -> None:
        self.taken: list[Taken] = []
        self._answers = answers
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(60)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        for prepared in self._answers:
            connection, _ = self._listener.accept()
            connection.settimeout(60)
            try:
                if self._tls:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                with connection.makefile("rb") as lines:
                    self._serve(prepared, connection, lines)
            except OSError:  # the client has left
                pass
            finally:
                connection.close()

    def _serve(self, prepared: bytes | Iterable[bytes], connection: socket.socket, lines: BinaryIO) -> None:
        line = lines.readline().decode()
        head = b"".join(iter(lines.readline, b"\r\n"))
        headers = message_from_bytes(head)
        body = lines.read(int(headers["Content-Length"])) if prepared != CUT_OFF else b""
        self.taken.append(Taken(line.rstrip(), headers, body))
        if prepared == CUT_OFF:
            return
        if isinstance(prepared, bytes):
            connection.sendall(prepared)
            return
        for piece in prepared:
            connection.sendall(piece)
            sleep(0.02)
