"""The feeds: RSS 2.0, Atom (RFC 4287) and JSON Feed 1.1, with the same entries under the same ids.

    feeds/atom.xml, …                       of all profiles
    feeds/<profile>/atom.xml, …             of a profile: what subscribers ask for again and again
    feeds/<profile>/atom-<n>.xml, …         of a profile: older entries, once and for all (RFC 5005, 4)
    feeds/<profile>/<interest>/atom.xml, …  of an interest, likewise

An entry's id is made of the profile and the paper: newsboat gives an item that two feeds share to one.
Its date is the moment it was recommended, a second earlier for each rank, so that sorting keeps our order.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from html import escape
from itertools import islice
from typing import Literal, NamedTuple
from urllib.parse import quote

import jinja2

from digest.core.addresses import folders, http_url, joined, links, page
from digest.core.lines import one_line, shortened
from digest.core.model import Artifact, Digest, Paper, PaperId, Profile, Recommendation, Summary
from digest.core.phrases import counts, coverage, explained, heartbeat, quantity
from digest.core.shelf import MADE, Shelf
from digest.core.tex import readable
from digest.render import FEEDS, Finished, made_with, render
from digest.render.feed.forms import FORMS, opml
from digest.render.feed.values import NO_DIGEST_YET, Entry, Feed

_ALL = "digest-of-all"  # no profile's entries begin so
_ARCHIVED = 100  # entries of an archive document, and then the rest of a digest
_SUMMARY = 300  # characters
_LONGEST_ABSTRACT = 5000  # characters, longer than any abstract that is one
_LARGEST_ENTRY = 40_000  # bytes in an XML document, of which a hundred are less than 5 MB
_LONGEST_TITLE = 500  # characters
_LONGEST_NAME = 200
_MOST_AUTHORS = 100  # collaborations have thousands
_MOST_TAGS = 20
_MOST_TITLES = 100
_OURS = re.compile(r"(?:[a-z0-9-]+/)?(?:(?:atom|rss)(?:-\d+)?\.xml|feed(?:-\d+)?\.json)")
_A_RUN = 10  # times the entries that are wanted: what is looked through for those of one run
_A_SECOND = timedelta(seconds=1)


class _Part(NamedTuple):
    """What becomes an entry: a paper of a digest, or all of it."""

    digest: Digest
    published: datetime
    item: Recommendation | None = None
    titles: Sequence[Recommendation] = ()  # what stands below by title


class FeedRenderer:
    """Writes the papers of digests, newest first, as feeds."""

    def __init__(
        self,
        environment: jinja2.Environment,
        *,
        base_url: str,
        authority: str = "digest.invalid",
        entries: int = 100,
        formats: Sequence[str] = ("rss", "atom", "json"),
        entry: Literal["paper", "digest"] = "paper",
        per_interest: bool = False,
    ) -> None:
        """Write feeds that are found below `base_url`, with ids of that authority (RFC 4151, 2.1)."""
        self._environment = environment
        self._base_url = base_url
        self._authority = authority
        self._entries = entries
        self._archived = min(entries, _ARCHIVED)
        self._formats = tuple(formats)
        self._per_digest = entry == "digest"
        self._per_interest = per_interest
        self._card = lru_cache(maxsize=1000)(self._drawn)  # the feeds of interests show it again

    def render(self, profile: Profile, shelf: Shelf) -> Iterator[Artifact]:
        """The documents of a profile's feeds, archived ones only if they are not there. Raises RenderError.

        What a digest shows by title alone stands at the end of its last entry.
        """
        made = self._made_with(profile)
        feeds = self._feeds(profile)
        filled = [one for one in shelf.summaries if one.papers]
        archived = self._archive(filled)
        is_kept = shelf.is_made_with(made)
        if shelf.made and not is_kept:
            yield Artifact(MADE, b"")  # from here on the documents differ in what they were made with
        there = shelf.published if is_kept else frozenset()
        for number, ids in enumerate(archived, 1):
            after = number + 1 if number < len(archived) else 0
            documents = [replace(feed, number=number, before=number - 1, after=after) for feed in feeds]
            # What was the newest one leads to the next from then on.
            paths = {
                _below(profile, feed.path(form, at))
                for feed in documents
                for form in self._formats
                for at in (number, after)
            }
            if not paths <= there:
                yield from self._documents(profile, documents, _read(shelf, ids))
        documents = [replace(feed, before=len(archived)) for feed in feeds]
        own = {
            _below(profile, feed.path(form, number))
            for feed in feeds
            for form in self._formats
            for number in range(len(archived) + 1)
        }
        for path in sorted(filter(_OURS.fullmatch, shelf.published - own)):  # nobody would renew it
            yield Artifact(path, b"", is_withdrawn=True)
        yield from self._documents(
            profile, documents, _read(shelf, list(self._newest(filled, self._entries)))
        )
        yield Artifact(MADE, shelf.mark(made).encode())

    def of_all(
        self,
        profiles: Sequence[Profile],
        summaries: Sequence[Summary],
        read: Callable[[Sequence[str]], Mapping[str, Digest]],
        first: Callable[[Iterable[PaperId], Container[str]], Mapping[PaperId, str]],
    ) -> Iterator[Artifact]:
        """The feed of all profiles, the list of feeds (OPML 2.0), and their style. Raises RenderError.

        A paper stands there once, as it was recommended first: `first` gives the digests that did so, of
        these profiles.
        """
        served = {one.name: self._feed(one) for one in profiles if "feeds" in one.channels}
        filled = [one for one in summaries if one.papers and one.profile in served]
        digests = read(list(self._newest(filled, _A_RUN * self._entries)))
        papers = {item.paper.id for digest in digests.values() for item in digest.recommendations}
        firsts = {} if self._per_digest else first(papers, served)
        found = [
            part
            for digest in digests.values()
            # Profiles are served in the same second.
            for part in self._parts(digest, earlier=_fraction(digest.profile))
            if part.item is None or firsts.get(part.item.paper.id, digest.id) == digest.id
        ]
        found.sort(key=lambda part: part.published, reverse=True)
        run = max((digest.issued_at for digest in digests.values()), default=None)
        limit = max(self._entries, sum(1 for part in found if part.digest.issued_at == run))
        whole = Feed("", self._tag(_ALL), "All digests", joined(self._base_url, "index.html"))
        yield from self._written(
            whole, [self._copied(part, served[part.digest.profile], whole) for part in found[:limit]]
        )
        feeds = [whole, *(feed for one in profiles if one.name in served for feed in self._feeds(one))]
        for form in FEEDS.keys() - set(self._formats):
            yield Artifact(FEEDS[form].file, b"", is_withdrawn=True)
        yield Artifact("feeds.opml", opml(feeds, self._formats, joined(self._base_url, "feeds")))
        yield self.style()

    def _copied(self, part: _Part, feed: Feed, whole: Feed) -> Entry:
        """An entry of a profile's feed as it stands in the feed of all."""
        source = replace(feed, updated=_second(part.digest.issued_at))
        entry = self._entry_of(part, source)
        return replace(
            entry,
            id=entry.id.replace(source.id, whole.id, 1),
            tags=tuple(dict.fromkeys((source.title, *entry.tags))),
            source=source,
        )

    def style(self) -> Artifact:
        """What browsers show the feeds with, for the folder above those of profiles. Raises RenderError."""
        return Artifact("feed.css", render(self._environment, "feed.css.j2").encode())

    # --- which documents ----------------------------------------------------------------------

    def _archive(self, summaries: Sequence[Summary]) -> list[list[str]]:
        """The digests of each archive document, the oldest document and the newest digest first.

        A document is closed when it is full, and its entries never change then (RFC 5005, 4).
        What is in none yet is less than the document that is subscribed to holds.
        """
        documents: list[list[str]] = []
        ids: list[str] = []
        held = 0
        for summary in reversed(summaries):
            ids.insert(0, summary.id)
            held += self._size(summary)
            if held >= self._archived:
                documents.append(ids)
                ids, held = [], 0
        return documents

    def _newest(self, summaries: Iterable[Summary], entries: int) -> Iterator[str]:
        """The digests that have so many of the newest entries, newest first."""
        held = 0
        for summary in summaries:
            if held >= entries:
                return
            held += self._size(summary)
            yield summary.id

    def _size(self, summary: Summary) -> int:
        return 1 if self._per_digest else summary.papers

    def _documents(
        self, profile: Profile, feeds: Iterable[Feed], digests: Sequence[Digest]
    ) -> Iterator[Artifact]:
        for feed in feeds:
            entries: dict[str, Entry] = {}
            for digest in digests:
                for entry in self._entries_of(digest, feed):
                    entries.setdefault(entry.id, entry)
            # Whoever looks once a day should find the whole day.
            newest = self._size(digests[0].summary) if digests else 0
            limit = None if feed.number else max(self._entries, newest)
            for artifact in self._written(feed, list(islice(entries.values(), limit))):
                yield Artifact(_below(profile, artifact.path), artifact.content)

    def _written(self, feed: Feed, entries: Sequence[Entry]) -> Iterator[Artifact]:
        dated = replace(feed, updated=max((entry.published for entry in entries), default=NO_DIGEST_YET))
        for form in self._formats:
            yield Artifact(feed.path(form), FORMS[form](dated, entries, joined(self._base_url, "feeds")))

    def _made_with(self, profile: Profile) -> str:
        templates = ("feed_entry.html.j2", "feed_digest.html.j2", "feed_titles.html.j2")
        own = (self._base_url, self._authority, self._archived, self._formats, self._per_digest)
        its = (profile.title, profile.channels, [feed.folder for feed in self._feeds(profile)])
        return made_with(self._environment, templates, *own, *its)

    # --- what they say of themselves ----------------------------------------------------------

    def _feeds(self, profile: Profile) -> list[Feed]:
        """The feed of a profile, and those of its interests if they are wanted."""
        whole = self._feed(profile)
        names = folders([one.name for one in profile.interests]) if self._per_interest else {}
        return [
            whole,
            *(
                replace(
                    whole,
                    folder=f"{profile.name}/{name}",
                    id=f"{whole.id}/{name}",
                    title=f"{whole.title}: {_name(interest)}",
                    interest=interest,
                )
                for interest, name in names.items()
            ),
        ]

    def _feed(self, profile: Profile) -> Feed:
        has_pages = "archive" in profile.channels
        return Feed(
            folder=profile.name,
            id=self._tag("digest", profile.name),
            title=_name(profile.title) or profile.name,
            home=joined(self._base_url, *(("archive", profile.name) if has_pages else ()), "index.html"),
            has_pages=has_pages,
        )

    def _tag(self, *path: str) -> str:
        return f"tag:{self._authority},2026:{'/'.join(map(_quoted, path))}"

    # --- their entries ------------------------------------------------------------------------

    def _entries_of(self, digest: Digest, feed: Feed) -> Iterator[Entry]:
        shown = _of_interest(digest, feed.interest) if feed.interest else digest
        for part in self._parts(shown):
            yield self._entry_of(part, feed)

    def _parts(self, digest: Digest, earlier: timedelta = timedelta(0)) -> Iterator[_Part]:
        moment = _second(digest.issued_at) - earlier
        papers, titles = digest.recommendations, digest.overflow
        if not papers:  # an interest may have papers by title alone: the first stands for the others
            papers, titles = titles[:1], titles[1:]
        if self._per_digest:
            if papers:
                yield _Part(digest, moment)
            return
        step = _A_SECOND
        if digest.since is not None and digest.since < digest.issued_at:  # soon after, there is less room
            step = min(step, (digest.issued_at - digest.since) / (len(papers) + 1))
        for rank, item in enumerate(papers, 1):
            yield _Part(digest, moment - (rank - 1) * step, item, titles if rank == len(papers) else ())

    def _entry_of(self, part: _Part, feed: Feed) -> Entry:
        if part.item is None:
            return self._of_digest(part, feed)
        return self._of_paper(part, part.item, feed)

    def _of_paper(self, part: _Part, item: Recommendation, feed: Feed) -> Entry:
        paper = item.paper
        return Entry(
            id=f"{feed.id}/{_quoted(paper.id)}",
            title=_name(readable(paper.title).text, _LONGEST_TITLE) or "(untitled)",
            url=page(paper),
            authors=_authors(paper),
            summary=shortened(one_line(readable(paper.abstract).text), _SUMMARY),
            html=self._card(item, has_heading=False) + self._titles("Also matched that day", part.titles),
            tags=_tags((*item.interests, *paper.categories)),
            published=part.published,
            written_on=paper.published.isoformat() if paper.published else "",
            thumbnail=http_url(paper.thumbnail_url),
            links=links(paper)[1:],
        )

    def _of_digest(self, part: _Part, feed: Feed) -> Entry:
        """A digest as one entry: papers in full while there is room, the others by title."""
        digest = part.digest
        room = _LARGEST_ENTRY
        sections = []
        for section in digest.sections:
            cards: list[str] = []
            titles: list[Recommendation] = []
            for item in section.recommendations:
                card = self._card(item, has_heading=True)
                room -= len(escape(card).encode())
                if room > 0:
                    cards.append(card)
                else:
                    titles.append(item)
            sections.append((section, explained(section.kind), cards, self._titles("And", titles)))
        total, parts = counts(digest)
        return Entry(
            id=f"{feed.id}/{digest.id}",
            title=_name(f"{quantity(total, 'paper')}: {', '.join(parts)}", _LONGEST_TITLE),
            url=f"{feed.home.removesuffix('index.html')}{digest.id}.html" if feed.has_pages else "",
            authors=(),
            summary=_name(" · ".join(filter(None, (heartbeat(digest), coverage(digest)))), _LONGEST_TITLE),
            html=render(
                self._environment,
                "feed_digest.html.j2",
                digest=digest,
                sections=sections,
                overflow=self._titles("Also matched", digest.overflow),
            ),
            tags=_tags(section.interest for section in digest.sections),
            published=part.published,
        )

    def _drawn(self, item: Recommendation, *, has_heading: bool) -> str:
        return self._fragment(
            "feed_entry.html.j2",
            recommendation=item,
            abstract_limit=_LONGEST_ABSTRACT,
            has_heading=has_heading,
        )

    def _titles(self, heading: str, papers: Sequence[Recommendation]) -> str:
        if not papers:
            return ""
        more = max(len(papers) - _MOST_TITLES, 0)
        return self._fragment("feed_titles.html.j2", heading=heading, papers=papers[:_MOST_TITLES], more=more)

    def _fragment(self, template: str, **values: object) -> Finished:
        return Finished(render(self._environment, template, **values))


