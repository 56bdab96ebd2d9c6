"""How the cost of matching grows with papers and profiles, beside a plain loop and SQLite's full-text search.

    python tests/bench/matching.py --papers 100 500 --profiles 1 1000 100000

Everything is invented from one seed. Profiles have 3 to 12 keywords of one to three words; a third of
them exclude something and a third require something. The same papers must be found by all ways.
Times are seconds of this process's CPU; the others are given for as many profiles as they can do in a
while, and what they would need for all of them is their time multiplied.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from digest.core.board import Board
from digest.core.identity import title_id
from digest.core.model import Interest, Paper
from digest.core.query import compile_interest
from digest.core.rank import corpus
from digest.core.selection import consider

T = TypeVar("T")
_SYLLABLES = [a + b for a in "bdfgklmnprtvz" for b in ("a", "e", "i", "o", "u", "an", "el", "or")]
_VOCABULARY = 30_000
_COMMON = 3_000
_WORDS = 200  # of an abstract
_LOOP = 200  # profiles that the plain ways are asked for


def timed(act: Callable[[], T]) -> tuple[float, T]:
    start = time.process_time()
    result = act()
    return time.process_time() - start, result


def vocabulary(rng: random.Random) -> list[str]:
    words: dict[str, None] = {}
    while len(words) < _VOCABULARY:
        words["".join(rng.choices(_SYLLABLES, k=rng.randint(2, 4)))] = None
    return list(words)


def made(papers: int, profiles: int) -> tuple[list[Paper], list[Interest]]:
    """Papers whose words are as unevenly common as those of a language, and profiles in such words."""
    rng = random.Random(7)  # noqa: S311 - the same papers each time
    words = vocabulary(rng)
    weights = [1 / (rank + 10) for rank in range(len(words))]

    def text(length: int) -> list[str]:
        return rng.choices(words, weights, k=length)

    pages = [text(_WORDS) for _ in range(papers)]
    found = [Paper(title_id(f"{n}"), " ".join(text(8)), " ".join(page)) for n, page in enumerate(pages)]
    common = set(words[:_COMMON])  # which nobody takes for a keyword
    phrases = [
        " ".join(page[at : at + size])
        for page in (text(_WORDS) for _ in range(2_000))
        for at in rng.sample(range(_WORDS - 3), 50)
        for size in (rng.choice((1, 1, 1, 2, 2, 3)),)
        if common.isdisjoint(page[at : at + size])
    ]

    def some(count: int) -> tuple[str, ...]:
        return tuple(rng.choices(phrases, k=count))

    interests = [
        Interest(
            f"{n}",
            keywords=some(rng.randint(3, 10)),
            require=some(1) if rng.random() < 1 / 3 else (),
            exclude=some(1) if rng.random() < 1 / 3 else (),
        )
        for n in range(profiles)
    ]
    return found, interests


def by_board(papers: Sequence[Paper], interests: Sequence[Interest]) -> tuple[dict[str, float], list[int]]:
    """Our way: compiled, looked for, decided, and for the first profiles recommended with all evidence."""
    compiling, compiled = timed(lambda: [compile_interest(interest) for interest in interests])
    building, board = timed(lambda: Board(compiled))
    looking, numbers = timed(lambda: [board.put(paper) for paper in papers])
    deciding, wanted = timed(lambda: [board.wanted(interest) for interest in compiled])
    statistics = corpus([board.findings[n] for n in numbers], board.counts(numbers))
    asked = compiled[: 10 * _LOOP]

    def recommended() -> int:
        return sum(
            consider([interest], board.findings[n], statistics) is not None
            for interest, bits in zip(asked, wanted, strict=False)
            for n in numbers
            if bits >> n & 1
        )

    judging, count = timed(recommended)
    return {
        "compile": compiling,
        "build": building,
        "look": looking,
        "decide": deciding,
        "recommend": judging * len(compiled) / len(asked),
        "each": count / len(asked),
    }, wanted


def by_loop(papers: Sequence[Paper], interests: Sequence[Interest]) -> list[int]:
    """A regular expression for each keyword, tried on each paper."""
    texts = [f"{paper.title} . {paper.abstract}" for paper in papers]

    def holding(phrases: Sequence[str]) -> int:
        found = 0
        for phrase in phrases:
            pattern = re.compile(rf"\b{re.escape(phrase)}\b")
            found |= sum(1 << n for n, text in enumerate(texts) if pattern.search(text))
        return found

    return [_algebra(interest, holding, len(papers)) for interest in interests]


def by_fts(papers: Sequence[Paper], interests: Sequence[Interest]) -> list[int]:
    """SQLite's full-text search, one query for each list of keywords."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE papers USING fts5(title, abstract, tokenize='unicode61')")
    rows = [(n, paper.title, paper.abstract) for n, paper in enumerate(papers)]
    database.executemany("INSERT INTO papers (rowid, title, abstract) VALUES (?, ?, ?)", rows)

    def holding(phrases: Sequence[str]) -> int:
        query = " OR ".join(f'"{phrase}"' for phrase in phrases)
        rows = database.execute("SELECT rowid FROM papers WHERE papers MATCH ?", (query,))
        return sum(1 << row[0] for row in rows)

    return [_algebra(interest, holding, len(papers)) for interest in interests]


def _algebra(interest: Interest, holding: Callable[[Sequence[str]], int], papers: int) -> int:
    found = holding(interest.keywords)
    for phrase in interest.require:
        found &= holding([phrase])
    for phrase in interest.exclude:
        found &= ~holding([phrase])
    return found & ((1 << papers) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--papers", type=int, nargs="+", default=[100, 500])
    parser.add_argument("--profiles", type=int, nargs="+", default=[1, 1_000, 100_000])
    asked = parser.parse_args()
    heads = (
        "papers",
        "profiles",
        "compile",
        "build",
        "look",
        "decide",
        "recommend",
        "each",
        "MB",
        "loop",
        "FTS5",
    )
    print(" ".join(f"{head:>10}" for head in heads))  # noqa: T201
    for papers in asked.papers:
        for profiles in asked.profiles:
            print(row(papers, profiles), flush=True)  # noqa: T201


def row(papers: int, profiles: int) -> str:
    """A line of the table."""
    found, interests = made(papers, profiles)
    figures, wanted = by_board(found, interests)
    few = interests[:_LOOP]
    looping, looped = timed(lambda: by_loop(found, few))
    searching, searched = timed(lambda: by_fts(found, few))
    if not looped == searched == wanted[: len(few)]:
        raise SystemExit("the ways find different papers")
    scale = len(interests) / len(few)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    values = (*figures.values(), memory, looping * scale, searching * scale)
    return f"{papers:>10} {profiles:>10} " + " ".join(f"{value:>10.3f}" for value in values)


if __name__ == "__main__":
    main()
