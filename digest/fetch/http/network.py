"""The way to a site: proxies, certificates, and which addresses a page may lead to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from urllib.request import getproxies, proxy_bypass

import httpx

_INTERNET = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052, 2.1


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy for all requests but those to `bypass`, which are hosts and domains."""

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    bypass: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Network:
    """How this machine reaches others; without a proxy the environment's are used (`HTTPS_PROXY`)."""

    proxy: Proxy | None = None
    context: ssl.SSLContext | None = None  # None: the usual authorities, or $SSL_CERT_FILE
    timeout: float = 60.0  # seconds, for one try as a whole, redirects included

    def proxy_for(self, url: httpx.URL) -> httpx.Proxy | None:
        """The proxy that a request goes through."""
        if self.proxy is not None:
            if any(_is_within(url.host, domain) for domain in self.proxy.bypass):
                return None
            return _httpx_proxy(self.proxy)
        usual = getproxies()
        address = usual.get(url.scheme) or usual.get("all")
        return None if not address or proxy_bypass(url.host) else httpx.Proxy(address)

    def client(self) -> httpx.Client:
        """What asks for something that is no page, at addresses of the user's own, and follows nothing."""
        verify = self.context or True
        # Without TLS, this machine alone is asked, and no proxy needs to know.
        mounts: dict[str, httpx.BaseTransport | None] = {"http://": None}
        if (own := self.proxy) is not None:
            proxy = _httpx_proxy(own)
            mounts["https://"] = httpx.HTTPTransport(proxy=proxy, verify=verify)
            mounts |= {f"https://*{domain.lstrip('.')}": None for domain in own.bypass}
        return httpx.Client(verify=verify, timeout=self.timeout, mounts=mounts)


def _httpx_proxy(own: Proxy) -> httpx.Proxy:
    return httpx.Proxy(own.url, auth=(own.username, own.password or "") if own.username else None)


def _is_within(host: str, domain: str) -> bool:
    return f".{host}".endswith(f".{domain.lstrip('.').lower()}")


Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host and port; raises OSError."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def literal(host: str) -> str | None:
    """The address that a host is, in any of the ways that systems read: `127.1` and `0x7f000001`, too."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    if f".{host.rstrip('.')}".endswith(".localhost"):  # RFC 6761, 6.3
        return "127.0.0.1"
    try:
        return socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
    except (OSError, UnicodeError):
        return None


def is_global(address: str) -> bool:
    """Whether an address is of the internet, and not of a private network or of this machine.

    An address of IPv6 that carries one of IPv4 is as global as that one.
    Of IPv6, the internet is 2000::/3 (RFC 4291, 2.4): what is beyond was site-local, or leads to IPv4 by
    prefixes that Python 3.11 does not know (RFC 8215).
    """
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is None and ip not in _INTERNET:
            return False
        ip = inner or ip
    return ip.is_global and not ip.is_multicast
