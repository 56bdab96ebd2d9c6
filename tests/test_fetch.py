"""Getting bytes: from files, and over HTTP from sites that have their moods."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import ssl
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import ClassVar

import httpx
import pytest
import trustme
from sites import NOW

from digest.core.model import Pace, Page, Request
from digest.errors import FetchError
from digest.fetch.file import FileFetcher
from digest.fetch.http import HttpFetcher, Network, Proxy

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


def unread(answer: httpx.Response) -> httpx.Response:
    """An answer as it comes from the wire: one that was made with its content counts as read."""
    if not isinstance(answer.stream, httpx.SyncByteStream):
        return answer
    return httpx.Response(answer.status_code, headers=answer.headers, stream=Pieces(list(answer.stream)))


class Site:
    """A site that gives one answer after another, and notes what it was asked and the pauses between."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.pauses: list[float] = []
        self.addresses: dict[str, list[str]] = {}

    def clock(self) -> float:
        return sum(self.pauses)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def resolve(self, host: str, _port: int) -> list[str]:
        if host not in self.addresses:
            raise OSError(f"{host} is not known")
        return self.addresses[host]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return unread(answer)

    def fetcher(
        self, *, timeout: float = 60.0, max_bytes: int = 1000, network: Network | None = None
    ) -> HttpFetcher:
        return HttpFetcher(
            user_agent="digest/1 (me@example.org)",
            max_bytes=max_bytes,
            network=replace(network or Network(), timeout=timeout),
            transport=httpx.MockTransport(self),
            resolve=self.resolve,
            clock=self.clock,
            sleep=self.sleep,
        )

    def fetch(self, request: Request, *, timeout: float = 60.0, max_bytes: int = 1000) -> Page | None:
        with closing(self.fetcher(timeout=timeout, max_bytes=max_bytes)) as fetcher:
            return fetcher.fetch(request, now=NOW)


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
    with closing(site.fetcher()) as fetcher:
        with pytest.raises(FetchError, match="refused"):
            fetcher.fetch(Request(URL), now=NOW)
        with pytest.raises(FetchError, match="did not answer a moment ago: no answer: refused") as caught:
            fetcher.fetch(Request(f"{URL}/2"), now=NOW)
    assert caught.value.transient
    assert str(caught.value.remedy).startswith("Check the connection")


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


def test_a_site_that_asks_for_an_hour_is_left_alone_for_the_whole_run() -> None:
    site = Site(httpx.Response(429, headers={"Retry-After": "3600"}))
    with closing(site.fetcher()) as fetcher:
        with pytest.raises(FetchError, match="less often") as caught:
            fetcher.fetch(Request(URL), now=NOW)
        assert (caught.value.retry_after, caught.value.transient, site.pauses) == (3600.0, True, [])
        with pytest.raises(FetchError, match="left alone for 3600 seconds"):
            fetcher.fetch(Request(f"{URL}/2"), now=NOW)
    assert len(site.asked) == 1


def test_a_date_to_come_back_at_counts_by_the_clock_of_the_site() -> None:
    headers = {"Retry-After": "Fri, 20 Nov 2026 09:00:45 GMT", "Date": "Fri, 20 Nov 2026 09:00:00 GMT"}
    site = Site(httpx.Response(503, headers=headers), httpx.Response(200))
    site.fetch(Request(URL))
    assert site.pauses == [45.0]


def test_a_limit_that_is_used_up_is_waited_for_before_the_next_page() -> None:
    used_up = httpx.Response(200, headers={"RateLimit": '"api";r=0;t=123'})
    left = httpx.Response(200, headers={"RateLimit": '"api";r=7;t=123'})
    site = Site(left, used_up, httpx.Response(200))
    with closing(site.fetcher()) as fetcher:
        for number in range(3):
            fetcher.fetch(Request(f"{URL}/{number}"), now=NOW)
    assert site.pauses == [123.0]


def test_the_pace_of_a_site_holds_over_all_its_hosts_and_along_redirects() -> None:
    pace = Pace("example.org", 3.0)
    site = Site(httpx.Response(200), redirect("/other"), httpx.Response(200))
    with closing(site.fetcher()) as fetcher:
        fetcher.fetch(Request("https://one.example.org/", pace=pace), now=NOW)
        fetcher.fetch(Request("https://two.example.org/", pace=pace), now=NOW)
    assert site.pauses == [3.0, 3.0]


