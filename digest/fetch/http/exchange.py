"""One page of one site: from the request, along its redirects, to a body or to the reason why not."""

from __future__ import annotations

import re
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import parse_qsl

import httpx

from digest.core.model import Page, Request
from digest.errors import AGAIN, FetchError
from digest.fetch.http.body import ENCODINGS, Body, BodyError, CutShortError
from digest.fetch.http.network import Network, Resolve, is_global, literal

_REDIRECTS = 5
_MOVED = {301, 302, 303, 307, 308}  # RFC 9110, 15.4
_BUSY = {429, 502, 503, 504}
_CONNECT = 20.0  # seconds; who does not answer by then will not
# draft-ietf-httpapi-ratelimit-headers: `"api";r=0;t=123`, which Hugging Face sends without Retry-After.
_REMAINING = re.compile(r";\s*r=(\d{1,9})")
_RESET = re.compile(r";\s*t=(\d{1,9})")
_USER = re.compile(r"//[^/?#]*@")


class PassingError(FetchError):
    """An error that may be gone after a pause."""


class Exchange:
    """Asks for pages, each once. `waits` is called before each request with the seconds it must wait."""

    def __init__(
        self,
        *,
        user_agent: str,
        max_bytes: int,
        network: Network,
        resolve: Resolve,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": ENCODINGS}
        self._max_bytes = max_bytes
        self._network = network
        self._resolve = resolve
        self._transport = transport
        self._clients: dict[tuple[str, str], httpx.AsyncClient] = {}

    async def page(
        self,
        request: Request,
        *,
        now: datetime,
        turn: Callable[[], Awaitable[None]],
        spent: Callable[[float], None],
    ) -> Page | None:
        """The page, or None when the copy that the validators name is still good.

        `turn` is awaited before every request, and `spent` is told when the site's limit is used up,
        with the seconds until it is renewed. Raises FetchError.
        """
        url = first = parsed(request.url)
        cookies = httpx.Cookies()  # some sites lead in circles without; none is kept for the next page
        for _ in range(_REDIRECTS + 1):
            await turn()
            ours = _is_same_site(first, url)
            response = await self._answer(request, url, cookies, ours=ours)
            try:
                # Of the site by its name: where a page led, the request is to an address, which many share.
                cookies.extract_cookies(
                    httpx.Response(200, headers=response.headers, request=httpx.Request("GET", url))
                )
                if (wait := _limit(response.headers)) is not None:
                    spent(wait)
                if response.status_code in _MOVED and "location" in response.headers:
                    url = _next(request, url, response.headers["location"])
                    continue
                if response.status_code == httpx.codes.NOT_MODIFIED and (
                    request.etag or request.last_modified
                ):
                    return None
                if not response.is_success:
                    raise _refusal(response, url, now)
                return await self._read(response, url, now)
            finally:
                await response.aclose()
        raise _astray(request.url, f"it leads on more than {_REDIRECTS} times")

    async def close(self) -> None:
        """Let go of open connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def _answer(
        self, request: Request, url: httpx.URL, cookies: httpx.Cookies, *, ours: bool
    ) -> httpx.Response:
        # RFC 9110, 13.1
        validators = {"If-None-Match": request.etag, "If-Modified-Since": request.last_modified}
        headers = {name: value for name, value in validators.items() if value and value.isascii()}
        asking = httpx.Request("GET", url)
        cookies.set_cookie_header(asking)
        headers |= {name: value for name, value in asking.headers.items() if name == "cookie"}
        asked = url
        if ours:  # a key is for the site that gave it
            headers |= dict(request.headers)
            asked = asked.copy_merge_params(dict(request.secrets)) if request.secrets else asked
        proxy = self._network.proxy_for(url)
        extensions: dict[str, object] = {}
        if (request.from_page or not ours) and not request.allow_private:
            address = await self._public_address(url, asks_proxy=proxy is not None)
            if address is not None:
                # The connection goes to the very address that was looked at, whatever the name says next.
                headers["Host"] = url.netloc.decode("ascii")
                extensions["sni_hostname"] = url.host
                asked = asked.copy_with(host=address)
        client = self._client(url.scheme, proxy)
        try:
            return await client.send(
                client.build_request("GET", asked, headers=headers, extensions=extensions), stream=True
            )
        except (httpx.InvalidURL, httpx.TransportError, UnicodeError) as error:
            # httpx looks at where a redirect leads, though it is not to go there.
            if not isinstance(error, httpx.TransportError) or "location header" in str(error):
                raise _astray(request.url, "it leads to what is no address") from error
            raise _unreachable(url, error) from error

    async def _public_address(self, url: httpx.URL, *, asks_proxy: bool) -> str | None:
        """An address of the host that a page named; None where a proxy will look it up."""
        if (known := literal(url.host)) is not None:
            addresses = [known]
        elif asks_proxy:
            return None
        else:
            try:
                addresses = list(await self._resolve(url.raw_host.decode("ascii"), url.port or 0))
            except OSError as error:
                raise _unreachable(url, error) from error
        if not all(map(is_global, addresses)):
            raise FetchError(
                "a page led to an address in a private network, which digest does not follow",
                place=shown(str(url)),
                remedy="If it is a feed of your own network, give it `allow_private = true`",
            )
        return addresses[0]

    async def _read(self, response: httpx.Response, url: httpx.URL, now: datetime) -> Page:
        place = shown(str(url))
        try:
            body = Body(response.headers.get("content-encoding", ""), self._max_bytes)
            async for piece in response.aiter_raw():
                body.add(piece)
            content = body.content()
        except CutShortError as error:
            raise PassingError(
                f"the page was cut short: {error}", place=place, remedy=AGAIN, transient=True
            ) from error
        except BodyError as error:
            raise FetchError(
                f"the page cannot be taken: {error}",
                place=place,
                remedy="No page of papers is like that: check the address",
            ) from error
        except httpx.TransportError as error:
            raise _unreachable(url, error) from error
        return Page(
            url=place,
            content=content,
            media_type=response.headers.get("content-type", "").partition(";")[0].strip().lower() or None,
            fetched_at=now,
            etag=response.headers.get("etag"),
            last_modified=response.headers.get("last-modified"),
            served_at=_served_at(response.headers),
        )

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return self._network.context or httpx.create_ssl_context()

    def _client(self, scheme: str, proxy: httpx.Proxy | None) -> httpx.AsyncClient:
        key = scheme, "" if proxy is None else str(proxy.url)
        if key not in self._clients:
            timeout = self._network.timeout
            self._clients[key] = httpx.AsyncClient(
                headers=self._headers,
                timeout=httpx.Timeout(timeout, connect=min(_CONNECT, timeout)),
                # To read the authorities takes 20 ms of CPU; without TLS there are none to trust.
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if scheme == "http" else self._context,
                # Those of a page are kept by `page`.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                proxy=None if self._transport else proxy,
                transport=self._transport,
                trust_env=False,
                follow_redirects=False,
            )
        return self._clients[key]


# --- addresses --------------------------------------------------------------------------------


def shown(url: str) -> str:
    """An address without the password that may stand in it."""
    return _USER.sub("//", url)


def parsed(url: str) -> httpx.URL:
    """An address of the web. Raises FetchError."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise FetchError(
            f"this is no address: {error}", place=shown(url), remedy="Check it in the configuration"
        ) from error
    if not _is_of_web(parsed):
        raise FetchError(
            "this is no address of the web", place=shown(url), remedy="Check it in the configuration"
        )
    return parsed


