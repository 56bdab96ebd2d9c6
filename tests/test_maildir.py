"""Messages as files: in a Maildir, and as `.eml`."""

from __future__ import annotations

import errno
import mailbox
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest

from digest.deliver.eml import EmlDeliverer
from digest.deliver.maildir import MaildirDeliverer
from digest.errors import (
    RefusedByServerError,
    StoreError,
    TransientDeliveryError,
    UnreachableError,
)

READER = "Rea Der <reader@example.test>"
MAIL = (
    b"Subject: Five papers\r\nMessage-ID: <1@example.test>\r\nDate: Fri, 20 Nov 2026 06:00:04 +0000\r\n\r\n"
    b"From here on\r\n.\r\nEnd.\r\n"
)
OTHER = MAIL.replace(b"Five", b"Six")

Make = Callable[[Path], MaildirDeliverer | EmlDeliverer]
BOTH = pytest.mark.parametrize("make", [MaildirDeliverer, EmlDeliverer])


def nothing() -> None:
    pass


def never() -> None:
    pytest.fail("the message was handed over")


def written(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def failing(code: int) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    return fail


def test_maildir_is_made_for_its_owner_alone_and_any_mail_program_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "Maildir"
    with closing(MaildirDeliverer(folder)) as maildir:
        maildir.deliver(MAIL, READER, handing_over=nothing)
        maildir.deliver(OTHER, READER, handing_over=nothing)
    assert {message["Subject"] for message in mailbox.Maildir(folder, create=False)} == {
        "Five papers",
        "Six papers",
    }
    assert all(path.parent.name == "new" and path.stat().st_mode & 0o777 == 0o600 for path in written(folder))
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o700}


@BOTH
def test_second_copy_after_a_lost_answer_is_the_first(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    make(folder).deliver(MAIL, READER, handing_over=nothing)
    before = written(folder)
    make(folder).deliver(MAIL, READER, handing_over=never)
    assert written(folder) == before


@pytest.mark.parametrize("marks", [":2,S", ",U=7:2,RS", ":2,"])
def test_second_copy_is_known_where_a_reader_has_looked_at_the_first(marks: str, tmp_path: Path) -> None:
    MaildirDeliverer(tmp_path).deliver(MAIL, READER, handing_over=nothing)
    (first,) = written(tmp_path)
    first.rename(tmp_path / "cur" / f"{first.name}{marks}")
    MaildirDeliverer(tmp_path).deliver(MAIL, READER, handing_over=never)
    assert len(written(tmp_path)) == 1


@BOTH
def test_what_ends_before_the_message_has_its_name_leaves_nothing_behind(make: Make, tmp_path: Path) -> None:
    def killed() -> None:
        raise StoreError("the disk is full")

    with pytest.raises(StoreError):
        make(tmp_path).deliver(MAIL, READER, handing_over=killed)
    assert written(tmp_path) == []
    make(tmp_path).deliver(MAIL, READER, handing_over=nothing)
    assert len(written(tmp_path)) == 1


@BOTH
def test_file_and_folder_are_synced_before_it_counts_as_sent(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not name open files")
    make(tmp_path).deliver(MAIL, READER, handing_over=nothing)  # which makes the folders
    monkeypatch.setattr(os, "fsync", noted)
    make(tmp_path).deliver(OTHER, READER, handing_over=nothing)
    (path,) = [path for path in written(tmp_path) if b"Six" in path.read_bytes()]
    assert [path.name in name for name in synced] == [True, False]
    assert synced[-1] == path.parent.name


@pytest.mark.parametrize("there", [(), ("tmp",), ("new", "cur"), ("cur", "new", "tmp", ".Archive")])
def test_maildir_that_was_begun_is_completed(there: tuple[str, ...], tmp_path: Path) -> None:
    for name in there:
        (tmp_path / name).mkdir()
    MaildirDeliverer(tmp_path).deliver(MAIL, READER, handing_over=nothing)
    assert {path.name for path in tmp_path.iterdir()} == {"cur", "new", "tmp", *there}


def test_folder_that_holds_something_else_becomes_no_maildir(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RefusedByServerError, match=r"no Maildir.*email\.folder"):
        MaildirDeliverer(tmp_path).deliver(MAIL, READER, handing_over=never)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@BOTH
def test_file_in_the_place_of_the_folder_is_told(make: Make, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(RefusedByServerError, match=r"out: cannot be written: .*email\.folder"):
        make(tmp_path / "out").deliver(MAIL, READER, handing_over=never)


@BOTH
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, UnreachableError),  # which waits until there is room
        (errno.EROFS, RefusedByServerError),
        (errno.EIO, TransientDeliveryError),
    ],
)
def test_disk_that_does_not_take_it_is_told_and_the_message_waits(
    make: Make, code: int, kind: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", failing(code))
        with pytest.raises(kind, match=os.strerror(code)) as caught:
            make(tmp_path / "out").deliver(MAIL, READER, handing_over=never)
    assert caught.type is kind
    make(tmp_path / "out").deliver(MAIL, READER, handing_over=nothing)
    assert len(written(tmp_path)) == 1


def test_system_that_opens_no_folders_is_served_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def as_on_windows(path: Path, flags: int, mode: int = 0o777) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", as_on_windows)
    EmlDeliverer(tmp_path).deliver(MAIL, READER, handing_over=nothing)
    assert len(written(tmp_path)) == 1


def test_eml_is_the_message_and_its_name_says_when_and_for_whom(tmp_path: Path) -> None:
    with closing(EmlDeliverer(tmp_path / "out")) as eml:
        eml.deliver(MAIL, READER, handing_over=nothing)
    (path,) = written(tmp_path)
    assert path.name.startswith("2026-11-20-reader@example.test-")
    assert path.suffix == ".eml"
    assert path.read_bytes() == MAIL
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "recipient", ["../../etc/passwd@example.test", "a/b", "C:\\x\0y", "é" * 300, "x" * 300 + "@example.test"]
)
def test_recipient_of_any_kind_names_a_file_in_the_folder(recipient: str, tmp_path: Path) -> None:
    EmlDeliverer(tmp_path / "out").deliver(MAIL, recipient, handing_over=nothing)
    assert [path.parent for path in written(tmp_path)] == [tmp_path / "out"]


@pytest.mark.parametrize(
    ("date", "day"),
    [
        (b"Fri, 20 Nov 2026 23:59:00 -0500", "2026-11-21"),
        (b"Fri, 20 Nov 2026 06:00:04 -0000", "2026-11-20"),  # RFC 5322, 3.3: it says nothing of a zone
        (b"some day", "1970-01-01"),
        (b"", "1970-01-01"),
    ],
)
def test_date_of_the_name_is_that_of_the_message_in_utc(date: bytes, day: str, tmp_path: Path) -> None:
    message = MAIL.replace(b"Fri, 20 Nov 2026 06:00:04 +0000", date)
    EmlDeliverer(tmp_path).deliver(message, READER, handing_over=nothing)
    MaildirDeliverer(tmp_path / "Maildir").deliver(message, READER, handing_over=nothing)
    assert {path.name[:10] for path in tmp_path.glob("*.eml")} == {day}
