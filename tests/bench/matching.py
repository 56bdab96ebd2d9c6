"""How the cost of matching grows with papers and profiles, beside other ways to the same papers.

    python tests/bench/matching.py --papers 100 500 --profiles 1 1000 100000

Everything is invented from one seed. Profiles have 3 to 12 keywords of one to three words; a third of
them exclude something and a third require something. All ways must find the same papers.

Figures are seconds of CPU, each row in a process of its own: to compile the profiles, to build the
index, to look through the papers, to decide what every profile wants, and to rank that; then how many
papers a profile is shown in the middle, and the peak of memory with profiles and papers included. The
other ways take as many profiles as they can do in a while, and their seconds are multiplied: a regular
expression for each keyword, SQLite's full-text search, and an Aho-Corasick automaton in C
(`pip install -e '.[bench]'`), which does not know what a plural is, nor a hyphen. `loop/ours` is the
loop against looking and deciding, as compiled profiles are kept, and against everything.
"""

from __future__ import annotations

import argparse
import gc
import math
import multiprocessing
import random
import re
import resource
import sqlite3
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from digest.core.board import Board, bits
from digest.core.identity import title_id
from digest.core.model import Interest, Paper
from digest.core.query import compile_interest
from digest.core.rank import Ranking, corpus

try:
    import ahocorasick
except ImportError:
    ahocorasick = None

T = TypeVar("T")
_SYLLABLES = [a + b for a in "bdfgklmnprtvz" for b in ("a", "e", "i", "o", "u", "an", "el", "or")]
_VOCABULARY = 30_000
_COMMON = 3_000
_WORDS = 200  # of an abstract
_SEARCHES = 50_000  # profiles times papers that the slow ways are asked for, and no more than 200 profiles


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
    """Our way, to the papers of every profile, best first."""
    compiling, compiled = timed(lambda: [compile_interest(interest) for interest in interests])
    building, board = timed(lambda: Board(compiled))
    looking, numbers = timed(lambda: [board.put(paper) for paper in papers])
    deciding, wanted = timed(lambda: [board.wanted(interest) for interest in compiled])

    def ranked() -> list[array[int]]:
        statistics = corpus([board.findings[n] for n in numbers], board.counts(numbers))
        ranking = Ranking(board, statistics, bits(numbers))
        return [
            array("H", [number for _, number in ranking.best([(interest, papers)])])
            for interest, papers in zip(compiled, wanted, strict=True)
        ]

    ranking, lists = timed(ranked)
    return {
        "compile": compiling,
        "build": building,
        "look": looking,
        "decide": deciding,
        "rank": ranking,
        "sum": compiling + building + looking + deciding + ranking,
        "shown": sorted(map(len, lists))[len(lists) // 2],
        "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
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


def by_automaton(papers: Sequence[Paper], interests: Sequence[Interest]) -> list[int]:
    """An automaton of all keywords, led through each paper once; a hit begins and ends with a word."""
    automaton = ahocorasick.Automaton()
    for interest in interests:
        for phrase in (*interest.keywords, *interest.require, *interest.exclude):
            automaton.add_word(f" {phrase} ", phrase)
    automaton.make_automaton()
    standing: dict[str, int] = defaultdict(int)
    for n, paper in enumerate(papers):
        for _, phrase in automaton.iter(f" {paper.title} . {paper.abstract} "):
            standing[phrase] |= 1 << n

    def holding(phrases: Sequence[str]) -> int:
        found = 0
        for phrase in phrases:
            found |= standing.get(phrase, 0)
        return found

    return [_algebra(interest, holding, len(papers)) for interest in interests]


def _algebra(interest: Interest, holding: Callable[[Sequence[str]], int], papers: int) -> int:
    found = holding(interest.keywords)
    for phrase in interest.require:
        found &= holding([phrase])
    for phrase in interest.exclude:
        found &= ~holding([phrase])
    return found & ((1 << papers) - 1)


def row(papers: int, profiles: int, *, others: bool = True) -> dict[str, float]:
    """The figures for so many papers and profiles. Raises SystemExit if the ways do not agree."""
    found, interests = made(papers, profiles)
    gc.collect()
    gc.freeze()  # else the collector walks through what was made again and again
    figures, wanted = by_board(found, interests)
    if not others:
        return figures
    few = interests[: min(200, max(10, _SEARCHES // papers))]
    scale = len(interests) / len(few)
    looping, looped = timed(lambda: by_loop(found, few))
    searching, searched = timed(lambda: by_fts(found, few))
    leading, led = timed(lambda: by_automaton(found, interests)) if ahocorasick else (math.nan, wanted)
    if not (looped == searched == wanted[: len(few)] and led == wanted):
        raise SystemExit("the ways find different papers")
    loop = looping * scale
    return figures | {
        "loop": loop,
        "FTS5": searching * scale,
        "AC": leading,
        "loop/ours": loop / (figures["look"] + figures["decide"]),
        "loop/sum": loop / figures["sum"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--papers", type=int, nargs="+", default=[100, 500])
    parser.add_argument("--profiles", type=int, nargs="+", default=[1, 1_000, 100_000])
    parser.add_argument("--doubled", action="store_true", help="also: how much twice of either costs")
    asked = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as alone:
        heads: Sequence[str] = ()
        for papers in asked.papers:
            for profiles in asked.profiles:
                figures = alone.submit(row, papers, profiles).result()
                if not heads:
                    heads = ("papers", "profiles", *figures)
                    print(" ".join(f"{head:>9}" for head in heads))  # noqa: T201
                values = " ".join(f"{value:>9.4g}" for value in figures.values())
                print(f"{papers:>9} {profiles:>9} {values}", flush=True)  # noqa: T201
        if asked.doubled:
            for papers in asked.papers:
                for profiles in asked.profiles:
                    once, more_papers, more_profiles = (
                        alone.submit(row, *size, others=False).result()["sum"]
                        for size in ((papers, profiles), (2 * papers, profiles), (papers, 2 * profiles))
                    )
                    print(  # noqa: T201
                        f"{papers} papers, {profiles} profiles: "
                        f"twice the papers costs {more_papers / once:.2f} times as much, "
                        f"twice the profiles {more_profiles / once:.2f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
