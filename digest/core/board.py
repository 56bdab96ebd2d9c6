"""Which papers each of many interests wants, decided for all papers at once.

A paper is a bit, and where a term stands is a whole number with the bits of its papers. So an interest
is a handful of operations on whole numbers: keywords are joined by `|`, conditions by `&`, exclusions by
`& ~`, whatever the number of papers. What stands in a paper is found once, for all interests together;
the cost follows words and hits, not papers times interests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from digest.core.match import Findings, Matcher
from digest.core.model import Field, Interest, Listing, Paper, PaperId
from digest.core.names import parts
from digest.core.query import And, CompiledInterest, Expression, Labels, Not, Or, Term


class Board:
    """Papers, put up once, and what every term of some interests finds in them."""

    def __init__(self, interests: Iterable[CompiledInterest]) -> None:
        terms = dict.fromkeys(term for interest in interests for term in interest.terms)
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
        self.findings: list[Findings] = []
        self._numbers: dict[PaperId, int] = {}
        self._standing: dict[Term, int] = {}

    def put(self, paper: Paper, listings: Sequence[Listing] = ()) -> int:
        """The number of a paper, which is the place of its bit; it is looked through the first time."""
        number = self._numbers.get(paper.id)
        if number is None:
            number = self._numbers[paper.id] = len(self.findings)
            findings = self._matcher.scan(paper, listings)
            self.findings.append(findings)
            for term in self._terms(findings):
                self._standing[term] = self._standing.get(term, 0) | 1 << number
        return number

    def _terms(self, findings: Findings) -> Iterable[Term]:
        """The terms that stand in a paper."""
        standing: set[Term] = set()
        for fields, by_pattern in self._simple.items():
            for field in fields:
                for pattern in findings.hits[field]:
                    standing.update(by_pattern.get(pattern, ()))
        likely = set(self._others)
        if self._beginning:
            for hits in findings.hits.values():
                for pattern in hits:
                    likely.update(self._beginning.get(pattern, ()))
        if self._people:
            for name in findings.paper.authors:
                likely.update(self._people.get(parts(name)[1].rpartition(" ")[2], ()))
        standing.update(term for term in likely if findings.places(term))
        return standing

    def counts(self, papers: Iterable[int]) -> dict[Term, int]:
        """In how many of some papers each term stands, without those that stand in none."""
        some = bits(papers)
        found = {term: (standing & some).bit_count() for term, standing in self._standing.items()}
        return {term: count for term, count in found.items() if count}

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


def bits(papers: Iterable[int]) -> int:
    """Papers given by their numbers, as bits."""
    return sum(1 << number for number in set(papers))


def numbers(papers: int) -> Iterator[int]:
    """The numbers of papers given as bits, lowest first."""
    while papers:
        lowest = papers & -papers
        yield lowest.bit_length() - 1
        papers ^= lowest
