"""What a day costs for a million people: from papers in the store to every finished mail.

    python tests/bench/million.py --profiles 1000000
    python tests/bench/million.py --profiles 20000 --days 2

Everything is invented from one seed. Keywords are as unevenly liked as words are common (Zipf), so a few
are thousands of people's and most people have some that hardly anybody shares; a profile has one to three
interests of three to six keywords, a third of them with something required or excluded. They are asked of
the papers of one day, which are stored and read once. No profile wants anything of what is learned, and
what was finished is hashed and dropped.

Figures are seconds of CPU by step, microseconds for a profile and for a mail, and the peak of memory with
everything included. `alone` is the same done for each profile by itself, every interest asked of every
paper and every mail rendered and encoded as a whole: for a sample, whose selections and mails must be
equal, times the number of profiles.

With `--days` it is `pipeline.compose` that is measured, from the store on disk into the store on disk.
Figures are microseconds for a profile on each day, of CPU and of the clock, which also waits for the disk;
what the store grows by, in bytes for a mail; and milliseconds of a heartbeat in which nobody is due.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import random
import resource
import sys
import tempfile
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from datetime import time as wall_time
from pathlib import Path
from typing import NoReturn

from digest import pipeline
from digest.core.board import Board
from digest.core.match import Matcher
from digest.core.model import (
    Channel,
    Digest,
    Interest,
    Limits,
    Listing,
    Paper,
    PaperId,
    Period,
    Profile,
    Schedule,
    SourceReport,
)
from digest.core.query import CompiledInterest, compile_interest
from digest.core.rank import Corpus, corpus
from digest.core.selection import Selection, consider, select
from digest.desk import Candidates, Desk, Due
from digest.ports import Mailer
from digest.render import environment
from digest.render.email import EmailRenderer
from digest.store.store import Store

NOW = datetime(2026, 11, 20, 6, 0, 4, tzinfo=UTC)
SLOT = NOW.replace(second=0)
CHUNK = 20_000
SAMPLE = 100
_SLICE = 200  # profiles whose mails are in memory at a time, as in the pipeline
_SYLLABLES = [a + b for a in "bdfgklmnprtvz" for b in ("a", "e", "i", "o", "u", "an", "el", "or")]
_WORDS = 30_000
_COMMON = 2_000  # words that nobody takes for a keyword
_KEYWORDS = 200_000
_LIKED = 50  # the greater, the less of all asking falls to the keywords that are liked best
_ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "UTC")


class People:
    """Papers of a day, and profiles that want some of them."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - invented papers
        words: dict[str, None] = {}
        while len(words) < _WORDS:
            words["".join(self._rng.choices(_SYLLABLES, k=self._rng.randint(2, 4)))] = None
        self._words = list(words)
        self._common = list(itertools.accumulate(1 / (rank + 10) for rank in range(len(words))))
        self._keywords = list(self._phrases())
        self._liked = list(itertools.accumulate(1 / (rank + _LIKED) for rank in range(len(self._keywords))))

    def _text(self, length: int) -> list[str]:
        return self._rng.choices(self._words, cum_weights=self._common, k=length)

    def _phrases(self) -> Iterator[str]:
        """What people ask for: one to three words that stand side by side."""
        common = set(self._words[:_COMMON])
        known: set[str] = set()
        while len(known) < _KEYWORDS:
            text = self._text(500)
            for at in range(0, 497, 3):
                words = text[at : at + self._rng.choice((1, 1, 1, 2, 2, 3))]
                phrase = " ".join(words)
                if common.isdisjoint(words) and phrase not in known and len(known) < _KEYWORDS:
                    known.add(phrase)
                    yield phrase

    def _some(self, least: int, most: int) -> tuple[str, ...]:
        chosen = self._rng.choices(self._keywords, cum_weights=self._liked, k=self._rng.randint(least, most))
        return tuple(dict.fromkeys(chosen))

    def papers(self, number: int, *, first: int = 0) -> list[Listing]:
        """Papers, some sentences of which speak of what people ask for."""
        found = []
        for n in range(first, first + number):
            sentences = [self._text(14) for _ in range(12)]
            for sentence in self._rng.sample(sentences, 4):
                sentence[self._rng.randrange(12)] = self._rng.choice(self._keywords)
            paper = Paper(
                PaperId(f"arxiv:2611.{n:05}"),
                " ".join(self._text(9)).capitalize(),
                " ".join(f"{' '.join(sentence).capitalize()}." for sentence in sentences),
                tuple(" ".join(self._text(2)).title() for _ in range(self._rng.randint(2, 9))),
                url=f"https://papers.example/abs/2611.{n:05}",
                pdf_url=f"https://papers.example/pdf/2611.{n:05}",
                published=SLOT.date() - timedelta(days=1),
            )
            found.append(Listing(paper, "huggingface", SLOT.date(), n, upvotes=n % 40))
        return found

    def interest(self) -> Interest:
        """Some keywords, named after the first."""
        keywords = self._some(3, 6)
        hard = self._rng.random()
        return Interest(
            keywords[0].capitalize(),
            keywords=keywords,
            require=self._some(1, 1) if hard < 1 / 6 else (),
            exclude=self._some(1, 1) if hard > 5 / 6 else (),
        )

    def profile(self, number: int) -> Profile:
        """Somebody, with one to three interests."""
        interests = {one.name: one for one in (self.interest() for _ in range(self._rng.randint(1, 3)))}
        name = ("", "Ada Reader", "Anna Paula de Souza", "Zoë Müller")[
            min(number % 20, 3) if number % 2 else 1
        ]
        address = f"reader-{number}@mail{number % 900}.example"
        return Profile(
            f"p{number}",
            f"Papers for reader {number}",
            tuple(interests.values()),
            (f"{name} <{address}>" if name else address,),
            schedule=Schedule((wall_time(7),), tuple(range(7)), _ZONES[number % len(_ZONES)]),
            limits=Limits(related=0, second_look=0),
        )


