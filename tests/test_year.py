"""A year on machines that sleep, travel, and have clocks that lie: no slot twice, no paper twice or lost."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from world import DAY, HOUR, ListSource, Shelf, paper, profile

from digest import pipeline
from digest.core.model import DeliveryState, Digest, Limits, Paper, Profile, Schedule
from digest.core.relevance import Words
from digest.errors import TransientDeliveryError
from digest.sending import WayOut
from digest.store.store import Store

pytestmark = pytest.mark.no_cover  # what is counted takes twice the time, and other tests cover it


MINUTE = timedelta(minutes=1)
START = datetime(2026, 3, 2, tzinfo=UTC)
EVERY_DAY = tuple(range(7))

SCHEDULES = {
    "weekdays": ((time(7),), (0, 1, 2, 3, 4)),
    "night": ((time(2, 30),), EVERY_DAY),  # which daylight saving skips and doubles in most of the zones
    "often": ((time(0), time(12), time(23, 59)), EVERY_DAY),
    "midnight": ((time(0),), EVERY_DAY),
    "weekly": ((time(1, 30),), (6,)),  # the day on which most clocks change
}


class Machine:
    """The whole line on one machine; each arriving paper stands on a page for a while."""

    def __init__(self, profiles: Sequence[Profile], *, seed: int, failing: float = 0.0) -> None:
        self.store = Store("sqlite://")
        self.profiles = list(profiles)
        self.arrived: list[Paper] = []
        self.mails: list[tuple[str, str]] = []  # recipient and text
        self.composed: list[tuple[str, datetime, datetime]] = []  # profile, slot, when
        self.source = ListSource("page", {"list": ()})
        self._unread = 0
        self._chance = random.Random(seed)  # noqa: S311 - the same at each run
        self._failing = failing

    def arrive(self) -> None:
        number = len(self.arrived)
        self.arrived.append(paper(f"Swin {number}.", arxiv=f"2601.{number:05}"))

    def tick(self, now: datetime) -> None:
        """What the heart does at each beat."""
        if any(pipeline.is_due(self.store, one, now) for one in self.profiles):
            self.source.pages = {"list": self.arrived[max(0, self._unread - 2) :]}
            self._unread = len(self.arrived)
            shelf = Shelf({"list": str(self._unread).encode()})
            for report in pipeline.collect(
                self.store, [self.source], shelf, now=now, lookback=3 * DAY, keep=lambda *_: None
            ):
                assert report.error is None
            for made in pipeline.compose(self.store, self.profiles, {"email": lambda: self}, Words, now=now):
                progress = self.store.progress(made.profile.name)
                assert progress is not None
                self.composed.append((made.profile.name, progress.slot, now))
            self.dispatch(now)

    def dispatch(self, now: datetime) -> None:
        outputs = pipeline.Outputs({"email": WayOut(lambda: self)}, {}, lambda: pytest.fail("no files"))
        for _ in pipeline.dispatch(self.store, self.profiles, outputs, clock=lambda: now):
            pass

    def compose(self, profile: Profile, digest: Digest, recipient: str) -> bytes:
        return "\n".join(item.paper.title for item in (*digest.recommendations, *digest.overflow)).encode()

    def deliver(self, message: bytes, recipient: str, *, handing_over: Callable[[], None]) -> None:
        if self._chance.random() < self._failing:
            raise TransientDeliveryError("later")
        handing_over()
        self.mails.append((recipient, message.decode()))

    def close(self) -> None:
        pass

    def slots(self, name: str) -> list[tuple[datetime, datetime]]:
        """The slots of a profile, and when they were composed."""
        return [(slot, at) for owner, slot, at in self.composed if owner == name]

    def has_mailed_each_paper_once(self) -> None:
        assert self.store.deliveries(*(set(DeliveryState) - {DeliveryState.SENT})) == ()
        expected = Counter(item.title for item in self.arrived)
        for one in self.profiles:
            titles = (
                title for to, text in self.mails if to == one.recipients[0] for title in text.splitlines()
            )
            assert Counter(titles) == expected, one.name


def person(name: str, at: tuple[time, ...], days: tuple[int, ...], zone: str, **limits: object) -> Profile:
    return profile(
        name,
        recipients=(f"{name}@example.org",),
        channels=("email",),
        schedule=Schedule(at, days, zone),
        limits=Limits(**{"max_papers": 1000, "related": 0, "second_look": 0} | limits),  # type: ignore[arg-type]
    )


# --- a laptop that sleeps -----------------------------------------------------------------------


def due(zone: ZoneInfo, day: date, at: time) -> datetime:
    """When a wall clock that is looked at all the time first shows a time.

    One that it never shows is due as if the clock had not been changed.
    """
    wall = datetime.combine(day, at)
    around = [
        (wall + hours * HOUR).replace(tzinfo=UTC).astimezone(zone).utcoffset() for hours in range(-36, 37)
    ]
    instants = {(wall - offset).replace(tzinfo=UTC) for offset in around if offset is not None}
    shown = [one for one in instants if one.astimezone(zone).replace(tzinfo=None) == wall]
    return min(shown, default=(wall - (around[0] or timedelta())).replace(tzinfo=UTC))


def changes(zone: str, at: datetime) -> bool:
    """Whether a clock is changed about that time."""
    here = ZoneInfo(zone)
    return (at - 2 * HOUR).astimezone(here).utcoffset() != (at + 2 * HOUR).astimezone(here).utcoffset()


def awake(chance: random.Random, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """When the laptop is awake."""
    at = start
    while at < end:
        until = at + MINUTE * (
            chance.choice([MINUTE, HOUR, 9 * HOUR, DAY]) * chance.uniform(0.2, 2) // MINUTE
        )
        yield at, until
        at = until + chance.choice([HOUR, 10 * HOUR, DAY, 5 * DAY]) * chance.uniform(0.2, 2)


@pytest.mark.parametrize(
    ("zone", "year", "names"),
    [
        ("Europe/Berlin", 2026, "night weekly"),
        ("America/New_York", 2026, "night weekly"),
        ("Australia/Lord_Howe", 2026, "night weekly"),  # half an hour
        ("Pacific/Apia", 2011, "midnight weekly"),  # had no 30 December
        ("Asia/Kolkata", 2026, "weekdays"),
        ("Africa/Casablanca", 2026, "night weekly"),  # changes for Ramadan, back and forth
        ("America/Santiago", 2026, "midnight"),  # when its clocks change
    ],
)
def test_a_year_of_a_laptop_that_sleeps(zone: str, year: int, names: str) -> None:
    chance = random.Random(f"{zone} {year}")  # noqa: S311 - the same at each run
    start, end = datetime(year, 1, 2, tzinfo=UTC), datetime(year + 1, 1, 9, tzinfo=UTC)
    machine = Machine([person(name, *SCHEDULES[name], zone) for name in names.split()], seed=year)
    days = [start.date() + number * DAY for number in range(-8, 390)]
    expected = {
        name: sorted(
            {due(ZoneInfo(zone), day, at) for day in days if day.weekday() in weekdays for at in times}
        )
        for name, (times, weekdays) in SCHEDULES.items()
        if name in names.split()
    }
    looks = sorted({moment for slots in expected.values() for moment in slots})
    arrivals = start
    waking = list(awake(chance, start, end))
    waking.append((waking[-1][1] + 9 * DAY, waking[-1][1] + 9 * DAY))
    for begin, until in waking:
        while arrivals < min(begin, end):
            machine.arrive()
            arrivals += DAY * chance.uniform(0, 6)
        wanted = [moment for moment in looks if begin <= moment <= until]
        # The hours around them, as a slot may be seen too early or again.
        near = {
            moment + around * HOUR
            for moment in wanted
            for around in ((-1, 0, 1) if changes(zone, moment) else (0,))
        }
        beats = {begin - (begin - moment) // MINUTE * MINUTE for moment in {begin, *near}}
        for moment in sorted(moment for moment in beats if begin <= moment <= until):
            machine.tick(moment)
    for name, slots in expected.items():
        made = machine.slots(name)
        assert [slot for slot, _ in made] == list(reached(slots, waking)), name
        walls = [slot.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for slot, _ in made]
        assert len(set(walls)) == len(walls)
        for slot, at in made:
            since = max(slot, next(begin for begin, until in waking if until >= max(slot, start)))
            assert slot <= at < since + 2 * MINUTE
    machine.has_mailed_each_paper_once()


def reached(slots: list[datetime], waking: list[tuple[datetime, datetime]]) -> Iterator[datetime]:
    """The slots that come while a machine is awake, and the last one of each time that it sleeps."""
    done = 0
    for begin, until in waking:
        passed = bisect_right(slots, begin)
        last = bisect_right(slots, until)
        if passed > done:
            yield slots[passed - 1]
        yield from slots[max(passed, done) : last]
        done = max(last, passed)


# --- travellers, and clocks that lie ------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_whoever_travels_meets_no_time_of_day_twice_and_no_paper(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same at each run
    zones = ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]
    times = [(time(7),), (time(0), time(12), time(23, 59))][seed % 2]
    machine = Machine([person("me", times, EVERY_DAY, "Europe/Berlin")], seed=seed)
    now, walls, moves = START, [], START
    while now < START + 40 * DAY:
        if now >= moves:
            (me,) = machine.profiles
            assert me.schedule is not None
            machine.profiles = [replace(me, schedule=replace(me.schedule, timezone=chance.choice(zones)))]
            moves += chance.choice([3 * HOUR, DAY, 5 * DAY])
        if now < START + 36 * DAY and chance.random() < 0.05:
            machine.arrive()
        before = len(machine.composed)
        machine.tick(now)
        for slot, _ in machine.slots("me")[before:]:
            zone = machine.profiles[0].schedule.timezone  # type: ignore[union-attr]
            walls.append(slot.astimezone(ZoneInfo(zone)).replace(tzinfo=None))
        now += 30 * MINUTE
    assert len(set(walls)) == len(walls)
    made = [at for _, at in machine.slots("me")]
    # A day, and the 25 hours from the first place that a date comes to back to the last one.
    assert max(later - at for at, later in pairwise(made)) <= DAY + 25 * HOUR + 30 * MINUTE
    machine.has_mailed_each_paper_once()


@pytest.mark.parametrize(
    ("wrong", "stay", "schedule", "overflow"),
    [
        (-DAY, 2 * DAY, "often", "carry"),
        (-20 * DAY, 2 * DAY, None, "carry"),
        (-20000 * DAY, 3 * HOUR, "often", "carry"),  # no battery, and no network yet
        (DAY, 2 * DAY, "daily", "carry"),
        (10 * DAY, 2 * DAY, "daily", "carry"),
        (3650 * DAY, 3 * DAY, "often", "list"),
        (3650 * DAY, 3 * DAY, "daily", "carry"),
        (3650 * DAY, 3 * DAY, None, "carry"),
    ],
)
def test_after_a_clock_was_wrong_digests_go_on_and_nothing_comes_twice_or_never(
    wrong: timedelta, stay: timedelta, schedule: str | None, overflow: str
) -> None:
    times = {"often": SCHEDULES["often"][0], "daily": (time(7),), None: ()}[schedule]
    me = person("me", times, EVERY_DAY, "Europe/Berlin", max_papers=2, overflow=overflow)
    machine = Machine([me if schedule else replace(me, schedule=None)], seed=1, failing=0.3)
    begins = START + 4 * DAY + 6 * HOUR
    at, made = START, []
    while at < START + 24 * DAY:
        if at < START + 16 * DAY and at.hour % 12 == 0:
            machine.arrive()
        before = len(machine.composed)
        now = at + wrong if begins <= at < begins + stay else at
        machine.tick(now)
        machine.dispatch(now)
        made += [at for _ in machine.composed[before:]]
        at += 4 * HOUR
    assert all(period.since <= period.until for period in machine.source.periods)
    assert max(later - at for at, later in pairwise(made)) <= stay + 2 * DAY
    machine.has_mailed_each_paper_once()
