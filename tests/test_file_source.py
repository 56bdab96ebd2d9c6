"""Saved pages: which files are read, and what becomes of the bad ones."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from sites import NOW, converse

from digest.core.model import Listing, Page, PaperId, Period, Reading, Request
from digest.core.model import Paper as PaperRecord
from digest.errors import FetchError, LayoutError, SourceError
from digest.fetch.file import FileFetcher
from digest.sources.file import FileSource


class Lines:
    """Reads pages of a title a line, after a first line that names the layout."""

    name = "lines"
    generic = False

    def __init__(self, layout: str) -> None:
        self.layout = layout

    def recognises(self, page: Page) -> bool:
        return page.content.decode().startswith(f"{self.layout}\n")

    def read(self, page: Page, *, captured_on: date | None = None) -> Reading:
        titles = page.content.decode().splitlines()[1:]
        if "trap" in titles:
            raise TypeError("'int' is no 'str'")
        if "broken" in titles:
            raise LayoutError("a broken line", place=url2pathname(urlsplit(page.url).path))
        papers = (PaperRecord(PaperId(f"title:{title}"), title, published=captured_on) for title in titles)
        listings = tuple(Listing(paper, self.layout, None, n) for n, paper in enumerate(papers))
        return Reading(self.layout, listings, notes=("smudged",) if "smudge" in titles else ())


def collected(source: FileSource, unchanged: Collection[str] = ()) -> Reading:
    """What the source makes of the files there are, some of which have not changed."""

    def fetched(request: Request) -> Page | FetchError | None:
        if Path(request.url).name in unchanged:
            return None
        try:
            return FileFetcher().fetch(request, now=NOW)
        except FetchError as error:
            return error

    return converse(source, Period(NOW, NOW), fetched)[0]


def source(*paths: Path | str, captured_on: date | None = None) -> FileSource:
    readers = [Lines("plain"), Lines("fancy")]
    return FileSource(paths=[str(path) for path in paths], readers=readers, captured_on=captured_on)


def titles(reading: Reading) -> list[str]:
    return [listing.paper.title for listing in reading.listings]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b.txt").write_text("plain\nB1\nB2\n")
    (tmp_path / "a.txt").write_text("fancy\nA1\n")
    (tmp_path / "page.html").write_text("plain\nH1\n")
    return tmp_path


def test_a_folder_is_read_in_order_each_file_by_the_reader_that_knows_it(folder: Path) -> None:
    reading = collected(source(folder))
    assert titles(reading) == ["A1", "B1", "B2", "H1"]
    assert [listing.position for listing in reading.listings] == [0, 0, 1, 0]
    assert {listing.source for listing in reading.listings} == {"file"}
    assert (reading.layout, reading.complete, reading.notes) == ("fancy + plain", True, ())


def test_hidden_and_unfinished_files_and_folders_within_are_left_alone(folder: Path) -> None:
    for name in (".hidden", "b.txt~", "page.html.part", "page.tmp"):
        (folder / name).write_text("plain\nX\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "c.txt").write_text("plain\nC1\n")
    assert titles(collected(source(folder))) == ["A1", "B1", "B2", "H1"]
    assert titles(collected(source(folder / "*"))) == ["A1", "B1", "B2", "H1"]


def test_a_pattern_chooses_and_two_stars_go_into_folders(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "c.txt").write_text("plain\nC1\n")
    assert titles(collected(source(folder / "*.txt"))) == ["A1", "B1", "B2"]
    assert titles(collected(source(folder / "**" / "c.txt"))) == ["C1"]


def test_a_file_that_two_paths_mean_is_read_once(folder: Path) -> None:
    assert titles(collected(source(folder / "a.txt", folder, folder / "*.txt"))) == ["A1", "B1", "B2", "H1"]


def test_a_name_that_looks_like_a_pattern_is_a_name_if_it_is_there(folder: Path) -> None:
    (folder / "copy[1].txt").write_text("plain\nC1\n")
    assert titles(collected(source(folder / "copy[1].txt"))) == ["C1"]


def test_a_tilde_is_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert titles(collected(source("~/a.txt", "~/*.html"))) == ["A1", "H1"]


def test_an_empty_folder_and_a_pattern_without_files_are_no_errors(tmp_path: Path) -> None:
    reading = collected(source(tmp_path, tmp_path / "*.txt"))
    assert (reading.listings, reading.complete, reading.notes) == ((), True, ())


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.txt: there is no such file"):
        collected(source(tmp_path / "gone.txt"))


def test_a_bad_file_is_named_and_hides_no_good_one(folder: Path) -> None:
    (folder / "broken.txt").write_text("plain\nbroken\n")
    (folder / "other.txt").write_text("dear diary\n")
    (folder / "zero.txt").write_text("")
    (folder / "picture.png").write_bytes(b"PNG\0")
    (folder / "wall.html").write_text("<!doctype html><title>Just a moment...</title>")
    reading = collected(source(folder, folder / "gone.txt"))
    assert titles(reading) == ["A1", "B1", "B2", "H1"]
    assert not reading.complete
    assert [Path(note.split(": ")[0]).name for note in reading.notes] == [
        "broken.txt",
        "gone.txt",
        "other.txt",
        "picture.png",
        "wall.html",
        "zero.txt",
    ]
    broken, gone, other, picture, wall, zero = reading.notes
    assert "a broken line" in broken
    assert "there is no such file" in gone
    assert "no page that digest knows" in other
    assert "binary" in picture
    assert "log in" in wall
    assert "nothing in it" in zero


def test_a_file_that_breaks_its_reader_hides_no_good_one(folder: Path) -> None:
    (folder / "b.txt").write_text("plain\ntrap\n")
    reading = collected(source(folder))
    assert (titles(reading), reading.complete) == (["A1", "H1"], False)
    (note,) = reading.notes
    assert note.startswith(f"{folder / 'b.txt'}: a reader broke off with TypeError: 'int' is no 'str'.")


def test_if_every_file_is_bad_the_first_error_is_raised(tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text("dear diary\n")
    with pytest.raises(LayoutError, match=r"one\.txt"):
        collected(source(tmp_path))


def test_a_file_that_has_not_changed_is_not_read_again(folder: Path) -> None:
    reading = collected(source(folder), ["a.txt", "b.txt"])
    assert titles(reading) == ["H1"]


def test_the_day_of_capture_is_handed_to_the_reader(folder: Path) -> None:
    (listing,) = collected(source(folder / "a.txt", captured_on=date(2025, 12, 10))).listings
    assert listing.paper.published == date(2025, 12, 10)


def test_a_doubt_of_the_reader_names_its_file(folder: Path) -> None:
    (folder / "a.txt").write_text("plain\nsmudge\n")
    reading = collected(source(folder))
    assert reading.notes == (f"{folder / 'a.txt'}: smudged",)
    assert reading.complete


def test_a_relative_path_starts_at_the_folder_that_is_given(folder: Path) -> None:
    relative = FileSource(paths=["a.txt", "*.html"], readers=[Lines("plain"), Lines("fancy")], folder=folder)
    assert titles(collected(relative)) == ["A1", "H1"]
