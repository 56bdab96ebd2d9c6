from __future__ import annotations

import json
import ssl
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import trustme
from http_server import HANG_UP, Server, answer, drip

from digest.errors import CredentialError, UnreachableError
from digest.oauth import AccessToken

START = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
SECRETS = ("first-refresh", "second-refresh", "client-secret", "ya29.access")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def served(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(autouse=True)
def _trusting(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def token(port: int, **settings: Any) -> AccessToken:  # noqa: ANN401 - any of the settings
    given = {
        "token_url": f"https://127.0.0.1:{port}/token",
        "client_id": "our client",
        "client_secret": lambda: "client-secret",
        "refresh_token": lambda: "first-refresh",
        "scope": "https://mail.example/ offline_access",
        "keep": None,
        "now": Clock(),
    }
    return AccessToken(**{**given, **settings})


def granted(number: int = 1, *, life: object = 3600, successor: str | None = None) -> bytes:
    said = {"access_token": f"ya29.access-{number}", "token_type": "Bearer", "expires_in": life}
    return answer(200, json.dumps(said | ({"refresh_token": successor} if successor else {})).encode())


def refused(status: int, **said: object) -> bytes:
    return answer(status, json.dumps(said).encode())


def said(error: BaseException) -> str:
    """All that a report of the error could print."""
    return "".join(traceback.format_exception(error))


def test_refresh_token_is_changed_for_an_access_token(served: ssl.SSLContext) -> None:
    with Server(granted(), tls=served) as server:
        found = token(server.port).get()
    assert found.reveal() == "ya29.access-1"
    assert f"{found} {found!r} {found:>8}" == "<secret> <secret> <secret>"
    (taken,) = server.taken
    assert taken.line == "POST /token HTTP/1.1"
    assert parse_qs(taken.body.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["first-refresh"],
        "client_id": ["our client"],
        "client_secret": ["client-secret"],
        "scope": ["https://mail.example/ offline_access"],
    }


def test_client_without_a_secret_sends_none(served: ssl.SSLContext) -> None:
    with Server(granted(), tls=served) as server:
        token(server.port, client_secret=None, scope=None).get()
    assert set(parse_qs(server.taken[0].body.decode())) == {"grant_type", "refresh_token", "client_id"}


@pytest.mark.parametrize(
    ("life", "still", "no_more"),
    [
        (3600, 3539, 3540),
        ("3600", 3539, 3540),
        (10**9, 86_339, 86_340),
        (None, None, 0),
        (-5, None, 0),
        (True, None, 0),
    ],
)
def test_access_token_is_asked_for_again_shortly_before_it_ends(
    served: ssl.SSLContext, life: object, still: int | None, no_more: int
) -> None:
    clock = Clock()
    with Server(granted(1, life=life), granted(2), tls=served) as server:
        source = token(server.port, now=clock)
        source.get()
        if still is not None:
            clock.now = START + timedelta(seconds=still)
            assert source.get().reveal() == "ya29.access-1"
        clock.now = START + timedelta(seconds=no_more)
        assert source.get().reveal() == "ya29.access-2"


def rotating(served: ssl.SSLContext, stored: Callable[[int], str], **settings: Any) -> list[str]:  # noqa: ANN401
    """The refresh tokens that are sent when the first answer brings another."""
    clock, asked = Clock(), iter(range(10))
    with Server(granted(successor="second-refresh"), granted(2), tls=served) as server:
        source = token(server.port, now=clock, refresh_token=lambda: stored(next(asked)), **settings)
        source.get()
        clock.now += timedelta(hours=1)
        source.get()
    return [parse_qs(taken.body.decode())["refresh_token"][0] for taken in server.taken]


def test_refresh_token_that_takes_the_place_of_the_old_one_is_kept(served: ssl.SSLContext) -> None:
    kept = ["first-refresh"]
    sent = rotating(served, lambda _: kept[-1], keep=kept.append)
    assert sent == ["first-refresh", "second-refresh"]
    assert kept == ["first-refresh", "second-refresh"]


def test_without_a_place_to_keep_it_the_new_refresh_token_is_remembered(served: ssl.SSLContext) -> None:
    assert rotating(served, lambda _: "first-refresh") == ["first-refresh", "second-refresh"]


def test_consent_that_was_given_anew_goes_before_what_was_remembered(served: ssl.SSLContext) -> None:
    sent = rotating(served, lambda time: ("first-refresh", "new-consent")[time])
    assert sent == ["first-refresh", "new-consent"]


class Keyring:
    """One that is locked for a while."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.stored = "first-refresh"

    def keep(self, newest: str) -> None:
        if self.failures:
            self.failures -= 1
            raise CredentialError("it may be locked")
        self.stored = newest

    def token(self, port: int, **settings: Any) -> AccessToken:  # noqa: ANN401 - any of the settings
        return token(port, refresh_token=lambda: self.stored, keep=self.keep, **settings)


def test_refresh_token_that_cannot_be_kept_is_tried_again_and_spends_no_access_token(
    served: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    keyring = Keyring(failures=2)
    with Server(granted(successor="second-refresh"), tls=served) as server:
        source = keyring.token(server.port)
        assert [source.get().reveal() for _ in range(2)] == ["ya29.access-1"] * 2
        assert keyring.stored == "first-refresh"
        assert source.get().reveal() == "ya29.access-1"
    assert keyring.stored == "second-refresh"
    assert caplog.text.count("cannot be stored") == 2
    assert "give the consent again. it may be locked" in caplog.text
    assert not any(secret in caplog.text for secret in SECRETS)


def test_refresh_token_that_could_not_be_kept_is_used_all_the_same(served: ssl.SSLContext) -> None:
    keyring, clock = Keyring(failures=1), Clock()
    with Server(
        granted(successor="second-refresh"), granted(2, successor="third-refresh"), tls=served
    ) as server:
        source = keyring.token(server.port, now=clock)
        source.get()
        clock.now += timedelta(hours=1)
        source.get()
    assert parse_qs(server.taken[1].body.decode())["refresh_token"] == ["second-refresh"]
    assert keyring.stored == "third-refresh"


def test_consent_that_was_given_anew_is_not_overwritten(served: ssl.SSLContext) -> None:
    keyring = Keyring(failures=1)
    with Server(granted(successor="second-refresh"), tls=served) as server:
        source = keyring.token(server.port)
        source.get()
        keyring.stored = "new-consent"
        source.get()
    assert keyring.stored == "new-consent"


@pytest.mark.parametrize(
    ("beginning", "again"),
    [
        (b"", b"HTTP/1.1 102 wait\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n\r\n{", b" "),
        (b"HTTP/1.1 400 X\r\nContent-Length: 9999\r\n\r\n{", b" "),
    ],
)
def test_answer_that_comes_bit_by_bit_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, served: ssl.SSLContext, beginning: bytes, again: bytes
) -> None:
    monkeypatch.setattr("digest.oauth._LONGEST", 0.3)
    with (
        Server(drip(beginning, again), tls=served) as server,
        pytest.raises(UnreachableError, match="no connection: timed out"),
    ):
        token(server.port).get()


def test_refresh_token_that_stays_is_not_kept_again(served: ssl.SSLContext) -> None:
    with Server(granted(successor="first-refresh"), tls=served) as server:
        token(server.port, keep=pytest.fail).get()


@pytest.mark.parametrize(
    ("prepared", "kind", "words"),
    [
        (refused(400, error="invalid_grant"), CredentialError, r"\(invalid_grant\)\. Give the consent again"),
        (
            refused(400, error="invalid_grant", error_description="AADSTS700082: first-refresh is too old"),
            CredentialError,
            r"\(invalid_grant, AADSTS700082\)",
        ),
        (refused(401, error="invalid_client"), CredentialError, "Check `client_id` and `client_secret`"),
        (refused(400, error="invalid_scope"), CredentialError, "email.oauth2.scope"),
        (refused(400, error="first-refresh"), CredentialError, r"\(HTTP 400\).*settings of `email\.oauth2`"),
        (refused(400, error=["\x1b[2J"]), CredentialError, "HTTP 400"),
        (answer(403, b"<html>first-refresh"), CredentialError, "HTTP 403"),
        (answer(302, b"", "Location: https://127.0.0.1/"), CredentialError, "HTTP 302"),
        (answer(503), UnreachableError, "HTTP 503"),
        (refused(429, error="slow_down"), UnreachableError, "slow_down"),
        (answer(200, b"[]"), CredentialError, "holds no access token"),
        (answer(200, b"[" * 99_000), CredentialError, "holds no access token"),
        (answer(200, b'{"access_token": "' + b"x" * 1_000_000), CredentialError, "holds no access token"),
        (answer(200, b'{"access_token": 5}'), CredentialError, "holds no access token"),
        (answer(200, b'{"access_token": ""}'), CredentialError, "holds no access token"),
        (HANG_UP, UnreachableError, "no connection"),
        (b"\xff\x00\r\n\r\n", UnreachableError, "no connection"),
    ],
)
def test_answer_without_a_token_is_told_by_what_can_be_done(
    served: ssl.SSLContext, prepared: bytes, kind: type[Exception], words: str
) -> None:
    with Server(prepared, tls=served) as server:
        source = token(server.port)
        with pytest.raises(kind, match=words) as caught:
            source.get()
    assert not any(secret in said(caught.value) for secret in SECRETS)
    assert str(caught.value).isprintable()
    assert not any(secret in repr(source) for secret in SECRETS)


def test_an_answer_without_end_is_not_read(served: ssl.SSLContext) -> None:
    pieces = drip(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b" " * 100_000)
    with Server(pieces, tls=served) as server, pytest.raises(CredentialError, match="no access token"):
        token(server.port).get()
    assert len(list(pieces)) > 400  # of 500 are left


def test_nobody_there_is_no_connection() -> None:
    with pytest.raises(UnreachableError, match=r"no connection.*token_url"):
        token(1).get()


def test_certificate_that_is_not_trusted_ends_it_before_the_tokens_are_sent(
    served: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with (
        Server(granted(), tls=served) as server,
        pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        token(server.port).get()
    assert server.taken == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/token", "ftp://127.0.0.1/", ""])
def test_tokens_never_go_out_unencrypted(url: str) -> None:
    with pytest.raises(CredentialError, match="unencrypted"):
        token(1, token_url=url).get()


def test_client_of_ones_own_is_used() -> None:
    # As the way through a proxy is.
    said = httpx.ByteStream(b'{"access_token": "x"}')
    proxied = httpx.Client(transport=httpx.MockTransport(lambda _request: httpx.Response(200, stream=said)))
    assert token(1, client=lambda: proxied).get().reveal() == "x"
