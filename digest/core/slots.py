"""When a digest is due.

A slot is a local wall time. It becomes an instant with `fold=0` (PEP 495): a time that a change of
daylight saving skips falls just behind the gap, and a time that occurs twice counts the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from digest.core.model import Schedule

_A_WEEK = range(8)  # today, and the same weekday of another week


def latest(schedule: Schedule, now: datetime) -> datetime:
    """The last slot that is due at `now`, as an instant."""
    return max(slot for slot in _around(schedule, now, -1) if slot <= now)


def following(schedule: Schedule, now: datetime) -> datetime:
    """The first slot after `now`, as an instant."""
    return min(slot for slot in _around(schedule, now, +1) if slot > now)


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