def _of_interest(digest: Digest, interest: str) -> Digest:
    """What a digest has of one interest, also where it stands under another one."""

    def of(papers: Iterable[Recommendation]) -> tuple[Recommendation, ...]:
        return tuple(item for item in papers if interest in item.interests)

    sections = (replace(one, recommendations=of(one.recommendations)) for one in digest.sections)
    return replace(
        digest,
        sections=tuple(one for one in sections if one.recommendations),
        overflow=of(digest.overflow),
    )


def _read(shelf: Shelf, ids: Sequence[str]) -> list[Digest]:
    found = shelf.read(ids)
    return [found[one] for one in ids]


def _below(profile: Profile, path: str) -> str:
    return path.removeprefix(f"{profile.name}/")


def _authors(paper: Paper) -> tuple[str, ...]:
    names = paper.authors or ((paper.organization,) if paper.organization else ())
    return tuple(filter(None, map(_name, names[:_MOST_AUTHORS])))


def _tags(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(filter(None, dict.fromkeys(map(_name, names))))[:_MOST_TAGS]


def _name(text: str, limit: int = _LONGEST_NAME) -> str:
    return shortened(one_line(text), limit)


def _quoted(part: str) -> str:
    # What a name holds beyond the characters of RFC 4151, 2.1 is percent-encoded.
    return quote(part, safe=":/@!$'()*+,;=", errors="replace")


def _fraction(profile: str) -> timedelta:
    """A part of a second that is the profile's own."""
    return timedelta(microseconds=int(hashlib.sha256(profile.encode()).hexdigest()[:8], 16) % 1_000_000)


def _second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)
