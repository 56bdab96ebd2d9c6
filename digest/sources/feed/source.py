"""One feed, by its address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from digest.core import wire
from digest.core.model import Pace, Period, Request
from digest.errors import SourceError
from digest.ports import Plan
from digest.sources import Harvest

_MOST_PAGES = 20  # to ask for more at the next run would not help
_ARXIV = {"rss.arxiv.org", "export.arxiv.org", "arxiv.org"}
_OVERLAP = timedelta(days=1)


class Feed:
    """One feed, by its address.

    `url` is http(s) or feed; `allow_private` says that it may lie in a private network.
    Older pages of the feed (RFC 5005) are read as far as the last complete reading asks for.
    Raises ValueError for another address.
    """

    def __init__(self, name: str = "feed", *, url: str, allow_private: bool = False) -> None:
        self.name = name
        scheme, _, rest = url.strip().partition(":")
        if scheme.lower() == "feed":  # feed://host/… and feed:https://host/… are both in use
            url = f"https:{rest}" if rest.startswith("//") else rest
        address = wire.web_address(url)
        if address is None:
            raise ValueError(f"url is {url!r}, but must begin with https:// or http://")
        if urlsplit(address).hostname in _ARXIV:
            raise ValueError('this feed shows one day alone; write kind = "arxiv" and categories instead')
        self._url = address
        self._allow_private = allow_private
        self._pace = Pace(urlsplit(address).hostname or "", 1.0)

    def collect(self, period: Period) -> Plan:
        """Read the feed back to the beginning of a period. Raises SourceError if nothing can be read."""
        harvest = Harvest()
        asked: list[str] = []
        appeared: list[datetime] = []
        older: str | None = self._url
        while older and older not in asked:
            if len(asked) == _MOST_PAGES:
                note = f"the feed has more than {_MOST_PAGES} pages since {period.since:%Y-%m-%d}"
                harvest.notes.append(f"{note}, and the older ones are left out")
                return harvest.reading()
            asked.append(older)
            try:
                elsewhere = urlsplit(older).netloc != urlsplit(self._url).netloc
                page = yield Request(
                    older, pace=self._pace, from_page=elsewhere, allow_private=self._allow_private
                )
                if page is None:
                    harvest.unchanged("feed")
                    return harvest.reading()
                from digest.sources.feed.reader import document_of, reading_of

                document = document_of(page)
                reading = reading_of(page, document)
            except SourceError as error:
                harvest.failed(f"page {len(asked)} of the feed", error)
                return harvest.reading()
            harvest.add(reading, offset=len(harvest.listings))
            if not document.complete:
                return replace(harvest.reading(), complete=False)
            appeared += (entry.appeared for entry in document.entries if entry.appeared)
            older = document.older if appeared and min(appeared) > period.since - _OVERLAP else None
        if appeared and _leaves_a_gap(appeared, period.since):
            harvest.notes.append(
                f"the feed reaches back to {min(appeared):%Y-%m-%d %H:%M} UTC only: papers between "
                f"{period.since.astimezone(UTC):%Y-%m-%d %H:%M} and then may be missing"
            )
        return harvest.reading()


def _leaves_a_gap(appeared: Sequence[datetime], since: datetime) -> bool:
    """Whether a feed may have dropped entries that were never read.

    A note is all that can be done: the feed will not hold them again, so the reading is complete.
    A new feed is noted too, once, as its first entry is older than the next reading's beginning.
    A feed of one edition, whose entries are all dated alike, is as good as its day: it is noted only
    where a whole day lies between.
    """
    oldest = min(appeared)
    if oldest == max(appeared):
        return oldest.date() > since.astimezone(UTC).date() + timedelta(days=1)
    return oldest > since
