"""Getting bytes: from files, and over HTTP from sites that have their moods."""

from __future__ import annotations

import gzip
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from digest.core.model import Page, Request
from digest.errors import FetchError
from digest.fetch.file import FileFetcher
from digest.fetch.http import HttpFetcher

NOW = datetime(2026, 11, 20, 7, tzinfo=UTC)
URL = "https://papers.example.org/daily"


# Files


def test_a_file_is_a_page_with_its_hash_as_validator(tmp_path: Path) -> None:
    path = tmp_path / "saved page ü.html"
    path.write_bytes(b"<html>")
    etag = hashlib.sha256(b"<html>").hexdigest()
    page = FileFetcher().fetch(Request(path.as_uri()), now=NOW)
    assert page == Page(path.as_uri(), b"<html>", "text/html", NOW, etag=etag)


def test_a_file_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_text("one")
    first = FileFetcher().fetch(Request(path.as_uri()), now=NOW)
    assert first is not None
    assert first.media_type is None
    again = Request(path.as_uri(), etag=first.etag)
    assert FileFetcher().fetch(again, now=NOW) is None
    path.write_text("two")
    assert FileFetcher().fetch(again, now=NOW) is not None


def unreadable(folder: Path, kind: str) -> str:
    path = folder / "page.html"
    if kind == "missing":
        return path.as_uri()
    if kind == "remote":
        return "file://elsewhere.example.org/page.html"
    if kind == "web":
        return URL
    if kind == "nul":
        return f"{folder.as_uri()}/%00"
    if kind == "long":
        return f"{folder.as_uri()}/{'x' * 5000}"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b"12345678901")
    return path.as_uri()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "no such file"),
        ("remote", "no file of this machine"),
        ("web", "no file of this machine"),
        ("nul", "cannot be read"),
        ("long", "cannot be read"),
        ("folder", "is a folder"),
        ("pipe", "no regular file"),
        ("large", "more than 10 bytes"),
    ],
)
def test_what_is_no_readable_file_says_so_and_what_to_do(tmp_path: Path, kind: str, words: str) -> None:
    with pytest.raises(FetchError, match=words) as caught:
        FileFetcher(max_bytes=10).fetch(Request(unreadable(tmp_path, kind)), now=NOW)
    assert caught.value.place
    assert caught.value.remedy
    assert not caught.value.transient


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.html"
    path.write_text("secret")

    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # chmod does not stop root
    with pytest.raises(FetchError, match="may not read"):
        FileFetcher().fetch(Request(path.as_uri()), now=NOW)


# HTTP

Handler = Callable[[httpx.Request], httpx.Response]


class Site:
    """A site that gives one answer after another, and notes what it was asked and the pauses between."""

    def __init__(self, *answers: httpx.Response | Exception | Handler) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)

    def fetch(self, request: Request, *, timeout: float = 60.0, max_bytes: int = 1000) -> Page | None:
        fetcher = HttpFetcher(
            user_agent="digest/1 (me@example.org)",
            timeout=timeout,
            max_bytes=max_bytes,
            transport=httpx.MockTransport(self),
            sleep=self.pauses.append,
        )
        try:
            return fetcher.fetch(request, now=NOW)
        finally:
            fetcher.close()


def redirect(to: str) -> httpx.Response:
    return httpx.Response(302, headers={"Location": to})


def test_a_page_comes_with_all_that_is_needed_to_ask_for_it_again() -> None:
    headers = {
        "Content-Type": "Text/HTML; charset=utf-8",
        "ETag": 'W/"1"',
        "Last-Modified": "Thu, 19 Nov 2026 07:00:00 GMT",
    }
    site = Site(httpx.Response(200, headers=headers, content=b"papers"))
    page = site.fetch(Request(URL))
    assert page == Page(URL, b"papers", "text/html", NOW, 'W/"1"', "Thu, 19 Nov 2026 07:00:00 GMT")
    assert site.asked[0].headers["User-Agent"] == "digest/1 (me@example.org)"
    assert "If-None-Match" not in site.asked[0].headers


def test_a_page_that_has_not_changed_is_none() -> None:
    site = Site(httpx.Response(304))
    assert site.fetch(Request(URL, etag='"1"', last_modified="Thu, 19 Nov 2026 07:00:00 GMT")) is None
    assert site.asked[0].headers["If-None-Match"] == '"1"'
    assert site.asked[0].headers["If-Modified-Since"] == "Thu, 19 Nov 2026 07:00:00 GMT"


