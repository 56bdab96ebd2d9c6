"""The pages behind "more like this" and "less like this" of a mail.

    GET  …/opinion/like/<profile>?token=…&paper=…     shows a button
    POST …/opinion/like/<profile>                     records, with token and paper in a form

A GET changes nothing, because scanners open the links of a mail before its reader does
(RFC 8058, 1, met the same with links that unsubscribe).
The token is in the form, so no other page can send it (CSRF), and is looked at first:
who has none learns neither which profiles nor which papers there are.
"""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from digest import app as composition
from digest.core import feedback
from digest.core.model import PaperId

_LONGEST_FORM = 8192  # bytes; a link has at most 2,000
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


def routes(app: composition.App) -> list[Route]:
    """What is answered below `/opinion`. Raises CredentialError."""
    key = app.feedback_key
    titles = {profile.name: profile.title for profile in app.config.profiles}

    async def opinion(request: Request) -> Response:
        if request.method != "POST":
            return await run_in_threadpool(answer, request, dict(request.query_params))
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            return _refusal(415, "Send the form of the page.")
        form = bytearray()
        async for chunk in request.stream():
            form += chunk
            if len(form) > _LONGEST_FORM:
                return _refusal(413, "That is more than the form of the page.")
        try:
            fields = parse_qs(form.decode("latin-1"), max_num_fields=9)
        except ValueError:
            fields = {}
        return await run_in_threadpool(answer, request, {name: last for name, [*_, last] in fields.items()})

    def answer(request: Request, fields: dict[str, str]) -> Response:
        action, profile = request.path_params["action"], request.path_params["profile"]
        name = PaperId(fields.get("paper", ""))
        if not feedback.is_signed(fields.get("token", ""), key, profile, name, action):
            return _refusal(
                403, "This link is not one of ours, or not all of it has arrived. Nothing was recorded."
            )
        paper = app.paper(name) if profile in titles else None
        if paper is None:
            return _refusal(404, "The profile or the paper is no longer here. Nothing was recorded.")

        def form(does: str) -> dict[str, str]:
            token = feedback.sign(key, profile, name, does)
            return {"action": f"../{does}/{profile}", "paper": name, "token": token}

        is_done = request.method == "POST"
        if is_done:
            app.judge(profile, paper, feedback.OPINIONS[action], at=composition.now())
        nonce = secrets.token_urlsafe(16)
        page = app.web_page(
            "opinion.html.j2",
            action=action,
            done=is_done,
            paper=paper,
            title=titles[profile],
            nonce=nonce,
            form=None if is_done and action == "forget" else form("forget" if is_done else action),
        )
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(page, headers=_HEADERS | {"Content-Security-Policy": policy})

    return [Route("/{action}/{profile}", opinion, methods=["GET", "POST"])]


def _refusal(status: int, words: str) -> Response:
    return PlainTextResponse(f"{words}\n", status, headers=_HEADERS)
