"""The archive: each digest as a page of its own, and an index of them, as files that need no server.

Links between pages are relative, so that a folder on a disk will do.
Nothing is loaded from elsewhere and no script may run.

    index.html                             overview
    archive/<profile>/index.html           the digests of a profile
    archive/<profile>/<digest id>.html     one digest, whole
    feeds/<profile>/…
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import jinja2

from digest.core.addresses import joined
from digest.core.model import Artifact, Digest, Profile
from digest.core.phrases import due
from digest.render import FEEDS, render


class ArchiveRenderer:
    """Writes a profile's digests as pages."""

    def __init__(
        self,
        environment: jinja2.Environment,
        *,
        base_url: str | None,
        formats: tuple[str, ...] = ("rss", "atom", "json"),
    ) -> None:
        self._environment = environment
        self._base_url = base_url
        self._formats = formats

    def render(self, profile: Profile, digests: Sequence[Digest]) -> Iterable[Artifact]:
        """A page for each digest, from the newest on, and the profile's `index.html`. Raises RenderError."""
        around = [None, *digests, None]
        for newer, digest, older in zip(around, digests, around[2:], strict=False):
            name = f"{digest.id}.html"
            yield self._page(
                "archive.html.j2",
                name,
                profile=profile,
                digest=digest,
                due=due(profile, digest),
                newer=newer,
                older=older,
                feeds=self._feeds(profile, "../../"),
                canonical=joined(self._base_url, "archive", profile.name, name),
            )
        yield self._page(
            "archive_index.html.j2",
            "index.html",
            title=profile.title,
            up="../../index.html",
            digests=[(digest, due(profile, digest)) for digest in digests],
            profiles=[],
            feeds=self._feeds(profile, "../../"),
            canonical=joined(self._base_url, "archive", profile.name, "index.html"),
        )

    def overview(self, profiles: Sequence[Profile]) -> Artifact:
        """The `index.html` above `archive` and `feeds`, with a way to each profile. Raises RenderError."""
        return self._page(
            "archive_index.html.j2",
            "index.html",
            title="Digests",
            up="",
            digests=[],
            profiles=[(profile, self._feeds(profile, "")) for profile in profiles],
            feeds=[],
            canonical=joined(self._base_url, "index.html"),
        )

    def _page(self, template: str, path: str, **values: object) -> Artifact:
        return Artifact(path, render(self._environment, template, **values).encode())

    def _feeds(self, profile: Profile, root: str) -> list[tuple[str, str, str]]:
        """Label, media type and relative address of each feed."""
        if "feeds" not in profile.channels:
            return []
        return [
            (FEEDS[form].label, FEEDS[form].media_type, f"{root}feeds/{profile.name}/{FEEDS[form].file}")
            for form in self._formats
        ]