def test_a_validator_that_no_header_can_hold_is_not_sent() -> None:
    site = Site(httpx.Response(200))
    page = site.fetch(Request(URL, etag='"ü"'))
    assert page is not None
    assert page.media_type is None
    assert "If-None-Match" not in site.asked[0].headers


def test_unchanged_is_no_answer_to_who_has_no_copy() -> None:
    with pytest.raises(FetchError, match="HTTP 304"):
        Site(httpx.Response(304)).fetch(Request(URL))


def test_a_redirect_is_followed_and_the_page_has_its_new_address() -> None:
    site = Site(redirect("/papers/date/2026-11-19"), httpx.Response(200, content=b"papers"))
    page = site.fetch(Request("https://papers.example.org/papers"))
    assert page is not None
    assert page.url == "https://papers.example.org/papers/date/2026-11-19"


@pytest.mark.parametrize(
    "answers",
    [[redirect("file:///etc/hostname")], [redirect("ftp://example.org/")], [redirect("/again")] * 9],
)
def test_a_redirect_out_of_the_web_or_without_end_is_not_followed(answers: list[httpx.Response]) -> None:
    site = Site(*answers)
    with pytest.raises(FetchError, match="cannot be followed") as caught:
        site.fetch(Request(URL))
    assert caught.value.place == URL
    assert len(site.asked) <= 6
    assert site.pauses == []


@pytest.mark.parametrize(
    ("status", "words", "transient"),
    [
        (400, "no page", False),
        (401, "refuses", False),
        (403, "refuses", False),
        (404, "no such page", False),
        (410, "no such page", False),
        (500, "fault", True),
    ],
)
def test_a_refusal_is_final_and_says_what_to_do(status: int, words: str, *, transient: bool) -> None:
    site = Site(httpx.Response(status))
    with pytest.raises(FetchError, match=words) as caught:
        site.fetch(Request(URL))
    error = caught.value
    assert (error.status, error.transient, error.place) == (status, transient, URL)
    assert error.remedy
    assert (len(site.asked), site.pauses) == (1, [])


@pytest.mark.parametrize(
    "fault",
    [*map(httpx.Response, (429, 502, 503, 504)), httpx.ConnectError("refused"), httpx.ReadTimeout("")],
    ids=str,
)
def test_a_busy_site_is_asked_again_after_a_longer_pause_each_time(fault: httpx.Response | Exception) -> None:
    site = Site(fault, fault, httpx.Response(200, content=b"papers"))
    assert site.fetch(Request(URL)) is not None
    assert site.pauses == [2.0, 8.0]


def test_a_site_that_stays_busy_is_given_up_after_three_tries() -> None:
    site = Site(*[httpx.Response(503)] * 9)
    with pytest.raises(FetchError) as caught:
        site.fetch(Request(URL))
    assert (caught.value.status, caught.value.transient, len(site.asked)) == (503, True, 3)


def test_a_site_that_does_not_answer_is_not_asked_for_other_pages_in_the_same_run() -> None:
    site = Site(*[httpx.ConnectError("refused")] * 3)
    fetcher = HttpFetcher(user_agent="digest", transport=httpx.MockTransport(site), sleep=lambda _: None)
    with pytest.raises(FetchError, match="refused"):
        fetcher.fetch(Request(URL), now=NOW)
    with pytest.raises(FetchError, match="did not answer a moment ago") as caught:
        fetcher.fetch(Request(f"{URL}/2"), now=NOW)
    assert caught.value.transient
    fetcher.close()


