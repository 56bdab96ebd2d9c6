"""Papers as numbers: how often each stem stands in each, ready for sums over all of them.

The matrix of papers and stems is kept as four columns with an entry for each stem of each paper
(compressed sparse rows). What a stem weighs in a paper follows from that paper alone, so a paper that
comes tomorrow weighs the same beside other papers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from digest.core.model import Paper, PaperId
from digest.core.stems import STOP_WORDS, stem, words

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TITLE = 2.5  # what a word in the title counts, with one in the abstract counting 1
_K1 = 1.2  # how soon repetition stops counting; the usual value
_GAP = -1  # the last item of an array, and no phrase runs across it


class _Numbers(dict[str, int]):
    """Numbers of words, in the order in which they come."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number


class Collection:
    """Some papers, each once, in the order of their identifiers whatever order they come in."""

    def __init__(self, papers: Iterable[Paper]) -> None:
        self.papers: Sequence[Paper] = sorted({paper.id: paper for paper in papers}.values(), key=_by_id)
        self.rows: Mapping[PaperId, int] = {paper.id: row for row, paper in enumerate(self.papers)}
        spellings, numbers = _Numbers(), _Numbers()
        titles = _flat([paper.title for paper in self.papers], spellings)
        abstracts = _flat([paper.abstract for paper in self.papers], spellings)
        stem_of = np.array([*(numbers[stem(spelling)] for spelling in spellings), _GAP], np.int64)
        self._numbers: Mapping[str, int] = numbers
        self.stems: Sequence[str] = list(numbers)
        self._spellings = list(spellings), stem_of[:-1], np.bincount(np.append(titles, abstracts) + 1)[1:]
        # A title's length says little.
        self._titles = _Texts(stem_of[titles], usual=10.0, b=0.3)
        self._abstracts = _Texts(stem_of[abstracts], usual=170.0, b=0.75)
        width = max(1, len(self.stems))
        in_titles, title_frequency = self._titles.cells(width)
        in_abstracts, abstract_frequency = self._abstracts.cells(width)
        cells = np.union1d(in_titles, in_abstracts)
        frequency = np.zeros(len(cells))
        frequency[np.searchsorted(cells, in_titles)] += TITLE * title_frequency
        frequency[np.searchsorted(cells, in_abstracts)] += abstract_frequency
        self.row: Integers = cells // width
        self.column: Integers = cells % width
        self._frequency = frequency
        # BM25F: the fields are added up first, so that a stem saturates once in a paper.
        self.weight = _saturated(frequency)

    def __len__(self) -> int:
        """How many papers there are."""
        return len(self.papers)

    @cached_property
    def containing(self) -> Integers:
        """In how many papers each stem stands."""
        return np.bincount(self.column, minlength=len(self.stems))

    @cached_property
    def rarity(self) -> Floats:
        """Inverse document frequency of each stem, never negative (Lucene's form)."""
        return self.rarity_of(self.containing)

    def rarity_of(self, containing: NDArray[np.int64] | int) -> Floats:
        """The same for something else that stands in so many papers."""
        return np.log(1 + (len(self) - containing + 0.5) / (np.asarray(containing) + 0.5))

    @cached_property
    def tells(self) -> NDArray[np.bool_]:
        """Which stems may say something about a subject."""
        return np.array([one not in STOP_WORDS and not one.isdecimal() for one in self.stems], bool)

    @cached_property
    def share(self) -> Floats:
        """The weight of each entry as a part of its paper, however much that paper says; 0 for stop words.

        The length of a vector is that of its words without regard to their weight: as good as the
        Euclidean length on our trials, and independent of the other papers.
        """
        tells = self.tells[self.column]
        several = np.bincount(self.row[tells], minlength=len(self))
        return np.where(tells, self.weight / np.sqrt(np.maximum(several, 1))[self.row], 0.0)

    def sums(self, weights: Floats, entries: Floats) -> Floats:
        """For each paper the sum over its stems of weight times entry."""
        return added_up(self.row, entries * weights[self.column], len(self))

    def together(self, papers: Floats, entries: Floats) -> Floats:
        """For each stem the sum over papers of their weight times entry: a vector in words."""
        return added_up(self.column, entries * papers[self.row], len(self.stems))

    def number(self, one: str) -> int | None:
        """The column of a stem; None if it stands nowhere."""
        return self._numbers.get(one)

    @cached_property
    def spelled(self) -> Sequence[str]:
        """How each stem is mostly spelled, in lower case."""
        spellings, stem_of, count = self._spellings
        # The last one written wins: the most frequent, and of equals the last in the alphabet.
        order = sorted(range(len(spellings)), key=lambda number: (count[number], spellings[number]))
        mostly = list(self.stems)
        for number in order:
            mostly[stem_of[number]] = spellings[number]
        return mostly

    def word(self, one: str, apart: Iterable[tuple[str, str]] = ()) -> Floats:
        """What a stem weighs in each paper, also where it is spelled as two stems side by side."""
        frequency = self._standing(one)
        for first, second in apart:
            frequency += self._following(first, second)
        return _saturated(frequency)

    def pair(self, first: str, second: str, together: str) -> Floats:
        """What two stems weigh in each paper where they stand side by side, or are spelled `together`."""
        return _saturated(self._following(first, second) + self._standing(together))

    def _standing(self, one: str) -> Floats:
        frequency = np.zeros(len(self))
        entries = self.entries(one)
        frequency[self.row[entries]] = self._frequency[entries]
        return frequency

    def entries(self, one: str) -> Integers:
        """The entries of a stem."""
        number = self.number(one)
        order, begin = self._postings
        return order[:0] if number is None else order[begin[number] : begin[number + 1]]

    def _following(self, first: str, second: str) -> Floats:
        a, b = self.number(first), self.number(second)
        if a is None or b is None:
            return np.zeros(len(self))
        return TITLE * self._titles.following(a, b) + self._abstracts.following(a, b)

    @cached_property
    def _postings(self) -> tuple[Integers, Integers]:
        """The entries by column, and where each column begins."""
        order = np.argsort(self.column, kind="stable")
        return order, np.searchsorted(self.column[order], np.arange(len(self.stems) + 1))