@dataclass
class Sum:
    """What came out."""

    profiles: int = 0
    mails: int = 0
    papers: int = 0
    size: int = 0
    checksum: int = 0
    took: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def mailer() -> EmailRenderer:
    """What composes the mails."""
    return EmailRenderer(
        environment(), sender="Digest <digest@example.org>", base_url="https://digest.example.org/daily"
    )


def no_ranker() -> NoReturn:
    """What no profile asks for."""
    raise AssertionError


class Line:
    """From profiles to mails."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.stored = store.papers_since()
        self.reports = store.latest_reports()
        self.desk = Desk(store, (), no_ranker)
        self.mailer = mailer()

    def digest(self, item: Due, chosen: Selection) -> Digest:
        """What is shown."""
        profile = item.profile
        return Digest(
            id=f"{profile.name}-{item.slot:%Y%m%dT%H%M%SZ}",
            profile=profile.name,
            title=profile.title,
            slot=item.slot,
            issued_at=NOW,
            since=SLOT - timedelta(days=1),
            scanned=len(self.stored),
            sections=chosen.sections,
            overflow=chosen.overflow,
            near_misses=chosen.near_misses,
            reports=self.reports,
        )

    def carry(
        self, profiles: Sequence[Profile], found: Sum, *, keep: bool = False
    ) -> list[tuple[Selection, bytes]]:
        """Compose the mails of some profiles; gives all that was chosen and finished, if it is to be kept."""
        clock = time.process_time
        kept: list[tuple[Selection, bytes]] = []
        start = clock()
        due = [due_now(profile) for profile in profiles]
        compiled = clock()
        self.desk.expect(due)
        for stored in self.stored:
            self.desk.scan(stored)
        found.took["compile"] += compiled - start
        found.took["look"] += clock() - compiled
        candidates = Candidates((), self.stored)
        for first in range(0, len(due), _SLICE):
            items = due[first : first + _SLICE]
            start = clock()
            chosen = [self.desk.select(item, candidates) for item in items]
            selected = clock()
            messages = [self.mail(item, selection) for item, selection in zip(items, chosen, strict=True)]
            found.took["choose"] += selected - start
            found.took["mail"] += clock() - selected
            found.profiles += len(items)
            for message, selection in zip(messages, chosen, strict=True):
                found.mails += message != b""
                found.papers += sum(len(section.recommendations) for section in selection.sections)
                found.size += len(message)
                found.checksum = zlib.crc32(message, found.checksum)
            if keep:
                kept += zip(chosen, messages, strict=True)
        return kept

    def mail(self, item: Due, selection: Selection) -> bytes:
        """The mail, if there is anything in it."""
        if not selection.sections:
            return b""
        digest, profile = self.digest(item, selection), item.profile
        return self.mailer.compose(profile, digest, profile.recipients[0])

    def alone(self, profile: Profile) -> tuple[Selection, bytes]:
        """The same for one profile, in the plainest way."""
        item = due_now(profile)
        matcher = Matcher(item.interests)
        findings = [matcher.scan(stored.paper, stored.listings) for stored in self.stored]
        statistics = self.statistics(item.interests)
        considered = [consider(item.interests, one, statistics) for one in findings]
        chosen = select(profile, [candidate for candidate in considered if candidate is not None])
        message = b""
        if chosen.sections:
            message = self.mailer.compose_plainly(profile, self.digest(item, chosen), profile.recipients[0])
        return chosen, message

    def statistics(self, interests: Sequence[CompiledInterest]) -> Corpus:
        """What scores are relative to."""
        board = Board(interests)
        newest = [board.put(one.paper, one.listings) for one in reversed(self.stored)]
        return corpus([board.findings[number] for number in newest], board.counts(newest))


def due_now(profile: Profile) -> Due:
    """A profile whose slot has come."""
    return Due(profile, tuple(map(compile_interest, profile.interests)), SLOT, None, ())


def stored_papers(folder: Path, listings: Sequence[Listing]) -> Store:
    """A store that holds a day."""
    store = Store(f"sqlite:///{folder / 'digest.db'}")
    period = Period(SLOT - timedelta(days=1), SLOT)
    store.add(listings, (), SourceReport("huggingface", period, complete=True, listed=len(listings)))
    return store


def days(people: People, asked: argparse.Namespace, folder: Path) -> Iterator[str]:
    """The figures of days that are stored."""
    profiles = [replace(people.profile(n), channels=("email",)) for n in range(asked.profiles)]
    composer = mailer()
    mailers: dict[Channel, Callable[[], Mailer]] = {"email": lambda: composer}
    store, path = Store(f"sqlite:///{folder / 'digest.db'}"), folder / "digest.db"
    gc.collect()
    gc.freeze()
    for day in range(asked.days):
        now, period = NOW + timedelta(days=day), Period(SLOT, SLOT + timedelta(days=day))
        found = people.papers(asked.papers, first=day * asked.papers)
        store.add(found, (), SourceReport("huggingface", period, complete=True, listed=len(found)))
        size = path.stat().st_size
        start, clock = time.process_time(), time.monotonic()
        mails = sum(
            one.digest is not None for one in pipeline.compose(store, profiles, mailers, no_ranker, now=now)
        )
        took, waited = time.process_time() - start, time.monotonic() - clock
        grown = path.stat().st_size - size
        start = time.process_time()
        is_due = pipeline.any_due(store, profiles, now + timedelta(minutes=1))
        beat = time.process_time() - start
        yield (
            f"day {day}: {took / len(profiles) * 1e6:.0f} µs a profile, "
            f"{waited / len(profiles) * 1e6:.0f} by the clock; {mails:,} mails, "
            f"{grown / mails:.0f} bytes each; {'somebody' if is_due else 'nobody'} due: {beat * 1000:.0f} ms"
        )
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--papers", type=int, default=60)
    parser.add_argument("--days", type=int)
    parser.add_argument("--seed", type=int, default=10)
    asked = parser.parse_args()
    gc.set_threshold(200_000)  # as commands do
    people, found = People(asked.seed), Sum()
    with tempfile.TemporaryDirectory() as folder:
        if asked.days:
            for said in days(people, asked, Path(folder)):
                print(said, flush=True)  # noqa: T201
            return
        store = stored_papers(Path(folder), people.papers(asked.papers))
        start = time.process_time()
        line = Line(store)
        found.took["read"] += time.process_time() - start
        for first in range(0, asked.profiles, CHUNK):
            profiles = [people.profile(n) for n in range(first, min(first + CHUNK, asked.profiles))]
            gc.collect()
            gc.freeze()  # the invented people are no work of these mails
            line.carry(profiles, found)
            gc.unfreeze()
        print(report(found), flush=True)  # noqa: T201
        sample = [people.profile(n) for n in range(SAMPLE)]
        together = line.carry(sample, Sum(), keep=True)
        start = time.process_time()
        alone = [line.alone(profile) for profile in sample]
        took = (time.process_time() - start) / SAMPLE * found.profiles
        if alone != together:
            sys.exit("the mails differ")
        ours = sum(found.took.values())
        print(f"alone    {took:9.1f} s  {took / ours:.0f} x, from {SAMPLE} profiles, all equal")  # noqa: T201
        store.close()


def report(found: Sum) -> str:
    """The figures."""
    ours = sum(found.took.values())
    lines = [f"{name:8} {took:9.1f} s" for name, took in found.took.items()]
    mail, size = found.took["mail"] / found.mails * 1e6, found.size / found.mails / 1000
    lines += [
        f"sum      {ours:9.1f} s  {ours / found.profiles * 1e6:.1f} µs a profile",
        f"{found.profiles:,} profiles, {found.mails:,} mails of {size:.1f} KB, {mail:.1f} µs for each",
        f"{found.papers / found.mails:.2f} papers a mail, checksum {found.checksum:08x}",
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
