"""The server: files as they stand there, and what a reader has already."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from time import sleep

import httpx
import pytest
from commands import Run
from hypothesis import example, given
from hypothesis import strategies as st
from served import PUBLIC, answering, started
from starlette.exceptions import HTTPException
from starlette.requests import Request
from world import NOON, configure

from digest import app
from digest.core.model import Artifact
from digest.deliver.file import FilePublisher
from digest.errors import ConfigError
from digest.web import files, server

LONG = b"<feed>" + b"Swin " * 400 + b"</feed>"
ETAG = sha256(LONG).hexdigest()[:32]
NAMES = {
    "plain": f'"{ETAG}"',
    "gzip": f'"{ETAG}-gzip"',
    "modified": "Fri, 20 Nov 2026 12:00:00 GMT",
}
CASES = json.loads((Path(__file__).parent / "data" / "conditional.json").read_text(encoding="utf-8"))
FILES = {
    "index.html": b"<!doctype html><title>Digests</title>",
    "archive/me/index.html": b"<!doctype html><title>Me</title>",
    "feeds/feed.css": b"entry { display: block }",
    "feeds/feeds.opml": b"<opml/>",
    "feeds/me/atom.xml": LONG,
    "feeds/me/rss-2.xml": b"<rss/>",
    "feeds/me/feed.json": b"{}",
    "feeds/me/feed-2.json": b"{}",
    "other.json": b"{}",
    "picture.png": b"\x89PNG" + bytes(2000),
    "notes.unheard-of": bytes(2000),
}


def publish(config: Path) -> Path:
    """Publish sample files where a configuration has them; gives the folder."""
    folder = config.parent / "public"
    FilePublisher(folder).publish([Artifact(path, content) for path, content in FILES.items()])
    os.utime(folder / "feeds/me/atom.xml", (NOON.timestamp() + 0.9,) * 2)
    return folder


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    config = configure(folder)
    public = publish(config)
    (public / "feeds" / "me" / ".0123.part").write_text("half a feed")
    (public / ".well-known").mkdir()
    (public / ".well-known" / "index.html").write_text("hidden")
    (public / "pipe").mkdir()
    os.mkfifo(public / "pipe" / "atom.xml")
    (public / "way-out").symlink_to(folder)
    (public / "out.toml").symlink_to(config)
    (public / "within.xml").symlink_to(public / "feeds" / "me" / "rss-2.xml")
    (public / "round").symlink_to(public / "round")
    (public / "feeds\\me.xml").write_text("a name that other systems take for a path")
    return config


@pytest.fixture(scope="module")
def client(config: Path) -> Iterator[httpx.Client]:
    with answering(config) as client:
        client.headers["Accept-Encoding"] = "identity"
        yield client


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


@pytest.mark.parametrize("case", CASES, ids=lambda case: json.dumps(case["asked"]))
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_reader_is_told_what_it_has_already(
    client: httpx.Client, method: str, case: dict[str, object]
) -> None:
    def filled(text: object) -> str:
        return str(text).replace("{", "%(").replace("}", ")s") % NAMES

    asked = {name: filled(value) for name, value in dict(case["asked"]).items()}  # type: ignore[call-overload]
    answer = client.request(method, "/feeds/me/atom.xml", headers=asked)
    assert answer.status_code == case["status"]
    if "etag" in case:
        assert answer.headers["etag"] == filled(case["etag"])
    if answer.status_code == 200:
        assert answer.content == (LONG if method == "GET" else b"")
        assert answer.headers["last-modified"] == NAMES["modified"]
    elif answer.status_code == 304:
        assert answer.content == b""
        assert not {"content-length", "content-type", "last-modified"} & set(answer.headers)
    if answer.status_code != 412:
        assert answer.headers["cache-control"] == "max-age=900"
        assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("accepted", "is_gzip"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("deflate,gzip ; q=1", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("identity", False),
        ("gzipped", False),
        ("", False),
    ],
)
def test_a_feed_is_sent_smaller_and_under_another_name_to_who_takes_that(
    client: httpx.Client, accepted: str, *, is_gzip: bool
) -> None:
    with client.stream("GET", "/feeds/me/atom.xml", headers={"Accept-Encoding": accepted}) as answer:
        raw = b"".join(answer.iter_raw())
    head = client.head("/feeds/me/atom.xml", headers={"Accept-Encoding": accepted})
    for one in (answer, head):
        assert one.headers["etag"] == NAMES["gzip" if is_gzip else "plain"]
        assert one.headers.get("content-encoding") == ("gzip" if is_gzip else None)
        assert one.headers["content-length"] == str(len(raw))
    assert (gzip.decompress(raw) if is_gzip else raw) == LONG
    assert (len(raw) < len(LONG)) == is_gzip


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/archive/me/", "text/html; charset=utf-8"),
        ("/feeds/me/atom.xml", "application/xml"),
        ("/feeds/me/rss-2.xml", "application/xml"),
        ("/feeds/me/feed.json", "application/feed+json"),
        ("/feeds/me/feed-2.json", "application/feed+json"),
        ("/feeds/feeds.opml", "text/x-opml; charset=utf-8"),
        ("/feeds/feed.css", "text/css; charset=utf-8"),
        ("/other.json", "application/json"),
        ("/picture.png", "image/png"),
        ("/notes.unheard-of", "application/octet-stream"),
        ("/within.xml", "application/xml"),
    ],
)
def test_a_file_says_what_it_is(client: httpx.Client, path: str, media_type: str) -> None:
    answer = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert ("content-encoding" in answer.headers) == (path == "/feeds/me/atom.xml")


def test_a_folder_with_a_page_is_found_without_its_slash(client: httpx.Client) -> None:
    answer = client.get("/archive/me")
    assert answer.headers["location"] == "./me/"
    assert client.get("/archive/me", follow_redirects=True).content == FILES["archive/me/index.html"]


@pytest.mark.parametrize(
    "path",
    [
        "/nothing.xml",
        "/feeds/",
        "/feeds",
        "/feeds/me/atom.xml/",
        "/feeds/me/.0123.part",
        "/.well-known/",
        "/.well-known",
        "/../digest.toml",
        "/feeds/../../digest.toml",
        "/%2e%2e/digest.toml",
        "/feeds/..%2f..%2fdigest.toml",
        "/feeds/me/../me/atom.xml",
        "/feeds\\..\\..\\digest.toml",
        "/feeds\\me.xml",
        "//feeds/me/atom.xml",
        "/feeds//me/atom.xml",
        "/way-out/digest.toml",
        "/out.toml",
        "/round",
        "/pipe/atom.xml",
        "/feeds/me/atom.xml%00",
        "/%ff%fe",
        f"/{'a' * 300}",
        "/C:/digest.toml",
        "/t/",
        "/t/secret/",
        "/t/secret",
    ],
)
def test_nothing_else_is_there(client: httpx.Client, path: str) -> None:
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 0)
    connection.request("GET", path)  # which httpx would tidy up
    answer = connection.getresponse()
    assert answer.status == 404
    assert answer.read() == b"Not Found"
    connection.close()


def test_a_folder_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    config = configure(tmp_path)
    with answering(config) as client:
        assert client.get("/").status_code == 404
        publish(config)
        assert client.get("/").status_code == 200


def test_nothing_is_done_but_reading(client: httpx.Client) -> None:
    for method, path in (
        ("POST", "/"),
        ("PUT", "/feeds/me/atom.xml"),
        ("DELETE", "/healthz"),
        ("OPTIONS", "/"),
    ):
        answer = client.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD"


def test_every_answer_keeps_browsers_from_guessing_telling_and_framing(client: httpx.Client) -> None:
    answers = [
        client.get("/"),
        client.get("/feeds/me/atom.xml", headers={"If-None-Match": "*"}),
        client.get("/nothing"),
        client.post("/"),
        client.get("/healthz"),
        client.get("/", headers={"Host": "attacker.example"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 304, 404, 405, 200, 400]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_another_name_for_this_machine_is_not_answered(client: httpx.Client) -> None:
    for name in ("attacker.example", "attacker.example:8470", "127.0.0.1.attacker.example", ""):
        assert client.get("/", headers={"Host": name}).status_code == 400
    for name in ("localhost:1234", "LOCALHOST", "[::1]:8470"):
        assert client.get("/", headers={"Host": name}).status_code == 200


def test_the_address_that_it_listens_at_is_a_name_of_it(config: Path) -> None:
    with answering(config, host="127.0.0.2") as client:
        for name in ("127.0.0.2:8470", "localhost"):
            assert client.get("/", headers={"Host": name}).status_code == 200
            assert "sources" in client.get("/healthz", headers={"Host": name}).json()
        assert client.get("/", headers={"Host": "127.0.0.3"}).status_code == 400


@pytest.mark.parametrize("name", ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host"])
def test_what_a_proxy_hands_over_is_from_outside_whatever_it_is_called(
    client: httpx.Client, name: str
) -> None:
    assert client.get("/", headers={name: "192.0.2.1"}).status_code == 404
    assert client.get("/healthz", headers={name: "192.0.2.1"}).json() == {"ok": True}


def test_a_reader_never_gets_one_version_under_the_name_of_another(
    client: httpx.Client, config: Path
) -> None:
    publisher, done = FilePublisher(config.parent / "public"), threading.Event()
    versions = [letter.encode() * 20_000 for letter in "ab"]
    names = {f'"{sha256(version).hexdigest()[:32]}"': version for version in versions}

    def rewrite() -> None:
        for number in range(200):
            publisher.publish([Artifact("changing.xml", versions[number % 2])])
        done.set()

    publisher.publish([Artifact("changing.xml", versions[1])])
    threading.Thread(target=rewrite).start()
    while not done.is_set():
        answer = client.get("/changing.xml")
        assert answer.status_code == 200
        assert answer.content == names[answer.headers["etag"]]


fields = st.sampled_from(
    ["if-none-match", "if-match", "if-modified-since", "if-unmodified-since", "accept-encoding"]
)
values = st.text(st.characters(max_codepoint=255)) | st.sampled_from([*NAMES.values(), "*", "gzip;q=", '"'])


@example([("if-modified-since", "Fri, 20 Nov 99999 12:00:00 GMT")])
@example([("if-modified-since", "Fri, 99 Nov 9999 99:99:99 GMT")])
@given(st.lists(st.tuples(fields, values)))
def test_whatever_a_reader_asks_it_gets_an_answer(config: Path, asked: list[tuple[str, str]]) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in asked]
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": headers})
    assert status(config.parent / "public", request) in {200, 304, 412}


def status(folder: Path, request: Request) -> int:
    try:
        return files.answer(folder, "/feeds/me/atom.xml", request, cache="").status_code
    except HTTPException as refused:
        return refused.status_code


# --- connections ------------------------------------------------------------------------------


def connected(client: httpx.Client) -> socket.socket:
    """A connection of its own, on which half a request was sent."""
    connection = socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    return connection


def is_ended(connection: socket.socket) -> bool:
    """Whether the server closes it, rather than answers. Raises TimeoutError where it does neither."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_many_who_send_nothing_leave_room_for_the_daily_run(config: Path) -> None:
    with ExitStack() as held:
        client = held.enter_context(answering(config))
        waiting = [held.enter_context(connected(client)) for _ in range(256)]
        assert is_ended(held.enter_context(connected(client)))
        waiting[0].sendall(b"\r\n")
        assert not is_ended(waiting[0])