def _by_id(paper: Paper) -> PaperId:
    return paper.id


def added_up(places: Integers, values: Floats, size: int) -> Floats:
    """The sum of the values of each place; of none, the dtype would be another."""
    return np.bincount(places, values, size).astype(np.float64, copy=False)


def _saturated(frequency: Floats) -> Floats:
    return frequency * (_K1 + 1) / (frequency + _K1)


def _flat(texts: Iterable[str], numbers: _Numbers) -> Integers:
    """The words of texts as numbers, one after another, with a gap behind each text."""
    flat: list[int] = []
    for text in texts:
        flat.extend(map(numbers.__getitem__, words(text)))
        flat.append(_GAP)
    return np.array(flat, np.int64)


class _Texts:
    """One field of all papers, as the numbers of its stems one after another."""

    def __init__(self, flat: Integers, *, usual: float, b: float) -> None:
        self._stems = flat
        ends = np.flatnonzero(flat == _GAP)
        lengths = np.diff(ends, prepend=-1) - 1
        self._rows = np.repeat(np.arange(len(ends)), lengths + 1)
        self.norm: Floats = 1 - b + b * lengths / usual

    def cells(self, width: int) -> tuple[Integers, Floats]:
        """The cells of a matrix of `width` columns that hold something, and how often, length-normalised."""
        stands = self._stems != _GAP
        cells, count = np.unique(self._rows[stands] * width + self._stems[stands], return_counts=True)
        return cells, count / self.norm[cells // width]

    def following(self, first: int, second: int) -> Floats:
        """How often a stem stands right before another in each text, length-normalised."""
        hits = (self._stems[:-1] == first) & (self._stems[1:] == second)
        return np.bincount(self._rows[:-1][hits], minlength=len(self.norm)) / self.norm
