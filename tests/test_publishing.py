"""What stands in `output_dir` after runs: everything that is wanted, and nothing written in vain."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from commands import Run
from world import SWIN_PAGE, configure

HERE = "http://127.0.0.1:8470"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


def page(folder: Path, number: int = 0) -> None:
    """Save a page with one paper about Swin, and others."""
    text = SWIN_PAGE.replace("SwinLeaf", f"SwinLeaf {number}").replace("invented", f"{number} invented")
    (folder / "inbox" / f"{number}.txt").write_text(text, encoding="utf-8")


def public(folder: Path) -> dict[str, bytes]:
    root = folder / "public"
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def times(folder: Path) -> dict[str, int]:
    return {name: (folder / "public" / name).stat().st_mtime_ns for name in public(folder)}


def entries(folder: Path, name: str = "me/feed.json") -> list[dict[str, str]]:
    return list(json.loads((folder / "public" / "feeds" / name).read_bytes())["items"])


def test_feeds_can_be_subscribed_to_before_anything_was_found(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, profiles=("ada", "bob"))
    (tmp_path / "inbox" / "none.txt").write_text(SWIN_PAGE.replace("Swin", "Fern"), encoding="utf-8")
    assert run("run", "--config", config) == 0
    named = re.findall(f'xmlUrl="{HERE}/feeds/([^"]*)"', public(tmp_path)["feeds/feeds.opml"].decode())
    assert named == ["atom.xml", "ada/atom.xml", "bob/atom.xml"]
    for name in named:
        assert entries(tmp_path, name.replace("atom.xml", "feed.json")) == []
    assert "index.html" in public(tmp_path)


def test_a_run_without_new_papers_touches_no_file(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    page(tmp_path)
    assert run("run", "--config", config) == 0
    before = times(tmp_path)
    for _ in range(2):
        assert run("run", "--config", config) == 0
    assert times(tmp_path) == before


def test_a_new_paper_changes_the_feeds_and_the_pages_that_name_it_alone(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, profiles=("ada", "bob"))
    page(tmp_path)
    assert run("run", "--config", config, "--at", "2026-11-20T07:00") == 0
    first, before = public(tmp_path), times(tmp_path)
    page(tmp_path, 1)
    assert run("run", "--config", config, "--at", "2026-11-21T07:00", "--profile", "ada") == 0
    changed = {name for name, at in times(tmp_path).items() if before.get(name) != at}
    assert {name for name in changed if "bob" in name} == set()
    assert {name for name in changed if name.startswith("feeds")} == {
        "feeds/ada/.made",
        *(f"feeds/{name}{form}" for name in ("", "ada/") for form in ("atom.xml", "rss.xml", "feed.json")),
    }
    assert len(entries(tmp_path, "ada/feed.json")) == 2
    assert entries(tmp_path, "feed.json")[0]["title"].startswith("SwinLeaf 1")
    assert first.keys() < public(tmp_path).keys()


def test_a_folder_that_was_lost_is_written_again_as_it_was(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, profiles=("ada", "bob"))
    page(tmp_path)
    assert run("run", "--config", config) == 0
    before = public(tmp_path)
    shutil.rmtree(tmp_path / "public")
    assert run("run", "--config", config) == 0
    assert public(tmp_path) == before


@pytest.mark.parametrize("lost", ["feeds", "archive/bob", "feeds/ada"])
def test_a_part_of_the_folder_that_was_lost_is_written_again(tmp_path: Path, run: Run, lost: str) -> None:
    config = configure(tmp_path, profiles=("ada", "bob"))
    page(tmp_path)
    assert run("run", "--config", config) == 0
    before = public(tmp_path)
    shutil.rmtree(tmp_path / "public" / lost)
    assert run("run", "--config", config) == 0
    assert public(tmp_path) == before


def test_a_template_that_was_changed_is_seen_in_the_next_run(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, extra='templates = "mine"\n')
    (tmp_path / "mine").mkdir()
    page(tmp_path)
    assert run("run", "--config", config) == 0
    (tmp_path / "mine" / "archive_style.css.j2").write_text("body { color: rebeccapurple }", encoding="utf-8")
    (tmp_path / "mine" / "feed.css.j2").write_text("rss { color: rebeccapurple }", encoding="utf-8")
    assert run("run", "--config", config) == 0
    changed = {name for name, content in public(tmp_path).items() if b"rebeccapurple" in content}
    assert {"index.html", "archive/me/index.html", "feeds/feed.css"} < changed
    assert len(changed) == 4


def test_a_clock_that_goes_back_loses_no_entry(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, extra="[feeds]\nentries = 2\n")
    for day in (10, 11, 12, 3):
        page(tmp_path, day)
        assert run("run", "--config", config, "--at", f"2026-11-{day:02}T07:00") == 0
    named = [
        item["title"].partition(":")[0]
        for name in public(tmp_path)
        if re.fullmatch(r"feeds/me/feed(-\d+)?\.json", name)
        for item in entries(tmp_path, name.removeprefix("feeds/"))
    ]
    assert set(named) == {f"SwinLeaf {day}" for day in (10, 11, 12, 3)}
    assert entries(tmp_path)[0]["title"].startswith("SwinLeaf 3")


def test_a_change_that_was_taken_back_half_way_leaves_nothing(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, profiles=("ada", "bob"))
    page(tmp_path)
    assert run("run", "--config", config) == 0
    before, text = public(tmp_path), config.read_text(encoding="utf-8")
    config.write_text(f'{text}[feeds]\nbase_url = "https://new.example.org"\n', encoding="utf-8")
    blocked = tmp_path / "public" / "archive" / "bob" / "index.html"
    blocked.unlink()
    blocked.mkdir()
    assert run("run", "--config", config) == 1
    blocked.rmdir()
    config.write_text(text, encoding="utf-8")
    assert run("run", "--config", config) == 0
    assert public(tmp_path) == before


def test_a_database_from_a_backup_makes_its_pages_anew(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, extra='[schedule]\nat = ["07:00"]\n')
    page(tmp_path, 1)
    assert run("run", "--config", config, "--at", "2026-11-19T07:00") == 0
    shutil.copytree(tmp_path / "data", tmp_path / "backup")
    page(tmp_path, 2)
    assert run("run", "--config", config, "--at", "2026-11-20T07:00") == 0
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "backup").rename(tmp_path / "data")
    page(tmp_path, 3)
    assert run("run", "--config", config, "--at", "2026-11-20T07:30") == 0
    (newest,) = (text for name, text in public(tmp_path).items() if "me-20261120" in name)
    assert b"Leaf 3" in newest
    assert "SwinLeaf 3" in "".join(item["title"] for item in entries(tmp_path))
    (tmp_path / "data" / "digest.db").unlink()
    assert run("run", "--config", config, "--at", "2026-11-21T07:00") == 0
    assert [name for name in public(tmp_path) if re.search(r"me-2026112?0", name)] == []


def test_a_change_of_settings_is_published_by_the_next_run_and_keeps_the_ids(
    tmp_path: Path, run: Run
) -> None:
    config = configure(tmp_path)
    page(tmp_path)
    assert run("run", "--config", config) == 0
    (before,) = entries(tmp_path)
    assert re.match(r"tag:[0-9a-f]{12}\.invalid,2026:digest/me/title:", before["id"])
    settings = '[feeds]\nbase_url = "https://me.example.org/papers"\nper_interest = true\n'
    config.write_text(config.read_text(encoding="utf-8") + settings, encoding="utf-8")
    assert run("run", "--config", config) == 0
    (after,) = entries(tmp_path)
    assert (after["id"], after["date_published"]) == (before["id"], before["date_published"])
    assert (
        b'"feed_url": "https://me.example.org/papers/feeds/me/feed.json"'
        in public(tmp_path)["feeds/me/feed.json"]
    )
    assert len(entries(tmp_path, "me/swin/feed.json")) == 1
    assert b'href="../../feeds/me/swin/rss.xml"' in public(tmp_path)["archive/me/index.html"]
    assert b"https://me.example.org/papers/feeds/me/swin/atom.xml" in public(tmp_path)["feeds/feeds.opml"]


def test_what_is_no_longer_wanted_is_withdrawn_and_files_of_others_stay(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, profiles=("ada", "bob"), extra="[feeds]\nper_interest = true\n")
    page(tmp_path)
    assert run("run", "--config", config) == 0
    own = [
        tmp_path / "public" / name for name in ("feeds/bob/.htaccess", "archive/bob/notes.txt", "robots.txt")
    ]
    for path in own:
        path.write_text("mine", encoding="utf-8")
    assert {"feeds/ada/swin/rss.xml", "feeds/bob/rss.xml", "feeds/rss.xml"} < public(tmp_path).keys()
    (tmp_path / "profiles" / "bob.toml").unlink()
    text = config.read_text(encoding="utf-8").replace("per_interest = true", 'formats = ["atom"]')
    config.write_text(text, encoding="utf-8")
    assert run("run", "--config", config) == 0
    there = public(tmp_path)
    assert {name for name in there if "bob" in name} == {"feeds/bob/.htaccess", "archive/bob/notes.txt"}
    assert {name for name in there if name.startswith("feeds/") and "bob" not in name} == {
        *("feeds/atom.xml", "feeds/feeds.opml", "feeds/feed.css"),
        *("feeds/ada/.made", "feeds/ada/atom.xml"),
    }
    assert b"bob" not in there["index.html"] + there["feeds/feeds.opml"]
    assert "robots.txt" in there


def test_a_folder_that_could_not_be_written_is_when_it_can_be(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    page(tmp_path)
    (tmp_path / "public").write_text("in the way", encoding="utf-8")
    assert run("run", "--config", config) == 1
    assert "cannot be written" in run.err + run.out
    (tmp_path / "public").unlink()
    assert run("run", "--config", config) == 0
    assert len(entries(tmp_path)) == 1
    assert run.json("status", "--config", config)["deliveries"] == []


@pytest.mark.parametrize(
    ("base_url", "authority"),
    [
        ("https://Me.Example:8443/x", "me.example"),
        ("https://[::1]:8000", "[0-9a-f]{12}.invalid"),
        ("http://192.168.1.2/", "[0-9a-f]{12}.invalid"),
        ("http://localhost", "[0-9a-f]{12}.invalid"),
    ],
)
def test_ids_are_of_a_domain_of_ones_own_or_of_nobody(
    tmp_path: Path, run: Run, base_url: str, authority: str
) -> None:
    config = configure(tmp_path, extra=f'[feeds]\nbase_url = "{base_url}"\n')
    page(tmp_path)
    assert run("run", "--config", config) == 0
    assert re.match(f"tag:{authority},2026:digest/me/", entries(tmp_path)[0]["id"])


def test_one_entry_for_each_digest_leads_to_its_page(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path, extra='[feeds]\nentry = "digest"\nformats = ["json"]\n')
    page(tmp_path)
    assert run("run", "--config", config) == 0
    (item,) = entries(tmp_path)
    assert item["title"] == "1 paper: Swin 1"
    assert item["url"].removeprefix(f"{HERE}/") in public(tmp_path)
    assert not [name for name in public(tmp_path) if name.endswith(".xml")]


def test_a_preview_looks_as_what_is_published_and_leaves_nothing_there(tmp_path: Path, run: Run) -> None:
    config = configure(tmp_path)
    page(tmp_path)
    assert run("collect", "--config", config) == 0
    assert run("preview", "--config", config, "--out", tmp_path / "out") == 0
    made = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert made == {
        "feed.css",
        *(
            f"me/{name}"
            for name in ("atom.xml", "rss.xml", "feed.json", "digest.eml", "digest.html", "digest.txt")
        ),
    }
    assert public(tmp_path) == {}
