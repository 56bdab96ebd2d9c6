"""What the pages have in common that the links of a mail lead to."""

from __future__ import annotations

import secrets
from email import message_from_bytes
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse

from digest import app as composition

FOREIGN = "This link is not one of ours, or not all of it has arrived. Nothing was recorded."

_LONGEST = 8192  # bytes; a link has at most 2,000
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


class Refusal(HTTPException):
    """An answer that says in words why nothing was done."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(status, f"{words}\n", headers=_HEADERS)


async def read(request: Request) -> dict[str, str]:
    """The fields of a form, of each name the last one. Raises Refusal."""
    declared = request.headers.get("content-type", "")
    media_type = declared.partition(";")[0].strip().lower()
    if media_type not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        raise Refusal(415, "Send the form of the page.")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LONGEST:
                raise Refusal(413, "That is more than the form of the page.")
    except ClientDisconnect:  # or it took too long
        raise Refusal(400, "Not all of the form has arrived.") from None
    if media_type == "multipart/form-data":
        return _parts(declared, bytes(body))
    return _pairs(bytes(body))


def _pairs(body: bytes) -> dict[str, str]:
    try:
        fields = parse_qs(body.decode("latin-1"), max_num_fields=9)
    except ValueError:
        return {}
    return {name: last for name, [*_, last] in fields.items()}


def _parts(declared: str, body: bytes) -> dict[str, str]:
    """The fields of a multipart body, which is one of MIME (RFC 7578, 4); none where it cannot be read."""
    fields = {}
    try:
        message = message_from_bytes(b"Content-Type: " + declared.encode("latin-1") + b"\r\n\r\n" + body)
        for part in message.walk():
            name = part.get_param("name", header="content-disposition")
            content = part.get_payload(decode=True)
            if isinstance(name, str) and isinstance(content, bytes):
                fields[name] = content.decode(errors="replace")
    except (LookupError, RecursionError, TypeError, ValueError):
        # Where a parameter stands there whole and in pieces (RFC 2231, 3), `email` compares None and 0.
        return {}
    return fields


def page(app: composition.App, template: str, **values: object) -> HTMLResponse:
    """A page with a form, which runs nothing, asks for nothing and is kept by nobody."""
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(
        app.web_page(template, nonce=nonce, **values),
        headers=_HEADERS | {"Content-Security-Policy": policy},
    )
