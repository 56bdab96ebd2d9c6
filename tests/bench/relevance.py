"""How well relevance ranks, what each ingredient of it is worth, and what it costs.

    python tests/bench/relevance.py --ablation --speed
    python tests/bench/relevance.py --papers P.jsonl --requests R.jsonl --judgements J.jsonl

Files are those of `digest rank`; a judgement is {"qid", "grades": {id: grade}}, and what is not graded is
not wanted. Without files, the set is made of the documents in ../shared: a request for each keyword that
two papers or more carry; for likes the papers whose keywords share a stem, and authors' own categories.
Authors and models give a paper few of the keywords that fit it, so no ranking can be perfect here.

The constants of `digest.core.relevance` were tuned on another set, which is not kept with the project: the
authors' keywords of 3,822 papers of OpenReview venues, the subject areas of 4,259 of IJCAI, and the
keywords of Hugging Face's dumps. These are a part of the set made here, too, so its figures for keywords
are not independent.

Figures are means over the requests of a collection, then over collections (what stands before the first
colon of a qid). Seconds are of CPU: to index all papers, and for one request to learn and to score all of
them, per 1,000 papers.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, permutations
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from digest import app
from digest.core import collection, relevance
from digest.core.collection import Collection, Floats, Integers
from digest.core.identity import title_id
from digest.core.model import Need, Page, Paper, PaperId
from digest.core.relevance import learn
from digest.core.stems import STOP_WORDS, stem, stems, words
from digest.errors import DigestError
from digest.sources import read_page

T = TypeVar("T")
SHARED = Path(os.environ.get("DIGEST_TEST_SHARED", Path(__file__).resolve().parents[3] / "shared"))
_LIKES, _DISLIKES, _FEW_LIKES = 10, 10, 5
_LEAST = 3  # papers that are left to find
_MOST_COMMON = 0.25  # of the papers share a stem that still says something
_REQUESTS = 150  # of a kind
_MOST = 3  # the highest grade: papers that share three stems or more


class Request(NamedTuple):
    """What to rank, and what it is worth."""

    qid: str
    need: Need
    candidates: tuple[PaperId, ...]
    grades: Mapping[PaperId, float]

    @property
    def kind(self) -> str:
        """Which figures fit it."""
        if not self.need.liked:
            return "keywords"
        if self.need.disliked:
            return "likes and dislikes"
        if self.need.keywords:
            return "likes and keywords"
        return "one like" if len(self.need.liked) == 1 else "likes"


def ndcg(grades: Sequence[float], first: int) -> float:
    """Normalised discounted cumulative gain of grades in the order of a ranking (exponential gain)."""

    def gain(grades: Sequence[float]) -> float:
        return sum((2**grade - 1) / math.log2(at + 2) for at, grade in enumerate(grades[:first]))

    return gain(grades) / gain(sorted(grades, reverse=True))


def auc(grades: Sequence[float]) -> float:
    """How often a wanted paper stands before one that is not."""
    wanted = sum(grade > 0 for grade in grades)
    before = behind = 0
    for grade in grades:
        if grade > 0:
            before += 1
        else:
            behind += before
    return behind / (wanted * (len(grades) - wanted))


def average_precision(grades: Sequence[float]) -> float:
    """Mean of the precision at each wanted paper."""
    at = [place for place, grade in enumerate(grades, 1) if grade > 0]
    return sum(number / place for number, place in enumerate(at, 1)) / len(at)


def recall(grades: Sequence[float], first: int) -> float:
    """Which part of the wanted papers is among the first."""
    return sum(grade > 0 for grade in grades[:first]) / sum(grade > 0 for grade in grades)


def _part(grades: Sequence[float], part: float) -> int:
    return max(1, round(len(grades) * part))


_FIGURES: Mapping[str, Mapping[str, Callable[[Sequence[float]], float]]] = {
    "keywords": {"nDCG@10": lambda grades: ndcg(grades, 10)},
    "likes": {"AUC": auc, "recall@10%": lambda grades: recall(grades, _part(grades, 0.1))},
    "likes and dislikes": {"AUC": auc, "recall@10%": lambda grades: recall(grades, _part(grades, 0.1))},
    "likes and keywords": {"AP": average_precision},
    "one like": {"nDCG@20%": lambda grades: ndcg(grades, _part(grades, 0.2))},
}


def timed(act: Callable[[], T]) -> tuple[float, T]:
    start = time.process_time()
    result = act()
    return time.process_time() - start, result


def shared_papers() -> list[Paper]:
    """All papers with an abstract in the documents of ../shared that have keywords or categories."""
    readers = app.readers()
    papers: dict[PaperId, Paper] = {}
    for file in sorted((SHARED / "fixtures").glob("*/*")):
        try:
            reading = read_page(Page(file.resolve().as_uri(), file.read_bytes(), None, app.now()), readers)
        except DigestError:
            continue  # it is there to be refused
        for listing in reading.listings:
            if listing.paper.abstract and (listing.paper.keywords or listing.paper.categories):
                papers.setdefault(listing.paper.id, listing.paper)
    return list(papers.values())


def shared_requests(papers: Sequence[Paper]) -> Iterator[Request]:
    """Requests in the words that authors and models gave their papers."""
    rng = random.Random(5)  # noqa: S311 - the same requests each time
    ids = tuple(paper.id for paper in papers if paper.keywords)
    carrying = _groups(
        papers, lambda paper: [re.sub(r"\s*\(.*?\)", "", one).lower() for one in paper.keywords]
    )
    for keyword, found in _some(carrying, 2, len(ids), rng):
        yield Request(f"shared:{keyword}", Need((keyword,)), ids, dict.fromkeys(found, 1))
    most = round(len(ids) * _MOST_COMMON)
    sharing = _groups(papers, lambda paper: set(chain.from_iterable(map(stems, paper.keywords))) - STOP_WORDS)
    written = Counter(word for paper in papers for keyword in paper.keywords for word in words(keyword))
    mostly = {stem(word): word for word, _ in reversed(written.most_common())}
    for name, found in _some(sharing, _LIKES + _LEAST, most, rng):
        yield from _of_likes(name, mostly[name], found, ids, rng)
    filed = tuple(paper.id for paper in papers if paper.categories)
    categories = _groups(papers, lambda paper: paper.categories)
    for name, found in _some(categories, _LIKES + _LEAST, len(filed), rng):
        # An arXiv category has no words of its own: cs.CL.
        yield from _of_likes(name, "" if "." in name else name, found, filed, rng)
    shared = Counter(
        pair for found in sharing.values() if len(found) <= most for pair in permutations(sorted(found), 2)
    )
    for one in rng.sample(ids, min(_REQUESTS, len(ids))):
        others = tuple(other for other in ids if other != one)
        graded = {other: min(_MOST, shared[one, other]) for other in others}
        yield Request(f"shared:like {one}", Need(liked=(one,)), others, graded)


def _groups(papers: Sequence[Paper], names: Callable[[Paper], Iterable[str]]) -> dict[str, set[PaperId]]:
    """The papers of each name."""
    groups: dict[str, set[PaperId]] = defaultdict(set)
    for paper in papers:
        for name in names(paper):
            groups[name].add(paper.id)
    return groups


def _some(
    groups: Mapping[str, set[PaperId]], least: int, most: int, rng: random.Random
) -> list[tuple[str, list[PaperId]]]:
    """Groups of a size, each with its papers in a random order."""
    fitting = [name for name, found in sorted(groups.items()) if least <= len(found) <= most]
    chosen = sorted(rng.sample(fitting, min(_REQUESTS, len(fitting))))
    return [(name, rng.sample(sorted(groups[name]), len(groups[name]))) for name in chosen]


def _of_likes(
    title: str, name: str, found: Sequence[PaperId], ids: Sequence[PaperId], rng: random.Random
) -> Iterator[Request]:
    others = sorted(set(ids) - set(found))
    disliked = tuple(rng.sample(others, min(_DISLIKES, len(others) // 2)))
    for likes, unwanted, keywords in (
        (_LIKES, (), ()),
        (_LIKES, disliked, ()),
        (_FEW_LIKES, (), (name,) if name else ()),
    ):
        liked = tuple(found[:likes])
        if likes == _LIKES or keywords:
            left = tuple(one for one in ids if one not in {*liked, *unwanted})
            need = Need(keywords, liked=liked, disliked=unwanted)
            yield Request(f"shared:{title}", need, left, dict.fromkeys(found[likes:], 1))


def lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as text:
        yield from (json.loads(line) for line in text if line.strip())


def own(papers: Path, requests: Path, judgements: Path) -> tuple[list[Paper], list[Request]]:
    """Anybody's own set."""
    grades = {found["qid"]: found["grades"] for found in lines(judgements)}
    return [
        Paper(found["id"], found.get("title") or "", found.get("abstract") or "") for found in lines(papers)
    ], [
        Request(
            found["qid"],
            Need(
                tuple(found.get("keywords") or ()),
                found.get("text") or "",
                tuple(found.get("liked") or ()),
                tuple(found.get("disliked") or ()),
            ),
            tuple(found["candidates"]),
            grades[found["qid"]],
        )
        for found in lines(requests)
    ]


