"""How many papers each interest brought on each day: the numbers of a row of bars (small multiples).

The days follow the calendar, so that weekends and gaps are seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from digest.core.model import Summary

DAYS = 30


@dataclass(frozen=True, slots=True)
class Row:
    """The papers of one interest."""

    interest: str
    papers: tuple[int, ...]  # of each day, the oldest first

    @property
    def total(self) -> int:
        """The papers of all days."""
        return sum(self.papers)


@dataclass(frozen=True, slots=True)
class Chart:
    """The papers of the interests of a profile."""

    days: tuple[date, ...]  # the oldest first, none left out
    rows: tuple[Row, ...]

    @property
    def peak(self) -> int:
        """The most papers that an interest brought on one day."""
        return max((max(row.papers) for row in self.rows), default=0)


def chart(interests: Iterable[str], digests: Sequence[tuple[date, Summary]]) -> Chart:
    """The days that end with the newest digest's, of which there must be one.

    Interests that are configured come first, in that order and also without papers, then those that
    digests name from earlier days. What stands in a digest for another reason than an interest is left out.
    """
    last = max(day for day, _ in digests)
    days = tuple(last - timedelta(days=ago) for ago in reversed(range(DAYS)))
    found: dict[str, Counter[date]] = {name: Counter() for name in interests}
    for day, digest in digests:
        for section in digest.sections if day >= days[0] else ():
            if section.kind == "section":
                found.setdefault(section.interest, Counter())[day] += section.papers
    return Chart(days, tuple(Row(name, tuple(papers[day] for day in days)) for name, papers in found.items()))
