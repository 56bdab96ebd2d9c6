"""Sites that answer in turn, to talk to a source with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from digest.core.model import Page, Period, Reading, Request
from digest.errors import FetchError
from digest.ports import Source

NOW = datetime(2026, 11, 20, 7, tzinfo=UTC)
ONE_DAY = Period(datetime(2026, 11, 19, 7, tzinfo=UTC), NOW)
TEN_DAYS = Period(datetime(2026, 11, 10, 7, tzinfo=UTC), NOW)

Answer = str | dict[str, Any] | FetchError | None  # text, JSON, no answer, or "unchanged"


def page(content: str | bytes | dict[str, Any], url: str = "file:///saved/page") -> Page:
    text = json.dumps(content) if isinstance(content, dict) else content
    return Page(url, text.encode() if isinstance(text, str) else text, None, NOW)


def talk(source: Source, period: Period, answers: Sequence[Answer]) -> tuple[Reading, list[Request]]:
    """What a source makes of a site's answers, and what it asked for; it must ask for all of them."""
    plan = source.collect(period)
    requests = [next(plan)]
    try:
        for answer in answers:
            request = requests[-1]
            if isinstance(answer, FetchError):
                requests.append(plan.throw(answer))
            else:
                requests.append(plan.send(None if answer is None else page(answer, request.url)))
    except StopIteration as stop:
        assert len(requests) == len(answers)
        reading: Reading = stop.value
        return reading, requests
    raise AssertionError(f"it asks for more: {requests[-1].url}")


def gone(status: int | None = None) -> FetchError:
    return FetchError("no answer", place="the site", remedy="wait", status=status, transient=True)
