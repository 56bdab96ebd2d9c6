"""`digest try`: what keywords would have found in a stored month of invented papers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from commands import Run
from hypothesis import given
from hypothesis import strategies as st
from world import configure, paper, profile

from digest.core.backtest import Backtest, backtest, surroundings
from digest.core.model import Interest, Listing, Paper, Period, SourceReport, StoredPaper
from digest.store.store import Store

TODAY = date(2026, 11, 20)
AT = "2026-11-20T18:00"

VISION = (
    "We train a hierarchical transformer with windows of attention on image patches. {} Masks improve.",
    "Windows of attention over image patches make a transformer {} faster in segmentation and detection.",
    "A transformer backbone attends to image patches {} within windows; detection improves.",
)
SWIN = [
    paper(f"{title} {number}", VISION[number % 3].format(title.lower()))
    for number, title in enumerate(
        ["Swin Leaves", "Counting with SwinV2", "A Lighter Swin", "Swin-Free Forests", "StyleSwin Again"]
    )
] + [
    paper("Backbones Compared", "Of all transformers with windows of attention on image patches, Swin wins.")
]
FLU = [
    paper(
        "Flu in the Swin Valley", "Villagers and their pigs caught the flu at a market. Pigs gave the flu on."
    ),
    paper("A Market of Pigs", "The village of Swin sold pigs with flu; a vaccine against the flu came late."),
]
OTHERS = [
    paper(
        "Swinging Pendulums", "The pendulum of a clock and its transformer hum in the attention of nobody."
    ),
    paper("Talking Faces", "A talking face moves its lips on an image."),
    paper("Ledgers", "Gardeners who share seeds keep a ledger and quarrel over it."),
    paper("Whales", "The songs of whales are a language without any grammar."),
    paper("Riddles", "A language model guesses riddles that sailors told each other."),
    paper("Cups", "A robot stacks cups until they fall."),
]


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the terminal is in which the tests run."""
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def keep(folder: Path, papers: Sequence[Paper], days: Sequence[int]) -> Path:
    """A configuration whose store has seen each paper so many days before today."""
    config = configure(folder)
    (folder / "data").mkdir()
    store = Store(f"sqlite:///{folder / 'data' / 'digest.db'}")
    for one, ago in sorted(zip(papers, days, strict=True), key=lambda pair: -pair[1]):
        seen = datetime.combine(TODAY - timedelta(days=ago), time(12), tzinfo=UTC)
        found = [Listing(one, "file", None, 0)]
        store.add(found, [], SourceReport("file", Period(seen, seen), complete=True, listed=1))
    store.close()
    return config


MONTH = [*SWIN, *FLU, *OTHERS]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return keep(tmp_path, MONTH, [1, 3, 3, 4, 10, 11, 2, 25, *range(1, 7)])


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


# --- what a person sees -----------------------------------------------------------------------


def test_it_shows_how_many_papers_a_keyword_brings_and_which(config: Path, run: Run) -> None:
    assert run("try", "Swin", "--config", config, "--at", AT) == 0
    assert "Hits        8 of 14 papers in 30 days, about 1 a day (9 days brought papers)" in run.out
    assert "2026-11-19  *Swin* Leaves 0" in run.out
    assert "2026-11-17  Counting with *Swin*V2 1" in run.out
    lines = run.out.splitlines()
    context = lines[next(n for n, text in enumerate(lines) if text.endswith("Backbones Compared")) + 1]
    assert context.startswith("            abstract: ")
    assert "*Swin* wins." in context
    days = [text[:10] for text in lines if text.startswith("2026-")]
    assert days == sorted(days, reverse=True)
    assert len(days) == 8


def test_a_village_is_told_from_a_network_and_a_word_that_separates_them_is_named(
    config: Path, run: Run
) -> None:
    assert run("try", "Swin", "--config", config, "--at", AT) == 0
    first = run.out[run.out.index("Look first") :]
    assert "Flu in the Swin Valley" in first
    assert "A Market of Pigs" in first
    assert not any(one.title in first for one in SWIN)
    assert 'exclude = ["flu"] would drop 2 of these and no other hit' in first
    excluded = run.json("try", "Swin", "--exclude", "flu", "--config", config, "--at", AT)
    assert {hit["title"] for hit in excluded["hits"]} == {one.title for one in SWIN}
    assert excluded["interests"][0]["doubts"] == []


