"""What belongs although the words differ: learned from the papers at hand, down to single words.

A `Need` is what a person asks for: keywords, a text, papers that are liked or not. From it and a
collection of papers, judged or not, `learn` makes a `Lesson`: how much the keywords count and how much
every other word does. A paper's score is the sum of these (a linear model over words), so every
point of it has a name.

Keywords: BM25F over stems (Robertson, Zaragoza, Taylor: "Simple BM25 extension to multiple weighted
fields", CIKM 2004), a bonus for neighbours that stay neighbours, and coordination: a paper that has
half of a keyword has half of its score. Then pseudo-relevance feedback (Rocchio, 1971), twice: the
words of the ten best papers, and then those of all that stand out.

Likes: two steps, as for learning from positive and unlabelled papers (Liu et al.: "Building text
classifiers using positive and unlabeled examples", ICDM 2003). What is least like them is taken as
not wanted, and a regularised least-squares model tells the two apart; then feedback as above.

The summands are brought to one scale before they are added, which is the scale of the keywords.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from digest.core.collection import Collection, Floats, Integers, added_up
from digest.core.model import Judged, Need, Paper, PaperId, ScorePart
from digest.core.stems import STOP_WORDS, as_written, stem, stems, words

Truths: TypeAlias = NDArray[np.bool_]
Origin = Literal["keyword", "related", "liked", "pinned"]
"""Where a word comes from: the person's keywords, the papers that answer them, likes, or a pin."""

View = Literal["asked", "around", "liked"]
"""What a paper may be near to: keywords and the words of papers that answer them, those alone, or likes.

One threshold for their sum would keep papers from everybody who likes papers on other subjects, too.
"""

_KEPT: Mapping[Origin, int] = {"related": 200, "liked": 2_000}
"""Words of a lesson; 300 of likes lost 0.005 of the area under the curve, 100 of keywords nothing."""

VERSION = "1"
"""Counts up when the same need and papers teach something else, so that older lessons are not used."""

_BEST = 10  # papers whose words the first feedback learns; 5 and 15 were worse
_WORDS = 50  # that it learns
_FIRST, _SECOND = 0.5, 0.3  # what feedback counts beside the keywords
_TEXT = 0.5  # what a text counts beside keywords
_MANY = 100  # papers of which feedback counts half as much as of very many
_STANDING_OUT = 4.0  # standard deviations above the mean, for keywords
_LIKE_STANDING_OUT, _LIKE_FEEDBACK = 2.0, 0.75
_FEW = 2  # likes that are no more than a centroid
_RELIABLE = 0.9  # of the papers nobody judged are taken as not wanted: those least like the liked
_MOST_NEGATIVE = 3_000
_PENALTY = 0.05
_ROUNDS = 30  # of conjugate gradients; the ranking no longer changes
_HALF = 5  # likes that count as much as the keywords
_MOST_LIKES = 2.0  # however many likes, what they count beside the keywords
_DISLIKES = 0.5  # what the disliked count in a first, rough direction
_SHORTEST = 3  # letters of a word that another may be spelled with: multi-modal
_PINNED = 20.0  # as much as a word of a keyword, roughly
_EXACT = 1e-12
# The support that relates a paper: a part of what papers have that belong, and so many standard
# deviations more than papers at large have. Words around the keywords must say more, being alone.
_NEAR: Mapping[View, tuple[float, float]] = {"asked": (0.4, 3.0), "around": (0.8, 5.0), "liked": (0.4, 4.0)}
_CLEARLY = 6.0  # standard deviations where nothing belongs yet
FEWEST = 50
"""Papers that a collection needs before it teaches what is related."""


class KeyWord(NamedTuple):
    """A word of a keyword."""

    stem: str
    rarity: float
    apart: tuple[tuple[str, str], ...]  # stems that stand for it where it is spelled as two words


class KeyPair(NamedTuple):
    """Two words of a keyword that stand side by side."""

    first: str
    second: str
    together: str  # the stem of both spelled as one
    rarity: float


