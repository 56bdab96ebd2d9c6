"""Whose turn it is.

Sites are asked side by side and each of them one request after another, at the pace it wants.
A site that is busy is asked again after a pause, or as late as it says; any other refusal is final.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock, Thread

import httpx

from digest.core.model import Page, Request
from digest.errors import AGAIN, FetchError
from digest.fetch.http.exchange import Exchange, PassingError, parsed, shown
from digest.fetch.http.network import Network, Resolve, resolve

MAX_BYTES = 20 * 1024 * 1024  # a page of papers has about 2 MB, the largest listings 10
_BACKOFF = (2.0, 8.0)  # seconds before the second and the third try
_LONGEST_WAIT = (
    300.0  # seconds, as long as a window of Hugging Face's limits; who asks for more is left alone
)
_DEFAULT = Network()


@dataclass(slots=True)
class _Site:
    """What is known of a site."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    not_before: float = 0.0  # on the clock
    silence: FetchError | None = None  # why it did not answer


class HttpFetcher:
    """Fetches `http:` and `https:` addresses, for any number of threads.

    `max_bytes` counts the unpacked body. `clock` counts seconds, and `sleep` lets them pass.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        max_bytes: int = MAX_BYTES,
        network: Network = _DEFAULT,
        transport: httpx.AsyncBaseTransport | None = None,
        resolve: Resolve = resolve,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._timeout = network.timeout
        self._exchange = Exchange(
            user_agent=user_agent,
            max_bytes=max_bytes,
            network=network,
            resolve=resolve,
            transport=transport,
        )
        self._clock = clock
        self._sleep = sleep
        self._sites: dict[str, _Site] = {}
        self._guard = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._is_closed = False

    def fetch(self, request: Request, *, now: datetime) -> Page | None:
        """The page, or None when the copy that the validators name is still good. Raises FetchError."""
        with self._guard:
            if self._is_closed:
                raise _stopped(request)
            if self._loop is None:
                # A loop of its own, because only its timeouts end a wait whatever it waits for:
                # a socket's own begin anew with every byte that drips.
                self._loop = asyncio.new_event_loop()
                self._thread = Thread(target=self._loop.run_forever, name="digest-http", daemon=True)
                self._thread.start()
            future = asyncio.run_coroutine_threadsafe(self._in_turn(request, now), self._loop)
        try:
            return future.result()
        except CancelledError:
            raise _stopped(request) from None

    def close(self) -> None:
        """End what is under way and let go of open connections."""
        with self._guard:
            self._is_closed = True
            loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._exchange.close()

    async def _in_turn(self, request: Request, now: datetime) -> Page | None:
        name = request.pace.site if request.pace else parsed(request.url).netloc.decode()
        site = self._sites.setdefault(name, _Site())
        async with site.lock:
            if site.silence is not None:
                # Without a network, a run would otherwise spend minutes on waiting.
                raise FetchError(
                    f"the site did not answer a moment ago: {site.silence.message}",
                    place=shown(request.url),
                    remedy=site.silence.remedy,
                    transient=True,
                )
            try:
                return await self._persistently(request, site, now)
            except FetchError as error:
                site.silence = error if error.transient and error.status is None else None
                raise

    async def _persistently(self, request: Request, site: _Site, now: datetime) -> Page | None:
        """Try a few times."""
        for pause in _BACKOFF:
            try:
                return await self._try(request, site, now)
            except PassingError as error:
                wait = max(pause, error.retry_after or 0.0)
                site.not_before = max(site.not_before, self._clock() + wait)
                if wait > _LONGEST_WAIT:
                    raise
        return await self._try(request, site, now)

    async def _try(self, request: Request, site: _Site, now: datetime) -> Page | None:
        """Try once, when the site may be asked again."""

        async def turn() -> None:
            await self._wait(request, site)
            site.not_before = self._clock() + (request.pace.interval if request.pace else 0.0)

        def spent(seconds: float) -> None:
            site.not_before = max(site.not_before, self._clock() + seconds)

        await self._wait(request, site)
        try:
            async with asyncio.timeout(self._timeout):
                return await self._exchange.page(request, now=now, turn=turn, spent=spent)
        except TimeoutError as error:
            raise FetchError(
                f"the page was not complete after {self._timeout:g} seconds",
                place=shown(request.url),
                remedy=AGAIN,
                transient=True,
            ) from error

    async def _wait(self, request: Request, site: _Site) -> None:
        """Let the time pass that the site wants to be left alone."""
        wait = site.not_before - self._clock()
        if wait > _LONGEST_WAIT:
            raise FetchError(
                f"the site asks to be left alone for {wait:.0f} seconds",
                place=shown(request.url),
                remedy=AGAIN,
                status=httpx.codes.TOO_MANY_REQUESTS,
                retry_after=wait,
                transient=True,
            )
        if wait > 0:
            await self._sleep(wait)


def _stopped(request: Request) -> FetchError:
    return FetchError("the run was stopped", place=shown(request.url), remedy=AGAIN, transient=True)
