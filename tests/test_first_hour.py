"""The first hour of somebody new, typed from a transcript: to a mail in a mailbox and a feed in a reader.

The mail server is Postfix, the mailbox Dovecot's, the reader newsboat; all of them are on this machine.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from keyrings import with_keyring
from manuals import ROOT, fenced
from mta import LOGIN, Mta, mta
from shell import Terminal, agrees, steps
from tools import UNMEASURED, needed

pytestmark = pytest.mark.xdist_group("mta")

TRANSCRIPT = "tests/data/first-hour/transcript.md"


@pytest.fixture(scope="module")
def server(shared: Path) -> Iterator[Mta]:
    with mta(shared) as one:
        yield one


def shown(mail: bytes) -> str:
    """A mail as a mailbox shows it."""
    message = message_from_bytes(mail, policy=default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain",))
    assert body is not None
    head = "".join(f"{name}: {message[name]}\n" for name in ("From", "To", "Subject"))
    return f"{head}\n{body.get_content()}".replace("\r\n", "\n")


def test_somebody_new_gets_a_mail_and_a_feed_by_what_is_written_down(server: Mta, tmp_path: Path) -> None:
    needed("newsboat")
    checkout = tmp_path / "digest"
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/digest").symlink_to(Path(sys.executable).with_name("digest"))
    shutil.copytree(ROOT / "config", checkout / "config")
    keyring = with_keyring(tmp_path / "machine")
    del keyring["XDG_CONFIG_HOME"]
    environ = {
        **{name: value for name, value in UNMEASURED.items() if name == "TMPDIR"},
        **keyring,
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "PATH": "/usr/bin:/bin",
        "SSL_CERT_FILE": str(server.certificate),  # as on a machine that trusts its own mail server
        "TERM": "dumb",
        "TZ": "Europe/Berlin",
    }
    mails: list[bytes] = []
    with Terminal(checkout, environ, {"Password": LOGIN[1]}, {"/home/ada": str(tmp_path)}) as terminal:
        for block in fenced(TRANSCRIPT):
            if block.language == "text":
                mails = mails or sorted(server.mails(), key=lambda one: b"test mail" not in one)
                mail = shown(mails.pop(0))
                assert agrees(block.text.splitlines(), mail), mail
                continue
            for step in steps(block.text):
                if "pip install" in step.command:  # a minute, and an index
                    continue
                code, said = terminal.run(step)
                assert not code, f"{step.command}\n{said}"
                assert agrees(step.shown, said), f"{step.command}\n{said}"
    assert mails == []
    with closing(sqlite3.connect(tmp_path / "cache.db")) as cache:
        titles = {title for (title,) in cache.execute("SELECT title FROM rss_item")}
    assert "GlazeSwin: Reading Crackle Patterns of Old Pottery" in titles
