"""Feeds and archive pages over HTTP, as they stand in `output_dir`, and `/healthz`.

Only this machine is answered: there is no authentication yet, and a digest tells what somebody reads.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from digest.errors import ConfigError


class _Files(StaticFiles):
    """Static files that a reader asks for again after a quarter of an hour at the earliest."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "max-age=900"
        return response


def application(folder: Path, health: Callable[[], Mapping[str, object]]) -> Starlette:
    """What is served: the files of `folder`, and the health as JSON, 503 unless it says `ok`."""

    def healthz(_request: Request) -> JSONResponse:
        found = health()
        return JSONResponse(dict(found), status_code=200 if found["ok"] else 503)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Mount("/", _Files(directory=folder, html=True, check_dir=False)),
        ],
        middleware=[
            # A page on the web cannot read a server on this machine by naming it otherwise (DNS rebinding).
            Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]", "::1"]),
            Middleware(GZipMiddleware, minimum_size=1000),
        ],
    )


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
