"""arXiv's calendar: when a submission is announced, and which announcements there must have been.

https://info.arxiv.org/help/availability.html, in US Eastern time: what is submitted until 14:00 from
Monday to Friday is announced at 20:00, Friday's on Sunday. The page of an announcement is dated the
day after, so that its days are Monday to Friday. Holidays are not foreseen: they look like a delay.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

EASTERN = ZoneInfo("America/New_York")
_DEADLINE = time(14)
_SURELY_OUT = time(4, tzinfo=UTC)  # of the printed day: 20:00 Eastern is 00:00 or 01:00, and often late
_DAY = timedelta(days=1)


def announced_on(submitted: datetime) -> date:
    """The day of the announcement that holds a submission, if the moderators do not hold it back."""
    local = submitted.astimezone(EASTERN)
    days = local.date() if local.time() < _DEADLINE else local.date() + _DAY
    return _working_day(_working_day(days) + _DAY)


def last_due(now: datetime) -> date:
    """The day of the last announcement that must be out by now."""
    day = now.astimezone(UTC).date()
    while day.isoweekday() > 5 or due_at(day) > now:  # noqa: PLR2004 - Friday
        day -= _DAY
    return day


def due_at(day: date) -> datetime:
    """From when on the announcement of a day must be out."""
    return datetime.combine(day, _SURELY_OUT)


def between(after: date, until: date) -> list[date]:
    """The days of announcements after a day, the last one included."""
    days = (after + n * _DAY for n in range(1, (until - after).days + 1))
    return [day for day in days if day == _working_day(day)]


def _working_day(day: date) -> date:
    """The day itself, or the Monday after it."""
    return day + max(0, 8 - day.isoweekday()) * _DAY if day.isoweekday() > 5 else day  # noqa: PLR2004
