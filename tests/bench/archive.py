"""What a day costs where a year of papers is stored.

    python tests/bench/archive.py --papers 0 1000000 1825000 --days 5

Each store holds so many invented papers, 5,000 a day, and a year of what three profiles were sent. Then the
program runs as a person runs it: days of 430 new papers, three mails and their feeds and archive pages, an
hour in which nothing is new, and commands that look at what is stored. The days come to all stores in turn.
Before them come two that are told apart, in which words are learned and old pages are published.

Figures are seconds of CPU and of the clock, and megabytes, the least of each; ratios are to the first store.
A store that is small learns anew every few days, as a tenth more papers are there: the least leaves that out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from digest.core import identity
from digest.core.model import Paper, PaperId
from digest.store import records
from digest.store.store import Store

START = datetime(2026, 11, 20, 7, tzinfo=UTC)
DAY = timedelta(days=1)
A_DAY = 5_000  # papers that arrive in the years before
NEW = 430  # and in those that are measured
_VOTED = 10  # every so many papers have votes
_TITLE, _ABSTRACT = 9, 160  # words
_SYLLABLES = [a + b for a in "bdfgklmnprtvz" for b in ("a", "e", "i", "o", "u", "an", "el", "or")]
PROFILES = ("ada", "ben", "cleo")
_MAIL = 60_000  # bytes
_IN_A_DIGEST = 30

SOURCE = """
import json
from digest.core.identity import aliases
from digest.core.model import Listing, Paper, Reading, Request

class Day:
    def __init__(self, name: str, *, path: str) -> None:
        self.name, self.path = name, path

    def collect(self, period):
        page = yield Request("file://" + self.path)
        rows = json.loads(page.content) if page else []
        found = [Listing(Paper(id, title, abstract, url=url), self.name, None, at, votes)
                 for at, (id, title, abstract, url, votes) in enumerate(rows)]
        return Reading("day", tuple(found))
