"""A `digest serve` of its own process, and what a mail would have brought a reader from it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import httpx
from digests import addresses
from world import NOON, configure, listings, report

from digest import app
from digest.core.model import DeliveryState, Judgement, Paper

PUBLIC = "https://me.example.org/digest"


@contextmanager
def serving(config: Path) -> Iterator[httpx.Client]:
    """Run the server; gives a client that reaches it as somebody on this machine does."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "digest", "serve", "--config", str(config), "--port", str(port)]
    with subprocess.Popen(command) as server, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        try:
            for _ in range(200):
                try:
                    client.get("/healthz")
                    break
                except httpx.ConnectError:
                    time.sleep(0.1)
            yield client
        finally:
            server.send_signal(signal.SIGINT)


def composed(folder: Path, *papers: Paper, base_url: str | None = PUBLIC) -> Path:
    """Write a configuration and compose a mail about papers, which waits in the outbox."""
    serve = f'[serve]\nbase_url = "{base_url}"\n' if base_url else ""
    config = configure(folder, port=25, extra=serve)
    made = app.load(str(config), {})
    with made.store() as store:
        store.add(listings(*papers, source="file"), [], report("file"))
        assert [item.digest is not None for item in made.compose(store, made.profiles(), at=NOON)] == [True]
    return config


def mailed(config: Path) -> tuple[str, str]:
    """The plain text and the HTML of the mail in the outbox."""
    with app.load(str(config), {}).store() as store:
        (delivery,) = (one for one in store.deliveries(DeliveryState.PLANNED) if one.message)
    message = message_from_bytes(delivery.message or b"", policy=default)
    plain, html = (part.get_content() for part in message.iter_parts())
    return plain, html


def asked(config: Path) -> list[str]:
    """The links of the mail in the outbox by which a reader says what they think, two a paper."""
    return [address for address in addresses(mailed(config)[1]) if "/opinion/" in address]


def judged(config: Path) -> list[Judgement]:
    """What has been recorded."""
    with app.load(str(config), {}).store() as store:
        return list(store.judgements("me"))
