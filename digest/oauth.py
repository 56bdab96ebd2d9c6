"""Access tokens for servers that take no passwords (OAuth 2.0, RFC 6749, 6).

A person consents once, in a browser, and gets a refresh token; with it digest asks for access tokens, each
good for about an hour. Microsoft gives a new refresh token with each: the newest is kept, by `keep`.
No error holds a token, nor a foreign error that might hold one.
"""

from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from threading import Event, Timer
from typing import Any, NoReturn

import httpx

from digest.errors import CredentialError, UnreachableError
from digest.redaction import Secret

_TIMEOUT = 30.0  # seconds, for each step
_LONGEST = 60.0  # seconds, for all that goes over one connection
_EARLY = timedelta(seconds=60)  # a login may take so long
_LONGEST_LIFE = 86_400  # seconds; after a day it does no harm to ask
_LARGEST_ANSWER = 100_000  # bytes; tokens have a few thousand
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")  # RFC 6749, 5.2, as far as anybody uses it
_MICROSOFT_CODE = re.compile(r"\bAADSTS[0-9]{4,8}\b")

_log = logging.getLogger(__name__)

_CHECK_CLIENT = "Check `client_id` and `client_secret` of `email.oauth2`; secrets of clients expire, too"
_REMEDIES = {
    "invalid_grant": "Give the consent again, and store the new refresh token",
    "invalid_client": _CHECK_CLIENT,
    "unauthorized_client": _CHECK_CLIENT,
    "invalid_scope": "Check `email.oauth2.scope`, and that the consent was given for it",
}


class AccessToken:
    """Gives an access token, the same as long as it is good."""

    def __init__(
        self,
        *,
        token_url: str,
        client_id: str,
        client_secret: Callable[[], str] | None,
        refresh_token: Callable[[], str],
        scope: str | None,
        keep: Callable[[str], None] | None,
        now: Callable[[], datetime],
        client: Callable[[], httpx.Client] | None = None,
    ) -> None:
        """Keep the settings; nothing is asked of the network yet.

        `keep` is given a refresh token that takes the place of the present one; without it, that one is
        remembered until the process ends. A CredentialError of it is logged, and it is called again at each
        `get`.
        """
        self._token_url = token_url
        self._client_id = client_id
        self._client_secret = client_secret
        self._refresh_token = refresh_token
        self._scope = scope
        self._keep = keep
        self._now = now
        self._client = client or (lambda: httpx.Client(timeout=_TIMEOUT))
        self._held: tuple[Secret, datetime] | None = None  # and until when it is good
        self._successor: tuple[str, str] | None = None  # what was stored, and what came in its place
        self._unkept: tuple[str, str] | None = None  # likewise, while only this process knows it

    def get(self) -> Secret:
        """The access token. Raises CredentialError, UnreachableError."""
        if self._held is None or self._now() >= self._held[1]:
            self._held = self._refreshed()
        self._keep_newest()
        return self._held[0]

    def _refreshed(self) -> tuple[Secret, datetime]:
        stored = self._refresh_token()
        given = self._successor[1] if self._successor and self._successor[0] == stored else stored
        asked_at = self._now()
        answer = self._answer(given)
        token, life, newest = (
            answer.get("access_token"),
            answer.get("expires_in"),
            answer.get("refresh_token"),
        )
        if not isinstance(token, str) or not token:
            self._refuse("the answer holds no access token")
        if isinstance(newest, str) and newest not in ("", given):
            self._successor = self._unkept = (stored, newest)
        # Without a life it is good for this once. Some servers send it as a text.
        life = str(answer.get("expires_in"))
        seconds = int(life) if re.fullmatch("[0-9]{1,12}", life) else 0
        return Secret(token), asked_at + timedelta(seconds=min(seconds, _LONGEST_LIFE)) - _EARLY

    def _keep_newest(self) -> None:
        """Store the newest refresh token: by giving it, a server may have ended the one before."""
        if self._keep is None or self._unkept is None:
            return
        stored, newest = self._unkept
        try:
            if self._refresh_token() == stored:  # and nobody has given the consent anew
                self._keep(newest)
        except CredentialError as error:
            _log.warning(
                "The new refresh token for %s cannot be stored, and the stored one may be good no more. "
                "digest tries again as long as it runs; after that, give the consent again. %s",
                self._token_url,
                error,
            )
        else:
            self._unkept = None

    def _answer(self, refresh_token: str) -> Mapping[str, object]:
        """The object that the server answers with, if it is no refusal."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": self._client_id}
        if self._client_secret is not None:
            form["client_secret"] = self._client_secret()
        if self._scope is not None:
            form["scope"] = self._scope
        if not self._token_url.startswith("https://"):
            self._refuse("the tokens would go out unencrypted", "Use an address that begins with https://")
        try:
            with (
                _hurried() as trace,
                self._client() as client,
                client.stream(
                    "POST",
                    self._token_url,
                    data=form,
                    headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                    follow_redirects=False,
                    extensions={"trace": trace},
                ) as response,
            ):
                status, content = response.status_code, b""
                for piece in response.iter_raw():
                    content += piece
                    if len(content) > _LARGEST_ANSWER:
                        break
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UnreachableError(
                f"no connection: {str(error) or type(error).__name__}",
                place=self._token_url,
                remedy="Check the network, and `email.oauth2.token_url`",
            ) from error
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            answer = {}
        if httpx.codes.is_success(status):
            return answer
        return self._refusal(status, answer)

    def _refusal(self, status: int, answer: Mapping[str, object]) -> NoReturn:
        code = str(answer.get("error", ""))
        code = code if _ERROR_CODE.fullmatch(code) else f"HTTP {status}"
        found = _MICROSOFT_CODE.search(str(answer.get("error_description", "")))
        said = f"{code}, {found[0]}" if found else code
        if httpx.codes.is_server_error(status) or status == httpx.codes.TOO_MANY_REQUESTS:
            raise UnreachableError(f"the server gives no token now ({said})", place=self._token_url)
        self._refuse(f"the server gives no token ({said})", _REMEDIES.get(code))

    def _refuse(self, message: str, remedy: str | None = None) -> NoReturn:
        raise CredentialError(
            message, place=self._token_url, remedy=remedy or "Check the settings of `email.oauth2`"
        )


@contextmanager
def _hurried() -> Iterator[Callable[[str, Mapping[str, Any]], None]]:
    """What httpx is to tell of its connection, which is ended when all over it takes too long.

    Timeouts begin anew with each byte. Raises httpx.ReadTimeout.
    """
    is_over = Event()

    def end(connection: socket.socket) -> None:
        is_over.set()
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    with ExitStack() as ended:

        def trace(event: str, told: Mapping[str, Any]) -> None:
            if event.endswith("connect_tcp.complete"):
                # A second one, as TLS takes the first one over.
                connection: socket.socket = told["return_value"].get_extra_info("socket").dup()
                ended.callback(connection.close)
                watcher = Timer(_LONGEST, end, [connection])
                watcher.start()
                ended.callback(watcher.join)
                ended.callback(watcher.cancel)

        try:
            yield trace
        finally:
            if is_over.is_set():  # also when what came till then looked whole
                raise httpx.ReadTimeout("timed out")
