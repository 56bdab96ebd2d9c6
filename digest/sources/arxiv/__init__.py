"""arXiv: what is announced each working day, and what was announced while nobody looked.

    bytes → reader → listing (HTML) | feed (RSS, Atom) | api (Atom) | oai (OAI-PMH) → papers → Listings

    the day's listing, else its feed        → what was announced last
    the API by submission time, else OAI    → what was announced since the last reading, but not last

An announcement is shown for one day alone, so a missed one is put together again by `announcements`,
which knows arXiv's schedule.
"""

from digest.sources.arxiv.reader import ArXivReader
from digest.sources.arxiv.source import ArXiv

__all__ = ["ArXiv", "ArXivReader"]
