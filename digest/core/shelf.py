"""What the pages and feeds of a profile are made from: its digests, each read only if it is needed.

Years of digests are on a shelf, and a new one changes few of the files made from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from digest.core.model import Digest, Summary

MADE = ".made"
"""The file that says what the others of its folder were made with; it is written last."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The digests of a profile, and what has been published of them."""

    summaries: tuple[Summary, ...]  # newest first
    read: Callable[[Sequence[str]], Mapping[str, Digest]]  # the digests of these ids
    published: frozenset[str] = frozenset()  # the paths of files, below the profile's folder
    made: str = ""  # what stands in `MADE`


def shelf(digests: Iterable[Digest]) -> Shelf:
    """Digests at hand, newest first, of which nothing has been published."""
    known = {digest.id: digest for digest in digests}
    return Shelf(tuple(digest.summary for digest in known.values()), lambda _ids: known)
