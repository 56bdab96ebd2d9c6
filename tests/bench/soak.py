"""Thousands of days with everything that can go wrong: each paper once, and nothing that grows but papers.

    python tests/bench/soak.py --days 10000 --seed 1

Three sites list papers. One is honest. One lies: it lists old papers again under new versions, addresses,
DOIs, titles and dates, some of them twice, withdraws them, and says that it is not complete, or complete
until next year. One fails at random: timeouts, errors of its server, garbage, half a page, a reader that
breaks. The mail server refuses, vanishes, and loses its answers, before or after it has taken a message.
Runs are killed before and after commits (SIGKILL, in a process of their own), and made up for later.
Once a week somebody retries what failed and resends what may have arrived.

The line and the store are the real ones, SQLite in a file; sites and mail server are working fakes, so that
a day takes some milliseconds. What has arrived is written to a file, which no kill undoes.

Prints a table of checkpoints and a verdict; the exit code is 1 if a promise is broken:

    once      each paper reaches everybody who wants it, in one message; further copies of a message have the
              same bytes, and there are no more of them than answers that were lost
    linear    the store grows by as many bytes a paper in the second half as in the first (± 10 %)
    flat      memory and time a day are no more at the end than they were at the beginning (+ 15 %)
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as wall
from pathlib import Path
from typing import NamedTuple, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from killed import _die_at

from digest import desk, pipeline
from digest.core.identity import arxiv_id_at, identifiers
from digest.core.model import (
    DeliveryState,
    Digest,
    Interest,
    Limits,
    Listing,
    Page,
    Paper,
    Period,
    Profile,
    Reading,
    Request,
    Schedule,
)
from digest.core.relevance import Words
from digest.errors import (
    FetchError,
    LayoutError,
    PermanentDeliveryError,
    TransientDeliveryError,
    UncertainDeliveryError,
    UnreachableError,
)
from digest.ports import Plan
from digest.sending import WayOut
from digest.store.store import Store

START = datetime(2000, 1, 1, 7, tzinfo=UTC)
DAY = timedelta(days=1)
TOPICS = ("Swin", "Leaf", "Face")
SITES = ("honest", "liar", "shaky")
# Kills are no power failures: what a disk is told to keep needs not be there, and a day takes half the time.
_IN_MEMORY = next((one for one in [Path("/dev/shm")] if one.is_dir()), None)  # noqa: S108 - a folder of its own
_CALM = 12  # days at the end on which nothing goes wrong, so that all that is late arrives
_LATE = 90  # days after which a paper should have arrived long ago
_TRENDS = 1_000  # days, of which something can be said about what grows
_MOMENTS = 45  # commits, before and after, within which a run is killed


def _profile(name: str, *keywords: str, max_papers: int, overflow: str) -> Profile:
    limits = Limits(
        max_papers=max_papers,
        overflow=overflow,  # type: ignore[arg-type]
        near_misses=0,
        related=0,
        second_look=0,
    )
    return Profile(
        name,
        name.title(),
        (Interest("All", keywords=keywords),),
        (f"{name}@example.org",),
        channels=("email",),
        schedule=Schedule((wall(7),), tuple(range(7)), "UTC"),
        limits=limits,
    )


desk._CORPUS = 100  # noqa: SLF001 - with all of them, a day would take three times as long

PROFILES = (
    _profile("swin", "Swin", max_papers=3, overflow="carry"),
    _profile("leaf", "Leaf", max_papers=2, overflow="list"),
    _profile("all", *TOPICS, max_papers=100, overflow="list"),
)


def chance(*of: object) -> random.Random:
    """Chances that are the same in each process."""
    return random.Random(" ".join(map(str, of)))  # noqa: S311 - not for secrets


# --- papers and their sites --------------------------------------------------------------------


class Thing(NamedTuple):
    """A paper, whatever is said of it; the token stands in its title, however that is changed."""

    topic: str
    token: str
    arxiv: str


def things(seed: int, site: str, day: int) -> list[Thing]:
    """What appears on a site on a day."""
    rng = chance(seed, site, day)
    found = []
    for number in range(rng.randrange(4)):
        at = day * 12 + SITES.index(site) * 4 + number  # 100,000 a month
        arxiv = f"{at // 1_200_000 + 1:02}{at // 100_000 % 12 + 1:02}.{at % 100_000:05}"
        found.append(Thing(rng.choice(TOPICS), f"n{day}{site[0]}{number}", arxiv))
    return found


Row = dict[str, str | None]


def plainly(thing: Thing) -> Row:
    return {
        "title": f"A {thing.topic} paper {thing.token}",
        "abstract": f"What it says of {thing.topic} and {thing.token}.",
        "url": f"https://arxiv.org/abs/{thing.arxiv}",
    }


def untruly(thing: Thing, rng: random.Random, *, is_known: bool) -> Row:
    """The same paper under a false flag.

    A title alone is seen through only if the paper is known by it: nobody could tell otherwise.
    """
    row = plainly(thing)
    title, version = row["title"], rng.randint(2, 9)
    changes: Sequence[Row] = (
        {"url": f"http://arxiv.org/pdf/{thing.arxiv}v{version}"},
        {
            "url": f"https://papers.example/{rng.randrange(9)}/{thing.token}",
            "doi": f"10.48550/arXiv.{thing.arxiv}",
        },
        {"doi": f"10.5555/journal.{thing.token}"},
        {"title": f"Revisited: {title}", "url": f"https://arxiv.org/abs/{thing.arxiv}v{version}"},
        {"title": f"{title}"[:2] + f"{title}"[2:].upper()},
        {"title": f"  {title}. ", "url": None if is_known else row["url"]},
        {"abstract": "This paper has been withdrawn by its authors."},
        {"abstract": None},
    )
    published = date(2000, 1, 1) + timedelta(days=rng.randint(-9_000, 90_000))
    return row | {"published": f"{published}"} | rng.choice(changes)


class Sites:
    """All sites as they are at an instant; a page for each day."""

    def __init__(self, seed: int, *, calm: bool) -> None:
        self._seed = seed
        self._calm = calm

    def fetch(self, request: Request, *, now: datetime) -> Page | None:
        """A page, if the site feels like it."""
        site, day = request.url.removeprefix("https://").split(".example/")
        rng = chance(self._seed, request.url, now)
        rows = [plainly(thing) for thing in things(self._seed, site, int(day))]
        content = json.dumps(rows)
        if site == "liar" and not self._calm:
            for _ in range(rng.randrange(4)):
                of = chance(self._seed, day, rng.random())
                where = of.choice(SITES)
                before = things(self._seed, where, of.randint(0, int(day)))
                rows += [
                    untruly(thing, of, is_known=where != "shaky")
                    for thing in before
                    for _ in range(of.randint(1, 2))
                ]
            rng.shuffle(rows)
            content = json.dumps(rows)
        # A site that failed at each page alike would never be read again once many pages are missed.
        if site == "shaky" and not self._calm and chance(self._seed, "bad day", now).random() < 0.4:
            match rng.randrange(12):
                case 0 | 1:
                    raise FetchError("no answer", place=request.url, transient=True)
                case 2:
                    raise FetchError("an error of the server", place=request.url, status=500)
                case 3:
                    content = "\x00<html>\udcff".encode("utf-8", "replace").decode() * rng.randrange(99)
                case 4:
                    content = content[: len(content) // 2]
                case 5:
                    content = json.dumps([{"who": "knows"}])
        etag = hashlib.sha256(content.encode()).hexdigest()
        if request.etag == etag:
            return None
        return Page(request.url, content.encode(), "application/json", now, etag=etag)


class Site:
    """Reads a site: the pages of some days before what is known already, and what followed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def collect(self, period: Period) -> Plan:
        """A page for each day."""
        first, last = ((at - START) // DAY for at in (period.since - 2 * DAY, period.until))
        found: list[Listing] = []
        for day in range(max(first, 0), last + 1):
            page = yield Request(f"https://{self.name}.example/{day}")
            if page is not None:
                found += self._read(page)
        if self.name != "liar":
            return Reading("list", tuple(found))
        rng = chance(self.name, period)
        return Reading(
            "list",
            tuple(found),
            notes=(f"{rng.randrange(999)} papers in all",),
            complete=rng.random() < 0.8,
            until=rng.choice([None, period.until + 400 * DAY]),
        )

    def _read(self, page: Page) -> Iterator[Listing]:
        try:
            rows = json.loads(page.content)
        except ValueError as error:
            raise LayoutError("this is no list", place=page.url) from error
        for position, row in enumerate(rows):
            url, doi = row["url"], row.get("doi")
            names = identifiers(title=row["title"], arxiv=arxiv_id_at(url), url=url, doi=doi)
            paper = Paper(
                names[0],
                row["title"],
                row["abstract"] or "",
                url=url,
                published=date.fromisoformat(row["published"]) if "published" in row else None,
                identifiers=names[1:],
            )
            yield Listing(paper, self.name, None, position)


# --- mail --------------------------------------------------------------------------------------


class Server:
    """A mail server; what it takes stands in a file."""

    def __init__(self, path: Path, seed: int, now: datetime, *, calm: bool) -> None:
        self._path = path
        self._chance = chance(seed, "mail", now)
        self._calm = calm

    def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        """A message: which digest, and what is in it."""
        titles = [one.paper.title for one in (*digest.recommendations, *digest.overflow)]
        return "\n".join([digest.id, *titles]).encode()

    def deliver(self, message: bytes, recipient: str, *, handing_over: Callable[[], None]) -> None:
        """Take a message, or not."""
        fate = 1.0 if self._calm else self._chance.random()
        if fate < 0.15:
            raise TransientDeliveryError("later")
        if fate < 0.18:
            raise UnreachableError("nobody is there")
        if fate < 0.2:
            raise PermanentDeliveryError("never")
        handing_over()
        if fate < 0.22:
            self._write(recipient, message, "lost, and the answer, too")
            raise UncertainDeliveryError("no answer")
        self._write(recipient, message, "lost answer" if fate < 0.26 else "taken")
        if fate < 0.26:
            raise UncertainDeliveryError("no answer")

    def _write(self, recipient: str, message: bytes, fate: str) -> None:
        line = json.dumps([recipient, message.decode(), fate]).encode() + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, line)
        os.close(descriptor)

    def close(self) -> None:
        """There is nothing to close."""


