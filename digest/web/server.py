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

A request then counts as one from outside by its `Host`, and by the headers that proxies add, because
some replace the `Host` by the address of this server. nginx does so and adds none, unless it is told to.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digest import app as composition
from digest.core import access
from digest.core.access import Access
from digest.errors import ConfigError, DigestError
from digest.web import files, opinions, stops

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
_PATIENCE = 3  # seconds that a reader has to take the rest of an answer when the server ends


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
    hosts = {*_LOOPBACK, address.hostname}
    pages = {} if base_url is None else {"/opinion": opinions.routes(app), "/stop": stops.routes(app)}
    router = Router([Mount(path, routes=routes) for path, routes in pages.items()])
    # A path that the address and a folder of ours have in common was taken off if the rest is none of ours.
    own = re.compile(
        rf"(?:{re.escape(unquote(address.path))})?"
        r"((?:/(?:index\.html|healthz)?)?|/(?:archive|feeds|opinion|stop|t)/.*)",
        re.DOTALL,
    )

    def answer(request: Request, path: str) -> Response | None:
        """The answer at a path, as it is without `base_url`; None where a page of the mails gives it."""
        try:
            given = app.access()
        except DigestError:  # so nobody knows who may be told more
            if path != "/healthz":
                raise HTTPException(503) from None
            return JSONResponse({"ok": False}, 503)
        is_open = is_local and not is_public and not given
        # A page on the web cannot read a server on this machine by naming it otherwise (DNS rebinding).
        if is_open and _host_of(request.headers) not in hosts:
            raise HTTPException(400, "This server has another name.")
        if path.startswith(tuple(f"{page}/" for page in pages)):
            return None
        if request.method not in files.METHODS:
            raise HTTPException(405, headers={"Allow": ", ".join(files.METHODS)})
        reader, path = _reader(given, request.headers, path)
        is_here = is_open and (base_url is None or not _is_from_outside(request.headers))
        if path == "/healthz":
            return health(tells=is_here or (reader is not None and reader.profile is None))
        if is_here or is_public or (reader is not None and reader.opens(path)):
            cache = "max-age=900" if reader is None else "private, max-age=900"
            return files.answer(app.config.output_dir, path, request, cache=cache)
        raise HTTPException(404) if is_open or reader else HTTPException(401, headers=_WHO)

    def health(*, tells: bool) -> Response:
        found: Mapping[str, object]
        try:
            found = app.health(at=composition.now(), since=started)
        except DigestError as error:
            found = {"ok": False, "error": str(error)}
        # What is more than whether all is well names what is read.
        said = found if tells else {"ok": found["ok"]}
        return JSONResponse(said, 200 if found["ok"] else 503, headers={"Cache-Control": "no-store"})

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        path = found[1] if (found := own.fullmatch(scope["path"])) else scope["path"]
        response = await run_in_threadpool(answer, Request(scope), path)
        await (response or router)(dict(scope) | {"path": path}, receive, send)

    return _with_headers(Starlette(routes=[Mount("/", door)]))


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


def _host_of(headers: Headers) -> str:
    return re.sub(r":\d*$", "", headers.get("host", "")).lower()


def _is_from_outside(headers: Headers) -> bool:
    return _host_of(headers) not in _LOOPBACK or any(name in headers for name in _OF_PROXIES)


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


@contextmanager
def serving(application: ASGIApp, listener: socket.socket, *, ended: Callable[[], None]) -> Iterator[None]:
    """Answer, in a thread, for as long as the block lasts; `ended` is called should that end before.

    Raises whatever it ended by.
    """
    config = uvicorn.Config(
        application, lifespan="off", log_level="warning", timeout_graceful_shutdown=_PATIENCE, ws="none"
    )
    server = uvicorn.Server(config)
    with ThreadPoolExecutor(1, thread_name_prefix="digest-serve") as pool:
        running = pool.submit(server.run, sockets=[listener])
        running.add_done_callback(lambda _: ended())
        try:
            yield
        finally:
            server.should_exit = True
            running.result()