def test_each_keyword_says_what_would_be_lost_without_it(config: Path, run: Run) -> None:
    tried = run.json("try", "Swin", "talking face", "windows", "--config", config, "--at", AT)
    (interest,) = tried["interests"]
    assert interest["hits"] == 9
    assert interest["keywords"] == [
        {"keyword": "Swin", "papers": 8, "hits": 8, "only": 2},
        {"keyword": "talking face", "papers": 1, "hits": 1, "only": 1},
        {"keyword": "windows", "papers": 6, "hits": 6, "only": 0},
    ]
    assert run("try", "Swin", "talking face", "--exclude", "pigs", "--config", config, "--at", AT) == 0
    assert re.search(r"Swin +6 +6   in 2 papers more, ruled out by the rest", run.out)
    assert re.search(r"talking face +1 +1$", run.out, re.MULTILINE)


def test_a_keyword_that_stands_nowhere_is_named_with_words_that_do(config: Path, run: Run) -> None:
    assert run("try", "transfurmer", "Swin", "xyzzy", "--config", config, "--at", AT) == 0
    assert "Nowhere     transfurmer stands in no paper; did you mean transformer?" in run.out
    assert "Nowhere     xyzzy stands in no paper\n" in run.out
    assert "Nowhere     Swin" not in run.out
    assert run("try", "--query", "author:Nobody", "--config", config, "--at", AT) == 0
    assert run.out.splitlines() == [
        "Hits        0 of 14 papers in 30 days",
        "Nowhere     Nobody stands in no paper",
    ]


def test_what_other_interests_have_already_is_counted(config: Path, run: Run) -> None:
    assert run("try", "image", "--config", config, "--at", AT) == 0
    assert "You have    6 of the 7 hits in me: Swin" in run.out
    assert "New         1 hit that no interest has yet" in run.out
    assert run("try", "whales", "--config", config, "--at", AT) == 0
    assert "You have" not in run.out
    assert "New         1 hit that no interest has yet" in run.out


def test_a_query_says_what_lists_cannot(config: Path, run: Run) -> None:
    assert run("try", "--query", "title:swin AND NOT flu", "--config", config, "--at", AT) == 0
    assert "Hits        5 of 14 papers" in run.out
    assert run("try", "--query", "source:file AND NOT whale", "--config", config, "--at", AT) == 0
    assert "Hits        13 of 14 papers" in run.out
    assert "source:" not in run.out.replace("source:file AND", "")
    assert run("try", "--query", "swin AND", "--config", config) == 2
    assert "^ column" in run.err
    assert run("try", "[", "--config", config) == 2


def test_a_profile_that_is_not_configured_yet_is_tried_beside_those_that_are(
    config: Path, tmp_path: Path, run: Run
) -> None:
    file = tmp_path / "new.toml"
    file.write_text(
        'name = "me"\nsources = ["file"]\n[[interests]]\nname = "Windows"\nkeywords = ["windows"]\n'
        '[[interests]]\nname = "Sea"\nquery = "whale OR sailor"\n'
    )
    assert run("try", "--profile", file, "--config", config, "--at", AT) == 0
    assert "Hits        8 of 14 papers" in run.out
    assert re.search(r"^ +Windows +6 +6$", run.out, re.MULTILINE)
    assert re.search(r"^ +windows +6 +6$", run.out, re.MULTILINE)
    assert re.search(r"^ +Sea +2 +2$", run.out, re.MULTILINE)
    assert "You have    6 of the 8 hits in me: Swin" in run.out
    file.write_text('name = "me"\nsources = ["fiel"]\n[[interests]]\nname = "Sea"\nkeywords = ["sea"]\n')
    assert run("try", "--profile", file, "--config", config) == 2
    assert "Did you mean 'file'?" in run.err


def test_a_configured_profile_is_not_compared_with_itself(config: Path, run: Run) -> None:
    tried = run.json("try", "--profile", "me", "--config", config, "--at", AT)
    assert len(tried["hits"]) == tried["new"] == 8
    assert tried["overlaps"] == []
    assert run("try", "--profile", "me", "--config", config, "--at", AT) == 0
    assert "New" not in run.out
    assert run("try", "--profile", "you", "--config", config) == 2
    assert "There are me" in run.err


def test_one_says_either_keywords_or_a_profile(config: Path, run: Run) -> None:
    for arguments in ((), ("Swin", "--profile", "me"), ("--profile", "me", "--exclude", "flu")):
        assert run("try", *arguments, "--config", config) == 2
        assert "Usage: digest try" in run.err