def test_one_site_is_asked_by_one_at_a_time_and_several_side_by_side() -> None:
    busy: dict[str, int] = dict.fromkeys(("one.example.org", "two.example.org"), 0)
    most: dict[str, int] = dict(busy)
    both = False

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal both
        host = request.url.host
        busy[host] += 1
        most[host] = max(most[host], busy[host])
        for _ in range(50):
            await asyncio.sleep(0.001)
            both = both or all(busy.values())
        busy[host] -= 1
        return unread(httpx.Response(200))

    fetcher = HttpFetcher(user_agent="digest", transport=httpx.MockTransport(answer))
    urls = [f"https://{host}/{number}" for number in range(3) for host in busy]
    with closing(fetcher), ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda url: fetcher.fetch(Request(url), now=NOW), urls))
    assert most == {"one.example.org": 1, "two.example.org": 1}
    assert both


def test_closing_ends_what_is_under_way() -> None:
    begun = Event()

    async def never(_request: httpx.Request) -> httpx.Response:
        begun.set()
        await asyncio.sleep(60)
        raise AssertionError

    fetcher = HttpFetcher(user_agent="digest", transport=httpx.MockTransport(never))
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(fetcher.fetch, Request(URL), now=NOW)
        assert begun.wait(10)
        fetcher.close()
        with pytest.raises(FetchError, match="stopped"):
            under_way.result(10)
    with pytest.raises(FetchError, match="stopped"):
        fetcher.fetch(Request(URL), now=NOW)


# Where a page may lead


PRIVATE = [
    "http://127.0.0.1/", "http://10.1.2.3/", "http://192.168.0.1/", "http://169.254.169.254/latest/meta-data",
    "http://[::1]/", "http://[fe80::1]/", "http://[::ffff:10.0.0.1]/", "http://[64:ff9b::a00:1]/",
    "http://[2002:a00:1::]/", "http://0.0.0.0/", "http://224.0.0.1/", "http://intranet.example.org/",
]  # fmt: skip


@pytest.mark.parametrize("url", PRIVATE)
def test_a_page_cannot_lead_into_a_private_network(url: str) -> None:
    for request, answers in (
        (Request(URL), [redirect(url)]),
        (Request(url, from_page=True), []),
    ):
        site = Site(*answers)
        site.addresses["intranet.example.org"] = ["93.184.215.14", "10.0.0.7"]
        with pytest.raises(FetchError, match="private network") as caught:
            site.fetch(request)
        assert "allow_private" in (caught.value.remedy or "")
        assert len(site.asked) == len(answers)


def test_an_intranet_may_be_named_by_who_configures_it_and_allowed_to_lead_on() -> None:
    site = Site(httpx.Response(200), redirect("/new"), httpx.Response(200), redirect("http://10.0.0.2/"))
    site.fetch(Request("http://10.0.0.1/feed"))
    site.fetch(Request("http://10.0.0.1/feed"))  # the same server
    site.answers.append(httpx.Response(200))
    site.fetch(Request("http://10.0.0.1/feed", allow_private=True))
    assert str(site.asked[-1].url) == "http://10.0.0.2/"


def test_a_name_is_looked_up_once_and_the_connection_goes_to_that_address() -> None:
    site = Site(redirect("https://other.example.net:8443/x?y=1"), httpx.Response(200, content=b"papers"))
    site.addresses["other.example.net"] = ["93.184.215.14"]
    page = site.fetch(Request(URL))
    assert page is not None
    assert page.url == "https://other.example.net:8443/x?y=1"
    asked = site.asked[-1]
    assert str(asked.url) == "https://93.184.215.14:8443/x?y=1"
    assert asked.headers["Host"] == "other.example.net:8443"
    assert asked.extensions["sni_hostname"] == "other.example.net"


def test_a_name_that_a_page_led_to_and_nobody_knows_is_no_answer() -> None:
    with pytest.raises(FetchError, match=r"no answer: gone\.example\.net is not known"):
        Site(*[redirect("https://gone.example.net/")] * 3).fetch(Request(URL))


def test_a_key_goes_to_the_site_it_is_for_and_is_never_shown() -> None:
    keyed = Request(URL, headers=(("x-api-key", "hunter2"),), secrets=(("api_key", "hunter3"),))
    assert "hunter" not in repr(keyed)
    site = Site(
        redirect("/moved?api_key=hunter3&page=2"),
        redirect("https://other.example.net/?api_key=hunter3"),
        httpx.Response(200),
    )
    site.addresses["other.example.net"] = ["93.184.215.14"]
    page = site.fetch(keyed)
    assert page is not None
    assert page.url == "https://other.example.net/"
    first, moved, other = site.asked
    assert str(first.url) == f"{URL}?api_key=hunter3"
    assert str(moved.url) == "https://papers.example.org/moved?page=2&api_key=hunter3"
    assert moved.headers["x-api-key"] == "hunter2"
    assert "api_key" not in str(other.url)
    assert "x-api-key" not in other.headers
    with pytest.raises(FetchError) as caught:
        Site(httpx.Response(404)).fetch(keyed)
    assert "hunter" not in str(caught.value)


