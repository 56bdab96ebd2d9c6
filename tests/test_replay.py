"""Days of new papers, played again at random times: every paper is there, and exactly once."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from world import profile

from digest import pipeline
from digest.core.model import Interest, Page, Request
from digest.core.relevance import Words
from digest.errors import FetchError
from digest.ports import Mailer
from digest.sources.huggingface import HuggingFace
from digest.store.store import Store

MONDAY = date(2026, 11, 2)
DAYS = 16
EVERYTHING = profile("me", Interest("All", keywords=("paper",)), channels=("feeds",))


def no_mail() -> Mailer:
    raise AssertionError


@dataclass(frozen=True)
class Submission:
    """A paper on Daily Papers: on which day, and from which hour on."""

    number: str
    day: date
    hour: int

    @property
    def at(self) -> datetime:
        return datetime.combine(self.day, time(self.hour), UTC)


class DailyPapers:
    """The site as it is at a moment: editions fill during their day, and votes go up."""

    def __init__(self, submissions: list[Submission], *, down: set[datetime]) -> None:
        self.submissions = submissions
        self.down = down

    def fetch(self, request: Request, *, now: datetime) -> Page | None:
        if now in self.down:
            raise FetchError("no answer", place=request.url, transient=True)
        asked = re.search(r"date=(\d{4}-\d\d-\d\d)&limit=100&p=(\d+)", request.url)
        assert asked is not None
        there = [
            item for item in self.submissions if item.day == date.fromisoformat(asked[1]) and item.at <= now
        ]
        rows = [self.row(item, now) for item in there] if asked[2] == "0" else []
        content = json.dumps(rows).encode()
        etag = content.hex()
        if request.etag == etag:
            return None
        return Page(request.url, content, "application/json", now, etag=etag)

    def row(self, item: Submission, now: datetime) -> dict[str, Any]:
        return {
            "paper": {
                "id": item.number,
                "title": f"A paper with the number {item.number}",
                "summary": "Short.",
                "upvotes": (now - item.at).days,
                "submittedOnDailyAt": f"{item.day}T00:00:00.000Z",
            }
        }


@st.composite
def submissions(draw: st.DrawFn) -> list[Submission]:
    """Some papers on each working day, a few of which come back some days later."""
    found: list[Submission] = []
    for offset in range(DAYS):
        day = MONDAY + timedelta(days=offset)
        if day.isoweekday() > 5:
            continue
        found += (
            Submission(f"2611.{offset:02}{number:03}", day, draw(st.integers(0, 23)))
            for number in range(draw(st.integers(0, 3)))
        )
    returning = draw(st.lists(st.sampled_from(found), max_size=3, unique=True)) if found else []
    found += [
        Submission(item.number, item.day + timedelta(days=7), item.hour)
        for item in returning
        if item.day + timedelta(days=7) < MONDAY + timedelta(days=DAYS)
    ]
    return found


HOURS = st.lists(st.integers(0, DAYS * 24), min_size=1, max_size=12, unique=True).map(sorted)


@contextmanager
def opened() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder, closing(Store(f"sqlite:///{folder}/digest.db")) as store:
        yield store


@settings(max_examples=40)
@given(site=submissions(), hours=HOURS, down=st.sets(st.integers(0, 11), max_size=4))
@example([Submission("2611.00000", MONDAY, 23)], [0, 24, 330], set())  # a gap of twelve days
def test_every_paper_of_daily_papers_comes_exactly_once(
    site: list[Submission], hours: list[int], down: set[int]
) -> None:
    start = datetime.combine(MONDAY, time(), UTC)
    runs = [start + timedelta(hours=hour) for hour in hours]
    end = start + timedelta(days=DAYS, hours=1)
    fetcher = DailyPapers(site, down={runs[number] for number in down if number < len(runs)})
    shown: Counter[str] = Counter()
    with opened() as store:
        for now in (*runs, end):
            list(
                pipeline.collect(
                    store,
                    [HuggingFace()],
                    fetcher,
                    now=now,
                    lookback=timedelta(days=3),
                    keep=lambda _source, _page: None,
                )
            )
            for composed in pipeline.compose(store, [EVERYTHING], {"email": no_mail}, Words, now=now):
                if composed.digest is not None:
                    shown.update(item.paper.id for item in composed.digest.recommendations)
                    shown.update(item.paper.id for item in composed.digest.overflow)
    assert set(shown.values()) <= {1}
    first = next(now for now in (*runs, end) if now not in fetcher.down)
    wanted = {f"arxiv:{item.number}" for item in site if item.at >= first - timedelta(days=3)}
    assert wanted <= set(shown)