def _next(request: Request, url: httpx.URL, location: str) -> httpx.URL:
    """Where a redirect leads (RFC 9110, 10.2.2), without the keys that the site may have put into it."""
    led = url.join(location)
    if not _is_of_web(led):
        raise _astray(request.url, "it leads to what is no address of the web")
    names = {name for name, _ in request.secrets}
    if names and led.query:
        led = led.copy_with(params=[pair for pair in parse_qsl(led.query.decode()) if pair[0] not in names])
    return led


def _is_of_web(url: httpx.URL) -> bool:
    try:
        name = url.host and url.raw_host.decode("ascii").encode("idna")  # as sockets encode it
    except UnicodeError:  # an empty or long label, or an "xn--" of nothing
        return False
    is_port = url.port is None or 0 < url.port < 1 << 16  # RFC 9293, 3.1
    return url.scheme in {"http", "https"} and bool(name) and is_port


def _is_same_site(first: httpx.URL, other: httpx.URL) -> bool:
    """Whether two addresses are of one server: the one that was named, or the same with TLS."""
    if first.host != other.host:
        return False
    upgraded = (first.scheme, first.port, other.scheme, other.port) == ("http", None, "https", None)
    return upgraded or (first.scheme, first.port) == (other.scheme, other.port)


# --- what an answer means ---------------------------------------------------------------------


