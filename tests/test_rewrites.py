"""Whoever reads the feeds while they are rewritten, and the writer is killed, reads whole documents.

A process publishes versions of the feeds, is killed at random moments and started again.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from digests import ISSUED, profile, sample
from served import serving
from world import configure

from digest.core.model import Artifact
from digest.core.shelf import shelf
from digest.deliver.file import FilePublisher
from digest.render import environment
from digest.render.feed import FeedRenderer

REWRITES = 1000
VERSIONS = 40  # of each file; they are made beforehand, so that kills meet the writing
FILES = ("atom.xml", "rss.xml", "feed.json")


@cache
def version(number: int) -> tuple[Artifact, ...]:
    """The feeds of a digest that differs in its dates and in its length."""
    issue = replace(sample(), issued_at=ISSUED + timedelta(hours=number))
    kept = issue.sections[: 1 + number % len(issue.sections)]
    renderer = FeedRenderer(environment(), base_url="https://me.example.org")
    made = renderer.render(profile(), shelf([replace(issue, sections=kept)]))
    return tuple(
        Artifact(f"feeds/swin/{artifact.path}", artifact.content)
        for artifact in made
        if artifact.path in FILES
    )


def content(number: int, name: str) -> bytes:
    return next(made.content for made in version(number) if made.path.endswith(name))


def publish(folder: Path, start: int, done: int) -> None:
    """Publish one version after another, and tell after each file."""
    publisher = FilePublisher(folder)
    for number in range(start, start + REWRITES):
        for artifact in version(number % VERSIONS):
            if publisher.publish([artifact]):
                os.write(done, b".")


def rewritten(folder: Path, dice: random.Random) -> tuple[int, int]:
    """Let processes publish, each until it is killed; gives how many files were replaced, and the kills."""
    for number in range(VERSIONS):
        version(number)
    rewrites = kills = 0
    enough = time.monotonic() + 5  # seconds, for those who read over HTTP
    while rewrites < REWRITES or time.monotonic() < enough:
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                publish(folder, dice.randrange(VERSIONS), tell)
            finally:
                os._exit(1)
        os.close(tell)
        time.sleep(dice.uniform(0.0, 0.2))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1
        while some := os.read(told, 65536):
            rewrites += len(some)
        os.close(told)
    return rewrites, kills


class Poller:
    """Reads the files again and again, in a thread of its own."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self.seen: dict[str, set[bytes]] = defaultdict(set)
        self.times = 0
        self.problem: Exception | None = None
        self._read = read
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll)

    def _poll(self) -> None:
        try:
            while not self._stop.is_set():
                for name in FILES:
                    content = self._read(f"feeds/swin/{name}")
                    if content not in self.seen[name]:
                        json.loads(content) if name.endswith(".json") else ET.fromstring(content)  # noqa: S314 - our own
                        self.seen[name].add(content)
                    self.times += 1
        except Exception as error:  # noqa: BLE001 - raised again where the test can see it
            self.problem = error

    @contextmanager
    def polling(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
        if self.problem:
            raise self.problem


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name not in FILES]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills are POSIX's")
def test_nobody_reads_half_a_file_and_nothing_is_left_behind(tmp_path: Path) -> None:
    config = configure(tmp_path, profiles=("swin",))
    folder = tmp_path / "public"
    known = {name: {content(number, name) for number in range(VERSIONS)} for name in FILES}
    assert {len(contents) for contents in known.values()} == {VERSIONS}
    publisher = FilePublisher(folder)
    publisher.publish(version(0))

    with serving(config) as client:
        local = Poller(lambda path: (folder / path).read_bytes())
        remote = Poller(lambda path: client.get(path).raise_for_status().content)
        with local.polling(), remote.polling():
            writer = [sys.executable, __file__, str(folder)]
            done = subprocess.run(writer, capture_output=True, text=True, check=False, timeout=120)
    rewrites, kills = map(int, done.stdout.split() or pytest.fail(done.stderr))
    assert rewrites >= REWRITES
    assert kills > 10
    for poller in (local, remote):
        assert [name for name in FILES if len(poller.seen[name]) < 10] == []
        assert [name for name in FILES if poller.seen[name] - known[name]] == []

    (folder / "feeds" / "swin" / ".0123456789abcdef.part").write_bytes(b"<fe")  # should no kill have left one
    publisher.publish([replace(version(0)[0], content=b"<feed/>")])
    assert leftovers(folder)  # somebody may be writing it
    for path in leftovers(folder):
        os.utime(path, (1, 1))
    publisher.publish(version(1))
    assert leftovers(folder) == []


if __name__ == "__main__":
    print(*rewritten(Path(sys.argv[1]), random.Random()))  # noqa: S311, T201 - moments; told by standard output