def ranked(scores: Floats, papers: Collection, request: Request) -> list[float]:
    """The grades of the candidates, in the order of their scores; of equals, the identifiers decide."""
    candidates = sorted(request.candidates, key=lambda one: (-scores[papers.rows[one]], one))
    return [request.grades.get(one, 0) for one in candidates]


class Result(NamedTuple):
    """Figures of a kind of request."""

    requests: int
    figures: Mapping[str, float]
    seconds: float  # of a request, per 1,000 papers


def _scores(need: Need, papers: Collection) -> Floats:
    return learn(need, papers).scores(papers)


def measure(papers: Collection, requests: Sequence[Request]) -> dict[str, Result]:
    """The figures of each kind of request."""
    found: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    seconds: dict[str, float] = defaultdict(float)
    for request in requests:
        spent, scores = timed(partial(_scores, request.need, papers))
        grades = ranked(scores, papers, request)
        if 0 < sum(grade > 0 for grade in grades) < len(grades):
            seconds[request.kind] += spent
            figures = [figure(grades) for figure in _FIGURES[request.kind].values()]
            found[request.kind][request.qid.partition(":")[0]].append(figures)
    results = {}
    for kind, names in _FIGURES.items():
        if kind in found:
            means = [np.mean(figures, axis=0) for figures in found[kind].values()]
            number = sum(map(len, found[kind].values()))
            results[kind] = Result(
                number,
                dict(zip(names, np.mean(means, axis=0).tolist(), strict=True)),
                seconds[kind] / number / len(papers) * 1_000,
            )
    return results