def test_who_asks_nothing_is_not_waited_for(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_ARRIVING", 2)
    with answering(config) as client:
        kept = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 0)
        with connected(client) as idle:
            idle.settimeout(0.1)
            has_ended = False
            while not has_ended:
                kept.request("GET", "/")  # who does so in time is not the one that is left
                assert kept.getresponse().read() == FILES["index.html"]
                with suppress(TimeoutError):
                    has_ended = is_ended(idle)
        sleep(0.5)
        kept.request("GET", "/")  # nor is its first request looked at again
        assert kept.getresponse().read() == FILES["index.html"]
        kept.close()


HEAD = b" HTTP/1.1\r\nHost: localhost\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b"GET / HT"),
        (b"", b"GET /" + HEAD),
        (b"GET /healthz" + HEAD + b"\r\n", b"GET /he"),
        (b"GET /healthz" + HEAD + b"Content-Length: 100\r\n\r\n", b"a"),
        (b"", b"POST /stop/me" + HEAD + FORM + b"List-"),
        (b"", b"POST /opinion/like/me" + HEAD + FORM),
    ],
)
def test_a_request_that_has_no_end_is_not_waited_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    first: bytes,
    then: bytes,
) -> None:
    monkeypatch.setattr(server, "_ARRIVING", 1)
    config = configure(tmp_path, extra=f'[serve]\nbase_url = "{PUBLIC}"')
    with answering(config) as client:
        port = client.base_url.port or 0
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(first)
            if first:
                assert connection.recv(10_000).startswith(b"HTTP/1.1 ")
            connection.sendall(then)
            while not is_ended(connection):
                pass
    assert "Traceback" not in capsys.readouterr().err


