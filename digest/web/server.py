"""Feeds and archive pages over HTTP, as they stand in `output_dir`, `/healthz`, and pages of the mails.

The server listens on this machine alone: there is no authentication, and a digest tells what somebody
reads. What the links of a mail lead to must be reached from outside, and brings its own tokens: where
`[serve] base_url` is set, a reverse proxy may hand over requests for that address, and they are
answered below `/opinion/` and `/stop/` and at `/healthz` alone. The proxy may take a path off that
`base_url` has, or leave it on. It should hand on those paths only, and say what it was asked for:

    # nginx
    location ~ ^/digest/(opinion|stop)/ { proxy_pass http://127.0.0.1:8470; proxy_set_header Host $host; }

    # Caddy
    @digest path /digest/opinion/* /digest/stop/*
    reverse_proxy @digest 127.0.0.1:8470

A request counts as one from outside by its `Host`, and by the headers that proxies add, because some
replace the `Host` by the address of this server. nginx does so and adds none, unless it is told to.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from digest.errors import ConfigError

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")
# RFC 7239; RFC 9110, 7.6.3; and what proxies have added since before either.
_OF_PROXIES = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host")


@dataclass(frozen=True, slots=True)
class Outside:
    """What others may reach, by the address that a proxy has for it."""

    base_url: str
    pages: Mapping[str, Sequence[BaseRoute]]  # by the path that they are below, such as /opinion


class _Files(StaticFiles):
    """Static files that a reader asks for again after a quarter of an hour at the earliest."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "max-age=900"
        return response


def application(
    folder: Path, health: Callable[[], Mapping[str, object]], *, outside: Outside | None = None
) -> Starlette:
    """What is served: the files of `folder`, the health as JSON, 503 unless it says `ok`, and pages."""

    def is_guest(scope: Scope) -> bool:
        return outside is not None and _is_from_outside(scope)

    def healthz(request: Request) -> JSONResponse:
        found = health()
        # What is more than whether all is well names what is read.
        told = {"ok": found["ok"]} if is_guest(request.scope) else dict(found)
        return JSONResponse(told, status_code=200 if found["ok"] else 503)

    pages = outside.pages if outside else {}
    shared = [Route("/healthz", healthz), *(Mount(path, routes=routes) for path, routes in pages.items())]
    every = Router([*shared, Mount("/", _Files(directory=folder, html=True, check_dir=False))])
    few = Router(shared)
    address = urlsplit(outside.base_url if outside else "")

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        rest = scope["path"].removeprefix(unquote(address.path))
        if rest == "/healthz" or rest.startswith(tuple(f"{path}/" for path in pages)):
            scope = dict(scope) | {"path": rest}
        await (few if is_guest(scope) else every)(scope, receive, send)

    return Starlette(
        routes=[Mount("/", door)],
        middleware=[
            # A page on the web cannot read a server on this machine by naming it otherwise (DNS rebinding).
            Middleware(
                TrustedHostMiddleware,
                allowed_hosts=[*_LOOPBACK, *([address.hostname] if address.hostname else [])],
                www_redirect=False,
            ),
            Middleware(GZipMiddleware, minimum_size=1000),
        ],
    )


def _is_from_outside(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    host = re.sub(r":\d*$", "", headers.get("host", ""))
    return host.lower() not in _LOOPBACK or any(name in headers for name in _OF_PROXIES)


def check_host(host: str) -> None:
    """Refuse an address that others could reach. Raises ConfigError."""
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise ConfigError(
            "others could read what you read there",
            place=f"--host {host}",
            remedy="Serve output_dir by a web server that asks who they are, or use 127.0.0.1.",
        )