class Keyword(NamedTuple):
    """A keyword as a lesson counts it."""

    written: str
    words: tuple[KeyWord, ...]
    pairs: tuple[KeyPair, ...]

    def coordination(self, papers: Collection) -> Floats:
        """How much of it stands in each paper, from 0 to 1: its words, by rarity."""
        whole = sum(word.rarity for word in self.words)
        if not whole:
            return np.ones(len(papers))
        present = np.zeros(len(papers))
        for word in self.words:
            present += word.rarity * (self._weight(word, papers) > 0)
        return present / whole

    def scores(self, papers: Collection) -> Floats:
        """What it adds to each paper's score."""
        found = np.zeros(len(papers))
        for word in self.words:
            found += word.rarity * self._weight(word, papers)
        for pair in self.pairs:
            found += pair.rarity * papers.pair(pair.first, pair.second, pair.together)
        return found * self.coordination(papers)

    def _weight(self, word: KeyWord, papers: Collection) -> Floats:
        """What one of its words weighs in each paper, also where it is spelled as one with its neighbour."""
        weight = papers.word(word.stem, word.apart)
        for pair in self.pairs:
            if word.stem in pair[:2]:
                weight = np.maximum(weight, papers.word(pair.together))
        return weight

    def stands_in(self, papers: Collection, *, side_by_side: bool) -> Truths:
        """In which papers all of its words stand, anywhere or as they are written."""
        found = np.full(len(papers), fill_value=bool(self.words))
        for word in self.words:
            found &= self._weight(word, papers) > 0
        for pair in self.pairs if side_by_side else ():
            found &= papers.pair(pair.first, pair.second, pair.together) > 0
        return found


class Part(NamedTuple):
    """A summand of a score."""

    name: str
    origin: Origin
    value: float