def _centroid(
    liked: Integers,
    disliked: Integers,
    rough: Floats,
    space: relevance._Space,
) -> Floats:
    del rough
    return relevance._mean(liked, space) - relevance._DISLIKES * relevance._mean(disliked, space)  # noqa: SLF001


_keyword = relevance._keyword  # noqa: SLF001


def _without_pairs(written: str, papers: Collection) -> relevance.Keyword:
    return _keyword(written, papers)._replace(pairs=())


def _as_spelled(written: str, papers: Collection) -> relevance.Keyword:
    keyword = _keyword(written, papers)
    return keyword._replace(pairs=tuple(pair._replace(together="") for pair in keyword.pairs))


Change = tuple[object, str, object]
ABLATIONS: Mapping[str, Sequence[Change]] = {
    "everything": (),
    "no phrase bonus": [(relevance, "_keyword", _without_pairs)],
    "no coordination": [(relevance.Keyword, "coordination", lambda _, papers: np.ones(len(papers)))],
    "title counts as abstract": [(collection, "TITLE", 1.0)],
    "no stems": [(module, "stem", lambda word: word) for module in (collection, relevance)],
    "no spelling apart or as one": [(relevance, "_SHORTEST", 1_000), (relevance, "_keyword", _as_spelled)],
    "no first feedback": [(relevance, "_FIRST", 0.0)],
    "no second feedback": [(relevance, "_SECOND", 0.0)],
    "no feedback to keywords": [(relevance, "_FIRST", 0.0), (relevance, "_SECOND", 0.0)],
    "no feedback to likes": [(relevance, "_LIKE_FEEDBACK", 0.0)],
    "all that is not judged is negative": [(relevance, "_RELIABLE", 1.0)],
    "centroid, not two steps": [(relevance, "_two_steps", _centroid)],
}
"""What to change in the modules for a run without an ingredient."""


