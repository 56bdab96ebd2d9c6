"""Which papers each of many interests wants, decided for all papers at once.

A paper is a bit, and where a term stands is a whole number with the bits of its papers. So an interest
is a handful of operations on whole numbers: keywords are joined by `|`, conditions by `&`, exclusions by
`& ~`, whatever the number of papers. What stands in a paper is found once, for all interests together;
the cost follows words and hits, not papers times interests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from digest.core.match import Findings, Matcher, lacks
from digest.core.model import Field, Interest, Listing, Paper, PaperId
from digest.core.names import parts
from digest.core.query import And, CompiledInterest, Expression, Labels, Not, Or, Term

_MOST_TERMS = 1 << 18
"""Terms that are known at a time, of about 1 KB."""


class Board:
    """Papers, put up once, and what every term of some interests finds in them."""

    def __init__(self, interests: Iterable[CompiledInterest] = ()) -> None:
        self.findings: list[Findings] = []
        self._numbers: dict[PaperId, int] = {}
        self._standing: dict[Term, int] = {}
        self._known: set[Term] = set()
        self._lookups: list[_Lookup] = []
        self.expect(interests)

    def expect(self, interests: Iterable[CompiledInterest]) -> None:
        """Know of more interests: their new terms are looked for in the papers that are there, too."""
        terms = dict.fromkeys(term for interest in interests for term in interest.terms)
        new = [term for term in terms if term not in self._known]
        if len(self._known) + len(new) > _MOST_TERMS and self._lookups:
            self._known, self._standing, self._lookups = set(), {}, []
            self.findings = [Findings(one.paper, one.listings, {}, {}) for one in self.findings]
            new = list(terms)
        if new or not self._lookups:
            self._known.update(new)
            self._lookups.append(_Lookup(new))
            for number in range(len(self.findings)):
                self._look(number, self._lookups[-1])

    def put(self, paper: Paper, listings: Sequence[Listing] = ()) -> int:
        """The number of a paper, which is the place of its bit; it is looked through the first time."""
        number = self._numbers.get(paper.id)
        if number is None:
            number = self._numbers[paper.id] = len(self.findings)
            self.findings.append(Findings(paper, listings, {}, {}))
            for lookup in self._lookups:
                self._look(number, lookup)
        return number

    def _look(self, number: int, lookup: _Lookup) -> None:
        for term in lookup.standing(self.findings[number]):
            self._standing[term] = self._standing.get(term, 0) | 1 << number

    def counts(self, papers: Iterable[int]) -> Mapping[Term, int]:
        """In how many of some papers each term stands, also of interests to come."""
        return _Counts(self, bits(papers))

    def wanted(self, interest: CompiledInterest) -> int:
        """The papers that satisfy an interest."""
        return self._satisfying(interest, interest.require) & ~self._any(interest.exclude)

    def nearly(self, interest: CompiledInterest) -> int:
        """The papers that something speaks for and a single required keyword is missing in."""
        found = 0
        for term in interest.require:
            others = [other for other in interest.require if other is not term]
            found |= self._satisfying(interest, others) & ~self._standing.get(term, 0)
        return found & self._any(interest.wanted) & ~self._any(interest.exclude)

    def lacking(self, interest: CompiledInterest, number: int) -> tuple[str, ...]:
        """What a paper lacks that something speaks for, as `evaluate` says it."""
        return tuple(
            [lacks(term) for term in interest.require if not self._standing.get(term, 0) >> number & 1]
        )

    def allowed(self, interest: CompiledInterest) -> int:
        """The papers that satisfy every condition of an interest but its keywords and its query's."""
        found = self._all
        for alternatives in (interest.authors, interest.categories):
            if alternatives:
                found &= self._any(alternatives)
        for term in interest.require:
            found &= self._standing.get(term, 0)
        return found & ~self._any(interest.unwanted)

    def standing(self, term: Term) -> int:
        """The papers in which a term stands."""
        return self._standing.get(term, 0)

    @property
    def terms(self) -> Iterable[Term]:
        """The terms that stand in any paper."""
        return self._standing

    def _satisfying(self, interest: CompiledInterest, require: Iterable[Term]) -> int:
        standing = self._standing
        found = -1  # all papers
        for alternatives in (interest.keywords, interest.authors, interest.categories):
            if alternatives:
                found &= self._any(alternatives)
                if not found:
                    return 0
        for term in require:
            found &= standing.get(term, 0)
        if interest.query is not None:
            found &= self._holding(interest.query)
        return found & self._all

    def _any(self, terms: Iterable[Term]) -> int:
        standing = self._standing
        found = 0
        for term in terms:
            found |= standing.get(term, 0)
        return found

    @property
    def _all(self) -> int:
        return (1 << len(self.findings)) - 1

    def _holding(self, expression: Expression) -> int:
        match expression:
            case Term():
                return self._standing.get(expression, 0)
            case Not(operand):
                return self._all & ~self._holding(operand)
            case And(operands):
                found = self._all
                for operand in operands:
                    found &= self._holding(operand)
                return found
            case Or(operands):  # pragma: no branch - the cases are all there are
                found = 0
                for operand in operands:
                    found |= self._holding(operand)
                return found


class _Counts(Mapping[Term, int]):
    """Terms that stand in some papers, with how many these are."""

    def __init__(self, board: Board, papers: int) -> None:
        self._board = board
        self._papers = papers

    def __getitem__(self, term: Term) -> int:
        count = (self._board.standing(term) & self._papers).bit_count()
        if not count:
            raise KeyError(term)
        return count

    def __iter__(self) -> Iterator[Term]:
        return (term for term in self._board.terms if term in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Lookup:
    """Finds terms in papers."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self._matcher = Matcher([CompiledInterest(Interest(""), tuple(terms))])
        # By pattern: the terms that stand wherever it does, and those that may begin with it.
        self._simple: dict[tuple[Field, ...], dict[Labels, list[Term]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self._beginning: dict[Labels, list[Term]] = defaultdict(list)
        self._people: dict[str, list[Term]] = defaultdict(list)  # by the last word of the family name
        self._others: list[Term] = []
        for term in terms:
            if term.words:
                simple = len(term.words) == 1 and term.exact is None
                by_pattern = self._simple[term.fields] if simple else self._beginning
                for pattern in term.words[0]:
                    by_pattern[pattern].append(term)
            elif term.fields[0] == "author":
                self._people[parts(term.written)[1].rpartition(" ")[2]].append(term)
            else:
                self._others.append(term)

    def standing(self, findings: Findings) -> Iterable[Term]:
        """The terms that stand in a paper, whose places are found then."""
        found = self._matcher.scan_more(findings)
        standing: set[Term] = set()
        for fields, by_pattern in self._simple.items():
            for field in fields:
                for pattern in found[field]:
                    standing.update(by_pattern.get(pattern, ()))
        likely = set(self._others)
        if self._beginning:
            for hits in found.values():
                for pattern in hits:
                    likely.update(self._beginning.get(pattern, ()))
        if self._people:
            for name in findings.paper.authors:
                likely.update(self._people.get(parts(name)[1].rpartition(" ")[2], ()))
        standing.update(term for term in likely if findings.places(term))
        return standing


def bits(papers: Iterable[int]) -> int:
    """Papers given by their numbers, as bits."""
    return sum(1 << number for number in set(papers))


def numbers(papers: int) -> Iterator[int]:
    """The numbers of papers given as bits, lowest first."""
    while papers:
        lowest = papers & -papers
        yield lowest.bit_length() - 1
        papers ^= lowest