def test_a_redirect_to_the_same_host_with_tls_is_no_other_site() -> None:
    site = Site(redirect("https://10.0.0.1/feed"), httpx.Response(200))
    page = site.fetch(Request("http://10.0.0.1/feed"))
    assert page is not None


@pytest.mark.parametrize("location", ["http://[::1", "mailto:me@example.org", "http:///nowhere"])
def test_a_redirect_to_what_is_no_address_says_so(location: str) -> None:
    with pytest.raises(FetchError, match="cannot be followed"):
        Site(redirect(location)).fetch(Request(URL))


def test_a_body_is_counted_as_it_is_unpacked() -> None:
    bomb = gzip.compress(b"0" * 100_000)
    assert len(bomb) < 1000
    with pytest.raises(FetchError, match="more than 1,000 bytes"):
        Site(httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=bomb)).fetch(Request(URL))
    packed = httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(b"papers"))
    page = Site(packed).fetch(Request(URL))
    assert page is not None
    assert page.content == b"papers"


class Pieces(httpx.AsyncByteStream):
    def __init__(self, pieces: Sequence[bytes], pause: float = 0.0) -> None:
        self._pieces = pieces
        self._pause = pause

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await asyncio.sleep(self._pause)
            yield piece


def packed(encoding: str, content: bytes) -> httpx.Response:
    """An answer of which every byte comes alone."""
    pieces = Pieces([content[at : at + 1] for at in range(len(content))])
    return httpx.Response(200, headers={"Content-Encoding": encoding}, stream=pieces)


# Without the time: it would be in the names of tests, which processes that share them must agree on.
GZIP = gzip.compress(b"papers", mtime=0)
RAW = zlib.compressobj(wbits=-15)


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("", b"papers"),
        ("identity", b"papers"),
        ("gzip", GZIP),
        ("X-GZIP", gzip.compress(b"pap", mtime=0) + gzip.compress(b"ers", mtime=0)),
        ("gzip", GZIP + b"\0\0"),
        ("deflate", zlib.compress(b"papers")),
        ("deflate", zlib.compress(b"papers") + b"\0"),
        ("deflate", RAW.compress(b"papers") + RAW.flush()),
    ],
)
def test_a_body_comes_unpacked_however_it_was_packed(encoding: str, content: bytes) -> None:
    page = Site(packed(encoding, content)).fetch(Request(URL))
    assert page is not None
    assert page.content == b"papers"


@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, (1 << 20) * 2, (1 << 20) * 2 + 258])
def test_a_body_that_is_unpacked_in_several_steps_is_whole(size: int) -> None:
    content = bytes(size)
    answer = httpx.Response(
        200, headers={"Content-Encoding": "gzip"}, stream=Pieces([gzip.compress(content)])
    )
    page = Site(answer).fetch(Request(URL), max_bytes=1 << 22)
    assert page is not None
    assert page.content == content


def test_a_packed_body_without_any_bytes_is_empty() -> None:
    page = Site(packed("gzip", b"")).fetch(Request(URL))
    assert page is not None
    assert page.content == b""


@pytest.mark.parametrize(
    ("encoding", "words"), [("gzip", "unpacked"), ("deflate", "unpacked"), ("br", "not asked")]
)
def test_a_body_that_cannot_be_unpacked_is_an_error(encoding: str, words: str) -> None:
    with pytest.raises(FetchError, match=words):
        Site(packed(encoding, b"~no such thing")).fetch(Request(URL))


def test_a_body_that_ends_too_early_is_asked_for_again() -> None:
    whole = gzip.compress(b"papers")
    site = Site(packed("gzip", whole[:-9]), packed("gzip", whole))
    assert site.fetch(Request(URL)) is not None
    with pytest.raises(FetchError, match="cut short"):
        Site(*[packed("gzip", whole[:-9]) for _ in range(3)]).fetch(Request(URL))


