"""What stands in the public folder: made from the store, any number of times, and only as far as it must be.

    <channel>/<profile>/…    what is made of the digests of a profile
    …                        what all profiles share

A folder's `.made` says what its files were made with, and is written last: a killed run is made up for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from digest.core.model import Artifact, Channel, Profile, Summary
from digest.core.shelf import MADE, Shelf
from digest.ports import Publisher, Renderer, Store

_LOOKED_AT = 100
"""Newest digests by which what is shared is known to be up to date.

A new one is among them, unless a clock went back by more than these; then the next one brings it along.
"""

_SHARED = 1_000
"""Newest digests that it is made from."""


def refresh(
    store: Store, profile: Profile, channel: Channel, renderer: Renderer, publisher: Publisher
) -> None:
    """Bring what is published of a profile up to date. Raises RenderError, DeliveryError, StoreError."""
    folder = f"{channel}/{profile.name}"
    shelf = Shelf(
        store.summaries(profile.name),
        store.digests,
        publisher.published(folder),
        publisher.read(f"{folder}/{MADE}").decode(errors="replace"),
    )
    artifacts = renderer.render(profile, shelf)
    publisher.publish(replace(artifact, path=f"{folder}/{artifact.path}") for artifact in artifacts)


def complete(
    store: Store,
    profiles: Sequence[Profile],
    renderers: Mapping[Channel, Callable[[], Renderer]],
    publisher: Publisher,
    *,
    look: str,
    shared: Callable[[Sequence[Summary]], Iterable[Artifact]],
) -> None:
    """Bring what all profiles share up to date, and everything where a folder is lost or the look changed.

    `look` is one word for all that files are made with beside digests; `shared` makes what profiles share
    from the newest digests of all. Raises RenderError, DeliveryError, StoreError.
    """
    newest = sorted(store.newest_issues(_LOOKED_AT))
    made = f"{look} {hashlib.sha256(repr(newest).encode()).hexdigest()}"
    before = publisher.read(MADE).decode(errors="replace")
    wanted = [(one, channel) for one in profiles for channel in renderers if channel in one.channels]
    there = {channel: publisher.folders(channel) for channel in renderers}
    lost = [(one, channel) for one, channel in wanted if one.name not in there[channel]]
    if before == made and not lost:
        return
    is_other = not before.startswith(look)
    if is_other:
        publisher.publish([Artifact(MADE, b"")])  # from here on the files differ in what made them
    for profile, channel in wanted if is_other else lost:
        refresh(store, profile, channel, renderers[channel](), publisher)
    for channel in renderers if is_other else ():
        names = {profile.name for profile in profiles if channel in profile.channels}
        publisher.publish(_withdrawn(publisher.published(channel), channel, names))
    publisher.publish(shared(store.newest_summaries(_SHARED)))
    publisher.publish([Artifact(MADE, made.encode())])


def _withdrawn(there: Iterable[str], channel: Channel, names: set[str]) -> Iterator[Artifact]:
    """What is published of others than these profiles; the files of somebody else stay."""
    own = {path.removesuffix(f"/{MADE}") for path in there if path.endswith(f"/{MADE}")} - names
    for path in sorted(there, reverse=True):  # so that `MADE` is the last to go
        if path.partition("/")[0] in own and path.endswith((".html", ".json", ".xml", MADE)):
            yield Artifact(f"{channel}/{path}", b"", is_withdrawn=True)
