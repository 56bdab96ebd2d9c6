"""When a digest is due.

A slot is a local wall time. It becomes an instant with `fold=0` (PEP 495): a time that a change of
daylight saving skips falls just behind the gap, and a time that occurs twice counts the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from digest.core.model import Progress, Schedule

_A_WEEK = range(8)  # today, and the same weekday of another week


def latest(schedule: Schedule, now: datetime) -> datetime:
    """The last slot that is due at `now`, as an instant."""
    return max(slot for slot in _around(schedule, now, -1) if slot <= now)


def following(schedule: Schedule, now: datetime) -> datetime:
    """The first slot after `now`, as an instant."""
    return min(slot for slot in _around(schedule, now, +1) if slot > now)


def local_time(schedule: Schedule, slot: datetime) -> str:
    """A slot as the clock on the wall shows it, in a form that sorts by time: `2026-11-20T07:00`."""
    return f"{slot.astimezone(ZoneInfo(schedule.timezone)):%Y-%m-%dT%H:%M}"


def is_later(schedule: Schedule, slot: datetime, last: Progress) -> bool:
    """Whether a slot is later than the last one, as an instant and on the wall.

    So whoever flies west has no second breakfast of the same day.
    """
    return slot > last.slot and local_time(schedule, slot) > last.local_time


def after(schedule: Schedule, last: Progress) -> datetime:
    """The first slot that may follow the last one, as an instant."""
    slot = following(schedule, last.slot)
    while not is_later(schedule, slot, last):
        slot = following(schedule, slot)
    return slot


def _around(schedule: Schedule, now: datetime, direction: int) -> Iterator[datetime]:
    """Slots of the days next to `now`, a week and a day on one side."""
    zone = ZoneInfo(schedule.timezone)
    today = now.astimezone(zone).date()
    for distance in (-1, *_A_WEEK):
        day = today + timedelta(days=direction * distance)
        if day.weekday() in schedule.days:
            yield from _slots(schedule, day, zone)


def _slots(schedule: Schedule, day: date, zone: ZoneInfo) -> Iterator[datetime]:
    for at in schedule.at:
        yield datetime.combine(day, at, tzinfo=zone).astimezone(UTC)