def test_a_site_that_cannot_be_reached_says_why() -> None:
    with pytest.raises(FetchError, match="no answer: refused") as caught:
        Site(*[httpx.ConnectError("refused")] * 3).fetch(Request(URL))
    assert (caught.value.status, caught.value.transient) == (None, True)
    with pytest.raises(FetchError, match="no answer: ReadTimeout"):
        Site(*[httpx.ReadTimeout("")] * 3).fetch(Request(URL))


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "30"}, 30.0),
        ({"Retry-After": "0"}, 2.0),
        ({"Retry-After": "Fri, 20 Nov 2026 07:00:45 GMT"}, 45.0),
        ({"Retry-After": "Fri, 20 Nov 2026 07:00:45 -0000"}, 45.0),
        ({"Retry-After": "Fri, 20 Nov 2026 06:00:00 GMT"}, 2.0),
        ({"Retry-After": "soon"}, 2.0),
        ({"Retry-After": "Fri, 20 Nov 2026 07:00:45 +99999999999999"}, 2.0),
        ({"RateLimit": '"api";r=0;t=23'}, 23.0),
        ({"RateLimit": '"api";r=0'}, 2.0),
    ],
)
def test_the_pause_is_as_long_as_the_site_asks(headers: dict[str, str], pause: float) -> None:
    site = Site(httpx.Response(429, headers=headers), httpx.Response(200))
    site.fetch(Request(URL))
    assert site.pauses == [pause]


def test_a_site_that_asks_for_more_than_a_minute_is_left_alone() -> None:
    site = Site(httpx.Response(429, headers={"Retry-After": "3600"}))
    with pytest.raises(FetchError, match="less often") as caught:
        site.fetch(Request(URL))
    assert (caught.value.retry_after, caught.value.transient, site.pauses) == (3600.0, True, [])


def test_a_body_is_counted_as_it_is_unpacked() -> None:
    bomb = gzip.compress(b"0" * 100_000)
    assert len(bomb) < 1000
    with pytest.raises(FetchError, match="more than 1,000 bytes"):
        Site(httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=bomb)).fetch(Request(URL))
    packed = httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(b"papers"))
    page = Site(packed).fetch(Request(URL))
    assert page is not None
    assert page.content == b"papers"


def test_a_body_that_cannot_be_unpacked_is_an_error() -> None:
    def broken(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Body([b"no gzip"]))

    with pytest.raises(FetchError, match="cannot be followed"):
        Site(broken).fetch(Request(URL))


class Body(httpx.SyncByteStream):
    def __init__(self, chunks: list[bytes], pause: float = 0.0) -> None:
        self._chunks = chunks
        self._pause = pause

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            time.sleep(self._pause)
            yield chunk


def test_a_site_that_trickles_does_not_hold_a_run_up() -> None:
    site = Site(httpx.Response(200, stream=Body([b"x"] * 100, pause=0.02)))
    with pytest.raises(FetchError, match=r"not complete after 0\.05 seconds") as caught:
        site.fetch(Request(URL), timeout=0.05)
    assert caught.value.transient
    assert len(site.asked) == 1


def test_no_password_of_an_address_is_ever_shown() -> None:
    address = "https://me:hunter2@papers.example.org/daily"
    for answer in (httpx.Response(404), httpx.ReadTimeout(""), httpx.ReadTimeout(""), redirect("ftp://x/")):
        with pytest.raises(FetchError) as caught:
            Site(*[answer] * 9).fetch(Request(address))
        assert "hunter2" not in str(caught.value)
    page = Site(httpx.Response(200)).fetch(Request(address))
    assert page is not None
    assert page.url == URL


@pytest.mark.parametrize("url", ["https://me:hunter2@papers.example.org:port/", "https://[::1/", "\0"])
def test_what_is_no_address_is_an_error_of_the_configuration(url: str) -> None:
    with pytest.raises(FetchError, match="no address") as caught:
        Site().fetch(Request(url))
    assert caught.value.remedy
    assert "hunter2" not in str(caught.value)


def test_closing_twice_or_before_use_does_no_harm() -> None:
    fetcher = HttpFetcher(user_agent="digest")
    fetcher.close()
    fetcher.close()


class _Papers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.headers.get("If-None-Match") == '"1"':
            self.send_response(304)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(b"papers")

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""


def test_a_real_server_is_fetched_from_and_then_asked_whether_anything_changed() -> None:
    with HTTPServer(("127.0.0.1", 0), _Papers) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        fetcher = HttpFetcher(user_agent="digest")
        url = f"http://127.0.0.1:{server.server_port}/"
        page = fetcher.fetch(Request(url), now=NOW)
        assert page is not None
        assert page.content == b"papers"
        assert fetcher.fetch(Request(url, etag=page.etag), now=NOW) is None
        fetcher.close()
        server.shutdown()
        thread.join()
