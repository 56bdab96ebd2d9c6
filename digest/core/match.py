"""Which interests a paper satisfies, and the evidence.

`Matcher` looks every term of every interest up in one pass over a paper; an interest is then
evaluated on what was found, without looking at the text again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from digest.core.index import Hit, PhraseIndex
from digest.core.model import Field, Listing, Match, Paper
from digest.core.names import same_person
from digest.core.plain import Plain, undo_markup
from digest.core.query import (
    And,
    CompiledInterest,
    Expression,
    Labels,
    Not,
    Or,
    Term,
    spelling,
)
from digest.core.text import cut_plain, word_count


@dataclass(frozen=True, slots=True)
class Findings:
    """What stands in one paper."""

    paper: Paper
    listings: Sequence[Listing]
    texts: dict[Field, Plain]
    hits: dict[Field, dict[Labels, tuple[Hit, ...]]]  # where the patterns of terms stand
    _places: dict[Term, tuple[tuple[Field, int, int], ...]] = field(default_factory=dict)
    _lengths: dict[Field, int] = field(default_factory=dict)

    def length(self, field: Field) -> int:
        """Words in a field."""
        length = self._lengths.get(field)
        if length is None:
            length = self._lengths[field] = word_count(self.texts[field].text)
        return length

    def places(self, term: Term) -> tuple[tuple[Field, int, int], ...]:
        """Where a term stands: field, and offsets into the original text; none overlaps another."""
        places = self._places.get(term)
        if places is None:
            places = self._places[term] = tuple(self._find(term))
        return places

    def _find(self, term: Term) -> Iterator[tuple[Field, int, int]]:
        for name in term.fields:
            match name:
                case "author":
                    yield from _listed(
                        self.paper.authors, name, lambda value: same_person(term.written, value)
                    )
                case "category":
                    yield from _listed(
                        self.paper.categories, name, lambda value: _in_category(term.written, value)
                    )
                case "source":
                    if any(listing.source.casefold() == term.written.casefold() for listing in self.listings):
                        yield name, 0, 0
                case _:
                    if not self.hits[name]:
                        continue
                    text = self.texts[name]
                    plain = text.text
                    hits = _in_order(term, self.hits[name], plain)
                    if term.exact is not None:
                        hits = [hit for hit in hits if spelling(plain[hit.start : hit.end]) == term.exact]
                    for hit in _apart(hits) if hits else ():
                        yield name, *text.span(hit.start, hit.end)


def _listed(
    values: Sequence[str], name: Field, wanted: Callable[[str], bool]
) -> Iterator[tuple[Field, int, int]]:
    """Places in a list of values, which `Paper.text` joins by a comma and a space."""
    at = 0
    for value in values:
        if wanted(value):
            yield name, at, at + len(value)
        at += len(value) + len(", ")


def _in_category(wanted: str, category: str) -> bool:
    """Whether `cs.CV` is `cs.CV`, or falls under `cs`, `cs.*`, `cs.C*` or `*`."""
    wanted, category = wanted.casefold().removesuffix(".*"), category.casefold()
    if wanted.endswith("*"):
        return category.startswith(wanted[:-1])
    return category == wanted or category.startswith(wanted + ".")


def _in_order(term: Term, hits: Mapping[Labels, tuple[Hit, ...]], text: str) -> Iterable[Hit]:
    """Places where a term's parts stand in order, with at most `slop` words between them in all."""
    places = [sorted(hit for pattern in readings for hit in hits.get(pattern, ())) for readings in term.words]
    if len(places) == 1:
        return places[0]
    if not all(places):
        return ()
    nodes = _nodes(text)
    found: dict[int, Hit] = {}  # by their end: of several beginnings the last is the closest
    for first in places[0]:
        # The nearest next part leaves the most room for the parts after it.
        last, between = first, 0
        for following, gap in zip(places[1:], term.gaps, strict=True):
            nearest = next((hit for hit in following if hit.start >= last.end), None)
            if nearest is None or nodes[nearest.start] - nodes[last.end] > gap:
                break
            between += _words(text[last.end : nearest.start])
            last = nearest
        else:
            if between <= term.slop:
                found[last.end] = Hit(first.start, last.end)
    return found.values()