class Word(NamedTuple):
    """A word that was learned."""

    stem: str
    shown: str  # as it is mostly written
    weight: float  # what it adds to a score, per share in the paper's words
    origin: Origin


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was learned of a need."""

    keywords: tuple[Keyword, ...] = ()
    words: tuple[Word, ...] = ()  # those that count most come first
    thresholds: Mapping[View, float] = field(default_factory=dict)  # the support that relates a paper

    def dump(self) -> str:
        """The lesson as JSON."""
        return json.dumps(
            [self.keywords, self.words, self.thresholds],
            ensure_ascii=False,
            separators=(",", ":"),
        )

    @staticmethod
    def load(text: str) -> Lesson:
        """The lesson that `dump` wrote."""
        keywords, words, thresholds = json.loads(text)
        return Lesson(
            tuple(
                Keyword(
                    written,
                    tuple(KeyWord(stem, rarity, tuple(map(tuple, apart))) for stem, rarity, apart in single),
                    tuple(KeyPair(*pair) for pair in pairs),
                )
                for written, single, pairs in keywords
            ),
            tuple(Word(*word) for word in words),
            thresholds,
        )

    def scores(self, papers: Collection) -> Floats:
        """The score of each paper."""
        scores = papers.sums(self._weights(papers), papers.share)
        for keyword in self.keywords:
            scores += keyword.scores(papers)
        return scores

    def view(self, view: View) -> Lesson:
        """The part of the lesson that a view has."""
        of_keywords = {word.stem for keyword in self.keywords for word in keyword.words}
        return Lesson(
            self.keywords if view == "asked" else (),
            tuple(
                word
                for word in self.words
                if (word.origin == "liked") == (view == "liked")
                and not (view == "around" and word.stem in of_keywords)
            ),
        )

    def relations(self, papers: Collection) -> Floats:
        """How near each paper is to what belongs, in the view where it is nearest: 1 is near enough."""
        found = np.zeros(len(papers))
        liked = self.view("liked").scores(papers)
        for view, threshold in self.thresholds.items():
            support = self.view(view).support(papers)
            if view != "liked":
                support += np.minimum(liked, 0.0)  # what is like disliked papers is wanted by no way
            found = np.maximum(found, support / threshold)
        return found

    def support(self, papers: Collection) -> Floats:
        """The score of each paper without the word that adds most to it.

        One word makes no relation: *talking face* is no reason to show what is about talking.
        """
        added = papers.share * self._weights(papers)[papers.column]
        for keyword in self.keywords:
            coordination = keyword.coordination(papers)
            for word in keyword.words:
                entries = papers.entries(word.stem)
                added[entries] += word.rarity * papers.weight[entries] * coordination[papers.row[entries]]
        most = np.zeros(len(papers))
        np.maximum.at(most, papers.row, added)
        return self.scores(papers) - most

    def _weights(self, papers: Collection) -> Floats:
        """What each stem of the papers adds, learned."""
        weights = np.zeros(len(papers.stems))
        for word in self.words:
            number = papers.number(word.stem)
            if number is not None:
                weights[number] += word.weight
        return weights

    def parts(self, paper: Paper) -> tuple[Part, ...]:
        """What the score of a paper is the sum of, largest first."""
        papers, shares = _alone(paper)
        parts: dict[tuple[str, Origin], float] = defaultdict(float)
        for keyword in self.keywords:
            parts[keyword.written, "keyword"] += float(keyword.scores(papers)[0])
        for word in self.words:
            parts[word.shown, word.origin] += float(word.weight * shares.get(word.stem, 0.0))
        return tuple(
            Part(name, origin, value)
            for (name, origin), value in sorted(parts.items(), key=lambda part: (-part[1], part[0]))
            if value
        )


@lru_cache(maxsize=1 << 10)  # the papers of a day, which every profile asks about
def _alone(paper: Paper) -> tuple[Collection, Mapping[str, float]]:
    """A paper as a collection, and the share of each of its stems."""
    papers = Collection([paper])
    return papers, dict(zip((papers.stems[column] for column in papers.column), papers.share, strict=True))


def learn(need: Need, papers: Collection) -> Lesson:
    """What a collection teaches about a need; a judged paper that it lacks is passed over."""
    if not len(papers):
        keywords = tuple(_keyword(written, papers) for written in need.keywords)
        return Lesson(keywords, tuple(_pinned(need.pin, ())))
    space = _Space(papers, {one for word in need.ban for one in stems(word)})
    keywords, model = _from_keywords(need, space)
    learned = _words(model.weights, "related", space)
    spread = float(model.scores.std())
    judged = _from_judgements(need, space)
    if judged is not None:
        liked = len(papers.rows.keys() & need.liked)
        part = min(_MOST_LIKES, max(1, liked) / _HALF) if spread else 1.0
        factor = part * (spread or 1.0) / (float(judged.scores.std()) or 1.0)
        learned += _words(factor * judged.weights, "liked", space)
    thresholds = _thresholds(Lesson(keywords, tuple(learned)), papers, need.liked)
    # A pin lifts the papers that have its word, not what the others must reach.
    learned += _pinned(need.pin, learned)
    ranked = sorted(learned, key=lambda word: (-abs(word.weight), word.stem, word.origin))
    return Lesson(keywords, tuple(ranked), thresholds)


def _words(weights: Floats, origin: Origin, space: _Space) -> list[Word]:
    """The words that count most."""
    weights = weights * space.scale
    most = np.argsort(-abs(weights), kind="stable")[: _KEPT[origin]]
    stems, spelled = space.papers.stems, space.papers.spelled
    return [
        Word(stems[number], spelled[number], float(weights[number]), origin)
        for number in most
        if weights[number]
    ]


def _pinned(pin: Iterable[str], learned: Sequence[Word]) -> list[Word]:
    """Words that a person wants to count as much as the best of those that were learned."""
    most = max((word.weight for word in learned), default=0.0)
    return [Word(stem(one), one, max(most, _PINNED), "pinned") for text in pin for one in words(text)]


class Words:
    """The ranker that digest brings: words only, nothing to download, every point of a score explained."""

    version = f"words {VERSION}"

    def read(self, papers: Iterable[Paper]) -> Collection:
        """Papers as numbers."""
        return Collection(papers)

    def learn(self, need: Need, papers: Collection) -> str:
        """A lesson as JSON."""
        return learn(need, papers).dump()

    def judge(self, lesson: str, papers: Collection) -> Mapping[PaperId, Judged]:
        """Scores, relations, and which papers have all words of a keyword."""
        learned = _loaded(lesson)
        relations = learned.relations(papers)
        whole = [""] * len(papers)
        for keyword in learned.keywords:
            for row in np.flatnonzero(keyword.stands_in(papers, side_by_side=False)):
                whole[row] = whole[row] or keyword.written
        scores = learned.scores(papers)
        return {
            paper.id: Judged(float(score), float(relation), words)
            for paper, score, relation, words in zip(papers.papers, scores, relations, whole, strict=True)
        }

    def explain(self, lesson: str, paper: Paper, *, keywords: bool) -> tuple[ScorePart, ...]:
        """The largest parts one by one, and what the many small ones come to."""
        parts = _parts(lesson, paper)
        named = [part for part in parts if keywords and part.origin == "keyword"]
        learned = [part for part in parts if part.origin != "keyword"]
        named += sorted(learned, key=lambda part: -abs(part.value))[:_NAMED]
        rest = sum(part.value for part in learned) - sum(
            part.value for part in named if part.origin != "keyword"
        )
        named.sort(key=lambda part: (-part.value, part.name))
        made = [ScorePart(f"{part.name}{_FROM[part.origin]}", part.value) for part in named]
        return (*made, ScorePart("other words", rest)) if abs(rest) > _NOTHING else tuple(made)

    def why(self, lesson: str, paper: Paper, interest: str, *, keywords: bool) -> str:
        """The words that count most, and whose words they are."""
        parts = [part for part in _parts(lesson, paper) if part.value > 0]
        matches = [part for part in parts if part.origin == "related"]
        likes = [part for part in parts if part.origin == "liked"]
        by_matches, by_likes = (sum(part.value for part in some) for some in (matches, likes))
        written = as_written(f"{paper.title}\n{paper.abstract}")

        def listed(names: list[str]) -> str:
            return ", ".join(written.get(stem(name), name) for name in names)

        said = []
        named: list[str] = []
        if keywords and matches and by_matches * 2 >= by_likes:
            named = [part.name for part in matches[:_SAID]]
            said.append(f"shares {listed(named)} with {interest} papers")
        liked = [part.name for part in likes if part.name not in named][:_SAID]
        if liked and by_likes * 2 >= by_matches:
            said.append(f"shares {listed(liked)} with papers you liked")
        if pinned := [part.name for part in parts if part.origin == "pinned"][:_SAID]:
            said.append(f"has {listed(pinned)}, which you pinned")
        return "; ".join(said)

    def terms(self, lesson: str) -> Sequence[tuple[str, float, str]]:
        """The learned words, those that count most first."""
        return [(word.shown, word.weight, word.origin) for word in _loaded(lesson).words]


_NAMED = 5  # learned words that an explanation names one by one
_SAID = 3  # and a mail
_NOTHING = 1e-9
_FROM: Mapping[Origin, str] = {
    "keyword": "",
    "related": " (learned)",
    "liked": " (from your likes)",
    "pinned": " (pinned)",
}
_loaded = lru_cache(maxsize=1 << 8)(Lesson.load)


@lru_cache(maxsize=1 << 4)  # a paper's parts are asked for twice in a row
def _parts(lesson: str, paper: Paper) -> tuple[Part, ...]:
    return _loaded(lesson).parts(paper)


class _Space:
    """The papers of a collection as vectors of about unit length, without what says nothing."""

    def __init__(self, papers: Collection, banned: Iterable[str]) -> None:
        self.papers = papers
        # A word of a single paper tells nothing about others.
        self.scale = np.where(papers.containing > 1, papers.rarity, 0.0)
        for one in banned:
            number = papers.number(one)
            if number is not None:
                self.scale[number] = 0.0
        entries = papers.share * self.scale[papers.column]
        length = math.sqrt(float(entries @ entries) / len(papers)) or 1.0
        self.scale /= length
        self.entries: Floats = entries / length
        self.usual = self.centre(np.full(len(papers), 1 / len(papers)))

    def centre(self, weights: Floats) -> Floats:
        """The weighted sum of papers."""
        return self.papers.together(weights, self.entries)

    def scores(self, direction: Floats) -> Floats:
        """How far each paper goes in a direction."""
        return self.papers.sums(direction, self.entries)

    def unusual(self, direction: Floats) -> Floats:
        """A direction, without what it shares with papers at large."""
        length = float(self.usual @ self.usual)
        return direction - self.usual * (float(direction @ self.usual) / length) if length else direction


class _Model:
    """A score over all papers that grows by directions, in the end one weight per word."""

    def __init__(self, space: _Space, scores: Floats) -> None:
        self.space = space
        self.scores = scores
        self.weights = np.zeros(len(space.papers.stems))

    def heed(self, direction: Floats, part: float) -> None:
        """Add a direction that was learned from the papers: the fewer they are, the less it counts."""
        several = len(self.space.papers)
        self.add(direction, part * several / (several + _MANY))

    def add(self, direction: Floats, part: float) -> None:
        """Add a direction, which then has `part` of the standard deviation that scores have."""
        added = self.space.scores(direction)
        spread = float(added.std())
        if spread:
            factor = part * (float(self.scores.std()) or 1.0) / spread
            self.scores = self.scores + factor * added
            self.weights += factor * direction

    def heed_all(self, standing_out: float, part: float, *, but: Integers | None = None) -> None:
        """Feedback from all papers that stand out, by how far they do."""
        spread = float(self.scores.std())
        if not spread:
            return
        out = np.maximum(0.0, (self.scores - self.scores.mean()) / spread - standing_out)
        if but is not None:
            out[but] = 0.0
        if out.any():
            self.heed(self.space.unusual(self.space.centre(out)), part)


def _from_keywords(need: Need, space: _Space) -> tuple[tuple[Keyword, ...], _Model]:
    papers = space.papers
    keywords = tuple(_keyword(written, papers) for written in need.keywords)
    scores = np.zeros(len(papers))
    for keyword in keywords:
        scores += keyword.scores(papers)
    model = _Model(space, scores)
    if need.text:
        model.add(_direction(need.text, space), _TEXT if need.keywords else 1.0)
    best = np.argsort(-model.scores, kind="stable")[:_BEST]
    best = best[model.scores[best] > 0]
    if len(best):
        weights = np.zeros(len(papers))
        weights[best] = model.scores[best]
        direction = space.centre(weights)
        direction[np.argsort(-direction, kind="stable")[_WORDS:]] = 0.0
        model.heed(direction, _FIRST)
        model.heed_all(_STANDING_OUT, _SECOND)
    return keywords, model


def _keyword(written: str, papers: Collection) -> Keyword:
    found = words(written)
    single = []
    for one in dict.fromkeys(found):
        if stem(one) not in STOP_WORDS:
            apart = tuple(
                (stem(one[:at]), stem(one[at:]))
                for at in range(_SHORTEST, len(one) - _SHORTEST + 1)
                if papers.number(stem(one[:at])) is not None and papers.number(stem(one[at:])) is not None
            )
            apart = tuple(pair for pair in apart if papers.pair(*pair, "").any())
            containing = int((papers.word(stem(one), apart) > 0).sum())
            single.append(KeyWord(stem(one), float(papers.rarity_of(containing)), apart))
    pairs = []
    for first, second in dict.fromkeys(itertools.pairwise(found)):
        pair = stem(first), stem(second), stem(first + second)
        containing = int((papers.pair(*pair) > 0).sum())
        pairs.append(KeyPair(*pair, float(papers.rarity_of(containing))))
    return Keyword(written, tuple(single), tuple(pairs))


def _direction(text: str, space: _Space) -> Floats:
    """A text as a direction: each of its words once, by rarity."""
    direction = np.zeros(len(space.papers.stems))
    for one in set(map(stem, words(text))):
        number = space.papers.number(one)
        if number is not None:
            direction[number] = space.scale[number]
    return direction


def _from_judgements(need: Need, space: _Space) -> _Model | None:
    """What likes and dislikes alone teach; None when there are none."""
    rows = space.papers.rows
    liked = np.array(sorted({rows[one] for one in need.liked if one in rows}), np.int64)
    disliked = np.array(sorted({rows[one] for one in need.disliked if one in rows}), np.int64)
    if not len(liked) and not len(disliked):
        return None
    model = _Model(space, np.zeros(len(space.papers)))
    direction = _mean(liked, space) - _DISLIKES * _mean(disliked, space)
    if len(liked) > _FEW or (len(liked) and len(disliked)):
        direction = _two_steps(liked, disliked, space.scores(direction), space)
    model.add(direction, 1.0)
    if len(liked):
        model.heed_all(_LIKE_STANDING_OUT, _LIKE_FEEDBACK, but=disliked)
    return model


def _mean(some: Integers, space: _Space) -> Floats:
    weights = np.zeros(len(space.papers))
    if len(some):
        weights[some] = 1 / len(some)
    return space.centre(weights)


def _two_steps(liked: Integers, disliked: Integers, rough: Floats, space: _Space) -> Floats:
    """The direction that tells liked papers from disliked ones and from the papers least like them."""
    unjudged = np.ones(len(space.papers), bool)
    unjudged[liked] = unjudged[disliked] = False
    least = np.flatnonzero(unjudged)
    # Rounded down: in a small collection, what is most like them is never among what is least like them.
    least = least[np.argsort(rough[least], kind="stable")][: int(len(least) * _RELIABLE)]
    if len(least) > _MOST_NEGATIVE:
        least = least[np.linspace(0, len(least) - 1, _MOST_NEGATIVE).round().astype(np.int64)]
    # Each side counts as much as the other, and a dislike as much as a like.
    counts = np.zeros(len(space.papers))
    wanted = np.zeros(len(space.papers))
    counts[least] = 1 / max(1, len(least))
    counts[disliked] = 1 / max(1, len(liked))
    counts[liked] = 1 / max(1, len(liked))
    wanted[least] = wanted[disliked] = -1.0
    wanted[liked] = 1.0
    return _least_squares(space, counts, wanted)


def _least_squares(space: _Space, counts: Floats, wanted: Floats) -> Floats:
    """The direction whose scores come nearest to what is wanted (ridge regression with an intercept).

    By conjugate gradients on the normal equations (Hestenes, Stiefel, 1952).
    """
    papers = space.papers
    taken = counts[papers.row] > 0
    row, column, entries = papers.row[taken], papers.column[taken], space.entries[taken]
    whole = float(counts.sum())

    def scores(direction: Floats) -> Floats:
        return added_up(row, entries * direction[column], len(papers))

    def centre(weights: Floats) -> Floats:
        return added_up(column, entries * weights[row], len(papers.stems))

    middle = centre(counts) / whole

    def normal(direction: Floats) -> Floats:
        found = counts * (scores(direction) - float(middle @ direction))
        return centre(found) - middle * float(found.sum()) + _PENALTY * direction

    rest = counts * (wanted - float(counts @ wanted) / whole)
    residual = centre(rest) - middle * float(rest.sum())
    direction, step, left = np.zeros_like(residual), residual, float(residual @ residual)
    for _ in range(_ROUNDS):  # pragma: no branch - it takes a large store to need them all
        if left < _EXACT:
            break
        image = normal(step)
        length = left / float(step @ image)
        direction = direction + length * step
        residual = residual - length * image
        left, before = float(residual @ residual), left
        step = residual + left / before * step
    return direction


def _thresholds(lesson: Lesson, papers: Collection, liked: Iterable[PaperId]) -> Mapping[View, float]:
    """The support from which on a paper belongs although it lacks every keyword, in each view.

    A part of what papers have that do belong, and more than papers at large have.
    """
    if len(papers) < FEWEST:
        return {}
    answers = np.zeros(len(papers), bool)
    for keyword in lesson.keywords:
        answers |= keyword.stands_in(papers, side_by_side=True)
    likes = np.zeros(len(papers), bool)
    likes[[papers.rows[one] for one in liked if one in papers.rows]] = True
    thresholds: dict[View, float] = {}
    for view, (part, deviations) in _NEAR.items():
        belongs = likes if view == "liked" else answers
        support = lesson.view(view).support(papers)
        spread = float(support.std())
        share = float(belongs.mean())
        if not spread or share == 1:
            continue
        # Of a subject that many papers have, none stands out by much.
        hardly = min(deviations, 0.6 * math.sqrt((1 - share) / share)) if share else _CLEARLY
        usual = max(0.0, float(support.mean()))
        middle = float(np.median(support[belongs])) if share else 0.0
        thresholds[view] = max(usual + hardly * spread, part * middle)
    return thresholds
