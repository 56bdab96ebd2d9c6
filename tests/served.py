"""A `digest serve` of its own process, and what a mail would have brought a reader from it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import IO

import httpx
from digests import addresses
from world import NOON, configure, listings, report

from digest import app
from digest.core.model import DeliveryState, Judgement, Paper
from digest.web import server

PUBLIC = "https://me.example.org/digest"


@contextmanager
def serving(config: Path, *arguments: str) -> Iterator[httpx.Client]:
    """Run the server; gives a client that reaches it as somebody on this machine does."""
    with started("serve", "--config", str(config), *arguments) as (process, address):
        try:
            with httpx.Client(base_url=address) as client:
                yield client
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0


@contextmanager
def started(*arguments: str, stderr: IO[str] | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a command that serves, at a free port; gives its process and its address."""
    command = [sys.executable, "-m", "digest", *arguments, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        assert process.stdout is not None
        said, address = process.stdout.readline().split()
        assert said == "Serving"
        yield process, address


@contextmanager
def answering(config: Path, *, host: str = "127.0.0.1", is_public: bool = False) -> Iterator[httpx.Client]:
    """Serve within this process, on loopback, as if at `host`; gives a client that reaches it."""
    application = server.application(app.load(str(config), {}), host=host, is_public=is_public)
    with server.listen("127.0.0.1", 0) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with (
            server.serving(application, listener, ended=lambda: None),
            httpx.Client(base_url=address) as client,
        ):
            yield client


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
