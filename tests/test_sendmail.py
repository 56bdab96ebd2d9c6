from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import pytest
from tools import absent, needed

from digest.deliver.sendmail import SendmailDeliverer
from digest.errors import (
    DeliveryError,
    PermanentDeliveryError,
    RefusedByServerError,
    TransientDeliveryError,
    UncertainDeliveryError,
    UnreachableError,
)

READER = "Rea Der <reader@example.test>"
SENDER = "digest@example.test"
MAIL = b"Subject: Five papers\r\n\r\n.\r\n..two dots\r\n\r\nEnd.\r\n"


def nothing() -> None:
    pass


def never() -> None:
    pytest.fail("the message was handed over")


def program(code: str) -> list[str]:
    """A program that does this with `arguments` and `message`."""
    return [sys.executable, "-c", f"import os, sys, time\narguments = sys.argv[1:]\n{code}"]


def deliver(command: list[str], **settings: Any) -> None:  # noqa: ANN401 - any of the settings
    with closing(SendmailDeliverer(command, SENDER, **settings)) as sendmail:
        sendmail.deliver(MAIL, READER, handing_over=nothing)


def test_program_is_given_envelope_and_message_with_the_line_ends_of_this_machine(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    deliver(program(f"open({str(taken)!r}, 'wb').write(repr(arguments).encode() + sys.stdin.buffer.read())"))
    expected = ["-f", "digest@example.test", "--", "reader@example.test"]
    assert taken.read_bytes() == repr(expected).encode() + MAIL.replace(b"\r\n", b"\n")


def test_recipient_can_be_no_option_and_no_second_recipient(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    command = program(f"open({str(taken)!r}, 'w').write(arguments[-1])")
    SendmailDeliverer(command, SENDER).deliver(MAIL, "-oQ/tmp@example.test", handing_over=nothing)
    assert taken.read_text() == "-oQ/tmp@example.test"
    with pytest.raises(PermanentDeliveryError, match="not an e-mail address"):
        SendmailDeliverer(command, SENDER).deliver(MAIL, "a@example.test, b@example.test", handing_over=never)


def test_handing_over_is_written_down_before_the_program_is_started(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    command = program(f"open({str(taken)!r}, 'w')")
    SendmailDeliverer(command, SENDER).deliver(MAIL, READER, handing_over=lambda: check(not taken.exists()))
    assert taken.exists()


def check(holds: bool) -> None:  # noqa: FBT001
    assert holds


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (75, TransientDeliveryError, "EX_TEMPFAIL"),
        (68, TransientDeliveryError, "EX_NOHOST"),
        (1, TransientDeliveryError, "status 1:"),
        (67, PermanentDeliveryError, "EX_NOUSER"),
        (69, PermanentDeliveryError, "EX_UNAVAILABLE"),
        (78, RefusedByServerError, r"EX_CONFIG.*email\.command"),
        (77, RefusedByServerError, "EX_NOPERM"),
    ],
)
def test_status_says_what_becomes_of_the_message(status: int, kind: type[DeliveryError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        deliver(program(f"sys.stderr.write('no\\x1b[2J such\\nuser'); sys.exit({status})"))
    assert caught.type is kind
    assert "no [2J such user" in caught.value.message
    assert caught.value.place == sys.executable


def test_program_that_says_nothing_fails_by_its_status() -> None:
    with pytest.raises(TransientDeliveryError) as caught:
        deliver(program("sys.exit(3)"))
    assert caught.value.message == "the program failed with status 3"


def test_program_that_says_too_much_is_quoted_shortly() -> None:
    with pytest.raises(PermanentDeliveryError) as caught:
        deliver(program("sys.stderr.buffer.write(b'\\xff very' * 1_000_000); sys.exit(65)"))
    assert len(caught.value.message) < 400


def test_program_that_never_ends_leaves_it_uncertain() -> None:
    with pytest.raises(UncertainDeliveryError, match=r"did not end within 0\.5 s"):
        deliver(program("time.sleep(60)"), timeout=0.5)


def test_program_that_is_killed_leaves_it_uncertain() -> None:
    with pytest.raises(UncertainDeliveryError, match="signal 9"):
        deliver(program("os.kill(os.getpid(), 9)"))


def test_daemon_that_the_program_leaves_behind_is_not_waited_for() -> None:
    left = program("time.sleep(60)")
    code = f"import subprocess\nprint(subprocess.Popen({left!r}).pid, flush=True)\nsys.exit(75)"
    with pytest.raises(TransientDeliveryError) as caught:
        deliver(program(code), timeout=30)
    os.kill(int(caught.value.message.rpartition(": ")[2]), 9)


@pytest.mark.parametrize("command", [["/nowhere/sendmail"], ["sendmail\0"], [__file__]])
def test_program_that_is_missing_is_told_with_what_to_do(command: list[str]) -> None:
    with pytest.raises(RefusedByServerError, match=r"cannot be run: .*email\.command"):
        deliver(command)


def test_disk_without_room_for_the_message_is_told_before_anything_is_handed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(UnreachableError, match="Make room"):
        SendmailDeliverer(program(""), SENDER).deliver(MAIL, READER, handing_over=never)


def full() -> IO[bytes]:
    """A file on a disk that is full."""
    return Path("/dev/full").open("w+b", buffering=0)


def test_postfix_queues_the_message_as_it_is(tmp_path: Path) -> None:
    sendmail, postcat = needed("sendmail"), needed("postcat")
    if os.geteuid() != 0:
        absent("only root may queue for a Postfix of its own")
    for folder in ("etc", "queue/maildrop", "queue/public", "queue/pid", "data"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc" / "main.cf").write_text(
        f"compatibility_level = 3.6\nqueue_directory = {tmp_path}/queue\ndata_directory = {tmp_path}/data\n"
        "myhostname = mx.example.test\n"
    )
    (tmp_path / "etc" / "master.cf").write_text("")
    deliver([sendmail, "-i", "-C", f"{tmp_path}/etc"])
    (queued,) = (tmp_path / "queue" / "maildrop").iterdir()
    shown = subprocess.run(
        [postcat, "-c", f"{tmp_path}/etc", "-beh", str(queued)], capture_output=True, check=True
    ).stdout
    assert b"sender: digest@example.test\n" in shown
    assert b"recipient: reader@example.test\n" in shown
    assert MAIL.replace(b"\r\n", b"\n") in shown