def _astray(url: str, why: str) -> FetchError:
    return FetchError(
        f"the address cannot be followed: {why}",
        place=shown(url),
        remedy="Open it in a browser and see where it leads",
    )


def _unreachable(url: httpx.URL, error: Exception) -> FetchError:
    return PassingError(
        f"no answer: {str(error) or type(error).__name__}",
        place=shown(str(url)),
        remedy=f"Check the connection; {AGAIN}",
        transient=True,
    )


def _refusal(response: httpx.Response, url: httpx.URL, now: datetime) -> FetchError:
    """What an answer without a page means, and what to do about it."""
    status = response.status_code
    kind = PassingError if status in _BUSY else FetchError
    if status == httpx.codes.TOO_MANY_REQUESTS:
        message, remedy = "the site asks to come less often", AGAIN
    elif response.is_server_error:
        message, remedy = "the site has a fault of its own", AGAIN
    elif status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        message, remedy = (
            "the site refuses",
            "Open it in a browser: it may want a login or a key, or block programs",
        )
    elif status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
        message, remedy = "there is no such page", "Check the address in the configuration"
    else:
        message, remedy = "the site gives no page", "Open it in a browser and see what it says"
    return kind(
        f"{message} (HTTP {status})",
        place=shown(str(url)),
        remedy=remedy,
        status=status,
        retry_after=_retry_after(response.headers, now),
        transient=status == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error,
    )


def _retry_after(headers: httpx.Headers, now: datetime) -> float | None:
    """The seconds to wait, said as a number or a date (RFC 9110, 10.2.3), or by a rate limit."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    until = _instant(value)
    if until is not None:
        # Against the site's own clock: this machine's may be wrong, and a run has but one time.
        return max(0.0, (until - (_instant(headers.get("date", "")) or now)).total_seconds())
    reset = _RESET.search(headers.get("ratelimit", ""))
    return float(reset[1]) if reset else None


def _limit(headers: httpx.Headers) -> float | None:
    """The seconds until a site answers again, when this was the last answer before."""
    value = headers.get("ratelimit", "")
    remaining, reset = _REMAINING.search(value), _RESET.search(value)
    return float(reset[1]) if remaining and reset and int(remaining[1]) == 0 else None


def _served_at(headers: httpx.Headers) -> datetime | None:
    """When an answer was sent; one from a cache has an age, too (RFC 9111, 5.1)."""
    made, age = _instant(headers.get("date", "")), headers.get("age", "")
    seconds = int(age) if re.fullmatch("[0-9]{1,9}", age) else 0
    try:
        return None if made is None else made + timedelta(seconds=seconds)
    except OverflowError:  # in the last years that there are
        return made


def _instant(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return found.replace(tzinfo=found.tzinfo or UTC)
