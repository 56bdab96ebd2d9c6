"""The archive: each digest as a page of its own, and indexes of them, as files that need no server.

Links between pages are relative, so that a folder on a disk will do.
Nothing is loaded from elsewhere, and the one script that may run is the page's own, which adds a box that
filters what is there already.

    index.html                             overview
    archive/<profile>/index.html           the digests of a profile
    archive/<profile>/<digest id>.html     one digest, whole
    feeds/…

A digest never changes, so its page is made once, and again when a neighbour joins it or when what pages are
made with is another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from typing import NamedTuple

import jinja2

from digest.core.addresses import folders, joined
from digest.core.chart import chart
from digest.core.lines import one_line
from digest.core.model import Artifact, Profile, Summary
from digest.core.phrases import due
from digest.core.shelf import MADE, Shelf
from digest.render import FEEDS, made_with, render

LISTED = 1000
"""Profiles, and digests, that the overview lists at most."""

_NEWEST_DAYS = 14
_AT_ONCE = 50  # digests in memory


class Feed(NamedTuple):
    """A feed, as a page links to it."""

    label: str
    media_type: str
    href: str
    title: str


class Issue(NamedTuple):
    """A digest, as a page of another one links to it."""

    summary: Summary
    due: datetime
    is_alone: bool  # on its day; else it is told apart by the time
    file: str


class ArchiveRenderer:
    """Writes a profile's digests as pages."""

    def __init__(
        self,
        environment: jinja2.Environment,
        *,
        base_url: str | None,
        formats: Sequence[str] = ("rss", "atom", "json"),
        per_interest: bool = False,
    ) -> None:
        """Write pages that lead to feeds of these formats, and to those of interests if there are such."""
        self._environment = environment
        self._base_url = base_url
        self._formats = formats
        self._per_interest = per_interest

    def render(self, profile: Profile, shelf: Shelf) -> Iterator[Artifact]:
        """The pages that are missing or would be different now, and the profile's `index.html`.

        Each page leads to its neighbours, so those of a missing page are made again with it; they come
        first, because then a page is missing still wherever the writing breaks off. Raises RenderError.
        """
        feeds = self._feeds(profile, "../../")
        made = self._made(profile, feeds)
        is_kept = shelf.is_made_with(made)
        if shelf.made and not is_kept:
            yield Artifact(MADE, b"")  # from here on the pages differ in what they were made with
        there = shelf.published if is_kept else frozenset()
        issues = _issues(profile, shelf.summaries)
        around = [None, *issues, None]
        wanted = [
            near
            for near in zip(around, issues, around[2:], strict=False)
            if any(issue and issue.file not in there for issue in near)
        ]
        wanted.sort(key=lambda near: near[1].file not in there)
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            read = shelf.read([issue.summary.id for _, issue, _ in part])
            for newer, issue, older in part:
                yield self._page(
                    "archive.html.j2",
                    issue.file,
                    digest=read[issue.summary.id],
                    due=issue.due,
                    newer=newer,
                    older=older,
                    feeds=feeds,
                    canonical=joined(self._base_url, "archive", profile.name, issue.file),
                )
        months: dict[date, list[Issue]] = {}
        for issue in issues:
            months.setdefault(issue.due.date().replace(day=1), []).append(issue)
        yield self._page(
            "archive_profile.html.j2",
            "index.html",
            profile=profile,
            issues=issues,
            months=months,
            years={month.year: month for month in reversed(months)},
            chart=chart(
                [interest.name for interest in profile.interests],
                [(issue.due.date(), issue.summary) for issue in issues],
            )
            if issues
            else None,
            feeds=[*feeds, *self._of_interests(profile)],
            canonical=joined(self._base_url, "archive", profile.name, "index.html"),
        )
        own = {"index.html", *(issue.file for issue in issues)}
        for path in sorted(shelf.published - own):
            if re.fullmatch(rf"{profile.name}-\d{{8}}T\d{{6}}Z\.html", path):  # of a database that was lost
                yield Artifact(path, b"", is_withdrawn=True)
        yield Artifact(MADE, shelf.mark(made).encode())

    def overview(self, profiles: Sequence[Profile], summaries: Sequence[Summary]) -> Artifact:
        """The `index.html` above `archive` and `feeds`: a way to each profile and to the newest digests.

        `summaries` are the newest of all, newest first. Raises RenderError.
        """
        known = {profile.name: profile for profile in profiles if "archive" in profile.channels}
        of_profile: dict[str, list[Summary]] = {}
        for summary in summaries:
            if summary.profile in known:
                of_profile.setdefault(summary.profile, []).append(summary)
        issues = {name: _issues(known[name], own) for name, own in of_profile.items()}
        days: dict[date, list[tuple[Profile, Issue]]] = {}
        for name in filter(issues.__contains__, known):  # in the order of the configuration
            for issue in issues[name]:
                days.setdefault(issue.due.date(), []).append((known[name], issue))
        has_feeds = any("feeds" in profile.channels for profile in profiles)
        return self._page(
            "archive_overview.html.j2",
            "index.html",
            profiles=[
                (profile, next(iter(issues.get(profile.name, ())), None), self._feeds(profile, ""))
                for profile in profiles[:LISTED]
            ],
            more=max(len(profiles) - LISTED, 0),
            days=list(islice(((day, days[day]) for day in sorted(days, reverse=True)), _NEWEST_DAYS)),
            feeds=self._links("feeds", "All digests") if has_feeds else [],
            canonical=joined(self._base_url, "index.html"),
        )

    def _page(self, template: str, path: str, **values: object) -> Artifact:
        return Artifact(path, render(self._environment, template, **values).encode())

    def _made(self, profile: Profile, feeds: Sequence[Feed]) -> str:
        """What the pages of digests are made with; interests are on the profile's own page alone."""
        templates = [name for name in self._environment.list_templates() if name.startswith("archive")]
        zone = profile.schedule.timezone if profile.schedule else ""
        return made_with(self._environment, templates, joined(self._base_url, profile.name), zone, feeds)

    def _feeds(self, profile: Profile, root: str) -> list[Feed]:
        if "feeds" not in profile.channels:
            return []
        return self._links(f"{root}feeds/{profile.name}", one_line(profile.title) or profile.name)

    def _of_interests(self, profile: Profile) -> Iterator[Feed]:
        if self._per_interest and "feeds" in profile.channels:
            form = FEEDS[self._formats[0]]
            for name, folder in folders([interest.name for interest in profile.interests]).items():
                href = f"../../feeds/{profile.name}/{folder}/{form.file}"
                yield Feed(one_line(name), form.media_type, href, f"{one_line(name)} ({form.label})")

    def _links(self, folder: str, title: str) -> list[Feed]:
        known = [FEEDS[form] for form in self._formats]
        return [
            Feed(form.label, form.media_type, f"{folder}/{form.file}", f"{title} ({form.label})")
            for form in known
        ]


def _issues(profile: Profile, summaries: Iterable[Summary]) -> list[Issue]:
    dated = [(summary, due(profile, summary)) for summary in summaries]
    on_day = Counter(moment.date() for _, moment in dated)
    return [
        Issue(summary, moment, on_day[moment.date()] == 1, f"{summary.id}.html") for summary, moment in dated
    ]
