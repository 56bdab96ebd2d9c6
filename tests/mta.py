"""A real mail server on this machine: Postfix takes messages, Dovecot keeps them and gives them back."""

from __future__ import annotations

import fcntl
import imaplib
import os
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from tools import absent, needed

READER = "reader@example.test"
LOGIN = ("sender@example.test", "pass word:é")
PORTS = {"starttls": 2587, "tls": 2465}
IMAP = 2143

_PATIENCE = 60  # seconds


@dataclass(frozen=True)
class Mta:
    """A running pair of servers, which keeps second copies."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "tls" / "cert.pem"

    def settle(self) -> None:
        """Wait until everything that was taken has been delivered."""
        queues = [self.folder / "spool" / name for name in ("maildrop", "incoming", "active", "deferred")]
        deadline = time.monotonic() + _PATIENCE
        # The server may have yet to read what a client wrote before it was killed.
        while _is_talking() or any(path.is_file() for queue in queues for path in queue.rglob("*")):
            assert time.monotonic() < deadline, "the queue does not get empty"
            time.sleep(0.05)

    def mails(self) -> list[bytes]:
        """What is in the reader's mailbox, read by IMAP; it is empty afterwards."""
        self.settle()
        with imaplib.IMAP4("127.0.0.1", IMAP, timeout=_PATIENCE) as client:
            client.starttls(ssl.create_default_context(cafile=self.certificate))
            client.authenticate("PLAIN", lambda _: "\0".join(("", READER, LOGIN[1])).encode())
            _, (count, *_) = client.select()
            if count == b"0":
                return []
            _, found = client.fetch("1:*", "(BODY.PEEK[])")
            mails = [part[1] for part in found if isinstance(part, tuple)]
            client.store("1:*", "+FLAGS", r"(\Deleted)")
            client.expunge()
        return mails


def _is_talking() -> bool:
    """Whether the server holds a connection for mail open (proc(5), `/proc/net/tcp`)."""
    ports = {f"{port:04X}" for port in PORTS.values()}
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    established, close_wait = "01", "08"
    return any(
        local.rpartition(":")[2] in ports and state in {established, close_wait}
        for _, local, _, state, *_ in map(str.split, lines)
    )


@contextmanager
def mta(shared: Path) -> Iterator[Mta]:
    """The servers, for as long as the block lasts; their ports are fixed, so one block at a time."""
    for program in ("postfix", "dovecot", "doveadm", "openssl"):
        needed(program)
    if os.geteuid() != 0:
        absent("Postfix is started by root alone")
    environment = os.environ | {"DEDUP": "0"}
    with (
        Path(tempfile.gettempdir(), "digest-test-mta.lock").open("w") as lock,
        tempfile.TemporaryDirectory() as name,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        Path(name).chmod(0o755)  # the servers run as users of their own
        # Not to a pipe: the servers keep open what they are given.
        with Path(name, "said").open("w+b") as said:
            scripts = [shared / "tools" / f"mta-{what}.sh" for what in ("start", "stop")]
            start, stop = (
                partial(subprocess.run, ["bash", one, name], stdout=said, stderr=said, umask=0o022)
                for one in scripts
            )
            try:
                if start(env=environment, check=False).returncode:
                    pytest.fail(Path(name, "said").read_text(errors="replace"))
                yield Mta(Path(name))
            finally:
                stop(check=False)