@lru_cache(maxsize=64)  # the same few texts are asked for by one term after another
def _nodes(text: str) -> Mapping[int, int]:
    """The nodes that words of a plain text begin and end at, by offset."""
    edges = cut_plain(Plain(text)).edges
    return {edge.start: edge.source for edge in edges} | {edge.end: edge.target for edge in edges}


def _words(between: str) -> int:
    """How many words stand between two parts, as people count: a compound is one."""
    return sum(any(map(str.isalnum, word)) for word in between.split())


def _apart(hits: Iterable[Hit]) -> Iterator[Hit]:
    """Hits that do not overlap: the earliest, and of those that start together the longest."""
    end = -1
    for hit in sorted(set(hits), key=lambda hit: (hit.start, -hit.end)):
        if hit.start >= end:
            yield hit
            end = hit.end


_REQUIRED = " is required"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an interest fares with a paper."""

    interest: CompiledInterest
    satisfied: bool
    matches: tuple[Match, ...]  # of what speaks for the paper
    against: tuple[Match, ...]
    missing: tuple[str, ...]  # in words, what would have to be otherwise

    @property
    def is_near_miss(self) -> bool:
        """Whether the keywords are there and a single required one is not; an exclusion is hard."""
        return len(self.missing) == 1 and self.missing[0].endswith(_REQUIRED) and bool(self.matches)


class Matcher:
    """Looks the terms of many interests up at once."""

    def __init__(self, interests: Iterable[CompiledInterest]) -> None:
        wanted = [term for interest in interests for term in interest.terms]
        self._index = PhraseIndex(pattern for term in wanted for pattern in term.patterns)
        # Title and abstract always: their lengths count in the ranking.
        self._fields = dict.fromkeys(
            ("title", "abstract", *(name for term in wanted if term.words for name in term.fields))
        )

    def scan(self, paper: Paper, listings: Sequence[Listing] = ()) -> Findings:
        """Find every term in a paper."""
        findings = Findings(paper, listings, {}, {})
        self.scan_more(findings)
        return findings

    def scan_more(self, findings: Findings) -> Mapping[Field, Mapping[Labels, tuple[Hit, ...]]]:
        """Find every term in a paper in which others were found before; gives the hits of these alone."""
        found = {}
        for name in self._fields:
            text = findings.texts.get(name)
            if text is None:
                text = findings.texts[name] = undo_markup(findings.paper.text(name))
            found[name] = self._index.scan(text)
            findings.hits.setdefault(name, {}).update(found[name])
        return found


def evaluate(compiled: CompiledInterest, findings: Findings) -> Outcome:
    """Decide whether an interest wants a paper."""

    def holds(expression: Expression) -> bool:
        match expression:
            case Term():
                return bool(findings.places(expression))
            case Not(operand):
                return not holds(operand)
            case And(operands):
                return all(holds(operand) for operand in operands)
            case Or(operands):  # pragma: no branch - the cases are all there are
                return any(holds(operand) for operand in operands)

    def anywhere(terms: Sequence[Term]) -> bool:
        return any(findings.places(term) for term in terms)

    missing: list[str] = []
    if compiled.keywords and not anywhere(compiled.keywords):
        missing.append(f"any of {_quoted(compiled.keywords)}")
    missing += [lacks(term) for term in dict.fromkeys(compiled.require) if not findings.places(term)]
    if compiled.authors and not anywhere(compiled.authors):
        missing.append(f"an author of {_quoted(compiled.authors)}")
    if compiled.categories and not anywhere(compiled.categories):
        missing.append(f"a category of {_quoted(compiled.categories)}")
    if compiled.query is not None and not holds(compiled.query):
        missing.append(f"the query {compiled.interest.query}")
    missing += [f"{term.written!r} is excluded" for term in compiled.exclude if findings.places(term)]

    def places(terms: Iterable[Term]) -> tuple[Match, ...]:
        return tuple(
            dict.fromkeys(
                Match(compiled.interest.name, term.written, name, start, end)
                for term in terms
                for name, start, end in findings.places(term)
            )
        )

    return Outcome(compiled, not missing, places(compiled.wanted), places(compiled.unwanted), tuple(missing))


def lacks(term: Term) -> str:
    """What is said of a required keyword that is not there."""
    return f"{term.written!r}{_REQUIRED}"


def _quoted(terms: Sequence[Term]) -> str:
    return ", ".join(repr(term.written) for term in terms)
