"""Posts finished JSON to webhooks, each to one address, whose path is as good as a password.

    connect [→ TLS] → head of the request      a failure up to here leaves nothing behind
      → `handing_over` → body                  the server may act on it now
      → status                                 if it is lost, nobody knows

No error and no log shows more of the address than scheme and host.
It goes out encrypted or to this machine alone, and never to where an answer points.
"""

from __future__ import annotations

import hashlib
import logging
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import httpx

from digest.deliver import is_loopback, printable, within
from digest.errors import (
    DeliveryError,
    PermanentDeliveryError,
    RefusedByServerError,
    TransientDeliveryError,
    UncertainDeliveryError,
    UnreachableError,
)
from digest.redaction import spellings

logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it logs addresses as they are

_CONNECT_TIMEOUT = 20.0  # seconds; who does not answer by then will not
_STEPS = 3  # to connect, to send, to be answered
_MOST_SAID = 10_000  # bytes of an answer that are looked at
_LAST_WORD = re.compile(r"\S*\Z")
_BETWEEN = re.compile("[/?&=]")  # the pieces of an address
_SHORTEST_SECRET = 6  # characters of a piece of a path
_NEW_ADDRESS = "Make a new webhook there, and store its address in the place of this one"
# RFC 9110, 15.5.9; RFC 8470, 5.2; RFC 6585, 4
_LATER = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS}
_GONE = {
    httpx.codes.UNAUTHORIZED,
    httpx.codes.FORBIDDEN,
    httpx.codes.NOT_FOUND,
    httpx.codes.GONE,
}


class WebhookDeliverer:
    """Delivers to webhooks by name."""

    def __init__(
        self,
        urls: Mapping[str, Callable[[], str]],
        *,
        user_agent: str,
        client: Callable[[], httpx.Client] | None = None,
        timeout: float = 60.0,
    ) -> None:
        """Keep the settings; nothing is asked of the network yet.

        `urls` are called for each message, and their CredentialError passes through `deliver`.
        `timeout` is in seconds, for each step: a service that sends byte by byte has as long as all of them.
        """
        self._urls = urls
        self._longest = _STEPS * timeout
        self._user_agent = user_agent
        limits = httpx.Timeout(timeout, connect=min(_CONNECT_TIMEOUT, timeout))
        # A proxy of the environment must not see what is for this machine alone.
        self._new_client = client or (lambda: httpx.Client(timeout=limits, mounts={"http://": None}))
        self._client: httpx.Client | None = None

    def deliver(self, message: bytes, recipient: str, *, handing_over: Callable[[], None]) -> None:
        """Post one message to the webhook of that name, calling `handing_over` before its body is sent.

        Raises TransientDeliveryError, PermanentDeliveryError, UncertainDeliveryError.
        """
        url = self._address(recipient)
        place = _place(recipient, url)
        begun = False
        connection: socket.socket | None = None

        def opened(_event: str, told: Mapping[str, Any]) -> None:
            nonlocal connection
            # Each that is opened, as to a proxy, and for TLS again.
            if ask := getattr(told.get("return_value"), "get_extra_info", None):
                connection = ask("socket")

        def body() -> Iterator[bytes]:
            nonlocal begun
            handing_over()
            begun = True
            yield message

        self._client = self._client or self._new_client()
        try:
            with (
                within(self._longest, lambda: connection),
                self._client.stream(
                    "POST",
                    url,
                    content=body(),
                    headers=self._headers(message),
                    follow_redirects=False,
                    extensions={"trace": opened},
                ) as response,
            ):
                if not response.is_success:
                    raise _refusal(response, url, place)
        except (httpx.TransportError, TimeoutError) as error:
            why = _shown(str(error), url) or type(error).__name__
            if begun:
                raise UncertainDeliveryError(
                    f"it was sent and the answer was lost: {why}",
                    place=place,
                    remedy="Look whether it has arrived; see `digest outbox`",
                ) from None  # the cause would tell the address where the answer does
            if "CERTIFICATE_VERIFY_FAILED" in why:
                raise RefusedByServerError(
                    f"the server's certificate is not trusted: {why}",
                    place=place,
                    remedy="Check the address; a certificate of your own must be known to this machine, "
                    "as by SSL_CERT_FILE",
                ) from error
            raise UnreachableError(
                f"no connection: {why}", place=place, remedy="Check the network"
            ) from error

    def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def _address(self, name: str) -> httpx.URL:
        if name not in self._urls:
            raise PermanentDeliveryError(f"the webhook {name!r} is no longer configured")
        try:
            url = httpx.URL(self._urls[name]())
        except httpx.InvalidURL:
            raise RefusedByServerError(  # the cause would tell the address
                "its address is none", place=f"webhook {name}", remedy="Store it as the service gave it"
            ) from None
        if not url.host or (url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.host))):
            raise RefusedByServerError(
                "its address, which nobody else may know, would go out unencrypted",
                place=_place(name, url),
                remedy="Use one that begins with https://; http:// is for this machine alone",
            )
        return url

    def _headers(self, message: bytes) -> dict[str, str]:
        return {
            "User-Agent": self._user_agent,
            "Content-Type": "application/json",
            "Content-Length": str(len(message)),  # else the body goes out in chunks, which some do not take
            "Accept-Encoding": "identity",
            "Connection": "close",  # an answer lost on a stale connection would leave us uncertain
            # draft-ietf-httpapi-idempotency-key-header, 2.1: a string of RFC 8941.
            "Idempotency-Key": f'"{hashlib.sha256(message).hexdigest()}"',
        }


def _place(name: str, url: httpx.URL) -> str:
    return f"webhook {name} ({printable(f'{url.scheme}://{url.host}')})"


def _refusal(response: httpx.Response, url: httpx.URL, place: str) -> DeliveryError:
    """What an answer means that is no success."""
    status = response.status_code
    if status in _LATER or response.is_server_error:
        wait = _shown(response.headers.get("retry-after", ""), url)
        said = f", and asks to come back after {wait}" if wait else ""
        return TransientDeliveryError(f"the service does not take it now (HTTP {status}){said}", place=place)
    if response.is_redirect:
        return RefusedByServerError(
            f"the webhook has moved (HTTP {status}), and digest does not follow",
            place=place,
            remedy=_NEW_ADDRESS,
        )
    if status in _GONE:
        return RefusedByServerError(
            f"the service does not know this webhook, or no longer (HTTP {status})",
            place=place,
            remedy=_NEW_ADDRESS,
        )
    words = _words(response, url)
    return PermanentDeliveryError(
        f"the service refuses the message (HTTP {status})" + (f": {words}" if words else ""), place=place
    )


def _words(response: httpx.Response, url: httpx.URL) -> str:
    """What an answer says."""
    said, is_whole = b"", False
    with suppress(httpx.HTTPError):
        for some in response.iter_raw():
            said += some
            if len(said) > _MOST_SAID:
                break
        else:
            is_whole = True
    text = said.decode("utf-8", "replace")
    if not is_whole:  # a part of the address would not be known
        text = _LAST_WORD.sub("", text)
    return _shown(text, url)


def _shown(text: str, url: httpx.URL) -> str:
    """Words of the service, without what they repeat of the address."""
    whole = [url.path, url.raw_path.decode("ascii"), url.username, url.password]
    pieces = {piece for one in whole for piece in (one, *_BETWEEN.split(one))}
    forms = {form for piece in pieces if len(piece) >= _SHORTEST_SECRET for form in spellings(piece)}
    for form in sorted(forms, key=len, reverse=True):  # one may be part of another
        text = text.replace(form, "…")
    return printable(text)
