"""The feeds: RSS 2.0, Atom (RFC 4287) and JSON Feed 1.1, with the same entries under the same ids.

An entry's id is made of the profile and the paper: newsboat gives an item that two feeds share to one.
Its date is the moment it was recommended, a second earlier for each rank, so that sorting keeps our order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import quote, urlsplit

import jinja2
from feedgen.feed import FeedGenerator
from markupsafe import escape

from digest.core.addresses import joined, page
from digest.core.lines import one_line, shortened
from digest.core.model import Artifact, Digest, Profile, Recommendation
from digest.core.tex import readable
from digest.render import FEEDS, render

_NOWHERE = "digest.invalid"  # RFC 2606, 2: names nobody; the authority of ids where no address is known
_NO_DIGEST_YET = datetime(2026, 1, 1, tzinfo=UTC)  # the day of our tag URIs; an empty feed needs a date too
_DOMAIN = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")
_SUMMARY = 300  # characters
_LONGEST_ABSTRACT = 5000  # characters, longer than any abstract that is one


@dataclass(frozen=True, slots=True)
class Entry:
    """A recommended paper as every form of feed shows it."""

    id: str
    title: str
    url: str  # may be empty
    authors: tuple[str, ...]
    summary: str  # plain text, may be empty
    html: str
    tags: tuple[str, ...]
    published: datetime


class FeedRenderer:
    """Writes the papers of a profile's digests, newest first, as feeds."""

    def __init__(
        self,
        environment: jinja2.Environment,
        *,
        base_url: str | None,
        entries: int = 100,
        formats: tuple[str, ...] = ("rss", "atom", "json"),
    ) -> None:
        self._environment = environment
        self._base_url = base_url
        self._entries = entries
        self._formats = formats

    def render(self, profile: Profile, digests: Sequence[Digest]) -> Iterable[Artifact]:
        """`rss.xml`, `atom.xml` and `feed.json`, as far as they are wanted. Raises RenderError.

        What a digest shows by title alone stands at the end of its last entry.
        """
        entries = tuple(islice(self._read(profile, digests), self._entries))
        updated = _second(digests[0].issued_at) if digests else _NO_DIGEST_YET
        write = {"rss": self._rss, "atom": self._atom, "json": self._json}
        for form in self._formats:
            yield Artifact(FEEDS[form].file, write[form](profile, updated, entries))

    def _read(self, profile: Profile, digests: Sequence[Digest]) -> Iterator[Entry]:
        seen = set()
        for digest in digests:
            recommendations = digest.recommendations
            for rank, recommendation in enumerate(recommendations):
                if recommendation.paper.id in seen:
                    continue
                seen.add(recommendation.paper.id)
                overflow = digest.overflow if rank == len(recommendations) - 1 else ()
                published = _second(digest.issued_at) - timedelta(seconds=rank)
                yield self._entry(profile, recommendation, overflow, published)

    def _entry(
        self,
        profile: Profile,
        item: Recommendation,
        overflow: tuple[Recommendation, ...],
        published: datetime,
    ) -> Entry:
        paper = item.paper
        names = paper.authors or ((paper.organization,) if paper.organization else ())
        return Entry(
            id=self._id(profile, paper.id),
            title=one_line(readable(paper.title).text) or "(untitled)",
            url=page(paper),
            authors=tuple(filter(None, map(one_line, names))),
            summary=shortened(one_line(readable(paper.abstract).text), _SUMMARY),
            html=render(
                self._environment,
                "feed_entry.html.j2",
                recommendation=item,
                overflow=overflow,
                abstract_limit=_LONGEST_ABSTRACT,
            ),
            tags=tuple(filter(None, dict.fromkeys(map(one_line, (*item.interests, *paper.categories))))),
            published=published,
        )

    def _id(self, profile: Profile, *path: str) -> str:
        # RFC 4151, 2.1; what a paper's id holds beyond letters is percent-encoded.
        host = urlsplit(joined(self._base_url)).hostname or _NOWHERE
        authority = host if _DOMAIN.fullmatch(host) else _NOWHERE
        specific = "/".join(
            quote(part, safe=":/@!$'()*+,;=", errors="replace") for part in ("digest", profile.name, *path)
        )
        return f"tag:{authority},2026:{specific}"

    def _self(self, profile: Profile, form: str) -> str:
        return joined(self._base_url, "feeds", profile.name, FEEDS[form].file)

    def _home(self, profile: Profile) -> str:
        if "archive" not in profile.channels:
            return joined(self._base_url)
        return joined(self._base_url, "archive", profile.name, "index.html")

    def _generator(self, profile: Profile, updated: datetime, entries: Sequence[Entry]) -> Any:  # noqa: ANN401 - untyped
        feed = FeedGenerator()
        feed.load_extension("dc", atom=False)
        title = one_line(profile.title) or profile.name
        feed.id(self._id(profile))
        feed.title(title)
        feed.subtitle(f"New papers for {title}")
        feed.description(f"New papers for {title}")
        feed.author({"name": "digest"})  # RFC 4287, 4.2.1: entries without an author need the feed's
        feed.language("en")
        feed.generator("digest", version="", uri="")
        feed.updated(updated)
        feed.lastBuildDate(updated)
        for entry in entries:
            made = feed.add_entry(order="append")
            made.id(entry.id)
            made.title(entry.title)
            made.updated(entry.published)
            made.published(entry.published)
            made.category([{"term": tag} for tag in entry.tags])
            made.link(href=entry.url, rel="alternate", type="text/html")
            if entry.authors:
                made.author([{"name": name} for name in entry.authors])
                made.dc.dc_creator(", ".join(entry.authors))
            if entry.summary:
                # RSS has no word for plain text: readers take a description as HTML.
                made.description(str(escape(entry.summary)))
                made.summary(entry.summary, type="text")
            made.content(entry.html, type="html")
        return feed

    def _rss(self, profile: Profile, updated: datetime, entries: Sequence[Entry]) -> bytes:
        feed = self._generator(profile, updated, entries)
        if address := self._self(profile, "rss"):
            feed.link(href=address, rel="self", type=FEEDS["rss"].media_type)
        # feedgen takes the last link as the channel's, which RSS 2.0 requires.
        feed.link(href=self._home(profile) or f"https://{_NOWHERE}/", rel="alternate", type="text/html")
        return bytes(feed.rss_str(pretty=True))

    def _atom(self, profile: Profile, updated: datetime, entries: Sequence[Entry]) -> bytes:
        feed = self._generator(profile, updated, entries)
        if address := self._self(profile, "atom"):
            feed.link(href=address, rel="self", type=FEEDS["atom"].media_type)
            feed.link(href=self._home(profile), rel="alternate", type="text/html")
        return bytes(feed.atom_str(pretty=True))

    def _json(self, profile: Profile, updated: datetime, entries: Sequence[Entry]) -> bytes:
        feed = {
            "version": "https://jsonfeed.org/version/1.1",
            "title": one_line(profile.title) or profile.name,
            "home_page_url": self._home(profile),
            "feed_url": self._self(profile, "json"),
            "language": "en",
            "items": [
                _present(
                    {
                        "id": entry.id,
                        "url": entry.url,
                        "title": entry.title,
                        "summary": entry.summary,
                        "content_html": entry.html,
                        "date_published": entry.published.isoformat(),
                        "authors": [{"name": name} for name in entry.authors],
                        "tags": list(entry.tags),
                    }
                )
                for entry in entries
            ],
        }
        return (
            json.dumps(_present(feed) | {"items": feed["items"]}, ensure_ascii=False, indent=1) + "\n"
        ).encode()


def _second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}