"""


class Cost(NamedTuple):
    """What a command cost."""

    cpu: float  # seconds
    wall: float
    memory: float  # megabytes


class Language:
    """Invented words, as unevenly common as those of a language."""

    def __init__(self) -> None:
        rng = random.Random(7)  # noqa: S311 - the same words each time
        made = dict.fromkeys("".join(rng.choices(_SYLLABLES, k=rng.randint(2, 4))) for _ in range(60_000))
        self.words = np.array(list(made), object)
        self._cumulated = np.cumsum(1 / (np.arange(len(self.words)) + 10))

    def texts(self, number: int, length: int, seed: int) -> list[str]:
        drawn = np.random.default_rng(seed).random((number, length)) * self._cumulated[-1]
        found = self.words[np.searchsorted(self._cumulated, drawn)]
        return [" ".join(row) for row in found]

    def papers(self, day: int, number: int) -> list[Paper]:
        """The papers of a day."""
        titles, abstracts = (
            self.texts(number, length, day * 2 + at) for at, length in enumerate((_TITLE, _ABSTRACT))
        )
        return [
            Paper(
                PaperId(f"doi:10.5555/{day}.{at}"),
                title,
                abstract,
                tuple(title.title().split()[:4]),
                url=f"https://papers.example/{day}/{at}",
                doi=f"10.5555/{day}.{at}",
            )
            for at, (title, abstract) in enumerate(zip(titles, abstracts, strict=True))
        ]


# --- a world -----------------------------------------------------------------------------------


def configure(folder: Path, language: Language) -> None:
    (folder / "profiles").mkdir(parents=True)
    (folder / "lab.py").write_text(SOURCE, encoding="utf-8")
    (folder / "digest.toml").write_text(
        'timezone = "UTC"\ndata_dir = "data"\noutput_dir = "public"\n'
        f'[[sources]]\nkind = "lab:Day"\nname = "lab"\npath = "{folder}/day.json"\n'
        '[email]\nfrom = "Digest <digest@example.org>"\ntransport = "eml"\nfolder = "mail"\n',
        encoding="utf-8",
    )
    for number, name in enumerate(PROFILES):
        interests = "".join(
            f'[[interests]]\nname = "{word}"\nkeywords = ["{word}"]\n' for word in _keywords(language, number)
        )
        (folder / "profiles" / f"{name}.toml").write_text(
            f'name = "{name}"\ntitle = "For {name}"\nrecipients = ["{name}@example.org"]\n{interests}',
            encoding="utf-8",
        )


def _keywords(language: Language, profile: int) -> list[str]:
    """Words of which each stands in one paper of forty or so."""
    return [str(language.words[rank]) for rank in range(500 + profile, 1_100 + profile, 300)]


def new_day(folder: Path, language: Language, day: int) -> None:
    papers = language.papers(1_000_000 + day, NEW)
    rows = [(one.id, one.title, one.abstract, one.url, at % 40) for at, one in enumerate(papers)]
    (folder / "day.json").write_text(json.dumps(rows), encoding="utf-8")


def fill(folder: Path, papers: int) -> None:
    """Store so many papers, and what three profiles were sent meanwhile, by bare SQL."""
    language = Language()
    configure(folder, language)
    (folder / "data").mkdir(mode=0o700)
    path = folder / "data" / "digest.db"
    Store(f"sqlite:///{path}").close()
    days = -(-papers // A_DAY)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-4000000")
        for day in range(days):
            at = int((START - (days - day + 1) * DAY).timestamp())
            of_day = language.papers(day, A_DAY)[: papers - day * A_DAY]
            first = day * A_DAY + 1
            _insert(connection, "papers", _paper_rows(of_day, first, at))
            _insert(connection, "aliases", _alias_rows(of_day, first))
            _insert(connection, "listings", _listing_rows(of_day, first))
            _history(connection, of_day[:_IN_A_DIGEST], first, at)
        connection.commit()


def _insert(connection: sqlite3.Connection, table: str, rows: Iterator[Mapping[str, object]]) -> None:
    first, *others = rows
    names, marks = ", ".join(first), ", ".join("?" * len(first))
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - names of ours
    connection.executemany(statement, (tuple(row.values()) for row in (first, *others)))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: json.dumps(value) if isinstance(value, (list, dict)) else value for name, value in row.items()
    }


def _paper_rows(papers: Sequence[Paper], first: int, at: int) -> Iterator[dict[str, Any]]:
    for key, paper in enumerate(papers, first):
        yield {"id": key, "revision": key, "first_seen": at, **_plain(records.paper_row(paper))}


def _alias_rows(papers: Sequence[Paper], first: int) -> Iterator[dict[str, Any]]:
    for key, paper in enumerate(papers, first):
        for name in identity.aliases(paper):
            yield {"alias": name, "paper": key}


def _listing_rows(papers: Sequence[Paper], first: int) -> Iterator[dict[str, Any]]:
    for key in range(first, first + len(papers)):
        votes = None if key % _VOTED else key // _VOTED % 40
        yield {
            "paper": key,
            "source": "lab",
            "listed_on": "",
            "position": key % A_DAY,
            "upvotes": votes,
            "first_upvotes": votes,
        }


def _history(connection: sqlite3.Connection, papers: Sequence[Paper], first: int, at: int) -> None:
    """What a day left behind: digests, what they showed, mails, and the reports of a run each hour."""
    slot = datetime.fromtimestamp(at, UTC)
    for name in PROFILES:
        digest = f"{name}-{slot:%Y%m%dT%H%M%SZ}"
        head: dict[str, object] = {
            "id": digest,
            "profile": name,
            "title": "",
            "slot": at,
            "issued_at": at,
            "since": at - 86_400,
        }
        _insert(connection, "digests", iter([head | {"scanned": A_DAY, "reports": "[]"}]))
        for rank, paper in enumerate(papers):
            content = json.dumps({"paper": records.paper_row(paper), "listings": []})
            snapshot = f"{first + rank}"
            connection.execute("INSERT OR IGNORE INTO snapshots VALUES (?, ?)", (snapshot, content))
            place = {"digest": digest, "rank": rank, "paper": first + rank, "snapshot": snapshot}
            more = {"section": "one", "kind": "section", "score": 1.0, "matches": "[]", "parts": "[]"}
            _insert(connection, "recommendations", iter([place | more | {"missing": "[]"}]))
            shown = {"profile": name, "paper": first + rank, "digest": digest}
            _insert(connection, "shown", iter([shown]))
        for channel, to, message in (
            ("email", f"{name}@example.org", bytes(_MAIL)),
            ("feeds", "", None),
            ("archive", "", None),
        ):
            delivery = {"digest": digest, "profile": name, "channel": channel, "recipient": to}
            sent = {"state": "sent", "attempts": 1, "message": message, "sent_at": at}
            _insert(connection, "deliveries", iter([delivery | sent]))
        progress = (name, at, first + A_DAY - 1, "", digest)
        connection.execute("INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?, ?)", progress)
    for hour in range(24):
        then = at + hour * 3600
        row = {"source": "lab", "since": then - 86_400, "until": then, "complete": 1, "listed": 0, "new": 0}
        _insert(connection, "reports", iter([row | {"notes": "[]"}]))
        _insert(connection, "runs", iter([{"started_at": then, "ended_at": then}]))


# --- what it costs -----------------------------------------------------------------------------


def cost(folder: Path, *arguments: str) -> Cost:
    """What a command costs, in a process of its own."""
    command = [sys.executable, "-m", "digest", *arguments, "--config", str(folder / "digest.toml")]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(command)}: {process.returncode}\n{said.read().decode()}")
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss / 1024)


def measure(worlds: Sequence[Path], days: int, looks: int) -> dict[str, list[list[Cost]]]:
    """The costs of each thing in each world."""
    language = Language()
    common, rare = (str(language.words[rank]) for rank in (500, 20_000))
    first = max(map(_next_day, worlds))
    piece = " ".join(language.papers(1_000_000 + first, 1)[0].title.split()[:3])
    found: dict[str, list[list[Cost]]] = defaultdict(lambda: [[] for _ in worlds])
    for day in range(first, first + days + 2):
        now = START + day * DAY
        for number, folder in enumerate(worlds):
            new_day(folder, language, day)
            name = {first: "first day", first + 1: "second day"}.get(day, "a day")
            found[name][number].append(cost(folder, "run", "--at", now.isoformat()))
            if day > first + 1:
                then = now + timedelta(hours=1)
                found["an idle hour"][number].append(cost(folder, "run", "--at", then.isoformat()))
    at = ("--at", (now + DAY).isoformat())
    commands = {
        "status": ("status",),
        "try": ("try", common, *at),
        "explain by id": ("explain", f"doi:10.5555/{1_000_000 + first}.1", *at),
        "explain by title": ("explain", piece, *at),
        "papers": ("papers",),
        "papers, common word": ("papers", common),
        "papers, rare word": ("papers", rare),
    }
    for name, arguments in commands.items() if looks else ():
        for number, folder in enumerate(worlds):
            found[name][number] += [cost(folder, *arguments) for _ in range(looks)]
    return found


def _next_day(folder: Path) -> int:
    """The number of the day after the last one that a store has had."""
    with closing(sqlite3.connect(folder / "data" / "digest.db")) as connection:
        (slot,) = connection.execute("SELECT max(slot) FROM progress").fetchone()
    return max(0, (datetime.fromtimestamp(slot or 0, UTC) - START) // DAY + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--papers", type=int, nargs="+", default=[0, 1_000_000, 365 * A_DAY])
    parser.add_argument("--days", type=int, default=5, help="that are measured")
    parser.add_argument("--looks", type=int, default=1, help="how often each command is measured")
    parser.add_argument("--folder", type=Path, help="where stores are kept, and used again")
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.fill:
        fill(asked.fill, asked.papers[0])
        return
    with tempfile.TemporaryDirectory(prefix="digest-archive-") as temporary:
        worlds = [(asked.folder or Path(temporary)) / str(number) for number in asked.papers]
        for folder, number in zip(worlds, asked.papers, strict=True):
            if not folder.exists():
                # A process of its own, so that its memory is not that of the others.
                own = [sys.executable, __file__, "--papers", str(number), "--fill", str(folder)]
                start = time.perf_counter()
                subprocess.run(own, check=True)
                print(f"{number:,} papers stored in {time.perf_counter() - start:.0f} s")  # noqa: T201
        print(*table(measure(worlds, asked.days, asked.looks), worlds, asked.papers), sep="\n")  # noqa: T201


def table(found: dict[str, list[list[Cost]]], worlds: Sequence[Path], papers: Sequence[int]) -> Iterator[str]:
    """One line for each thing and store."""
    heads = ("papers", "store MB", "CPU s", "x", "clock s", "x", "MB", "x")
    yield f"{'':20}" + "".join(f"{head:>10}" for head in heads)
    for name, costs in found.items():
        least = [Cost(*map(min, zip(*its, strict=True))) for its in costs]
        for folder, number, its in zip(worlds, papers, least, strict=True):
            size = (folder / "data" / "digest.db").stat().st_size / 1e6
            cells = "".join(
                f"{value:10.2f}{value / first:10.2f}" for value, first in zip(its, least[0], strict=True)
            )
            yield f"{name:20}{number:10,}{size:10,.0f}{cells}"


if __name__ == "__main__":
    main()
