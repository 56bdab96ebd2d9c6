"""A small world to run the line in: a configuration in a folder, saved pages, invented papers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from digest.core.identity import paper_id
from digest.core.model import (
    Digest,
    Interest,
    Listing,
    Page,
    Paper,
    Period,
    Profile,
    Reading,
    Request,
    SourceReport,
)
from digest.ports import Plan, Store

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

SWIN = Interest("Swin", keywords=("Swin",))


def paper(title: str, abstract: str = "", *, arxiv: str | None = None, doi: str | None = None) -> Paper:
    return Paper(paper_id(title=title, arxiv=arxiv, doi=doi), title, abstract, doi=doi)


def listings(*papers: Paper, source: str = "page") -> tuple[Listing, ...]:
    return tuple(Listing(one, source, None, position) for position, one in enumerate(papers))


def report(source: str = "page", *, at: datetime = NOON, complete: bool = True) -> SourceReport:
    return SourceReport(source, Period(at - DAY, at), complete)


def profile(name: str = "me", *interests: Interest, **values: object) -> Profile:
    return Profile(name=name, title=name.title(), interests=interests or (SWIN,), **values)  # type: ignore[arg-type]


class ListSource:
    """A source whose pages are lists of papers, one page per address."""

    def __init__(self, name: str, pages: dict[str, Sequence[Paper]]) -> None:
        self.name = name
        self.pages = pages
        self.periods: list[Period] = []

    def collect(self, period: Period) -> Plan:
        self.periods.append(period)
        found: list[Listing] = []
        for url in list(self.pages):
            page = yield Request(url)
            if page is not None:
                found += listings(*self.pages[url], source=self.name)
        return Reading("list", tuple(found))


class Shelf:
    """A fetcher that serves pages from memory, and knows validators."""

    def __init__(self, content: dict[str, bytes | Exception]) -> None:
        self.content = content

    def fetch(self, request: Request, *, now: datetime) -> Page | None:
        content = self.content[request.url]
        if isinstance(content, Exception):
            raise content
        etag = content.hex()
        return None if request.etag == etag else Page(request.url, content, "text/plain", now, etag=etag)


# --- saved pages ------------------------------------------------------------------------------

# One line a paragraph, as such a copy has them.
SWIN_PAGE = """Get trending papers in your email inbox once a day!
Get trending papers in your email inbox!
SubscribeSwinLeaf: Shifted Windows for Counting Leaves
We count the leaves of invented trees with a Swin backbone that only drawings of forests have trained.
A Ledger for Honest Gardeners
Gardeners who share seeds keep a ledger; one without any numbers still settles every quarrel of theirs.
Talking Faces Without a Mouth
Our talking face generator moves everything but the mouth, which nobody noticed at once."""

EMPTY_HANDED_PAGE = (
    SWIN_PAGE.replace("SwinLeaf", "Leaf").replace("Shifted Windows", "Ladders").replace("a Swin", "some")
)

PROFILE = """name = "{name}"
title = "Papers for {name}"
{recipients}
[[interests]]
name = "Swin"
keywords = ["Swin"]
"""


def configure(
    folder: Path,
    *,
    port: int | None = None,
    extra: str = "",
    mail: str = "",
    profiles: Sequence[str] = ("me",),
) -> Path:
    """Write a configuration whose pages are in `folder/inbox`; gives its path.

    `extra` stands before the tables, `mail` at the end of `[email]`, which is there with a port.
    """
    (folder / "inbox").mkdir(exist_ok=True)
    (folder / "profiles").mkdir(exist_ok=True)
    email = (
        f'[email]\nfrom = "Digest <digest@example.org>"\nhost = "127.0.0.1"\n'
        f'port = {port}\nsecurity = "none"\n{mail}'
        if port
        else ""
    )
    path = folder / "digest.toml"
    path.write_text(
        f'timezone = "Europe/Berlin"\ndata_dir = "data"\noutput_dir = "public"\n{extra}\n'
        f'[[sources]]\nkind = "file"\npaths = ["inbox/"]\n{email}',
        encoding="utf-8",
    )
    for name in profiles:
        recipients = f'recipients = ["{name.title()} <{name}@example.org>"]' if port else ""
        text = PROFILE.format(name=name, recipients=recipients)
        (folder / "profiles" / f"{name}.toml").write_text(text, encoding="utf-8")
    return path


def digests_of(store: Store, profile: str) -> tuple[Digest, ...]:
    """The digests of a profile that a store holds, newest first."""
    ids = [summary.id for summary in store.summaries(profile)]
    read = store.digests(ids)
    return tuple(read[one] for one in ids)