class Ledger:
    """Who got what, how often; in a file, so that it takes no memory."""

    def __init__(self, folder: Path) -> None:
        self._mail = folder / "mail"
        self._mail.touch()
        self._read = 0
        self._data = sqlite3.connect(folder / "ledger.db")
        self._data.execute("PRAGMA synchronous=OFF")
        self._data.execute("CREATE TABLE got (who, token, message, PRIMARY KEY (who, token)) WITHOUT ROWID")
        self._data.execute("CREATE TABLE messages (hash PRIMARY KEY, name, copies, lost) WITHOUT ROWID")
        self._data.execute("CREATE UNIQUE INDEX by_name ON messages (name)")
        self.messages = 0
        self.problems: list[str] = []

    def close(self) -> None:
        self._data.close()

    def lost(self, message: bytes, recipient: str) -> None:
        """The answer to a message was lost, because who waited for it was killed."""
        self._count(message.decode(), recipient, copies=0, lost=1)

    def update(self) -> None:
        """Read what has arrived since."""
        with self._mail.open("rb") as file:
            file.seek(self._read)
            for line in file:
                recipient, message, fate = json.loads(line)
                copies = int(fate != "lost, and the answer, too")
                self._count(message, recipient, copies=copies, lost=int(fate != "taken"))
                if copies:
                    self._note(message, recipient)
            self._read = file.tell()
        with self._data:
            for name, copies, lost in self._data.execute(
                "SELECT name, copies, lost FROM messages WHERE copies > lost + 1"
            ):
                self.problems.append(f"{name}: {copies} copies, with {lost} answers lost")

    def _count(self, message: str, recipient: str, *, copies: int, lost: int) -> None:
        name = f"{recipient} {message.partition(chr(10))[0]}"
        digest = hashlib.sha256(f"{recipient}\n{message}".encode()).hexdigest()
        with self._data:
            self._data.execute("INSERT OR IGNORE INTO messages VALUES (?, ?, 0, 0)", (digest, name))
            changed = self._data.execute(
                "UPDATE messages SET copies = copies + ?, lost = lost + ? WHERE hash = ?",
                (copies, lost, digest),
            )
            if not changed.rowcount:
                self.problems.append(f"{name}: two messages that differ")

    def _note(self, message: str, recipient: str) -> None:
        name, *titles = message.splitlines()
        self.messages += 1
        with self._data:
            for title in titles:
                token = title.lower().rstrip(". ").rpartition(" ")[2]
                row = (recipient, token)
                self._data.execute("INSERT OR IGNORE INTO got VALUES (?, ?, ?)", (*row, name))
                query = "SELECT message FROM got WHERE who = ? AND token = ?"
                (first,) = self._data.execute(query, row).fetchone()
                if first != name:
                    self.problems.append(f"{recipient} got {token} in {first} and in {name}")

    def missing(self, seed: int, days: range) -> Iterator[str]:
        """What should have arrived of these days, and has not."""
        for day in days:
            for thing in (thing for site in SITES for thing in things(seed, site, day)):
                for profile in PROFILES:
                    if thing.topic in profile.interests[0].keywords:
                        row = (profile.recipients[0], thing.token)
                        query = "SELECT 1 FROM got WHERE who = ? AND token = ?"
                        if self._data.execute(query, row).fetchone() is None:
                            yield f"{row[0]} never got {thing}"


