"""Pages over HTTP: whole or not at all, politely, and never from inside a private network by surprise.

fetcher    whose turn it is, how long to wait, what to try again
exchange   one page: redirects, deadline, what an answer means
body       bytes, unpacked within limits
network    proxies, and addresses that a page must not lead to
"""

from digest.fetch.http.fetcher import HttpFetcher
from digest.fetch.http.network import Network, Proxy

__all__ = ["HttpFetcher", "Network", "Proxy"]
