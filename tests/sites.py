"""Sites to talk to a source with, and what their answers are made of."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hypothesis import strategies as st

from digest.core.model import Page, Period, Reading, Request
from digest.errors import FetchError
from digest.ports import Source


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOW = at("2026-11-20T07:00")


def period(since: str, until: str = "2026-11-20T07:00") -> Period:
    return Period(at(since), at(until))


ONE_DAY = period("2026-11-19T07:00")  # Thursday to Friday
TEN_DAYS = period("2026-11-10T07:00")

Answer = Page | str | bytes | dict[str, Any] | FetchError | None
"""A page, or its text or JSON; no answer; or "unchanged"."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def page(content: object, url: str = "file:///saved/page", media_type: str | None = None) -> Page:
    """A page of bytes or text as they are, or of anything else as JSON."""
    if isinstance(content, bytes):
        return Page(url, content, media_type, NOW)
    text = content if isinstance(content, str) else json.dumps(content)
    return Page(url, text.encode(), media_type, NOW)


def converse(
    source: Source, period: Period, site: Callable[[Request], Answer]
) -> tuple[Reading, list[Request]]:
    """What a source makes of a site, and what it asked it for."""
    plan = source.collect(period)
    requests = []
    try:
        request = next(plan)
        while True:
            requests.append(request)
            answer = site(request)
            if isinstance(answer, FetchError):
                request = plan.throw(answer)
            elif answer is None or isinstance(answer, Page):
                request = plan.send(answer)
            else:
                request = plan.send(page(answer, request.url))
    except StopIteration as stop:
        reading: Reading = stop.value
        return reading, requests


def talk(source: Source, period: Period, answers: Sequence[Answer]) -> tuple[Reading, list[Request]]:
    """What a source makes of answers given in turn, and what it asked for; it must ask for all of them."""
    left = deque(answers)

    def site(request: Request) -> Answer:
        assert left, f"it asks for more: {request.url}"
        return left.popleft()

    found = converse(source, period, site)
    assert not left, "it does not ask for all"
    return found


def gone(status: int | None = None) -> FetchError:
    return FetchError("no answer", place="the site", remedy="wait", status=status, transient=True)


def parameters(url: str) -> dict[str, str]:
    """The query of an address, which has each parameter once."""
    return {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}