def test_an_empty_store_and_an_empty_month_are_told_apart(tmp_path: Path, run: Run) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run("try", "Swin", "--config", configure(empty)) == 0
    assert run.out == "Nothing     is stored yet: `digest collect` reads your sources.\n"
    assert run.json("try", "Swin", "--config", empty / "digest.toml")["hits"] == []
    config = keep(tmp_path, SWIN[:1], [49])
    assert run("try", "Swin", "--config", config, "--at", AT) == 0
    assert "is stored of the last 30 days." in run.out
    assert "The newest paper is of 2026-10-02: --days 50." in run.out
    assert run("try", "Swin", "--days", 50, "--config", config, "--at", AT) == 0
    assert "Hits        1 of 1 paper in 50 days, about 1 a day (1 day brought papers)" in run.out
    assert run("try", "Swin", "--config", config, "--at", "2026-09-01T12:00") == 0
    assert run.out.endswith("The newest paper is of 2026-10-02.\n")


def test_no_more_than_twenty_titles_are_shown_unless_all_are_wanted(tmp_path: Path, run: Run) -> None:
    config = keep(tmp_path, [paper(f"Swin {n}") for n in range(25)], [0] * 25)
    assert run("try", "Swin", "--config", config, "--at", AT) == 0
    assert run.out.count("2026-11-20  ") == 20
    assert "… and 5 more: --all shows every one" in run.out
    assert run("try", "Swin", "--all", "--days", 1, "--config", config, "--at", AT) == 0
    assert run.out.count("2026-11-20  ") == 25
    assert "more" not in run.out
    assert "25 of 25 papers in 1 day, about 25 a day\n" in run.out


def test_many_foreign_papers_are_cut_short(tmp_path: Path, run: Run) -> None:
    odd = [
        paper(f"Odd {n}", f"Swin {word}{n} and {word}ing {n} {word}s.")
        for n, word in enumerate(["flu", "pig", "rain", "bread", "cloud", "stone"])
    ]
    alike = [paper(f"Swin {n}", VISION[n % 3].format("")) for n in range(20)]
    others = [paper(f"Other {n}", OTHERS[n % 6].abstract) for n in range(12)]
    config = keep(tmp_path, [*odd, *alike, *others], [1] * 38)
    assert run("try", "Swin", "--config", config, "--at", AT) == 0
    assert "… and 1 more\n" in run.out[run.out.index("Look first") :]


def test_one_odd_paper_without_a_word_of_its_own_is_only_shown(tmp_path: Path, run: Run) -> None:
    odd = paper("A Loaf", "Swin bread rises once.")
    others = [paper(f"Other {n}", OTHERS[n % 6].abstract) for n in range(12)]
    config = keep(tmp_path, [odd, *SWIN, *others], [1] * 19)
    assert run("try", "Swin", "--config", config, "--at", AT) == 0
    first = run.out[run.out.index("Look first") :]
    assert first.splitlines()[1].startswith("            A Loaf (")
    assert "exclude" not in first


def test_nothing_a_paper_says_is_obeyed_by_a_terminal(tmp_path: Path, run: Run) -> None:
    config = keep(tmp_path, [paper("Swin\x1b[2J\nand \x07bells", "[bold]:smile:")], [1])
    assert run("try", "Swin", "--config", config, "--at", AT) == 0
    assert "*Swin* [2J and bells\n" in run.out
    assert "\x1b" not in run.out


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_on_a_terminal_evidence_is_coloured_and_no_line_is_wider(config: Path, columns: int) -> None:
    terminal, other_end = os.openpty()
    command = [sys.executable, "-m", "digest", "try", "Swin", "--config", str(config), "--at", AT]
    environ = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(columns)}
    with subprocess.Popen(command, stdout=other_end, env=environ) as running:
        os.close(other_end)
        content = b""
        with suppress(OSError):  # how Linux says that the other end is closed
            while piece := os.read(terminal, 4096):
                content += piece
    os.close(terminal)
    assert running.returncode == 0
    shown = content.decode()
    assert re.search(r"\x1b\[[\d;]*mSwin\x1b\[0m", shown)
    bare = re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert "*" not in bare
    titles = [text for text in bare.splitlines() if text.startswith("2026-")]
    assert len(titles) == 8
    assert all(len(text) <= columns for text in titles)


# --- what holds always ------------------------------------------------------------------------


def test_the_chart_has_room_for_a_century(config: Path, run: Run) -> None:
    assert run("try", "Swin", "--days", 36_500, "--config", config, "--at", AT) == 0
    assert max(map(len, run.out.splitlines()[1:6])) <= 80
    assert re.search(r"█  8 hits in \d+ days$", run.out, re.MULTILINE)
    assert re.search(r"^ +16 Dec 1926 +20 Nov 2026$", run.out, re.MULTILINE)