# --- days --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checkpoint:
    """How things stood after some days."""

    day: int
    papers: int
    size: int  # bytes of the store
    memory: float  # megabytes
    milliseconds: float  # of CPU, of a day since the last one
    wall: float


@dataclass
class Soak:
    """Days, one after another."""

    folder: Path
    days: int
    seed: int
    ledger: Ledger = field(init=False)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    kills: int = 0
    failures: int = 0  # of sources
    refusals: int = 0  # of mails, and lost answers
    retried: int = 0  # by somebody

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.folder)
        self._url = f"sqlite:///{self.folder}/digest.db"
        self._store = Store(self._url)
        self._checked = 0

    def run(self, checkpoints: int, report: Callable[[Checkpoint], None] = lambda _: None) -> None:
        """Live through all days, and look at the end."""
        every = max(self.days // checkpoints, 1)
        cpu, clock = _cpu(), time.perf_counter()
        for day in range(self.days):
            self._live(day)
            if (day + 1) % every == 0:
                passed = _cpu() - cpu, time.perf_counter() - clock
                self.checkpoints.append(self._look(day + 1, *(spent / every * 1000 for spent in passed)))
                report(self.checkpoints[-1])
                cpu, clock = _cpu(), time.perf_counter()
        for day in range(self.days, self.days + _CALM):
            self._somebody_looks()
            for hour in (0, 8):
                self._tick(START + day * DAY + timedelta(hours=hour), calm=True)
        self.ledger.update()
        self.ledger.problems += self.ledger.missing(self.seed, range(self._checked, self.days))
        open_ = self._store.listed(*(set(DeliveryState) - {DeliveryState.SENT}))
        self.ledger.problems += [f"{one.recipient} {one.digest} is {one.state}" for one in open_]
        self._store.close()
        self.ledger.close()

    def _live(self, day: int) -> None:
        rng = chance(self.seed, "life", day)
        if rng.random() < 0.02:
            return  # asleep
        for hour in (0, 8):
            now = START + day * DAY + timedelta(hours=hour, minutes=rng.randrange(9))
            if rng.random() < 0.06:
                self._killed(now, rng.randint(1, _MOMENTS))
            self._tick(now + timedelta(minutes=10), calm=False)
        if day % 7 == 0:
            self._somebody_looks()
        self.ledger.update()

    def _tick(self, now: datetime, *, calm: bool) -> None:
        """What a run does."""
        server = Server(self.folder / "mail", self.seed, now, calm=calm)
        store = self._store
        if any(pipeline.is_due(store, one, now) for one in PROFILES):
            for report in pipeline.collect(
                store,
                [Site(name) for name in SITES],
                Sites(self.seed, calm=calm),
                now=now,
                lookback=3 * DAY,
                keep=lambda *_: None,
            ):
                self.failures += report.error is not None
            for _ in pipeline.compose(store, PROFILES, {"email": lambda: server}, Words, now=now):
                pass
        outputs = pipeline.Outputs({"email": WayOut(lambda: server)}, {}, _no_files)
        for done in pipeline.dispatch(store, PROFILES, outputs, clock=lambda: now):
            self.refusals += done.error is not None

    def _killed(self, now: datetime, moment: int) -> None:
        """A run that is killed, unless it is done before."""
        self._store.close()
        if (pid := os.fork()) == 0:
            with suppress(BaseException):
                _silence()
                self._store = Store(self._url)
                _die_at(moment)
                self._tick(now, calm=False)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        self._store = Store(self._url)
        if os.WIFSIGNALED(status):
            self.kills += 1
            for one in self._store.deliveries(DeliveryState.HANDING_OVER):
                self.ledger.lost(one.message or b"", one.recipient)

    def _somebody_looks(self) -> None:
        """Retry what was given up, and send again what may have arrived three times and more."""
        self.retried += self._store.retry_failed()
        for one in self._store.listed(DeliveryState.UNCERTAIN):
            if one.lost >= 3:
                self._store.plan_again(one.id)
                self.retried += 1

    def _look(self, day: int, cpu: float, clock: float) -> Checkpoint:
        self.ledger.problems += self.ledger.missing(self.seed, range(self._checked, day - _LATE))
        self._checked = max(self._checked, day - _LATE)
        self._store.close()  # which brings the log into the file
        self._store = Store(self._url)
        papers, size = self._store.paper_count(), (self.folder / "digest.db").stat().st_size
        return Checkpoint(day, papers, size, _memory(), cpu, clock)

    def verdict(self) -> Iterator[str]:
        """What is not as it was promised."""
        yield from self.ledger.problems
        if self.days < _TRENDS:
            return
        half = len(self.checkpoints) // 2
        start, middle, end = self.checkpoints[0], self.checkpoints[half], self.checkpoints[-1]
        before, after = _bytes_a_paper(start, middle), _bytes_a_paper(middle, end)
        if not 0.9 < after / before < 1.1:
            yield f"the store grew by {before:.0f} bytes a paper, and then by {after:.0f}"
        for name in ("memory", "milliseconds"):
            values = [getattr(one, name) for one in self.checkpoints]
            # The least, because what else the machine does takes time, too.
            before, after = min(values[1:5]), min(values[-4:])
            if after > before * 1.15:
                yield f"{name} rose from {before:.1f} to {after:.1f}"


def _bytes_a_paper(one: Checkpoint, other: Checkpoint) -> float:
    return (other.size - one.size) / (other.papers - one.papers)


def _no_files() -> NoReturn:
    raise AssertionError


def _silence() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)