@contextmanager
def changed(changes: Sequence[Change]) -> Iterator[None]:
    """For a while, something else under some names."""
    before = [(where, name, getattr(where, name)) for where, name, _ in changes]
    try:
        for where, name, value in changes:
            setattr(where, name, value)
        yield
    finally:
        for where, name, value in before:
            setattr(where, name, value)


def ablate(papers: Sequence[Paper], requests: Sequence[Request], out: Callable[[str], None]) -> None:
    """A table: what each ingredient is worth."""
    heads = [f"{kind}: {name}" for kind, names in _FIGURES.items() for name in names]
    out("| | " + " | ".join(heads) + " |")
    out("| --- |" + " ---: |" * len(heads))
    for name, changes in ABLATIONS.items():
        with changed(changes):
            results = measure(Collection(papers), requests)
        cells = [
            f"{results[kind].figures[figure]:.3f}" if kind in results else ""
            for kind, names in _FIGURES.items()
            for figure in names
        ]
        out(f"| {name} | " + " | ".join(cells) + " |")


_SYLLABLES = [a + b for a in "bdfgklmnprtvz" for b in ("a", "e", "i", "o", "u", "an", "el", "or")]


def invented(number: int) -> list[Paper]:
    """Papers whose words are as unevenly common as those of a language: 60,000 words, 200 of them each."""
    rng = random.Random(7)  # noqa: S311 - the same papers each time
    words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(2, 4))) for _ in range(60_000)]
    weights = np.cumsum([1 / (rank + 10) for rank in range(len(words))]).tolist()

    def text(length: int) -> str:
        return " ".join(rng.choices(words, cum_weights=weights, k=length))

    return [Paper(title_id(f"{at}"), text(10), text(200)) for at in range(number)]


def _read_and_scored(lesson: relevance.Lesson, papers: Sequence[Paper]) -> Floats:
    return lesson.scores(Collection(papers))


def speed(out: Callable[[str], None], *, papers: int = 20_000, likes: int = 50, runs: int = 5) -> None:
    """What a person with many likes costs each day, in seconds of CPU."""
    found = invented(papers)
    indexing, stored = timed(lambda: Collection(found))
    liked = tuple(paper.id for paper in found[:: papers // likes])[:likes]
    training, scoring = [], []
    for _ in range(runs):
        spent, lesson = timed(lambda: learn(Need(liked=liked), stored))
        training.append(spent)
        scoring.append(timed(partial(_read_and_scored, lesson, found[:1_000]))[0])
    out(
        f"{papers:,} invented papers: {indexing:.2f} s to index, "
        f"{statistics.median(training):.2f} s to learn from {likes} likes, "
        f"{statistics.median(scoring):.2f} s to index and score 1,000 papers (median of {runs})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--papers", type=Path, help="JSON lines, with --requests and --judgements")
    parser.add_argument("--requests", type=Path)
    parser.add_argument("--judgements", type=Path)
    parser.add_argument("--ablation", action="store_true", help="also: without each ingredient")
    parser.add_argument("--speed", action="store_true", help="also: 50 likes over 20,000 papers")
    asked = parser.parse_args()
    files = [asked.papers, asked.requests, asked.judgements]
    if any(files) and not all(files):
        parser.error("--papers, --requests and --judgements go together")

    def out(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    if all(files):
        papers, requests = own(*files)
    elif SHARED.is_dir():
        papers = shared_papers()
        requests = list(shared_requests(papers))
    else:
        out(f"{SHARED} is not there: it holds documents that are not ours to hand on")
        papers, requests = [], []
    if papers:
        indexing, read = timed(lambda: Collection(papers))
        out(f"{len(papers):,} papers, {indexing / len(papers) * 1_000:.3f} s per 1,000 to index")
        for kind, result in measure(read, requests).items():
            figures = ", ".join(f"{name} {value:.3f}" for name, value in result.figures.items())
            cost = f"{result.seconds:.3f} s per 1,000 papers"
            out(f"{kind:<18} {result.requests:>4} requests: {figures}; {cost}")
        if asked.ablation:
            ablate(papers, requests, out)
    if asked.speed:
        speed(out)


if __name__ == "__main__":
    main()
