"""What interests would have found in papers that are stored already, and which of it looks foreign.

A hit is judged by the company it keeps: the words of its title and abstract, without the evidence
itself, weighted by how rare they are among all papers (inverse document frequency), and compared by
their cosine with those of the other hits of the same keyword (Salton, Wong, Yang: "A vector space
model for automatic indexing", CACM 18, 1975).
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from functools import lru_cache
from statistics import median

from digest.core import plural
from digest.core.match import Matcher, evaluate
from digest.core.model import Interest, Match, Paper, Profile, StoredPaper
from digest.core.plain import undo_markup
from digest.core.query import CompiledInterest, Term, compile_interest

_FEWEST = 5  # hits with an abstract; fewer do not show what is usual
_JUDGED = 1_000  # hits of a keyword, the newest; more would show nothing else
_FOREIGN = 0.5  # of the usual likeness
_TELLING = 4  # words named for a foreign hit
_GROUP = 2  # hits that a word must take away: any paper has words that no other has
_MOST_EXCLUDED = 3
_TRIED = 20  # words that are tried as exclusions, best first


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day of the time that was looked at."""

    day: date
    papers: int
    hits: int


@dataclass(frozen=True, slots=True, eq=False)  # to hash a whole paper each time takes seconds
class Hit:
    """A paper that at least one of the interests wants."""

    paper: Paper
    day: date
    interests: tuple[str, ...]  # that want it
    matches: tuple[Match, ...]
    known: tuple[tuple[str, str], ...]  # profile and interest that have it already


@dataclass(frozen=True, slots=True)
class KeywordReport:
    """What one keyword is good for."""

    keyword: str
    papers: int  # in which it stands, whatever else the interest demands
    hits: int
    only: int  # hits that would be lost without it


@dataclass(frozen=True, slots=True)
class Foreign:
    """A hit that has little in common with the others, and words that stand in none of those."""

    hit: Hit
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Hits of a keyword that may be false."""

    keyword: str  # or the interest, where it has no keywords
    foreign: tuple[Foreign, ...]  # the most foreign first
    exclude: tuple[str, ...]  # keywords that take foreign hits away and no other
    excluded: int  # hits that these take away


@dataclass(frozen=True, slots=True)
class InterestReport:
    """What one interest is good for."""

    interest: str
    hits: int
    only: int  # that no other of the interests wants
    keywords: tuple[KeywordReport, ...]
    doubts: tuple[Doubt, ...]


@dataclass(frozen=True, slots=True)
class Nowhere:
    """A keyword that stands in no paper."""

    keyword: str
    near: tuple[str, ...]  # words that do stand in papers and are spelled nearly like one of its own


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many of the hits an interest of a profile has already."""

    profile: str
    interest: str
    hits: int


@dataclass(frozen=True, slots=True)
class Backtest:
    """What interests would have found."""

    days: tuple[Day, ...]  # every one, oldest first
    hits: tuple[Hit, ...]  # newest first
    interests: tuple[InterestReport, ...]
    nowhere: tuple[Nowhere, ...]
    overlaps: tuple[Overlap, ...]
    newest: date | None  # of all papers that were given, within these days or not

    @property
    def papers(self) -> int:
        """How many papers were looked at."""
        return sum(day.papers for day in self.days)

    @property
    def new(self) -> int:
        """How many of the hits no interest has yet."""
        return sum(not hit.known for hit in self.hits)


def backtest(
    stored: Sequence[StoredPaper],
    interests: Sequence[Interest],
    profiles: Sequence[Profile],
    *,
    until: date,
    days: int,
    timezone: tzinfo,
) -> Backtest:
    """Try interests on the papers of some days, the last of them included, beside what profiles have.

    `stored` comes oldest first. A paper counts for the day on which it was first listed or, if that
    was sooner, first seen. Raises QueryError.
    """
    compiled = [compile_interest(interest) for interest in interests]
    known = [
        (profile.name, interest.name, compile_interest(interest))
        for profile in profiles
        for interest in profile.interests
    ]
    matcher = Matcher([*compiled, *(interest for _, _, interest in known)])
    wanted = list(dict.fromkeys(term for interest in compiled for term in interest.wanted))
    dated = [(_day(item, timezone), item) for item in reversed(stored)]
    since = until - timedelta(days=days - 1)
    papers: Counter[date] = Counter()
    standing: Counter[Term] = Counter()
    vocabulary: Counter[str] = Counter()
    hits: list[Hit] = []
    # The sort is stable, so within a day what came last comes first.
    for day, item in sorted(dated, key=lambda pair: pair[0], reverse=True):
        if not since <= day <= until:
            continue
        findings = matcher.scan(item.paper, item.listings)
        papers[day] += 1
        standing.update(term for term in wanted if findings.places(term))
        vocabulary.update(_words(f"{item.paper.title}\n{item.paper.abstract}").keys())
        outcomes = [
            outcome
            for outcome in (evaluate(interest, findings) for interest in compiled)
            if outcome.satisfied
        ]
        if outcomes:
            hits.append(
                Hit(
                    item.paper,
                    day,
                    tuple(outcome.interest.interest.name for outcome in outcomes),
                    tuple(match for outcome in outcomes for match in outcome.matches),
                    tuple(
                        (profile, name)
                        for profile, name, interest in known
                        if evaluate(interest, findings).satisfied
                    ),
                )
            )
    per_day = Counter(hit.day for hit in hits)
    corpus = _Corpus(papers.total(), vocabulary)
    having = Counter(pair for hit in hits for pair in hit.known)
    return Backtest(
        days=tuple(
            Day(day, papers[day], per_day[day]) for day in (since + timedelta(days=n) for n in range(days))
        ),
        hits=tuple(hits),
        interests=tuple(_report(interest, hits, standing, corpus) for interest in compiled),
        nowhere=tuple(
            Nowhere(term.written, corpus.near(term)) for term in wanted if papers and not standing[term]
        ),
        overlaps=tuple(Overlap(profile, name, having[profile, name]) for profile, name, _ in known),
        newest=max((day for day, _ in dated), default=None),
    )