def _cpu() -> float:
    return sum(os.times()[:4])


def _memory() -> float:
    """Megabytes that this process has held at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoints", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=_IN_MEMORY, help="where the store is made")
    asked = parser.parse_args()
    heads = (
        "day",
        "papers",
        "store MB",
        "bytes/paper",
        "memory MB",
        "CPU ms/day",
        "ms/day",
        "mails",
        "kills",
    )
    print(" ".join(f"{head:>11}" for head in heads))  # noqa: T201

    with tempfile.TemporaryDirectory(prefix="digest-soak-", dir=asked.folder) as folder:
        soak = Soak(Path(folder), asked.days, asked.seed)

        def report(one: Checkpoint) -> None:
            cells = (
                f"{one.day:,}",
                f"{one.papers:,}",
                f"{one.size / 1e6:.2f}",
                f"{one.size / one.papers:.0f}",
                f"{one.memory:.1f}",
                f"{one.milliseconds:.1f}",
                f"{one.wall:.1f}",
                f"{soak.ledger.messages:,}",
                f"{soak.kills:,}",
            )
            print(" ".join(f"{cell:>11}" for cell in cells), flush=True)  # noqa: T201

        soak.run(asked.checkpoints, report)
    print(  # noqa: T201
        f"{soak.kills:,} kills, {soak.failures:,} sources failed, "
        f"{soak.refusals:,} mails refused or unanswered, {soak.retried:,} retried by somebody"
    )
    broken = list(soak.verdict())
    print(*broken[:20], f"{len(broken)} promises broken" if broken else "all promises kept", sep="\n")  # noqa: T201
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
