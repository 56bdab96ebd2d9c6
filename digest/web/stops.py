"""The page by which a reader stops the mail, from the mail itself (RFC 2369, 3.2).

    GET  …/stop/<profile>?token=…&address=…     shows a button
    POST …/stop/<profile>?token=…&address=…     stops it, with `List-Unsubscribe=One-Click` in a form;
                                                with `start=again` it comes again

The button sends what a mail program sends for its reader (RFC 8058, 3.2), so there is one way and it is
the one that people use. Neither needs a cookie, and neither is redirected.
A GET changes nothing, because scanners open links too.
A link works for as long as its key does: also when profile and address are configured no longer,
because a mail may still be in the outbox, and who stopped it should not be sent mail by a later change.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from digest import app as composition
from digest.core import feedback
from digest.web import forms


def routes(app: composition.App) -> list[Route]:
    """What is answered below `/stop`. Raises CredentialError."""
    key = app.feedback_key
    titles = {profile.name: profile.title for profile in app.config.profiles}

    async def stop(request: Request) -> Response:
        form = await forms.read(request) if request.method == "POST" else None
        return await run_in_threadpool(answer, request, form)

    def answer(request: Request, form: dict[str, str] | None) -> Response:
        profile, query = request.path_params["profile"], request.query_params
        address = query.get("address", "")
        if not feedback.is_signed(query.get("token", ""), key, feedback.STOP, profile, address):
            raise forms.Refusal(403, forms.FOREIGN)
        with app.store() as store:
            if form is None:
                state = "is_stopped" if address in store.stopped(profile) else "comes"
            elif form.get("List-Unsubscribe") == "One-Click":
                store.stop(profile, address, now=composition.now())
                state = "stopped"
            elif form.get("start") == "again":
                store.resume(profile, address)
                state = "started"
            else:
                raise forms.Refusal(400, "Send the form of the page. Nothing was recorded.")
        return forms.page(
            app, "stop.html.j2", state=state, address=address, title=titles.get(profile, profile)
        )

    return [Route("/{profile}", stop, methods=["GET", "POST"])]
