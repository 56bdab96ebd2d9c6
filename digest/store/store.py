"""What digest remembers, in a database. Every method is one transaction."""

from __future__ import annotations

from digest.store.digests import Digests
from digest.store.outbox import Outbox
from digest.store.papers import Papers
from digest.store.people import People
from digest.store.runs import Runs


class Store(Papers, Digests, People, Outbox, Runs):
    """The database behind a SQLAlchemy URL."""
