"""Feeds and archive pages over HTTP, as they stand in `output_dir`, `/healthz`, and pages of the mails.

A digest tells what somebody reads, so the server listens on this machine alone and answers it alone
until `digest access add` says who may read. From then on everybody is asked who they are, also on this
machine, so that a proxy that hides itself exposes nothing:

    /t/<secret>/feeds/vision/atom.xml    by the path, for readers that know no passwords
    /feeds/vision/atom.xml               by HTTP Basic (RFC 7617), name and secret

What the links of a mail lead to must be reached from outside, and brings its own tokens: where
`[serve] base_url` is set, it is answered below `/opinion/` and `/stop/` whoever asks. So is `/healthz`,
which tells those who may not read everything no more than whether all is well.
A reverse proxy may hand over requests for that address. It may take a path off that `base_url` has, or
leave it on. Where nobody was given access it should hand on those paths only, and say what it was
asked for:

    # nginx
    location ~ ^/digest/(opinion|stop)/ { proxy_pass http://127.0.0.1:8470; proxy_set_header Host $host; }

    # Caddy
    @digest path /digest/opinion/* /digest/stop/*
    reverse_proxy @digest 127.0.0.1:8470

A request counts as one from outside by its `Host`, and by the headers that proxies add, because
some replace the `Host` by the address of this server. nginx does so and adds none, unless it is told to.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import re
import socket
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from urllib.parse import quote, unquote, urlsplit

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from digest import app as composition
from digest.core import access
from digest.core.access import Access
from digest.core.addresses import joined
from digest.errors import ConfigError, DigestError
from digest.orders import unheard
from digest.web import files, opinions, stops

_LOG = logging.getLogger("uvicorn.error")  # which writes to stderr
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")
# RFC 7239; RFC 9110, 7.6.3; and what proxies have added since before either.
_OF_PROXIES = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host")
_HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # an address may hold a secret
    "X-Content-Type-Options": "nosniff",
}
_WHO = {"WWW-Authenticate": 'Basic realm="digest", charset="UTF-8"'}
_IN_PATH = re.compile(r"/t/([^/]+)((?:/.*)?)", re.DOTALL)
_OVERVIEW = ("", "/", "/index.html")
_PATIENCE = 3  # seconds that a reader has to take the rest of an answer when the server ends
# A process has 1,024 descriptors as a rule, and the daily run, which may be the same one, needs some.
_CONNECTIONS = 256
_ACCEPTED_AT_ONCE = 64  # asyncio accepts as many as fit into the backlog before any of them is looked at
# Seconds from the beginning, or from the last answer, until a whole request has come and is answered;
# uvicorn waits for the next request only until it begins, and for the rest and the first one for ever.
_ARRIVING = 10
_ANSWERED = 300  # a page has a few megabytes at most, and a slow line takes minutes for one


def application(app: composition.App, *, host: str, is_public: bool) -> ASGIApp:
    """What is answered to those who reach the server at `host`; `is_public`: anybody may read.

    Raises ConfigError, CredentialError, StoreError.
    """
    is_local = _is_loopback(host)
    if not is_public and not is_local:
        _check_readers(app, host)
    started = composition.now()
    base_url = app.config.serve.base_url
    address = urlsplit(base_url or "")
    names = {*_LOOPBACK, host}
    pages = {} if base_url is None else {"/opinion": opinions.routes(app), "/stop": stops.routes(app)}
    router = Router([Mount(path, routes=routes) for path, routes in pages.items()])
    # A path that the address and a folder of ours have in common was taken off if the rest is none of ours.
    own = re.compile(
        rf"(?:{re.escape(unquote(address.path))})?"
        r"((?:/(?:index\.html|healthz)?)?|/(?:archive|feeds|opinion|stop|t)/.*)",
        re.DOTALL,
    )
    readers = _Readers(app, is_open=is_local and not is_public)

    def answer(request: Request, path: str) -> Response | None:
        """The answer at a path, as it is without `base_url`; None where a page of the mails gives it."""
        is_from_outside = _is_from_outside(request.headers, names)
        try:
            given = readers.look()
        except DigestError as error:
            if path != "/healthz":
                raise HTTPException(503) from None
            return _told({"ok": False, "error": str(error)}, whole=readers.is_open and not is_from_outside)
        # A page on the web cannot read a server on this machine by naming it otherwise (DNS rebinding).
        if readers.is_open and _host_of(request.headers) not in {*names, address.hostname}:
            raise HTTPException(400, "This server has another name.")
        if path.startswith(tuple(f"{page}/" for page in pages)):
            return None
        if request.method not in files.METHODS:
            raise HTTPException(405, headers={"Allow": ", ".join(files.METHODS)})
        reader, rest = _reader(given, request.headers, path)
        is_here = readers.is_open and not is_from_outside
        if rest == "/healthz":
            knows_all = reader is not None and reader.profile is None
            return _told(_health(app, started), whole=is_here or knows_all)
        if is_here or is_public or (reader is not None and reader.opens(rest)):
            cache = "max-age=900" if reader is None else "private, max-age=900"
            moved = _moved(app, request, path.removesuffix(rest))
            return files.answer(app.config.output_dir, rest, request, cache=cache, moved=moved)
        if reader is not None and rest in _OVERVIEW:
            folder = "" if rest else f"{quote(request.scope['path'].rpartition('/')[2])}/"
            return RedirectResponse(f"./{folder}archive/{reader.profile}/")
        raise HTTPException(404) if readers.is_open or reader else HTTPException(401, headers=_WHO)

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        path = found[1] if (found := own.fullmatch(scope["path"])) else scope["path"]
        response = await run_in_threadpool(answer, Request(scope), path)
        await (response or router)(dict(scope) | {"path": path}, receive, send)

    return _with_headers(Starlette(routes=[Mount("/", door)]))


class _Readers:
    """Who may read, as the store says at the time."""

    def __init__(self, app: composition.App, *, is_open: bool) -> None:
        """Look once, because somebody may have been given access before the server began."""
        self.is_open = is_open
        """Whether nobody was ever given access, so far as this process has seen."""
        self._app = app
        self._trouble = ""
        with suppress(DigestError):
            self.look()

    def look(self) -> Sequence[Access]:
        """Everybody to whom access was ever given. Raises StoreError."""
        try:
            given = self._app.access()
        except DigestError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                _LOG.error("Nobody is answered: %s", error)
            raise
        self._trouble = ""
        if given:  # for good, because a store that is lost must not open what was closed
            self.is_open = False
        return given


def _health(app: composition.App, since: datetime) -> Mapping[str, object]:
    try:
        return app.health(at=composition.now(), since=since)
    except DigestError as error:
        return {"ok": False, "error": str(error)}


def _told(health: Mapping[str, object], *, whole: bool) -> Response:
    # What is more than whether all is well names what is read.
    said = health if whole else {"ok": health["ok"]}
    return JSONResponse(said, 200 if health["ok"] else 503, headers={"Cache-Control": "no-store"})


def _moved(app: composition.App, request: Request, by_path: str) -> tuple[str, str] | None:
    """The address that feeds have, and the one below which a reader who came by path can follow it."""
    if not by_path:
        return None
    root = app.config.serve.base_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
    return joined(app.config.feeds.address), f"{joined(root)}{by_path}"


def _check_readers(app: composition.App, host: str) -> None:
    if not any(one.hash for one in app.access()):
        raise ConfigError(
            "others could read what you read there",
            place=f"--host {host}",
            remedy="Say who may by `digest access add NAME`, or give --public if anybody may.",
        )


def _with_headers(app: ASGIApp) -> ASGIApp:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await app(scope, receive, completed)

    return wrapped


def _reader(given: Sequence[Access], headers: Headers, path: str) -> tuple[Access | None, str]:
    """Who asks, as far as they say so, and what is left of the path then. Raises HTTPException."""
    if in_path := _IN_PATH.fullmatch(path):
        reader = access.holder(given, in_path[1])
        if reader is None:
            raise HTTPException(404)
        return reader, in_path[2]
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    try:
        name, _, secret = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None, path
    return (access.holder(given, secret, name) if scheme.lower() == "basic" else None), path


class Exchangeable:
    """An application in whose place another one can be put while requests come in."""

    def __init__(self, application: ASGIApp) -> None:
        """Answer with this one."""
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self.application(scope, receive, send)


def _host_of(headers: Headers) -> str:
    return re.sub(r":\d*$", "", headers.get("host", "")).lower()


def _is_from_outside(headers: Headers, names: Container[str]) -> bool:
    return _host_of(headers) not in names or any(name in headers for name in _OF_PROXIES)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections, of any free port for 0. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"nobody can be answered there: {error.strerror}",
            place=f"--host {host} --port {port}",
            remedy="Name another port, or stop what listens there.",
        ) from error


class _Bounded(H11Protocol):
    """HTTP for so many at once, of whom none is waited for for long."""

    _deadlines: Sequence[asyncio.TimerHandle] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > _CONNECTIONS:
            transport.close()
        else:
            self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def shutdown(self) -> None:
        super().shutdown()
        # Before uvicorn cancels the answers that are under way, and logs a trace of each.
        self.loop.call_later(_PATIENCE, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()  # or a deadline would keep what nobody needs
        super().connection_lost(exc)

    def _wait(self) -> None:
        """Wait for a request, and for its answer to be taken."""
        self._wait_no_more()
        self._deadlines = (
            self.loop.call_later(_ARRIVING, self._end_unless_asked),
            self.loop.call_later(_ANSWERED, self.transport.abort),
        )

    def _wait_no_more(self) -> None:
        for deadline in self._deadlines:
            deadline.cancel()

    def _end_unless_asked(self) -> None:
        if self.conn.their_state in {h11.IDLE, h11.SEND_BODY}:
            self.transport.close()


@contextmanager
def serving(application: ASGIApp, listener: socket.socket, *, ended: Callable[[], None]) -> Iterator[None]:
    """Answer, in a thread, for as long as the block lasts; `ended` is called should that end before.

    Raises whatever it ended by.
    """
    config = uvicorn.Config(
        application,
        http=_Bounded,
        ws="none",
        lifespan="off",
        log_level="warning",
        backlog=_ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=2 * _PATIENCE,
    )
    server = uvicorn.Server(config)
    with ThreadPoolExecutor(1, "digest-serve", initializer=unheard) as pool:
        running = pool.submit(server.run, sockets=[listener])
        running.add_done_callback(lambda _: ended())
        try:
            yield
        finally:
            server.should_exit = True
            running.result()
