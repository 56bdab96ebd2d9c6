"""What the pages and feeds of a profile are made from: its digests, each read only if it is needed.

Years of digests are on a shelf, and a new one changes few of the files made from them.
"""

from __future__ import annotations

import hashlib
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

    def mark(self, made_with: str) -> str:
        """What is to stand in `MADE` when everything is published; `made_with` is one word."""
        return f"{made_with} {len(self.summaries)} {self._history(len(self.summaries))}"

    def is_made_with(self, made_with: str) -> bool:
        """Whether what is published was made with the same, of digests that are what they were.

        They are not where the database was lost, or comes from a backup.
        """
        before, _, rest = self.made.partition(" ")
        number, _, history = rest.partition(" ")
        return before == made_with and number.isdecimal() and history == self._history(int(number))

    def _history(self, number: int) -> str:
        oldest = [(one.id, one.issued_at) for one in self.summaries[max(len(self.summaries) - number, 0) :]]
        return hashlib.sha256(repr(oldest).encode()).hexdigest()[:16]


def shelf(digests: Iterable[Digest]) -> Shelf:
    """Digests at hand, newest first, of which nothing has been published."""
    known = {digest.id: digest for digest in digests}
    return Shelf(
        tuple(digest.summary for digest in known.values()), lambda ids: {one: known[one] for one in ids}
    )
