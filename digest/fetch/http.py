"""Pages over HTTP: whole or not at all, within limits of time and size.

A site that is busy is asked again after a pause, or as late as it says; any other refusal is final.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from digest.core.model import Page, Request
from digest.errors import FetchError

MAX_BYTES = 50 * 1024 * 1024  # a page of papers has about 2 MB, the largest listings 10
_BACKOFF = (2.0, 8.0)  # seconds before the second and the third try
_LONGEST_WAIT = 60.0  # seconds; who asks for more is left alone until the next run
_BUSY = {429, 502, 503, 504}
_REDIRECTS = 5
# draft-ietf-httpapi-ratelimit-headers: `"api";r=0;t=123`, which Hugging Face sends without Retry-After.
_RATE_LIMIT_RESET = re.compile(r";\s*t=(\d{1,9})")

_USER = re.compile(r"//[^/?#]*@")


class _PassingError(FetchError):
    """An error that may be gone after a pause."""


class HttpFetcher:
    """Fetches `http:` and `https:` addresses.

    `timeout` is in seconds, for one try as a whole; `max_bytes` counts the decoded body.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        timeout: float = 60.0,
        max_bytes: int = MAX_BYTES,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._user_agent = user_agent
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._transport = transport
        self._sleep = sleep
        self._client: httpx.Client | None = None
        self._silent: set[str] = set()

    def fetch(self, request: Request, *, now: datetime) -> Page | None:
        """The page, or None when the copy that the validators name is still good. Raises FetchError.

        A host that did not answer at all is not asked again for other pages: without a network, a run
        would otherwise spend minutes on waiting.
        """
        host = request.url.partition("//")[2].partition("/")[0]
        if host in self._silent:
            raise FetchError(
                "the site did not answer a moment ago",
                place=_shown(request.url),
                remedy="digest tries again at the next run",
                transient=True,
            )
        try:
            return self._persistently(request, now)
        except FetchError as error:
            if error.transient and error.status is None:
                self._silent.add(host)
            raise

    def _persistently(self, request: Request, now: datetime) -> Page | None:
        """Try a few times."""
        for pause in _BACKOFF:
            try:
                return self._fetched(request, now)
            except _PassingError as error:
                wait = max(pause, error.retry_after or 0.0)
                if wait > _LONGEST_WAIT:
                    raise
            self._sleep(wait)
        return self._fetched(request, now)

    def close(self) -> None:
        """Let go of open connections."""
        if self._client:
            self._client.close()
            self._client = None

    def _fetched(self, request: Request, now: datetime) -> Page | None:
        """Try once. Foreign errors become ours here."""
        try:
            return self._answer(request, now)
        except httpx.InvalidURL as error:
            raise FetchError(
                f"this is no address: {error}",
                place=_shown(request.url),
                remedy="Check it in the configuration",
            ) from error
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.DecodingError) as error:
            raise FetchError(
                f"the site's answer cannot be followed: {error}",
                place=_shown(request.url),
                remedy="Open the address in a browser and see where it leads",
            ) from error
        except httpx.TransportError as error:
            raise _PassingError(
                f"no answer: {str(error) or type(error).__name__}",
                place=_shown(request.url),
                remedy="Check the connection; digest tries again at the next run",
                transient=True,
            ) from error

    def _answer(self, request: Request, now: datetime) -> Page | None:
        until = time.monotonic() + self._timeout
        # RFC 9110, 13.1
        validators = {"If-None-Match": request.etag, "If-Modified-Since": request.last_modified}
        headers = {name: value for name, value in validators.items() if value and value.isascii()}
        with self._opened().stream("GET", request.url, headers=headers) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED and headers:
                return None
            if not response.is_success:
                raise _refusal(response, now)
            content = bytearray()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > self._max_bytes:
                    raise FetchError(
                        f"the page has more than {self._max_bytes:,} bytes",
                        place=_shown(request.url),
                        remedy="No page of papers is as large: check the address",
                    )
                if time.monotonic() > until:  # a timeout of the socket starts anew with each byte
                    raise FetchError(
                        f"the page was not complete after {self._timeout:g} seconds",
                        place=_shown(request.url),
                        remedy="digest tries again at the next run",
                        transient=True,
                    )
            return Page(
                url=_shown(str(response.url)),
                content=bytes(content),
                media_type=response.headers.get("content-type", "").partition(";")[0].strip().lower() or None,
                fetched_at=now,
                etag=response.headers.get("etag"),
                last_modified=response.headers.get("last-modified"),
            )

    def _opened(self) -> httpx.Client:
        if not self._client:
            self._client = httpx.Client(
                headers={"User-Agent": self._user_agent},
                timeout=self._timeout,
                transport=self._transport,
                follow_redirects=True,
                max_redirects=_REDIRECTS,
                event_hooks={"request": [_only_web]},
            )
        return self._client


def _only_web(request: httpx.Request) -> None:
    """Refuse to be sent elsewhere, such as to a file of this machine."""
    if request.url.scheme not in {"http", "https"}:
        raise httpx.UnsupportedProtocol(f"{request.url.scheme}: is not of the web", request=request)


def _refusal(response: httpx.Response, now: datetime) -> FetchError:
    """What an answer without a page means, and what to do about it."""
    status = response.status_code
    kind = _PassingError if status in _BUSY else FetchError
    if status == httpx.codes.TOO_MANY_REQUESTS:
        message, remedy = "the site asks to come less often", "digest tries again at the next run"
    elif response.is_server_error:
        message, remedy = "the site has a fault of its own", "digest tries again at the next run"
    elif status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        message, remedy = "the site refuses", "Open it in a browser: it may want a login, or block programs"
    elif status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
        message, remedy = "there is no such page", "Check the address in the configuration"
    else:
        message, remedy = "the site gives no page", "Open it in a browser and see what it says"
    return kind(
        f"{message} (HTTP {status})",
        place=_shown(str(response.url)),
        remedy=remedy,
        status=status,
        retry_after=_retry_after(response.headers, now),
        transient=status == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error,
    )


def _retry_after(headers: httpx.Headers, now: datetime) -> float | None:
    """The seconds to wait, said as a number or a date (RFC 9110, 10.2.3), or by a spent rate limit."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        reset = _RATE_LIMIT_RESET.search(headers.get("ratelimit", ""))
        return float(reset[1]) if reset else None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())


def _shown(url: str) -> str:
    """An address without the password that may stand in it."""
    return _USER.sub("//", url)
