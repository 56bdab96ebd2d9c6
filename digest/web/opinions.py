"""The pages behind "more like this" and "less like this" of a mail.

    GET  …/opinion/like/<profile>?token=…&paper=…     shows a button
    POST …/opinion/like/<profile>                     records, with token and paper in a form

A GET changes nothing, because scanners open the links of a mail before its reader does
(RFC 8058, 1, met the same with links that unsubscribe).
The token is in the form, so no other page can send it (CSRF), and is looked at first:
who has none learns neither which profiles nor which papers there are.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from digest import app as composition
from digest.core import feedback
from digest.core.model import PaperId
from digest.web import forms


def routes(app: composition.App) -> list[Route]:
    """What is answered below `/opinion`. Raises CredentialError."""
    key = app.feedback_key
    titles = {profile.name: profile.title for profile in app.config.profiles}

    async def opinion(request: Request) -> Response:
        fields = await forms.read(request) if request.method == "POST" else dict(request.query_params)
        return await run_in_threadpool(answer, request, fields)

    def answer(request: Request, fields: dict[str, str]) -> Response:
        action, profile = request.path_params["action"], request.path_params["profile"]
        name = PaperId(fields.get("paper", ""))
        if not feedback.is_signed(fields.get("token", ""), key, feedback.OPINION, profile, name, action):
            raise forms.Refusal(403, forms.FOREIGN)
        paper = app.paper(name) if profile in titles else None
        if paper is None:
            raise forms.Refusal(404, "The profile or the paper is no longer here. Nothing was recorded.")

        def form(does: str) -> dict[str, str]:
            token = feedback.sign(key, feedback.OPINION, profile, name, does)
            return {"action": f"../{does}/{profile}", "paper": name, "token": token}

        is_done = request.method == "POST"
        if is_done:
            app.judge(profile, paper, feedback.OPINIONS[action], at=composition.now())
        return forms.page(
            app,
            "opinion.html.j2",
            action=action,
            done=is_done,
            paper=paper,
            title=titles[profile],
            form=None if is_done and action == "forget" else form("forget" if is_done else action),
        )

    return [Route("/{action}/{profile}", opinion, methods=["GET", "POST"])]
