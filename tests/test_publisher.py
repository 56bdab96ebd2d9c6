from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from digest.core.model import Artifact
from digest.deliver.file import FilePublisher
from digest.errors import DeliveryError, PermanentDeliveryError, TransientDeliveryError

FEED = Artifact("feeds/vision/atom.xml", b"<feed/>\r\n")


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_files_appear_byte_for_byte_below_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "public"
    assert FilePublisher(folder).publish([FEED, Artifact("index.html", b"\0\xff")]) == 2
    assert files(folder) == {"feeds/vision/atom.xml": b"<feed/>\r\n", "index.html": b"\0\xff"}


def test_unchanged_file_is_left_alone_and_not_counted(tmp_path: Path) -> None:
    publisher = FilePublisher(tmp_path)
    publisher.publish([FEED])
    os.utime(tmp_path / FEED.path, (1, 1))
    assert publisher.publish([FEED, Artifact("index.html", b"new")]) == 1
    assert (tmp_path / FEED.path).stat().st_mtime == 1


def test_changed_file_is_replaced_while_a_reader_keeps_the_old_one(tmp_path: Path) -> None:
    publisher = FilePublisher(tmp_path)
    publisher.publish([FEED])
    with (tmp_path / FEED.path).open("rb") as reader:
        assert publisher.publish([Artifact(FEED.path, b"changed")]) == 1
        assert reader.read() == FEED.content
    assert files(tmp_path) == {FEED.path: b"changed"}


def test_it_says_what_is_there(tmp_path: Path) -> None:
    publisher = FilePublisher(tmp_path)
    publisher.publish(
        [FEED, Artifact("feeds/vision/swin/atom.xml", b"x"), Artifact("feeds/feeds.opml", b"y")]
    )
    assert publisher.published("feeds/vision") == {"atom.xml", "swin/atom.xml"}
    assert publisher.published("archive/vision") == frozenset()
    assert publisher.folders("feeds") == {"vision"}
    assert publisher.folders("archive") == frozenset()
    assert publisher.read("feeds/feeds.opml") == b"y"
    assert publisher.read("feeds/vision") == publisher.read("nothing") == b""


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("umask", [0o077, 0o022, 0])
def test_everybody_may_read_what_is_public_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public").chmod(0o750)  # as the owner wants it
    published = masked(umask, tmp_path / "public", is_public=True)
    assert published == {"feeds": 0o755, "feeds/vision": 0o755, FEED.path: 0o644}
    assert stat.S_IMODE((tmp_path / "public").stat().st_mode) == 0o750
    assert masked(umask, tmp_path / "data" / "www", is_public=True) == published
    assert stat.S_IMODE((tmp_path / "data" / "www").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o777 & ~umask


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_preview_is_its_owners_alone(tmp_path: Path) -> None:
    assert masked(0o077, tmp_path / "out", is_public=False) == {
        "feeds": 0o700,
        "feeds/vision": 0o700,
        FEED.path: 0o600,
    }


def masked(umask: int, folder: Path, *, is_public: bool) -> dict[str, int]:
    """Publish a feed with a umask; gives the modes of what was made."""
    before = os.umask(umask)
    try:
        FilePublisher(folder, is_public=is_public).publish([FEED])
    finally:
        os.umask(before)
    return {
        path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")
    }


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../../x",
        "/x",
        "//host/share/x",
        "C:/x",
        "C:x",
        "..\\x",
        "a\\..\\..\\x",
        "\\x",
        "",
        ".",
        "a\0b",
    ],
)
def test_path_that_leaves_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "public"
    with pytest.raises(PermanentDeliveryError, match="leaves the folder"):
        FilePublisher(folder).publish([Artifact(path, b"x")])
    assert files(tmp_path) == {}


def test_target_that_cannot_be_replaced_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / FEED.path).mkdir(parents=True)
    with pytest.raises(PermanentDeliveryError, match=r"cannot be written: .*--out") as caught:
        FilePublisher(tmp_path).publish([FEED])
    assert caught.value.place == str(tmp_path / FEED.path)
    assert files(tmp_path) == {}


def test_folder_below_a_file_is_refused_and_earlier_files_stay(tmp_path: Path) -> None:
    (tmp_path / "feeds").write_bytes(b"a file")
    with pytest.raises(PermanentDeliveryError, match=r"cannot be written: .*--out"):
        FilePublisher(tmp_path).publish([Artifact("index.html", b"x"), FEED])
    assert files(tmp_path) == {"feeds": b"a file", "index.html": b"x"}


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, TransientDeliveryError, "No space left on device. Make room on the disk"),
        (errno.EIO, TransientDeliveryError, "Input/output error"),
        (errno.EROFS, PermanentDeliveryError, "Read-only file system. Let the user"),
    ],
)
def test_failing_disk_says_what_to_do_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[DeliveryError], words: str
) -> None:
    publisher = FilePublisher(tmp_path)
    publisher.publish([FEED])

    def failing(_file: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(kind, match=words):
        publisher.publish([Artifact(FEED.path, b"changed")])
    assert files(tmp_path) == {FEED.path: FEED.content}