def test_who_does_not_take_an_answer_is_not_waited_for(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_ANSWERED", 2)
    size = 20_000_000
    (config.parent / "public" / "long.bin").write_bytes(bytes(size))
    with answering(config) as client, asking(client, "/long.bin") as lazy:
        assert lazy.recv(12) == b"HTTP/1.1 200"
        sleep(3)
        taken = 0
        with suppress(ConnectionResetError):
            while piece := lazy.recv(100_000):
                taken += len(piece)
        assert taken < size


def asking(client: httpx.Client, path: str) -> socket.socket:
    """A connection on which something was asked for."""
    connection = socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


def test_many_who_read_slowly_share_what_they_read(config: Path) -> None:
    size, readers = 8_000_000, 30
    (config.parent / "public" / "large.bin").write_bytes(bytes(size))
    with ExitStack() as held:
        client = held.enter_context(answering(config))
        tracemalloc.start()
        held.callback(tracemalloc.stop)
        slow = [held.enter_context(asking(client, "/large.bin")) for _ in range(readers)]
        assert {one.recv(12) for one in slow} == {b"HTTP/1.1 200"}
        assert tracemalloc.get_traced_memory()[1] < 5 * size


def test_who_leaves_within_an_answer_fills_no_log(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    (config.parent / "public" / "long.bin").write_bytes(bytes(20_000_000))
    with answering(config) as client:
        for _ in range(5):
            with asking(client, "/long.bin") as leaving:
                assert leaving.recv(300_000)
        assert client.get("/healthz").status_code == 200
    assert caplog.text == ""


# --- the process ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_leaves_with_zero_though_somebody_is_slow(config: Path, number: signal.Signals) -> None:
    (config.parent / "public" / "long.bin").write_bytes(bytes(20_000_000))
    with (
        (config.parent / "said").open("w") as said,
        started("serve", "--config", str(config), stderr=said) as (process, address),
    ):
        url = httpx.URL(address)
        with (
            socket.create_connection((url.host, url.port or 0)) as half,
            socket.create_connection((url.host, url.port or 0)) as lazy,
        ):
            half.sendall(b"GET / HTTP/1.1\r\nHost:")
            lazy.sendall(b"GET /long.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert lazy.recv(12) == b"HTTP/1.1 200"
            assert httpx.get(address).status_code == 200
            process.send_signal(number)
            assert process.wait(30) == 0
    assert "Traceback" not in (config.parent / "said").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [["serve"], ["schedule", "--serve"]])
def test_a_port_that_is_taken_is_said_at_once(tmp_path: Path, run: Run, arguments: list[str]) -> None:
    config = configure(tmp_path, extra="[schedule]")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(*arguments, "--config", config, "--port", port) == 2
    assert f"--host 127.0.0.1 --port {port}: nobody can be answered there: Address already in use" in run.err
    assert run.out == ""


def test_the_end_of_the_server_is_told_and_not_hidden(config: Path) -> None:
    listener, ended = server.listen("127.0.0.1", 0), threading.Event()
    listener.close()
    application = server.application(app.load(str(config), {}), host="127.0.0.1", is_public=False)
    with (
        pytest.raises(OSError, match="Bad file descriptor"),
        server.serving(application, listener, ended=ended.set),
    ):
        assert ended.wait(30)


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_this_machine_may_be_named_otherwise(config: Path, host: str) -> None:
    try:
        server.listen(host, 0).close()
    except ConfigError:
        pytest.skip(f"this machine has no {host}")
    with started("serve", "--config", str(config), "--host", host) as (process, address):
        assert httpx.get(address).status_code == 200
        process.send_signal(signal.SIGINT)


def test_a_wrong_configuration_is_told_and_the_old_one_serves_on(tmp_path: Path) -> None:
    config = configure(tmp_path)
    with (
        (tmp_path / "said").open("w") as said,
        started("serve", "--config", str(config), stderr=said) as (process, address),
    ):
        config.write_text("timezones = 1", encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        while "there is no such key" not in (tmp_path / "said").read_text(encoding="utf-8"):
            assert process.poll() is None
        assert httpx.get(f"{address}healthz").json()["ok"] is True
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