def surroundings(text: str, start: int, end: int, width: int) -> tuple[int, int]:
    """Where to cut a text so that a place in it is shown with the words around it.

    Gives offsets of about `width` characters, moved to the ends of words where there are any.
    """
    spare = max(0, width - (end - start))
    left = max(0, min(start - spare // 2, len(text) - width))
    right = min(len(text), max(end, left + width))
    if left > 0:
        left = next(
            (found.end() for found in re.finditer(r"\s+", text[:start]) if found.end() >= left), start
        )
    if right < len(text):
        right = (
            max((found.start() for found in re.finditer(r"\s", text[end:right])), default=right - end) + end
        )
    return left, right


def _day(stored: StoredPaper, timezone: tzinfo) -> date:
    listed = [listing.listed_on for listing in stored.listings if listing.listed_on is not None]
    return min([stored.first_seen.astimezone(timezone).date(), *listed])


def _report(
    compiled: CompiledInterest, hits: Sequence[Hit], standing: Mapping[Term, int], corpus: _Corpus
) -> InterestReport:
    name = compiled.interest.name
    own = [hit for hit in hits if name in hit.interests]
    keywords = {term.written: term for term in compiled.keywords}
    groups: dict[str, list[Hit]] = {written: [] for written in keywords}
    alone: set[Hit] = set()  # found by one keyword; where two agree there is little doubt
    only: Counter[str] = Counter()
    for hit in own:
        brought = {
            match.keyword for match in hit.matches if match.interest == name and match.keyword in keywords
        }
        for written in brought:
            groups[written].append(hit)
        if len(brought) <= 1:
            alone.add(hit)
            only.update(brought if len(hit.interests) == 1 else ())
    doubts = (
        _doubt(label, group, alone, own, corpus)
        for label, group in (groups.items() if keywords else [(name, own)])
    )
    return InterestReport(
        name,
        hits=len(own),
        only=sum(len(hit.interests) == 1 for hit in own),
        keywords=tuple(
            KeywordReport(written, standing[term], len(groups[written]), only[written])
            for written, term in keywords.items()
        ),
        doubts=tuple(doubt for doubt in doubts if doubt is not None),
    )


# --- words ------------------------------------------------------------------------------------

_WORD = re.compile(r"[^\W\d_][^\W_]+")
# Never offered as an exclusion, however few papers there are to learn from.
_FUNCTION_WORDS = frozenset(
    "about after all also among an and any are as at be because been before between both but by"  # noqa: SIM905
    " can could did do does during each for from had has have he her his how however in into is it its more"
    " most no not of on only or other our over same she so some such than that the their them then there"
    " these they this those through to under until up us using via was we were what when where whether which"
    " while who whose why will with within without would yet you your".split()
)
_singular = lru_cache(maxsize=1 << 16)(plural.singular)


def _words(text: str) -> Counter[str]:
    """How often each word stands in a text, whatever its case and number."""
    return Counter(map(_singular, _WORD.findall(undo_markup(text).text.casefold())))


def _company(hit: Hit) -> Counter[str]:
    """The words of a hit, without those that made it one."""
    company: Counter[str] = Counter()
    for text, field in ((hit.paper.title, "title"), (hit.paper.abstract, "abstract")):
        for match in sorted(hit.matches, key=lambda match: match.start, reverse=True):
            if match.field == field:
                text = f"{text[: match.start]} {text[match.end :]}"  # noqa: PLW2901 - it shrinks
        company += _words(text)
    return company


@dataclass(frozen=True, slots=True)
class _Corpus:
    """All papers that were looked at, as words."""

    papers: int
    containing: Mapping[str, int]  # papers in which a word stands

    def rarity(self, word: str) -> float:
        """Inverse document frequency."""
        return math.log(self.papers / self.containing.get(word, 1))

    def vector(self, words: AbstractSet[str]) -> dict[str, float]:
        """The rarities of words, as a vector of length 1, or of length 0 where no word is rare."""
        weights = {word: self.rarity(word) for word in words}
        length = math.hypot(*weights.values()) or 1.0
        return {word: weight / length for word, weight in weights.items()}

    def near(self, term: Term) -> tuple[str, ...]:
        """Words that are spelled nearly like those of a term that stand nowhere."""
        unknown = [word for word in _words(term.written) if word not in self.containing] if term.words else []
        return tuple(
            near
            for word in unknown
            for near in difflib.get_close_matches(word, self.containing, n=3, cutoff=0.75)
        )


# --- doubts -----------------------------------------------------------------------------------


def _doubt(
    keyword: str,
    group: Sequence[Hit],
    alone: AbstractSet[Hit],
    hits: Sequence[Hit],
    corpus: _Corpus,
) -> Doubt | None:
    """Which of a keyword's hits are foreign to its others.

    `alone` are those that no other keyword found, and `hits` all of the interest.
    """
    judged = [hit for hit in group if hit.paper.abstract][:_JUDGED]
    if len(judged) < _FEWEST:
        return None
    company = {hit: _company(hit) for hit in judged}
    likeness = _likeness({hit: corpus.vector(company[hit].keys()) for hit in judged})
    foreign = sorted(likeness.keys() & alone, key=lambda hit: (likeness[hit], hit.paper.id))
    if not foreign:
        return None
    at_home = {word for hit in set(judged).difference(foreign) for word in company[hit]}
    together: Counter[str] = Counter()
    shared: Counter[str] = Counter()
    for hit in foreign:
        together += company[hit]
        shared.update(company[hit].keys())
    weights = {
        word: (shared[word], count * corpus.rarity(word), word)
        for word, count in together.items()
        if word not in at_home and word not in _FUNCTION_WORDS
    }

    def telling(words: AbstractSet[str]) -> list[str]:
        return sorted(words & weights.keys(), key=lambda word: weights[word], reverse=True)

    exclude, excluded = _exclude(
        telling({word for word in weights if shared[word] >= _GROUP})[:_TRIED],
        {hit.paper.id for hit in foreign},
        hits,
    )
    return Doubt(
        keyword,
        tuple(Foreign(hit, tuple(telling(company[hit].keys())[:_TELLING])) for hit in foreign),
        exclude,
        excluded,
    )


def _likeness(vectors: Mapping[Hit, Mapping[str, float]]) -> dict[Hit, float]:
    """The foreign ones of some hits, with their mean cosine with those that are not.

    Two rounds, because in the first several foreign hits speak for each other.
    """
    home: AbstractSet[Hit] = vectors.keys()
    likeness: dict[Hit, float] = {}
    for _ in range(2):
        total: defaultdict[str, float] = defaultdict(float)
        for hit in home:
            for word, weight in vectors[hit].items():
                total[word] += weight
        for hit, vector in vectors.items():
            cosines = sum(weight * total[word] for word, weight in vector.items())
            itself = hit in home
            likeness[hit] = (cosines - itself) / (len(home) - itself)
        usual = median(likeness[hit] for hit in home)
        home = {hit for hit, value in likeness.items() if value >= _FOREIGN * usual}
    return {hit: value for hit, value in likeness.items() if hit not in home}


def _exclude(
    words: Sequence[str], foreign: AbstractSet[str], hits: Sequence[Hit]
) -> tuple[tuple[str, ...], int]:
    """The fewest of some words that take foreign papers away and no other hit, and how many they take."""
    interest = compile_interest(Interest("exclude", exclude=tuple(words)))
    matcher = Matcher([interest])
    taken: dict[Term, set[str]] = {term: set() for term in interest.exclude}
    stems = [word[: max(3, len(word) - 2)] for word in words]  # of the plural too: cities, vertices
    for hit in hits:
        text = f"{hit.paper.title}\n{hit.paper.abstract}".casefold()
        if any(stem in text for stem in stems):  # else it need not be cut again
            findings = matcher.scan(hit.paper)
            for term, papers in taken.items():
                if findings.places(term):
                    papers.add(hit.paper.id)
    allowed = {term: papers for term, papers in taken.items() if papers <= foreign}
    rest = set(foreign)
    chosen: list[str] = []
    while allowed and len(chosen) < _MOST_EXCLUDED:
        best = max(allowed, key=lambda term: len(allowed[term] & rest))
        if len(allowed[best] & rest) < _GROUP:
            break
        chosen.append(best.written)
        rest -= allowed.pop(best)
    return tuple(chosen), len(foreign) - len(rest)