def test_days_without_a_hit_and_days_without_a_paper_look_different(config: Path, run: Run) -> None:
    assert run("try", "pigs", "--days", 7, "--config", config, "--at", AT) == 0
    assert run.out.splitlines()[1:6] == [
        "                █    1 hit",
        "                █",
        "            ····█·",
        "            14 Nov 20 Nov  · papers, no hit",
        "",
    ]


@pytest.mark.parametrize("keyword", ["Swin", "pigs", '"windows attention"~2', "transform*", "=Swin", "xyzzy"])
def test_the_hits_are_what_a_search_finds(config: Path, run: Run, keyword: str) -> None:
    tried = run.json("try", keyword, "--config", config, "--at", AT)
    queried = run.json("try", "--query", keyword, "--config", config, "--at", AT)
    assert run("papers", keyword, "--config", config, "--json") == 0
    found = {one["id"] for one in json.loads(run.out)}
    assert {hit["id"] for hit in queried["hits"]} == found
    assert {hit["id"] for hit in tried["hits"]} == found


def tried(*keywords: str, exclude: Sequence[str] = (), stored: Sequence[Paper] = MONTH) -> Backtest:
    seen = datetime.combine(TODAY, time(12), tzinfo=UTC)
    return backtest(
        [StoredPaper(one, (), seen) for one in stored],
        [Interest("tried", keywords=keywords, exclude=tuple(exclude))],
        [profile()],
        until=TODAY,
        days=3,
        timezone=UTC,
    )


WORDS = st.sampled_from(
    ["Swin", "flu", "talking face", "windows", "imag*", "=SAM", "pig", "whales", "nothing"]
)


@given(st.lists(WORDS, min_size=1, max_size=4), WORDS)
def test_another_keyword_never_loses_a_hit(keywords: list[str], another: str) -> None:
    before = {hit.paper.id for hit in tried(*keywords).hits}
    after = tried(*keywords, another)
    assert before <= {hit.paper.id for hit in after.hits}
    (report,) = after.interests
    lost = {hit.paper.id for hit in after.hits} - before
    if another not in keywords:
        assert next(one.only for one in report.keywords if one.keyword == another) == len(lost)


@given(st.sets(st.sampled_from(MONTH), min_size=1))
def test_a_suggested_exclusion_drops_foreign_hits_alone(stored: set[Paper]) -> None:
    papers = sorted(stored, key=lambda one: one.id)
    result = tried("Swin", stored=papers)
    for doubt in result.interests[0].doubts:
        kept = {hit.paper.id for hit in tried("Swin", exclude=doubt.exclude, stored=papers).hits}
        dropped = {hit.paper.id for hit in result.hits} - kept
        assert dropped <= {foreign.hit.paper.id for foreign in doubt.foreign}
        assert len(dropped) == doubt.excluded
    assert sum(day.hits for day in result.days) == len(result.hits)
    assert result.papers == len(papers)


def test_a_word_that_a_wanted_paper_has_too_is_not_suggested() -> None:
    catalogue = paper("Swin Learns to Spell Flu")  # without an abstract there is nothing to judge it by
    (report,) = tried("Swin", stored=[*MONTH, catalogue]).interests
    (doubt,) = report.doubts
    assert {foreign.hit.paper for foreign in doubt.foreign} == set(FLU)
    assert doubt.exclude == ("pig",)
    assert doubt.excluded == 2


def test_a_paper_counts_for_the_day_it_was_first_listed() -> None:
    seen = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)
    one = SWIN[0]
    days = [TODAY - timedelta(days=2), None, TODAY + timedelta(days=5)]
    listings = tuple(Listing(one, "page", day, 0) for day in days)
    for found, day in ((listings, 18), (listings[1:], 19)):
        stored = [StoredPaper(one, found, seen)]
        interest = Interest("Swin", categories=("cs.CV",), keywords=("Swin",))
        result = backtest(stored, [interest], [], until=TODAY, days=9, timezone=UTC)
        assert result.newest == date(2026, 11, day)
        assert result.papers == 1
        assert [nowhere.keyword for nowhere in result.nowhere] == ["cs.CV"]
        assert result.interests[0].keywords[0].papers == 1
        assert result.hits == ()


@given(st.text(), st.data())
def test_the_words_around_a_place_hold_it(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    left, right = surroundings(text, start, end, data.draw(st.integers(1, 40)))
    assert 0 <= left <= start <= end <= right <= len(text)


def test_the_words_around_a_place_are_whole() -> None:
    text = "one two three four five six seven"
    start = text.index("four")
    left, right = surroundings(text, start, start + 4, 16)
    assert text[left:right] == "three four five"
    assert surroundings("short", 0, 5, 80) == (0, 5)