def test_a_connection_lost_within_a_body_is_tried_again() -> None:
    class Lost(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"pap"
            raise httpx.ReadError("reset")

    site = Site(httpx.Response(200, stream=Lost()), httpx.Response(200, content=b"papers"))
    assert site.fetch(Request(URL)) is not None
    assert site.pauses == [2.0]


def test_a_site_that_trickles_does_not_hold_a_run_up() -> None:
    site = Site(httpx.Response(200, stream=Pieces([b"x"] * 100, pause=0.02)))
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


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hunter2@papers.example.org:port/",
        "https://[::1/",
        "\0",
        "ftp://example.org/",
        "https:///x",
    ],
)
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


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_real_server_is_fetched_from_and_then_asked_whether_anything_changed() -> None:
    with serving(_Papers) as port, closing(HttpFetcher(user_agent="digest")) as fetcher:
        url = f"http://127.0.0.1:{port}/"
        page = fetcher.fetch(Request(url), now=NOW)
        assert page is not None
        assert page.content == b"papers"
        assert fetcher.fetch(Request(url, etag=page.etag), now=NOW) is None


@pytest.mark.parametrize("is_trusted", [True, False])
def test_where_an_address_without_tls_leads_to_one_with_it_the_certificate_counts(
    is_trusted: bool,  # noqa: FBT001 - a parameter of the test
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority, other = trustme.CA(), trustme.CA()
    (authority if is_trusted else other).cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)

    class Moved(_Papers):
        def do_GET(self) -> None:
            self.send_response(301)
            self.send_header("Location", f"https://127.0.0.1:{secure}/")
            self.end_headers()

    with serving(_Papers, tls) as secure, serving(Moved) as plain:
        request = Request(f"http://127.0.0.1:{plain}/", allow_private=True)
        fetcher = HttpFetcher(user_agent="digest", sleep=lambda _seconds: asyncio.sleep(0))
        is_read = (
            nullcontext() if is_trusted else pytest.raises(FetchError, match="certificate verify failed")
        )
        with closing(fetcher), is_read:
            assert fetcher.fetch(request, now=NOW)


# Proxies


class _ProxyServer(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Proxy-Authorization")))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"by proxy")

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def proxy() -> Iterator[str]:
    _ProxyServer.asked.clear()
    with serving(_ProxyServer) as port:
        yield f"http://127.0.0.1:{port}"


def through(network: Network | None, url: str) -> Page | None:
    with closing(HttpFetcher(user_agent="digest", network=network or Network())) as fetcher:
        return fetcher.fetch(Request(url), now=NOW)


def test_a_proxy_of_the_configuration_is_asked_with_its_password(proxy: str) -> None:
    own = Proxy(proxy, "me", "hunter2")
    assert "hunter2" not in repr(own)
    page = through(Network(own), "http://papers.example.org/")
    assert page is not None
    assert page.content == b"by proxy"
    through(Network(Proxy(proxy)), "http://papers.example.org/2")
    basic = "Basic " + b64encode(b"me:hunter2").decode()
    assert _ProxyServer.asked == [
        ("http://papers.example.org/", basic),
        ("http://papers.example.org/2", None),
    ]


def test_a_proxy_is_not_asked_for_hosts_that_go_around_it(proxy: str) -> None:
    port = proxy.rpartition(":")[2]
    for host, domain in (("127.0.0.1", "127.0.0.1"), ("localhost", ".LOCALHOST")):
        around = Network(Proxy("http://127.0.0.1:9", bypass=["example.org", domain]))
        assert through(around, f"http://{host}:{port}/direct") is not None


def test_who_goes_around_a_proxy_goes_around_that_of_the_environment_too(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    around = Network(Proxy("http://127.0.0.1:9", bypass=["127.0.0.1"]))
    assert through(around, f"{proxy}/direct") is not None


def test_the_proxy_of_the_environment_is_used_where_none_is_configured(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    page = through(None, "http://papers.example.org/")
    assert page is not None
    assert page.content == b"by proxy"
    assert through(None, f"{proxy}/direct") is not None
    assert [path for path, _ in _ProxyServer.asked] == ["http://papers.example.org/", "/direct"]


def test_a_proxy_looks_names_up_but_does_not_open_private_networks(proxy: str) -> None:
    for url, ok in (
        ("http://papers.example.org/", True),
        ("http://10.0.0.1/", False),
        ("http://localhost/", False),
    ):
        fetcher = HttpFetcher(user_agent="digest", network=Network(Proxy(proxy)))
        with closing(fetcher), nullcontext() if ok else pytest.raises(FetchError, match="private"):
            assert fetcher.fetch(Request(url, from_page=True), now=NOW) is not None
