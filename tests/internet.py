"""A small internet behind a proxy on this machine: every site there is, with the faults they have.

The program reaches it as it would reach the real one from behind a company's proxy: by CONNECT and
TLS, with a certificate for each name from an authority that it is told to trust.
"""

from __future__ import annotations

import io
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Lock, Thread
from urllib.parse import SplitResult, urlsplit

import trustme


@dataclass(frozen=True)
class Answer:
    """What a site sends; `drip` is the pause in seconds after each byte of the body."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    drip: float = 0.0


Site = Callable[[SplitResult], Answer]


@dataclass
class Internet:
    """Sites by host; `asked` are the addresses they were asked for, in order, with the time of each."""

    sites: Mapping[str, Site]
    ca_file: Path
    proxy: str = ""
    asked: list[tuple[str, float]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def answer(self, url: str) -> Answer:
        """What the site of an address says; one request at a time, so that sites may count."""
        parts = urlsplit(url)
        with self.lock:
            self.asked.append((url, time.monotonic()))
            site = self.sites.get(parts.netloc)
            return Answer(status=HTTPStatus.BAD_GATEWAY) if site is None else site(parts)

    def times(self, domain: str) -> list[float]:
        """When the hosts of a domain were asked."""
        return [at for url, at in self.asked if f".{urlsplit(url).netloc}".endswith(f".{domain}")]


@contextmanager
def internet(folder: Path, sites: Mapping[str, Site]) -> Iterator[Internet]:
    """Run it; its authority's certificate is written into `folder`."""
    authority = trustme.CA()
    world = Internet(sites, folder / "ca.pem")
    authority.cert_pem.write_to_path(str(world.ca_file))
    contexts: dict[str, ssl.SSLContext] = {}

    def context(host: str) -> ssl.SSLContext:
        with world.lock:
            if host not in contexts:
                contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                authority.issue_cert(host).configure_cert(contexts[host])
            return contexts[host]

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # the program may hang up at any time
                line = _request(self.rfile)
                if line[0] != "CONNECT":
                    _send(
                        self.wfile, world.answer(line[1] if "//" in line[1] else f"http://{DIRECT}{line[1]}")
                    )
                    return
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                host = line[1].rpartition(":")[0]
                with (
                    context(host).wrap_socket(self.connection, server_side=True) as inner,
                    inner.makefile("rwb", buffering=0) as both,
                ):
                    while line := _request(both):
                        _send(both, world.answer(f"https://{host}{line[1]}"))

    class Server(ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        world.proxy = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield world
        server.shutdown()
        thread.join()


DIRECT = "direct"
"""The host of requests that come without a proxy in between."""


def _request(coming: io.BufferedIOBase | io.RawIOBase) -> list[str]:
    """The words of a request line; none when the other side has hung up."""
    line = coming.readline().decode()
    body = 0
    while header := coming.readline().strip().lower():
        if header.startswith(b"content-length:"):
            body = int(header.partition(b":")[2])
    while body > 0 and (part := coming.read(body)):
        body -= len(part)
    return line.split()


def _send(going: io.BufferedIOBase | io.RawIOBase, answer: Answer) -> None:
    headers = {"Content-Length": str(len(answer.body)), **answer.headers}
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    going.write("\r\n".join((*lines, "", "")).encode())
    if not answer.drip:
        going.write(answer.body)
        return
    for at in range(len(answer.body)):
        going.write(answer.body[at : at + 1])
        time.sleep(answer.drip)
