"""Pages over HTTP: whole or not at all, politely, and never from inside a private network by surprise.

fetcher    whose turn it is, how long to wait, what to try again
exchange   one page: redirects, deadline, what an answer means
body       bytes, unpacked within limits
network    proxies, and addresses that a page must not lead to
"""

import sys

# httpx's own command line would bring rich and pygments along, which a tenth of a run's start is spent on;
# where they are not installed it does without (httpx/__init__.py).
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # documented: import then fails

from digest.fetch.http.fetcher import HttpFetcher  # noqa: E402
from digest.fetch.http.network import Network, Proxy  # noqa: E402

__all__ = ["HttpFetcher", "Network", "Proxy"]
